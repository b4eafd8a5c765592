//! From a session to a channel: descriptions and candidates travel sealed, and the first records prove that the path
//! leads to the other side of the session.

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};
use wire::generation::Generation;
use wire::handshake::Session;
use wire::keys::{Binding, SessionSecret};
use wire::message::AbortReason;
use wire::record::{Opener, Sealer};
use wire::signal::{
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, SignalError, SignalOpener,
    SignalSealer, halves, is_usable_candidate,
};
use wire::signaling::{IceServer, ReportedPath, Role};

use super::{ConnectError, Met, PATH_DEADLINE, Pairing, Reach, Rejoin};
use crate::entropy;
use crate::transport::Transport;
use crate::transport::webrtc::{self, Negotiation, NegotiationEvent};

/// The first generation of a session; later ones are numbered where both sides meet again.
const FIRST_GENERATION: u32 = 1;

/// An authenticated, sealed pipe to the other side.
#[derive(Debug)]
pub struct Channel {
    /// Seals this side's records.
    pub sealer: Sealer,
    /// Opens the other side's.
    pub opener: Opener,
    /// Carries them.
    pub transport: Transport,
    /// Reaches the rendezvous, for as long as the transfer runs.
    pub pairing: Pairing,
}

/// Both directions of a generation, and what carries it.
pub(super) type Opened = (Sealer, Opener, Transport);

/// Finds a path to the other side, as `reach` says, and opens the first generation over it.
/// The [`Rejoin`] opens further ones when that path breaks. When the way through the rendezvous breaks before there is a path,
/// both sides have a few seconds to meet again.
///
/// # Errors
/// [`ConnectError`]; [`ConnectError::NoPath`] when nothing worked in 30 s.
pub async fn open(met: Met, reach: Reach) -> Result<(Channel, Rejoin), ConnectError> {
    let Met { session, server, pairing, ice_servers } = met;
    let Session { secret, signal_keys, role, confirmation, .. } = session;
    let mut rejoin = Rejoin::new(server, secret.clone(), role, reach.clone(), confirmation);
    let broken = match pairing {
        Some(mut pairing) => {
            let (signal_sealer, signal_opener) = halves(signal_keys);
            let mut signals = Signals {
                pairing: &mut pairing,
                sealer: signal_sealer,
                opener: signal_opener,
                generation: FIRST_GENERATION,
            };
            match negotiate(&mut signals, &secret, (role, &reach), ice_servers).await {
                Ok((sealer, opener, transport)) => {
                    rejoin.handle_open();
                    return Ok((Channel { sealer, opener, transport, pairing }, rejoin));
                }
                Err(error) if error.is_parting() => error,
                Err(error) => {
                    if role == Role::Sender && matches!(error, ConnectError::NoPath) {
                        pairing.report(ReportedPath::None, false).await;
                    }
                    return Err(error);
                }
            }
        }
        None => ConnectError::PeerLeft,
    };
    let channel = Box::pin(rejoin.soon()).await.map_err(|error| {
        // How it came to that says more than that nobody came.
        if matches!(error, ConnectError::Aborted(_)) { error } else { broken }
    })?;
    Ok((channel, rejoin))
}

/// Finds a path and opens the generation of `signals` over it.
pub(super) async fn negotiate(
    signals: &mut Signals<'_>,
    secret: &SessionSecret,
    (role, reach): (Role, &Reach),
    ice_servers: Vec<IceServer>,
) -> Result<Opened, ConnectError> {
    let deadline = Instant::now() + PATH_DEADLINE;
    let found = timeout_at(deadline, find(signals, (role, reach), ice_servers)).await;
    let (found_transport, binding) = match found.unwrap_or(Err(ConnectError::NoPath)) {
        Ok(found) => found,
        Err(error) => {
            // The other side is still looking; it may as well stop.
            let _ = signals.send(&Signal::Abort { reason: AbortReason::Internal.code() }).await;
            return Err(error);
        }
    };
    let generation = Generation::new(secret.clone(), signals.generation, binding)?;
    let opened = timeout_at(deadline, open_generation(generation, role, found_transport)).await;
    let (sealer, opener, transport) = opened.unwrap_or(Err(ConnectError::NoPath))?;
    tracing::info!(path = ?transport.path, generation = signals.generation, "the other side is reached");
    Ok((sealer, opener, transport))
}

/// The sealed conversation about transports.
#[derive(Debug)]
pub(super) struct Signals<'a> {
    pub(super) pairing: &'a mut Pairing,
    pub(super) sealer: SignalSealer,
    pub(super) opener: SignalOpener,
    /// The generation that it is about.
    pub(super) generation: u32,
}

impl Signals<'_> {
    pub(super) async fn send(&mut self, signal: &Signal) -> Result<(), ConnectError> {
        let body = self.sealer.seal(signal);
        self.pairing.send(&body).await
    }

    async fn describe(
        &mut self,
        kind: DescriptionKind,
        description: &str,
    ) -> Result<Fingerprint, ConnectError> {
        let own = CheckedDescription::parse(description)?;
        let sdp = own.sdp().to_owned();
        let generation = self.generation;
        self.send(&Signal::Description { generation, restart: 0, kind, sdp }).await?;
        Ok(own.fingerprint())
    }

    /// The highest generation that the other side has seen, which is what it says first.
    pub(super) async fn generations(&mut self) -> Result<u32, ConnectError> {
        let body = self.pairing.recv().await?;
        let signal = self.opener.open(&body)?;
        if let Signal::Generations { highest } = signal {
            Ok(highest)
        } else if let Signal::Abort { reason } = signal {
            Err(ConnectError::Aborted(AbortReason::from_code(reason)))
        } else {
            Err(ConnectError::Signal(SignalError::Unreadable))
        }
    }

    /// The next signal of this generation. Cancelling it loses nothing.
    async fn recv(&mut self) -> Result<Signal, ConnectError> {
        loop {
            let body = self.pairing.recv().await?;
            match self.opener.open(&body)? {
                Signal::Abort { reason } => {
                    let reason = AbortReason::from_code(reason);
                    // What a side says that has found no path, as this one has not.
                    let is_vain = reason == AbortReason::Internal;
                    return Err(if is_vain { ConnectError::NoPath } else { ConnectError::Aborted(reason) });
                }
                Signal::Generations { .. } | Signal::Relay { .. } | Signal::Unknown => {}
                signal @ (Signal::Description { generation, restart, .. }
                | Signal::Candidate { generation, restart, .. }
                | Signal::EndOfCandidates { generation, restart }) => {
                    if (generation, restart) == (self.generation, 0) {
                        return Ok(signal);
                    }
                }
            }
        }
    }

    /// Waits for the other side's description; candidates that come before it are kept.
    async fn description(
        &mut self,
        wanted: DescriptionKind,
        candidates: &mut Vec<(String, String)>,
    ) -> Result<CheckedDescription, ConnectError> {
        loop {
            let signal = self.recv().await?;
            if let Signal::Description { kind, sdp, .. } = signal {
                if kind == wanted {
                    return Ok(CheckedDescription::parse(&sdp)?);
                }
            } else if let Signal::Candidate { candidate, mid, .. } = signal
                && candidates.len() < MAX_CANDIDATES
            {
                candidates.push((candidate, mid));
            }
        }
    }
}

/// Negotiates until a transport is open. The sender offers, the receiver answers.
async fn find(
    signals: &mut Signals<'_>,
    (role, reach): (Role, &Reach),
    ice_servers: Vec<IceServer>,
) -> Result<(Transport, Binding), ConnectError> {
    match role {
        Role::Sender => {
            let side = webrtc::Role::Initiator;
            let config = reach.peer_config(ice_servers, side)?;
            let negotiation = Negotiation::start(config).await?;
            let own = signals.describe(DescriptionKind::Offer, negotiation.local_description()).await?;
            let (transport, answer) = trickle(signals, negotiation).await?;
            let theirs = answer.ok_or(ConnectError::NoPath)?;
            Ok((transport, Binding::webrtc(&own.0, &theirs.0)))
        }
        Role::Receiver => {
            let mut early = Vec::new();
            let offer = signals.description(DescriptionKind::Offer, &mut early).await?;
            let remote_description = offer.sdp().to_owned();
            let side = webrtc::Role::Responder { remote_description };
            let config = reach.peer_config(ice_servers, side)?;
            let negotiation = Negotiation::start(config).await?;
            let own = signals.describe(DescriptionKind::Answer, negotiation.local_description()).await?;
            for (candidate, mid) in early {
                try_candidate(&negotiation, candidate, mid).await;
            }
            let (transport, _) = trickle(signals, negotiation).await?;
            Ok((transport, Binding::webrtc(&offer.fingerprint().0, &own.0)))
        }
    }
}

/// Exchanges candidates, and takes the answer if one is due, until the channel is open.
async fn trickle(
    signals: &mut Signals<'_>,
    mut negotiation: Negotiation,
) -> Result<(Transport, Option<Fingerprint>), ConnectError> {
    let mut answer = None;
    let mut candidate_count = 0;
    loop {
        tokio::select! {
            event = negotiation.next_event() => match event {
                NegotiationEvent::LocalCandidate { candidate, mid } => {
                    tracing::debug!(%candidate, "candidate of this side");
                    let (generation, restart) = (signals.generation, 0);
                    signals.send(&Signal::Candidate { generation, restart, candidate, mid }).await?;
                }
                NegotiationEvent::EndOfCandidates => {
                    let (generation, restart) = (signals.generation, 0);
                    signals.send(&Signal::EndOfCandidates { generation, restart }).await?;
                }
                NegotiationEvent::Open(transport) => return Ok((transport, answer)),
                NegotiationEvent::Failed(error) => return Err(error.into()),
            },
            signal = signals.recv() => {
                let signal = signal?;
                if let Signal::Description { kind: DescriptionKind::Answer, sdp, .. } = signal {
                    if answer.is_none() {
                        let checked = CheckedDescription::parse(&sdp)?;
                        answer = Some(checked.fingerprint());
                        negotiation.set_remote_description(checked.sdp().to_owned()).await?;
                    }
                } else if let Signal::Candidate { candidate, mid, .. } = signal
                    && candidate_count < MAX_CANDIDATES
                {
                    candidate_count += 1;
                    try_candidate(&negotiation, candidate, mid).await;
                }
            }
        }
    }
}

async fn try_candidate(negotiation: &Negotiation, candidate: String, mid: String) {
    let is_usable = is_usable_candidate(&candidate);
    tracing::debug!(?candidate, is_usable, "candidate of the other side");
    if is_usable {
        negotiation.add_remote_candidate(candidate, mid).await;
    }
}

/// Proves over the new transport that both hold the session, and derives the keys of its records.
async fn open_generation(
    generation: Generation,
    role: Role,
    mut transport: Transport,
) -> Result<Opened, ConnectError> {
    let (sealer, opener) = match role {
        Role::Sender => {
            let theirs = transport.receiver.recv().await?;
            let (sealer, opener, answer) = generation.sender(&theirs, entropy::seed()?)?;
            transport.sender.send(BytesMut::from(answer.as_slice())).await?;
            (sealer, opener)
        }
        Role::Receiver => {
            let (waiting, opening) = generation.receiver(entropy::seed()?);
            transport.sender.send(BytesMut::from(opening.as_slice())).await?;
            let (sealer, opener) = waiting.receive(&transport.receiver.recv().await?)?;
            (sealer, opener)
        }
    };
    Ok((sealer, opener, transport))
}
