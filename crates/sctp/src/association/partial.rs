//! Messages that are not worth sending any more (RFC 3758), and the buffers that become free.

use std::time::Instant;

use super::Association;
use crate::event::{Event, StreamEvent};
use crate::recovery::Acked;

impl Association {
    /// Gives up what is lost and not worth repeating.
    pub(super) fn give_up_messages(&mut self, now: Instant) {
        if !self.handshake.has_forward_tsn() {
            return;
        }
        let mut freed = std::mem::take(&mut self.freed);
        freed.clear();
        let queue = &mut self.queue;
        let mut rest = Vec::new();
        let has_any = self.flight.give_up(now, &mut freed, |stream| {
            // What is left of a message that was begun is at the front: nothing is begun before it.
            let is_rest =
                queue.front().is_some_and(|message| message.ssn.is_some() && message.stream == stream);
            if let Some(message) = is_rest.then(|| queue.drop_front()).flatten() {
                let (generation, payload) = (message.generation, message.payload.len());
                rest.push(Acked { stream, generation, payload });
            }
        });
        freed.extend(rest);
        self.forward_due |= has_any;
        self.release(&freed);
        freed.clear();
        self.freed = freed;
    }

    /// Drops messages that have expired before anything of them was sent.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        while self.queue.front().is_some_and(|message| {
            message.ssn.is_none() && message.expires.is_some_and(|expires| expires <= now)
        }) {
            if let Some(message) = self.queue.drop_front() {
                let (stream, generation) = (message.stream, message.generation);
                self.release(&[Acked { stream, generation, payload: message.payload.len() }]);
            }
        }
    }

    /// Bytes of streams need not be kept any more.
    pub(super) fn release(&mut self, freed: &[Acked]) {
        // What comes together mostly belongs to one stream.
        for run in freed.chunk_by(|a, b| (a.stream, a.generation) == (b.stream, b.generation)) {
            let Some(first) = run.first() else { continue };
            let id = first.stream;
            let Some(stream) = self.streams.get_mut(&id).filter(|it| it.generation == first.generation)
            else {
                continue;
            };
            let n_bytes = run.iter().map(|acked| acked.payload).sum();
            let before = stream.buffered;
            stream.buffered = before.saturating_sub(n_bytes);
            let is_low = before > stream.low && stream.buffered <= stream.low;
            self.events.push_back(Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }));
            if is_low {
                self.events.push_back(Event::Stream(StreamEvent::BufferedAmountLow { id }));
            }
        }
    }
}
