//! Closing streams (RFC 6525, as RFC 8831 §6.7 uses it).

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Association, State};
use crate::chunk::reset::{BAD_SEQUENCE, IN_PROGRESS, NOTHING_TO_DO, PERFORMED, ResetParam, ResetRequest};
use crate::event::AssociationError;
use crate::recovery::Acked;
use crate::tsn::{narrow, widen};

/// Requests of both sides.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Of the next request of this side.
    next: u32,
    /// Streams that this side has closed and not told of yet.
    waiting: BTreeSet<u16>,
    /// What the peer has not answered yet; one at a time.
    asked: Option<ResetRequest>,
    /// Of the next request of the peer.
    expected: u32,
    /// What the peer was told last, in case it asks again.
    answered: Option<(u32, u32)>,
    /// A request of the peer that cannot be granted yet.
    deferred: Option<ResetRequest>,
}

/// As many as fit into a packet with room to spare.
const MAX_STREAMS: usize = 400;

impl Resets {
    /// Requests are numbered from the first TSN on (RFC 6525 §5.1.1).
    pub(super) fn new(first_tsn: u32) -> Self {
        Self { next: first_tsn, ..Self::default() }
    }

    pub(super) fn expect(&mut self, first_tsn: u32) {
        self.expected = first_tsn;
    }
}

impl Association {
    /// This side is done with a stream.
    pub(super) fn close_stream(&mut self, id: u16) {
        self.resets.waiting.insert(id);
    }

    /// Tells the peer of streams that are closed, once everything that was written to them has been sent.
    pub(super) fn request_resets(&mut self, now: Instant) {
        if self.resets.waiting.is_empty() || self.resets.asked.is_some() || self.state != State::Established {
            return;
        }
        let ready: Vec<u16> = self
            .resets
            .waiting
            .iter()
            .copied()
            .filter(|&id| !self.queue.has_stream(id))
            .take(MAX_STREAMS)
            .collect();
        if ready.is_empty() {
            return;
        }
        for id in &ready {
            self.resets.waiting.remove(id);
        }
        let request = ResetRequest {
            sequence: self.resets.next,
            response_sequence: self.resets.expected.wrapping_sub(1),
            last_tsn: narrow(self.flight.next_tsn() - 1),
            streams: ready,
        };
        self.resets.next = self.resets.next.wrapping_add(1);
        self.resets.asked = Some(request);
        self.timers.reset.stop();
        self.repeat_reset(now);
    }

    pub(super) fn repeat_reset(&mut self, now: Instant) {
        if let Some(request) = self.resets.asked.clone() {
            self.send_control(ResetParam::Request(request).encode());
            self.timers.reset.at = Some(now + self.flight.round_trip.timeout());
        }
    }

    pub(super) fn on_reset(&mut self, now: Instant, params: Vec<ResetParam>) {
        if self.state != State::Established {
            return;
        }
        for param in params {
            match param {
                ResetParam::Request(request) => self.on_request(request),
                ResetParam::Response { sequence, result } => self.on_response(now, sequence, result),
                ResetParam::Other(_) => {}
            }
        }
    }

    fn on_response(&mut self, now: Instant, sequence: u32, result: u32) {
        let Some(request) = &self.resets.asked else { return };
        if request.sequence != sequence {
            return;
        }
        if result == IN_PROGRESS {
            // The peer asks for patience, not for silence: it is asked again.
            self.timers.reset.at = Some(now + self.flight.round_trip.timeout());
            return;
        }
        for id in request.streams.clone() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.restart_ssn();
            }
        }
        self.resets.asked = None;
        self.timers.reset.stop();
    }

    fn on_request(&mut self, request: ResetRequest) {
        let sequence = request.sequence;
        if let Some((answered, result)) = self.resets.answered
            && answered == sequence
            && result != IN_PROGRESS
        {
            self.answer(sequence, result);
            return;
        }
        if sequence != self.resets.expected {
            self.answer(sequence, BAD_SEQUENCE);
            return;
        }
        self.resets.deferred = Some(request);
        let result = self.try_reset();
        self.answer(sequence, result);
    }

    fn answer(&mut self, sequence: u32, result: u32) {
        self.resets.answered = Some((sequence, result));
        self.send_control(ResetParam::Response { sequence, result }.encode());
    }

    /// Something has come or was read: a request that had to wait may be granted now.
    pub(super) fn retry_reset(&mut self) {
        let Some(sequence) = self.resets.deferred.as_ref().map(|request| request.sequence) else { return };
        let result = self.try_reset();
        if result != IN_PROGRESS {
            self.answer(sequence, result);
        }
    }

    /// Grants the request of the peer if everything that was sent on its streams has come and was read.
    fn try_reset(&mut self) -> u32 {
        let Some(request) = self.resets.deferred.take() else { return NOTHING_TO_DO };
        let ids = if request.streams.is_empty() { self.stream_ids() } else { request.streams.clone() };
        let last = widen(self.inbound.cumulative(), request.last_tsn);
        let has_unread = ids.iter().any(|id| self.streams.get(id).is_some_and(|it| !it.ready.is_empty()));
        if last > self.inbound.cumulative() || has_unread {
            self.resets.deferred = Some(request);
            return IN_PROGRESS;
        }
        self.resets.expected = request.sequence.wrapping_add(1);
        let mut result = NOTHING_TO_DO;
        for id in ids {
            self.inbound.reset(id);
            let Some(stream) = self.streams.get(&id) else { continue };
            result = PERFORMED;
            // A side whose stream was closed closes its own; one that had closed it already has said so.
            if !stream.is_closing {
                self.drop_unsent(id);
                self.close_stream(id);
            }
            self.lose_stream(id, AssociationError::Reset);
        }
        result
    }

    /// What waits to be sent on a stream that is closed will not be.
    fn drop_unsent(&mut self, id: u16) {
        let Some(generation) = self.streams.get(&id).map(|stream| stream.generation) else { return };
        // A message that was begun is finished: the peer waits for its end.
        let payload = self.queue.drop_unbegun(id);
        self.release(&[Acked { stream: id, generation, payload }]);
    }
}
