//! The chunks between the first that the peer lacks and the last that was sent.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::acks::Scoreboard;
use super::loss::Detector;
use super::rtt::RoundTrip;
use super::sample::{Delivery, Snapshot};
use crate::chunk::data::{Data, HEADER_LEN};
use crate::tsn::{Tsn, narrow};
use crate::units::{padded, to_u64};

/// The peer reports what it has by distances of 16 bits from the first TSN it lacks; nothing beyond could be reported.
pub(crate) const MAX_CHUNKS: usize = 65_000;

/// A piece of a message as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) stream: u16,
    pub(crate) ssn: u16,
    pub(crate) ppid: u32,
    pub(crate) is_unordered: bool,
    pub(crate) is_beginning: bool,
    pub(crate) is_end: bool,
    pub(crate) payload: Bytes,
    /// Sendings again before the message is given up.
    pub(crate) max_repeats: Option<u32>,
    /// When the message is given up.
    pub(crate) expires: Option<Instant>,
    /// Whose buffer it counts against.
    pub(crate) generation: u64,
}

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    InFlight,
    /// To be sent again.
    Lost,
    Acked,
    /// Its message was given up.
    Abandoned,
}

/// A chunk that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) fragment: Fragment,
    pub(crate) state: State,
    /// Whether it counts as on its way.
    pub(super) is_counted: bool,
    /// Whether its bytes still count against the buffer of its stream.
    pub(crate) is_held: bool,
    pub(crate) transmissions: u32,
    /// Of the latest transmission.
    pub(crate) number: u64,
    pub(crate) at: Instant,
    pub(crate) snapshot: Snapshot,
}

impl Sent {
    /// What counts everywhere: the chunk with its header and padding.
    pub(crate) fn size(&self) -> u64 {
        wire_len(self.fragment.payload.len())
    }
}

/// The length of a chunk with so much in it, as it is counted.
pub(crate) fn wire_len(payload: usize) -> u64 {
    to_u64(padded(HEADER_LEN + payload))
}

/// Everything outstanding.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The TSN of the front: the first that the peer lacks.
    pub(super) base: Tsn,
    pub(super) chunks: VecDeque<Sent>,
    /// Bytes on their way.
    pub(super) on_way: u64,
    /// The same without headers, as the peer counts its window.
    pub(super) payload_on_way: u64,
    pub(super) scoreboard: Scoreboard,
    pub(super) detector: Detector,
    pub(crate) delivery: Delivery,
    pub(crate) round_trip: RoundTrip,
    /// Taken for lost and not sent again yet, in the order in which that was found out.
    pub(super) lost: VecDeque<Tsn>,
    pub(super) abandoned: usize,
    /// The chunk that was sent again last because the peer was silent.
    pub(super) probed: Option<Tsn>,
}

impl Flight {
    /// Nothing outstanding; the first chunk will have `first`.
    pub(crate) fn new(first: Tsn) -> Self {
        Self {
            base: first,
            chunks: VecDeque::new(),
            on_way: 0,
            payload_on_way: 0,
            scoreboard: Scoreboard::default(),
            detector: Detector::default(),
            delivery: Delivery::new(),
            round_trip: RoundTrip::default(),
            lost: VecDeque::new(),
            abandoned: 0,
            probed: None,
        }
    }

    /// The last TSN that the peer has together with all before it.
    pub(crate) fn cumulative(&self) -> Tsn {
        self.base - 1
    }

    /// The TSN of the next new chunk.
    pub(crate) fn next_tsn(&self) -> Tsn {
        self.base + to_u64(self.chunks.len())
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.on_way
    }

    pub(crate) fn payload_in_flight(&self) -> u64 {
        self.payload_on_way
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether another new chunk could be reported by the peer.
    pub(crate) fn has_room(&self) -> bool {
        self.chunks.len() < MAX_CHUNKS
    }

    /// Whether something is to be sent again.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether the peer is to be told of messages that were given up.
    pub(crate) fn has_abandoned(&self) -> bool {
        self.abandoned > 0
    }

    pub(crate) fn get(&self, tsn: Tsn) -> Option<&Sent> {
        self.chunks.get(self.index(tsn)?)
    }

    pub(super) fn get_mut(&mut self, tsn: Tsn) -> Option<&mut Sent> {
        let index = self.index(tsn)?;
        self.chunks.get_mut(index)
    }

    pub(super) fn index(&self, tsn: Tsn) -> Option<usize> {
        usize::try_from(tsn.checked_sub(self.base)?).ok()
    }

    /// Takes a new chunk and returns it as it goes out.
    pub(crate) fn send_new(&mut self, now: Instant, fragment: Fragment) -> Data {
        let tsn = self.next_tsn();
        let size = wire_len(fragment.payload.len());
        let snapshot = self.delivery.snapshot(now, self.on_way);
        let number = self.detector.record(tsn, true, now);
        self.on_way += size;
        self.payload_on_way += to_u64(fragment.payload.len());
        let data = to_data(tsn, &fragment);
        self.chunks.push_back(Sent {
            fragment,
            state: State::InFlight,
            is_counted: true,
            is_held: true,
            transmissions: 1,
            number,
            at: now,
            snapshot,
        });
        data
    }

    /// Of the next chunk that is to be sent again, if there is one: the length of its payload.
    pub(crate) fn next_lost_len(&mut self) -> Option<usize> {
        while let Some(&tsn) = self.lost.front() {
            match self.get(tsn) {
                Some(sent) if sent.state == State::Lost => return Some(sent.fragment.payload.len()),
                Some(_) | None => self.lost.pop_front(),
            };
        }
        None
    }

    /// Sends the next lost chunk again.
    pub(crate) fn send_lost(&mut self, now: Instant) -> Option<Data> {
        self.next_lost_len()?;
        let tsn = self.lost.pop_front()?;
        let number = self.detector.record(tsn, false, now);
        let (in_flight, mut delivery) = (self.on_way, self.delivery);
        let sent = self.get_mut(tsn)?;
        let size = sent.size();
        sent.snapshot = delivery.snapshot(now, in_flight);
        sent.state = State::InFlight;
        sent.is_counted = true;
        sent.number = number;
        sent.at = now;
        sent.transmissions += 1;
        let payload = to_u64(sent.fragment.payload.len());
        let data = to_data(tsn, &sent.fragment);
        self.delivery = delivery;
        self.on_way += size;
        self.payload_on_way += payload;
        Some(data)
    }

    /// A chunk is not on its way any more.
    pub(super) fn uncount(&mut self, tsn: Tsn) {
        let Some(sent) = self.get_mut(tsn) else { return };
        if std::mem::take(&mut sent.is_counted) {
            let (size, payload) = (sent.size(), to_u64(sent.fragment.payload.len()));
            self.on_way -= size;
            self.payload_on_way -= payload;
        }
    }
}

fn to_data(tsn: Tsn, fragment: &Fragment) -> Data {
    Data {
        tsn: narrow(tsn),
        stream: fragment.stream,
        ssn: fragment.ssn,
        ppid: fragment.ppid,
        is_unordered: fragment.is_unordered,
        is_beginning: fragment.is_beginning,
        is_end: fragment.is_end,
        is_immediate: false,
        payload: fragment.payload.clone(),
    }
}
