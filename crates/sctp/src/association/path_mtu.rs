//! How long packets may be. Nobody says; whoever wants more than what every path carries tries (RFC 8899).
//!
//! ```text
//! a message that does not fit into one packet ─▶ HEARTBEATs, padded to each length of the ladder (RFC 4820)
//! an answer ─▶ new chunks are as long as that; what has its TSN keeps its length
//! no answer ─▶ twice more, then never again
//! ```
//!
//! A probe that gets lost is not a loss for congestion control: it tells of its length, not of the path's load. This relies on
//! the sockets below not to fragment, and says nothing of the way back, which the peer explores by itself.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::Association;
use crate::chunk::control::{encode, heartbeat_info};
use crate::chunk::{self, data};
use crate::packet;
use crate::reader::Reader;
use crate::recovery::wire_len;
use crate::units::{to_u32, to_usize};

/// Packets worth trying, in bytes: what is left under the headers of DTLS, UDP and IP of a tunnel, of Ethernet with IPv6 and with
/// IPv4, and of jumbo frames. The last also serves where a machine talks to itself.
const LADDER: [usize; 5] = [1_300, 1_352, 1_412, 1_432, LONGEST_PACKET as usize];

/// The longest packet that this side takes and sends, in bytes.
pub(super) const LONGEST_PACKET: u32 = 8_932;

/// What a side takes that says nothing about it. Chromium reads no more than 2,048 bytes of a DTLS record and closes the connection
/// over one that is longer.
const EVERYBODY_TAKES: usize = 1_500;

/// Times that a length is tried.
const ROUNDS: usize = 3;

/// How long an answer is waited for, at least.
const PATIENCE: Duration = Duration::from_millis(200);

/// Answers to packets of the smallest kind, while longer ones get through no more, before the path is taken to have changed.
const MAX_SIGNS_OF_LIFE: u32 = 4;

/// What is known of the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathMtu {
    /// The longest packet that every path carries.
    base: usize,
    /// The longest that this one is known to carry.
    confirmed: usize,
    /// The longest that the peer takes, whatever the path carries.
    limit: usize,
    rounds: usize,
    signs_of_life: u32,
}

impl PathMtu {
    /// A path on which chunks of `payload` bytes can be sent.
    pub(super) fn new(payload: u32) -> Self {
        let base = packet::HEADER_LEN + to_usize(wire_len(to_usize(payload.into())));
        Self { base, confirmed: base, limit: EVERYBODY_TAKES, rounds: 0, signs_of_life: 0 }
    }

    /// The peer takes packets of `longest` bytes, it says.
    pub(super) fn meet(&mut self, longest: u32) {
        self.limit = to_usize(longest.into()).max(EVERYBODY_TAKES);
    }

    /// The longest packet of data, in bytes.
    pub(super) fn packet_len(self) -> usize {
        self.confirmed
    }

    /// The longest payload of a chunk, in bytes.
    pub(super) fn payload(self) -> usize {
        self.confirmed.saturating_sub(packet::HEADER_LEN + data::HEADER_LEN)
    }

    fn untried(self) -> impl Iterator<Item = usize> {
        LADDER.into_iter().filter(move |&len| len > self.confirmed && len <= self.limit)
    }

    fn is_settled(self) -> bool {
        self.rounds >= ROUNDS || self.untried().next().is_none()
    }
}

impl Association {
    /// Looks whether longer packets get through, if there is something to put into them.
    pub(super) fn explore_path(&mut self, now: Instant) {
        let has_use = self.queue.front().is_some_and(|message| message.payload.len() > self.path.payload());
        let is_waiting = self.timers.path.at.is_some_and(|at| at > now);
        if self.path.is_settled() || !has_use || is_waiting {
            return;
        }
        self.path.rounds += 1;
        self.timers.path.at = Some(now + (self.rtt() * 2).max(PATIENCE));
        for len in self.path.untried() {
            self.send_control(probe(len));
        }
    }

    /// A probe has come back.
    pub(super) fn on_heartbeat_ack(&mut self, info: &Bytes) {
        let Some(len) =
            heartbeat_info(info).and_then(|info| Reader(&info).u32()).map(|len| to_usize(len.into()))
        else {
            return;
        };
        if len <= self.path.base {
            self.on_sign_of_life();
        } else if self.path.untried().any(|tried| tried == len) {
            self.path.confirmed = len;
            self.congestion.set_chunk(wire_len(self.path.payload()));
        }
    }

    /// The peer is silent. If what it does not acknowledge is long, asks whether short packets still get through.
    pub(super) fn ask_for_life(&mut self) {
        let first = self.flight.get(self.flight.cumulative() + 1);
        let is_long = first.is_some_and(|sent| {
            let payload = sent.fragment.payload.len();
            packet::HEADER_LEN + to_usize(wire_len(payload)) > self.path.base
        });
        if is_long {
            self.send_control(probe(0));
        }
    }

    /// The peer hears this side, but not its data. A path that used to carry it has become another, and chunks that have a TSN
    /// cannot be cut any more (RFC 9260 §6.9): whoever uses the association must begin anew.
    fn on_sign_of_life(&mut self) {
        self.path.signs_of_life += 1;
        if self.path.signs_of_life >= MAX_SIGNS_OF_LIFE {
            self.end(&crate::event::AssociationError::TimedOut);
        }
    }

    /// Data gets through.
    pub(super) fn forget_signs_of_life(&mut self) {
        self.path.signs_of_life = 0;
    }
}

/// A HEARTBEAT that says how long its packet is, and PAD up to that (RFC 4820 §3).
fn probe(packet_len: usize) -> Bytes {
    let length = to_u32(u64::try_from(packet_len).unwrap_or(u64::MAX)).to_be_bytes();
    let heartbeat = encode(chunk::HEARTBEAT, &[&[0, 1, 0, 8], &length[..]].concat());
    let Some(rest) = packet_len.checked_sub(packet::HEADER_LEN + heartbeat.len() + 4) else {
        return heartbeat;
    };
    let mut out = BytesMut::with_capacity(packet_len);
    out.put_slice(&heartbeat);
    out.put_slice(&encode(chunk::PAD, &vec![0; rest]));
    out.freeze()
}
