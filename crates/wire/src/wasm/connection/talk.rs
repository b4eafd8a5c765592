//! What the two sides have said to each other about one channel.

use super::{Output, Place};
use crate::keys::Binding;
use crate::signal::{Fingerprint, MAX_CANDIDATES, SignalOpener, SignalSealer};
use crate::signaling::{IceServer, Role, Ticket};

/// What the rendezvous gave when it brought the two together.
#[derive(Debug, Default)]
pub(in crate::wasm) struct Handed {
    /// Servers for finding a path.
    pub(in crate::wasm) ice_servers: Vec<IceServer>,
    /// What this side joins the relay with, if that is offered.
    pub(in crate::wasm) relay: Option<Ticket>,
}

/// The sealed conversation about one channel.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) place: Place,
    pub(super) sealer: SignalSealer,
    pub(super) opener: SignalOpener,
    pub(super) handed: Handed,
    /// Whether both know the number of the generation; they do from the beginning at a door.
    pub(super) is_agreed: bool,
    /// This side's certificate.
    pub(super) own: Option<Fingerprint>,
    /// The other side's.
    pub(super) theirs: Option<Fingerprint>,
    /// Candidates that came before the offer.
    pub(super) early: Vec<Output>,
    candidate_count: usize,
}

impl Talk {
    pub(super) fn new(place: Place, (sealer, opener): (SignalSealer, SignalOpener), handed: Handed) -> Self {
        let (own, theirs, early, candidate_count) = (None, None, Vec::new(), 0);
        Self { place, sealer, opener, handed, is_agreed: true, own, theirs, early, candidate_count }
    }

    /// Whether one more candidate is within the limit.
    pub(super) fn counts_candidate(&mut self) -> bool {
        self.candidate_count += 1;
        self.candidate_count <= MAX_CANDIDATES
    }

    /// The transport that both descriptions name: the sender's is the offer.
    pub(super) fn binding(&self, role: Role) -> Option<Binding> {
        let (own, theirs) = (&self.own.as_ref()?.0, &self.theirs.as_ref()?.0);
        Some(match role {
            Role::Sender => Binding::webrtc(own, theirs),
            Role::Receiver => Binding::webrtc(theirs, own),
        })
    }
}
