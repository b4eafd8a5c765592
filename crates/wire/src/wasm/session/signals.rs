//! The sealed conversation about the channel, through the rendezvous.

use crate::handshake;
use crate::keys::{Binding, SessionSecret};
use crate::message::AbortReason;
use crate::signal::{
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, SignalOpener, SignalSealer,
    halves, is_usable_candidate,
};

use super::super::output::{self, Output};
use super::door::Stage;
use super::{GENERATION, Session};

/// The sealed conversation about the channel.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) secret: SessionSecret,
    pub(super) sealer: SignalSealer,
    pub(super) opener: SignalOpener,
    pub(super) offer: Option<Fingerprint>,
    pub(super) binding: Option<Binding>,
    /// Candidates that came before the offer.
    pub(super) early: Vec<Output>,
    pub(super) candidate_count: usize,
}

/// The stream of the data channel (PROTOCOL.md §7).
const CHANNEL: u16 = 0;

impl Signals {
    pub(super) fn new(session: handshake::Session) -> Self {
        let handshake::Session { secret, signal_keys, .. } = session;
        let (sealer, opener) = halves(signal_keys);
        let early = Vec::new();
        Self { secret, sealer, opener, offer: None, binding: None, early, candidate_count: 0 }
    }
}

impl Session {
    pub(super) fn handle_signal(&mut self, signal: Signal) {
        let Stage::Met(signals) = &mut self.stage else { return };
        match signal {
            Signal::Description { generation: GENERATION, restart: 0, kind: DescriptionKind::Offer, sdp } => {
                let Ok(offer) = CheckedDescription::parse(&sdp) else { return self.fail("no-channel") };
                if signals.offer.replace(offer.fingerprint()).is_some() {
                    return self.fail("violation");
                }
                let ice_servers = std::mem::take(&mut self.ice_servers);
                let checked = offer.sdp().to_owned();
                self.outbox.push_back(Output::Connect { sdp: checked, ice_servers, channel: CHANNEL });
                self.outbox.extend(signals.early.drain(..));
            }
            Signal::Candidate { generation: GENERATION, restart: 0, candidate, mid } => {
                signals.candidate_count += 1;
                if signals.candidate_count <= MAX_CANDIDATES && is_usable_candidate(&candidate) {
                    let output = Output::Candidate { candidate, mid };
                    if signals.offer.is_some() {
                        self.outbox.push_back(output);
                    } else {
                        signals.early.push(output);
                    }
                }
            }
            Signal::Abort { reason } => self.fail(output::aborted(AbortReason::from_code(reason))),
            Signal::Generations { .. }
            | Signal::Description { .. }
            | Signal::Candidate { .. }
            | Signal::EndOfCandidates { .. }
            | Signal::Relay { .. }
            | Signal::Unknown => {}
        }
    }

    pub(super) fn signal(&mut self, signal: &Signal) {
        if let Stage::Met(signals) = &mut self.stage {
            let body = signals.sealer.seal(signal);
            self.relay(&body);
        }
    }
}
