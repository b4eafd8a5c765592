//! Packets for the peer.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::stream::StreamState;
use super::{Association, Control, State};
use crate::chunk::data::{self, Data};
use crate::chunk::forward;
use crate::chunk::sack;
use crate::packet::{self, Header};
use crate::recovery::wire_len;
use crate::units::{padded, to_u32, to_u64};

/// Packets that are handed out at once: as many as the kernel splits one send into.
const MAX_BATCH: usize = 64;

/// A batch has room for this much without moving.
const BATCH_LEN: usize = MAX_BATCH * 1_280;

/// Whether another chunk may be put into the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A lost one.
    Again,
    /// A new one.
    New,
    Nothing,
}

impl Association {
    pub(super) fn gather(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets = Vec::new();
        if self.can_send() {
            self.explore_path(now);
        }
        while let Some(Control { tag, chunk, needs_checksum }) = self.control.pop_front() {
            let mut out = BytesMut::with_capacity(packet::HEADER_LEN + chunk.len());
            packet::begin(&mut out, Header { tag, ..self.header });
            out.extend_from_slice(&chunk);
            let with_checksum = needs_checksum || !self.handshake.is_without_checksum;
            packets.push(packet::finish(&mut out, with_checksum));
        }
        if matches!(self.state, State::Closed | State::Awaiting | State::CookieWait | State::CookieEchoed) {
            return packets;
        }
        self.request_resets(now);
        let mut out = std::mem::take(&mut self.buffer);
        while packets.len() < MAX_BATCH {
            packet::begin(&mut out, self.header);
            self.fill(now, &mut out);
            if out.len() == packet::HEADER_LEN {
                out.clear();
                self.after_batch();
                break;
            }
            packets.push(packet::finish(&mut out, !self.handshake.is_without_checksum));
        }
        self.buffer = out;
        packets
    }

    /// Puts in what is due and fits.
    fn fill(&mut self, now: Instant, out: &mut BytesMut) {
        let limit = self.path.packet_len();
        if out.capacity() < limit {
            out.reserve(BATCH_LEN);
        }
        if self.ack.is_due {
            self.put_sack(out, limit);
        }
        if self.forward_due {
            self.put_forward(out);
        }
        if !self.can_send() || !(self.pacer.is_open(now) || self.allowance > 0) {
            return;
        }
        while let Some(mut chunk) = self.next_chunk(now, limit.saturating_sub(out.len())) {
            chunk.is_immediate = self.queue.is_empty() && chunk.is_end;
            self.peer_window = self.peer_window.saturating_sub(to_u64(chunk.payload.len()));
            chunk.write(out);
        }
    }

    fn can_send(&self) -> bool {
        matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownReceived)
    }

    fn put_sack(&mut self, out: &mut BytesMut, limit: usize) {
        let room = self.inbound.room();
        let most = limit.saturating_sub(out.len() + sack::HEADER_LEN) / sack::ENTRY_LEN;
        let (blocks, duplicates) = self.inbound.take_report(most);
        sack::write(out, (self.inbound.cumulative(), to_u32(room)), &blocks, &duplicates);
        self.acknowledged(room);
    }

    fn put_forward(&mut self, out: &mut BytesMut) {
        self.forward_due = false;
        if let Some((point, streams)) = self.flight.forward_point() {
            out.extend_from_slice(&forward::encode(point, &streams));
        }
    }

    /// The next chunk that fits into `room` bytes and may be sent.
    fn next_chunk(&mut self, now: Instant, room: usize) -> Option<Data> {
        let most = room.checked_sub(data::HEADER_LEN)? & !3;
        let chunk = match self.next_kind(now, most) {
            Next::Nothing => return None,
            Next::Again => {
                self.stats.repeated_chunks += 1;
                self.flight.send_lost(now)?
            }
            Next::New => {
                self.stats.sent_chunks += 1;
                let streams = &mut self.streams;
                let fragment = self.queue.cut(most, |message| {
                    let stream = streams.get_mut(&message.stream);
                    stream.filter(|_| !message.is_unordered).map_or(0, StreamState::take_ssn)
                })?;
                self.flight.send_new(now, fragment)
            }
        };
        self.allowance = self.allowance.saturating_sub(1);
        self.shut_since = None;
        let size = wire_len(chunk.payload.len());
        self.congestion.on_sent(now, self.flight.in_flight());
        self.pacer.on_sent(now, size, self.congestion.pacing_rate());
        self.arm_retransmission(now);
        Some(chunk)
    }

    fn next_kind(&mut self, now: Instant, most: usize) -> Next {
        let in_flight = self.flight.in_flight();
        let window = self.congestion.window();
        let fits = |length: usize| in_flight == 0 || in_flight + wire_len(length) <= window;
        if let Some(length) = self.flight.next_lost_len() {
            let may_go = padded(length) <= most && (fits(length) || self.allowance > 0);
            return if may_go { Next::Again } else { Next::Nothing };
        }
        self.drop_expired(now);
        let Some(message) = self.queue.front() else { return Next::Nothing };
        let whole = message.payload.len();
        let length = whole.min(self.path.payload());
        // A long message is not cut into crumbs to fill a packet.
        if most < length || !self.flight.has_room() || !fits(length) {
            return Next::Nothing;
        }
        if to_u64(length) > self.peer_window && !self.may_probe_window(now) {
            return Next::Nothing;
        }
        Next::New
    }

    /// Whether a peer without room is to be asked, by a chunk, if it has some again (RFC 9260 §6.1 A).
    fn may_probe_window(&mut self, now: Instant) -> bool {
        if !self.flight.is_empty() {
            return false;
        }
        let since = *self.shut_since.get_or_insert(now);
        now >= since + self.flight.round_trip.timeout()
    }

    /// There was nothing more to send, or it must not be sent yet.
    fn after_batch(&mut self) {
        let is_idle = self.flight.next_lost_len().is_none() && self.queue.is_empty();
        let is_held_up = self
            .queue
            .front()
            .is_some_and(|message| to_u64(message.payload.len().min(self.path.payload())) > self.peer_window);
        if (is_idle || is_held_up) && self.flight.in_flight() < self.congestion.window() {
            self.flight.delivery.limit_by_app(self.flight.in_flight());
        }
    }

    /// When more may be sent, if something waits for that alone.
    pub(super) fn pacing_deadline(&self) -> Option<Instant> {
        if !self.can_send() {
            return None;
        }
        if let Some(since) = self.shut_since
            && !self.queue.is_empty()
        {
            return Some(since + self.flight.round_trip.timeout());
        }
        let has_work = self.flight.has_lost() || !self.queue.is_empty();
        let has_window = self.flight.in_flight() + to_u64(self.path.packet_len()) <= self.congestion.window();
        let has_room = self.flight.has_lost()
            || self.flight.is_empty()
            || (self.flight.has_room() && self.peer_window >= to_u64(self.path.payload()));
        (has_work && has_window && has_room).then(|| self.pacer.wake_up()).flatten()
    }
}
