//! What came: which TSNs, and the messages they make.
//!
//! The fragments of a message have consecutive TSNs (RFC 9260 §6.9), so in the order of TSNs there is never more than one message
//! begun and not ended. Chunks that come in order go straight into it. Chunks beyond a hole wait in slots; when one of them
//! completes a message that need not wait for the hole, that message is taken out of its slots at once.

mod assembly;
mod ranges;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

pub(crate) use assembly::Complete;
use assembly::Partial;
use ranges::Ranges;
use window::Window;

use crate::chunk::data::Data;
use crate::chunk::forward::ForwardTsn;
use crate::tsn::{Tsn, is_after, widen};
use crate::units::{to_u64, to_usize};

/// Blocks are reported by distances of 16 bits.
const MAX_AHEAD: u64 = 65_535;

/// What a chunk costs beside its bytes.
const CHUNK_COST: u64 = 64;

/// TSNs received twice that are reported at once.
const MAX_DUPLICATES: usize = 16;

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The next one.
    InOrder,
    /// Others are missing before it.
    Ahead,
    /// It was there already.
    Duplicate,
    /// There is no room, or it is too far ahead; the peer has to send it again.
    Refused,
    /// It belongs to a message that is too long.
    TooLong,
}

/// A TSN beyond the first that is missing.
#[derive(Debug)]
enum Slot {
    Missing,
    Held(Data),
    /// Handed over already.
    Taken,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// The last TSN that is there together with all before it.
    cumulative: Tsn,
    slots: VecDeque<Slot>,
    ranges: Ranges,
    duplicates: Vec<Tsn>,
    partial: Partial,
    /// The number of the next ordered message of each stream.
    next_ssn: BTreeMap<u16, u16>,
    complete: VecDeque<Complete>,
    window: Window,
    max_message: usize,
    /// What everything that was not read yet costs, and the part of it that could be read.
    cost: u64,
    readable: u64,
}

impl Inbound {
    /// Waits for `first`, with so many bytes of room in the end.
    pub(crate) fn new(first: Tsn, most_room: u64, max_message: usize) -> Self {
        Self {
            cumulative: first - 1,
            slots: VecDeque::new(),
            ranges: Ranges::default(),
            duplicates: Vec::new(),
            partial: Partial::default(),
            next_ssn: BTreeMap::new(),
            complete: VecDeque::new(),
            window: Window::new(most_room),
            max_message,
            cost: 0,
            readable: 0,
        }
    }

    pub(crate) fn cumulative(&self) -> Tsn {
        self.cumulative
    }

    /// Whether something is missing between what is there.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// What may be here unread, in bytes.
    pub(crate) fn window(&self) -> u64 {
        self.window.len()
    }

    /// What the peer may still send, in bytes.
    pub(crate) fn room(&self) -> u64 {
        self.window.len().saturating_sub(self.cost)
    }

    /// The blocks beyond the cumulative TSN, the first `most` of them, and the TSNs that came twice since this was last asked.
    pub(crate) fn take_report(&mut self, most: usize) -> (Vec<(Tsn, Tsn)>, Vec<Tsn>) {
        let blocks: Vec<_> = self.ranges.iter().take(most).collect();
        let mut duplicates = std::mem::take(&mut self.duplicates);
        duplicates.truncate(most - blocks.len());
        (blocks, duplicates)
    }

    /// The next whole message.
    pub(crate) fn take_complete(&mut self) -> Option<Complete> {
        self.complete.pop_front()
    }

    /// A message is gone.
    pub(crate) fn release(&mut self, pieces: &[Bytes]) {
        let cost = cost_of(pieces);
        self.cost = self.cost.saturating_sub(cost);
        self.readable = self.readable.saturating_sub(cost);
    }

    /// The owner has taken a message, over a path of this round trip.
    pub(crate) fn handle_read(&mut self, pieces: &[Bytes], round_trip: Option<Duration>) {
        self.release(pieces);
        if round_trip.is_some_and(|round_trip| round_trip >= window::LONG) {
            self.window.handle_read(cost_of(pieces), self.readable);
        }
    }

    /// The stream begins again.
    pub(crate) fn reset(&mut self, stream: u16) {
        self.next_ssn.remove(&stream);
    }

    /// Takes a chunk.
    pub(crate) fn receive(&mut self, data: Data) -> Arrival {
        let tsn = widen(self.cumulative, data.tsn);
        if tsn <= self.cumulative || self.is_there(tsn) {
            if self.duplicates.len() < MAX_DUPLICATES {
                self.duplicates.push(tsn);
            }
            return Arrival::Duplicate;
        }
        if tsn - self.cumulative > MAX_AHEAD || !self.has_room(tsn) {
            return Arrival::Refused;
        }
        self.cost += to_u64(data.payload.len()) + CHUNK_COST;
        if tsn == self.cumulative + 1 {
            self.slots.pop_front();
            self.feed(data);
            self.advance();
            return if self.partial.len() > self.max_message { Arrival::TooLong } else { Arrival::InOrder };
        }
        self.ranges.insert(tsn);
        let index = self.slot_index(tsn);
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing);
        }
        let may_complete = self.may_complete(&data);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Slot::Held(data);
        }
        if may_complete { self.take_early(index) } else { Arrival::Ahead }
    }

    fn slot_index(&self, tsn: Tsn) -> usize {
        to_usize(tsn - self.cumulative - 1)
    }

    fn is_there(&self, tsn: Tsn) -> bool {
        matches!(self.slots.get(self.slot_index(tsn)), Some(Slot::Held(_) | Slot::Taken))
    }

    /// What fills a hole is taken even without room: nothing behind it can be read otherwise.
    fn has_room(&self, tsn: Tsn) -> bool {
        let limit = self.limit();
        self.readable < limit && (self.cost < limit || tsn <= self.cumulative + to_u64(self.slots.len()))
    }

    /// Twice the window, since the peer counts without [`CHUNK_COST`].
    fn limit(&self) -> u64 {
        2 * self.window.len().max(to_u64(self.max_message))
    }

    /// A chunk in the order of TSNs.
    fn feed(&mut self, data: Data) {
        self.cumulative += 1;
        if self.partial.is_foreign(&data) {
            let dropped = self.partial.clear();
            self.cost = self.cost.saturating_sub(dropped);
        }
        if !data.is_beginning && self.partial.is_empty() {
            // The beginning was given up by the peer.
            self.cost = self.cost.saturating_sub(to_u64(data.payload.len()) + CHUNK_COST);
            return;
        }
        if let Some(complete) = self.partial.push(data) {
            self.finish(complete);
        }
    }

    fn finish(&mut self, complete: Complete) {
        if let Some(ssn) = complete.ssn {
            self.next_ssn.insert(complete.stream, ssn.wrapping_add(1));
        }
        self.readable += cost_of(&complete.message.pieces);
        self.complete.push_back(complete);
    }

    /// Takes over what follows without a hole.
    fn advance(&mut self) {
        while let Some(slot @ (Slot::Held(_) | Slot::Taken)) = self.slots.front_mut() {
            let slot = std::mem::replace(slot, Slot::Missing);
            self.slots.pop_front();
            match slot {
                Slot::Held(data) => self.feed(data),
                Slot::Missing | Slot::Taken => self.skip(),
            }
        }
        self.ranges.forget_until(self.cumulative);
    }

    /// The next TSN is settled and nothing comes of it.
    fn skip(&mut self) {
        self.cumulative += 1;
        let dropped = self.partial.clear();
        self.cost = self.cost.saturating_sub(dropped);
    }

    /// The peer will not send some of what is missing (RFC 3758 §3.6). Returns whether that is news.
    pub(crate) fn forward(&mut self, forward: &ForwardTsn) -> bool {
        let point = widen(self.cumulative, forward.cumulative);
        if point <= self.cumulative || point - self.cumulative > MAX_AHEAD {
            return false;
        }
        while self.cumulative < point {
            match self.slots.pop_front() {
                Some(Slot::Held(data)) => self.feed(data),
                Some(Slot::Missing | Slot::Taken) | None => self.skip(),
            }
        }
        for (stream, ssn) in forward.streams() {
            let next = self.next_ssn.entry(stream).or_default();
            if !is_after(*next, ssn) {
                *next = ssn.wrapping_add(1);
            }
        }
        self.advance();
        true
    }

    /// Whether the message of this chunk could be handed over before what is missing.
    fn may_complete(&self, data: &Data) -> bool {
        data.is_unordered || self.next_ssn.get(&data.stream).copied().unwrap_or(0) == data.ssn
    }

    /// Hands the message around slot `index` over if all of it is there.
    fn take_early(&mut self, index: usize) -> Arrival {
        let held = |at: usize| match self.slots.get(at) {
            Some(Slot::Held(data)) => Some(data),
            Some(Slot::Missing | Slot::Taken) | None => None,
        };
        let (mut first, mut last, mut length) = (index, index, 0);
        loop {
            match held(first) {
                Some(data) if data.is_beginning => break,
                Some(_) if first > 0 => first -= 1,
                _ => return Arrival::Ahead,
            }
        }
        loop {
            match held(last) {
                Some(data) => {
                    length += data.payload.len();
                    if data.is_end {
                        break;
                    }
                    last += 1;
                }
                None => return Arrival::Ahead,
            }
        }
        if length > 2 * self.max_message {
            return Arrival::TooLong;
        }
        let mut partial = Partial::default();
        for slot in self.slots.range_mut(first..=last) {
            if let Slot::Held(data) = std::mem::replace(slot, Slot::Taken)
                && let Some(complete) = partial.push(data)
            {
                self.finish(complete);
                break;
            }
        }
        Arrival::Ahead
    }
}

fn cost_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| to_u64(piece.len()) + CHUNK_COST).sum()
}
