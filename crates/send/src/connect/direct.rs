//! One attempt at a path of WebRTC: straight, or through a TURN server.

use wire::keys::Binding;
use wire::signal::{
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, is_usable_candidate,
};
use wire::signaling::{IceServer, Role};

use super::{ConnectError, Reach};
use crate::transport::Transport;
use crate::transport::webrtc::{self, Negotiation, NegotiationEvent};

/// An attempt that both sides negotiate, under one generation.
#[derive(Debug)]
pub(super) struct Direct {
    negotiation: Negotiation,
    generation: u32,
    role: Role,
    own: Fingerprint,
    theirs: Option<Fingerprint>,
    candidate_count: usize,
}

/// What an attempt has come to.
pub(super) enum Progress {
    /// The other side is to be told.
    Say(Signal),
    /// There is a path, and what binds a generation to it.
    Open(Transport, Binding),
    /// There is none.
    Failed(ConnectError),
}

impl Direct {
    /// Sets out as the sender, which offers. The signal is for the other side.
    pub(super) async fn offer(
        generation: u32,
        reach: &Reach,
        ice_servers: Vec<IceServer>,
    ) -> Result<(Self, Signal), ConnectError> {
        let side = webrtc::Role::Initiator;
        let config = reach.peer_config(ice_servers, side)?;
        let negotiation = Negotiation::start(config).await?;
        Self::describe(negotiation, generation, Role::Sender, None)
    }

    /// Sets out as the receiver, which answers `offer`.
    pub(super) async fn answer(
        generation: u32,
        offer: &str,
        reach: &Reach,
        ice_servers: Vec<IceServer>,
    ) -> Result<(Self, Signal), ConnectError> {
        let offer = CheckedDescription::parse(offer)?;
        let side = webrtc::Role::Responder { remote_description: offer.sdp().to_owned() };
        let negotiation = Negotiation::start(reach.peer_config(ice_servers, side)?).await?;
        Self::describe(negotiation, generation, Role::Receiver, Some(offer.fingerprint()))
    }

    fn describe(
        negotiation: Negotiation,
        generation: u32,
        role: Role,
        theirs: Option<Fingerprint>,
    ) -> Result<(Self, Signal), ConnectError> {
        let described = CheckedDescription::parse(negotiation.local_description())?;
        let kind = if role == Role::Sender { DescriptionKind::Offer } else { DescriptionKind::Answer };
        let sdp = described.sdp().to_owned();
        let own = described.fingerprint();
        let attempt = Self { negotiation, generation, role, own, theirs, candidate_count: 0 };
        Ok((attempt, Signal::Description { generation, restart: 0, kind, sdp }))
    }

    /// Waits for what happens next. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Progress {
        let (generation, restart) = (self.generation, 0);
        match self.negotiation.next_event().await {
            NegotiationEvent::LocalCandidate { candidate, mid } => {
                tracing::debug!(%candidate, "candidate of this side");
                Progress::Say(Signal::Candidate { generation, restart, candidate, mid })
            }
            NegotiationEvent::EndOfCandidates => {
                Progress::Say(Signal::EndOfCandidates { generation, restart })
            }
            NegotiationEvent::Open(transport) => match self.theirs {
                Some(theirs) => {
                    let (sender, receiver) =
                        if self.role == Role::Sender { (self.own, theirs) } else { (theirs, self.own) };
                    Progress::Open(transport, Binding::webrtc(&sender.0, &receiver.0))
                }
                None => Progress::Failed(ConnectError::NoPath),
            },
            NegotiationEvent::Failed(error) => Progress::Failed(error.into()),
        }
    }

    /// The receiver's description. Only the first counts.
    pub(super) async fn handle_answer(&mut self, sdp: &str) -> Result<(), ConnectError> {
        if self.theirs.is_none() {
            let checked = CheckedDescription::parse(sdp)?;
            self.theirs = Some(checked.fingerprint());
            self.negotiation.set_remote_description(checked.sdp().to_owned()).await?;
        }
        Ok(())
    }

    /// An address of the other side, if it may be tried.
    pub(super) async fn handle_candidate(&mut self, candidate: String, mid: String) {
        if self.candidate_count == MAX_CANDIDATES {
            return;
        }
        self.candidate_count += 1;
        let is_usable = is_usable_candidate(&candidate);
        tracing::debug!(?candidate, is_usable, "candidate of the other side");
        if is_usable {
            self.negotiation.add_remote_candidate(candidate, mid).await;
        }
    }
}
