//! Giving messages up (RFC 3758).

use std::time::Instant;

use super::acks::Acked;
use super::flight::{Flight, Sent, State};
use crate::tsn::Tsn;

impl Sent {
    /// Whether its message is not worth sending again.
    fn is_given_up(&self, now: Instant) -> bool {
        let repeats = self.transmissions.saturating_sub(1);
        self.fragment.max_repeats.is_some_and(|most| repeats >= most)
            || self.fragment.expires.is_some_and(|expires| expires <= now)
    }
}

impl Flight {
    /// Gives up the messages whose next repetition is not worth it. Returns whether there were any; `was_begun` is called with
    /// the stream of a message whose rest was not sent yet.
    pub(crate) fn give_up(
        &mut self,
        now: Instant,
        freed: &mut Vec<Acked>,
        mut was_begun: impl FnMut(u16),
    ) -> bool {
        let mut has_any = false;
        while self.next_lost_len().is_some() {
            let Some(&tsn) = self.lost.front() else { break };
            if self.get(tsn).is_none_or(|sent| !sent.is_given_up(now)) {
                break;
            }
            has_any = true;
            if let Some(stream) = self.abandon(tsn, freed) {
                was_begun(stream);
            }
        }
        has_any
    }

    /// Gives up the message that has a chunk at `tsn`. Returns its stream when its last chunk was not sent yet.
    pub(crate) fn abandon(&mut self, tsn: Tsn, freed: &mut Vec<Acked>) -> Option<u16> {
        let mut first = tsn;
        while first > self.base && self.get(first).is_some_and(|sent| !sent.fragment.is_beginning) {
            first -= 1;
        }
        let mut at = first;
        let mut stream = None;
        while let Some(sent) = self.get_mut(at) {
            stream = Some(sent.fragment.stream);
            let is_end = sent.fragment.is_end;
            self.abandon_chunk(at, freed);
            if is_end {
                return None;
            }
            at += 1;
        }
        stream
    }

    fn abandon_chunk(&mut self, tsn: Tsn, freed: &mut Vec<Acked>) {
        self.uncount(tsn);
        let Some(sent) = self.get_mut(tsn) else { return };
        if matches!(sent.state, State::Acked | State::Abandoned) {
            return;
        }
        sent.state = State::Abandoned;
        let payload = sent.fragment.payload.len();
        if std::mem::take(&mut sent.is_held) {
            let (stream, generation) = (sent.fragment.stream, sent.fragment.generation);
            freed.push(Acked { stream, generation, payload });
        }
        sent.fragment.payload.clear();
        self.abandoned += 1;
    }

    /// How far the peer may stop waiting, if that is further than it has got, and the ordered messages it will miss.
    pub(crate) fn forward_point(&self) -> Option<(Tsn, Vec<(u16, u16)>)> {
        if self.abandoned == 0 {
            return None;
        }
        let mut point = None;
        let mut streams = std::collections::BTreeMap::new();
        for (tsn, sent) in (self.base..).zip(&self.chunks) {
            match sent.state {
                State::Abandoned => {
                    point = Some(tsn);
                    if !sent.fragment.is_unordered {
                        streams.insert(sent.fragment.stream, sent.fragment.ssn);
                    }
                }
                State::Acked => {}
                State::InFlight | State::Lost => break,
            }
        }
        point.map(|point| (point, streams.into_iter().take(MAX_STREAMS).collect()))
    }
}

/// As many as fit into a packet with room to spare.
const MAX_STREAMS: usize = 200;
