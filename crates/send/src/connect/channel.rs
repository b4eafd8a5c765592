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
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, SignalOpener, SignalSealer,
    halves, is_usable_candidate,
};
use wire::signaling::{IceServer, Role};

use super::{ConnectError, Met, PATH_DEADLINE, Pairing};
use crate::entropy;
use crate::transport::Transport;
use crate::transport::webrtc::{self, Negotiation, NegotiationEvent, PeerConfig};

/// The first generation of a session; there is no other yet.
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

/// Finds a path to the other side and opens the first generation over it. `stun` are servers of this side's own choice.
///
/// # Errors
/// [`ConnectError`]; [`ConnectError::NoPath`] when nothing worked in 30 s.
pub async fn open(met: Met, stun: Vec<IceServer>) -> Result<Channel, ConnectError> {
    let Met { session, pairing, mut ice_servers } = met;
    ice_servers.extend(stun);
    let deadline = Instant::now() + PATH_DEADLINE;
    let Session { secret, signal_keys, role, .. } = session;
    let (signal_sealer, signal_opener) = halves(signal_keys);
    let mut signals = Signals { pairing, sealer: signal_sealer, opener: signal_opener };
    let found = timeout_at(deadline, find(&mut signals, role, ice_servers)).await;
    let (found_transport, binding) = match found.unwrap_or(Err(ConnectError::NoPath)) {
        Ok(found) => found,
        Err(error) => {
            // The other side is still looking; it may as well stop.
            let _ = signals.send(&Signal::Abort { reason: AbortReason::Internal.code() }).await;
            return Err(error);
        }
    };
    let opened = timeout_at(deadline, open_generation(secret, role, found_transport, binding)).await;
    let (sealer, opener, transport) = opened.unwrap_or(Err(ConnectError::NoPath))?;
    tracing::info!(path = ?transport.path, "the other side is reached");
    Ok(Channel { sealer, opener, transport, pairing: signals.pairing })
}

/// The sealed conversation about transports.
#[derive(Debug)]
struct Signals {
    pairing: Pairing,
    sealer: SignalSealer,
    opener: SignalOpener,
}

impl Signals {
    async fn send(&mut self, signal: &Signal) -> Result<(), ConnectError> {
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
        self.send(&Signal::Description { generation: FIRST_GENERATION, restart: 0, kind, sdp }).await?;
        Ok(own.fingerprint())
    }

    /// The next signal of this generation. Cancelling it loses nothing.
    async fn recv(&mut self) -> Result<Signal, ConnectError> {
        loop {
            let body = self.pairing.recv().await?;
            match self.opener.open(&body)? {
                Signal::Abort { reason } => {
                    return Err(ConnectError::Aborted(AbortReason::from_code(reason)));
                }
                Signal::Generations { .. } | Signal::Relay { .. } | Signal::Unknown => {}
                signal @ (Signal::Description { generation, restart, .. }
                | Signal::Candidate { generation, restart, .. }
                | Signal::EndOfCandidates { generation, restart }) => {
                    if (generation, restart) == (FIRST_GENERATION, 0) {
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
    signals: &mut Signals,
    role: Role,
    ice_servers: Vec<IceServer>,
) -> Result<(Transport, Binding), ConnectError> {
    match role {
        Role::Sender => {
            let config = PeerConfig { ice_servers, role: webrtc::Role::Initiator };
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
            let config = PeerConfig { ice_servers, role: webrtc::Role::Responder { remote_description } };
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
    signals: &mut Signals,
    mut negotiation: Negotiation,
) -> Result<(Transport, Option<Fingerprint>), ConnectError> {
    let mut answer = None;
    let mut candidate_count = 0;
    loop {
        tokio::select! {
            event = negotiation.next_event() => match event {
                NegotiationEvent::LocalCandidate { candidate, mid } => {
                    tracing::debug!(%candidate, "candidate of this side");
                    let (generation, restart) = (FIRST_GENERATION, 0);
                    signals.send(&Signal::Candidate { generation, restart, candidate, mid }).await?;
                }
                NegotiationEvent::EndOfCandidates => {
                    let (generation, restart) = (FIRST_GENERATION, 0);
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
    secret: SessionSecret,
    role: Role,
    mut transport: Transport,
    binding: Binding,
) -> Result<(Sealer, Opener, Transport), ConnectError> {
    let generation = Generation::new(secret, FIRST_GENERATION, binding)?;
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
