//! Packets of the peer.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Association, State};
use crate::chunk::control::{PROTOCOL_VIOLATION, UNRECOGNIZED_CHUNK, encode, encode_cause};
use crate::chunk::data::Data;
use crate::chunk::forward::ForwardTsn;
use crate::chunk::sack::Sack;
use crate::chunk::{self, Chunk};
use crate::event::{AssociationError, Event, StreamEvent};
use crate::inbound::Arrival;
use crate::packet::{Checksum, PartialDecode};
use crate::recovery::{AckReport, SackError};

/// What this side owes the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckState {
    pub(super) is_due: bool,
    /// Packets with data since the last SACK.
    packets: u32,
    /// The room that the last SACK told of, in bytes.
    pub(super) told_room: u64,
}

/// An acknowledgement waits for a second packet this long (RFC 9260 §6.2 allows 500 ms).
const ACK_DELAY: Duration = Duration::from_millis(20);

/// A packet with less data in it than this does not keep the packet's memory.
const SMALL_PART: usize = 2;

impl Association {
    pub(super) fn take_packet(&mut self, now: Instant, packet: PartialDecode) {
        let header = packet.header;
        let is_for_me = header.source_port == self.config.port && header.destination_port == self.config.port;
        let may_be_bare = self.config.offers_zero_checksum && self.handshake.peer.is_some();
        if !is_for_me || (packet.checksum() == Checksum::Zero && !may_be_bare) {
            return;
        }
        let is_mine = header.tag == self.birth.tag;
        let mut had_data = false;
        let packet_len = packet.len();
        for chunk in packet.into_chunks() {
            if self.state == State::Closed {
                return;
            }
            match chunk {
                Chunk::Init(init) => {
                    // Nothing may follow it, or come before it (RFC 9260 §3.3.2).
                    if header.tag == 0 {
                        self.on_init(now, init);
                    }
                    return;
                }
                _ if !is_mine => return,
                Chunk::Data(data) => {
                    had_data = true;
                    self.on_data(shrunk(data, packet_len));
                }
                Chunk::Sack(sack) => self.on_sack(now, &sack),
                chunk @ (Chunk::InitAck(_)
                | Chunk::Heartbeat(_)
                | Chunk::HeartbeatAck(_)
                | Chunk::Abort(_)
                | Chunk::Shutdown(_)
                | Chunk::ShutdownAck
                | Chunk::Error(_)
                | Chunk::CookieEcho(_)
                | Chunk::CookieAck
                | Chunk::ShutdownComplete
                | Chunk::Reset(_)
                | Chunk::ForwardTsn(_)
                | Chunk::Unknown(_)) => self.take_chunk(now, chunk),
            }
        }
        if had_data {
            self.after_data(now);
        }
        self.deliver();
        self.advance_shutdown(now);
    }

    fn take_chunk(&mut self, now: Instant, chunk: Chunk) {
        match chunk {
            Chunk::InitAck(init) => self.on_init_ack(now, init),
            Chunk::CookieEcho(cookie) => self.on_cookie_echo(now, &cookie),
            Chunk::CookieAck => self.on_cookie_ack(now),
            Chunk::Heartbeat(info) => self.send_control(encode(chunk::HEARTBEAT_ACK, &info)),
            Chunk::HeartbeatAck(info) => self.on_heartbeat_ack(&info),
            Chunk::Abort(cause) => self.on_abort(cause),
            Chunk::Shutdown(cumulative) => self.on_shutdown(now, cumulative),
            Chunk::ShutdownAck => self.on_shutdown_ack(),
            Chunk::ShutdownComplete => self.on_shutdown_complete(),
            Chunk::Reset(params) => self.on_reset(now, params),
            Chunk::ForwardTsn(forward) => self.on_forward(&forward),
            Chunk::Unknown(kind) => self.on_unknown(kind),
            Chunk::Error(cause) => tracing::debug!(?cause, "the peer reports an error"),
            Chunk::Init(_) | Chunk::Data(_) | Chunk::Sack(_) => {}
        }
    }

    /// The second bit of its type says whether the peer wants to know (RFC 9260 §3.2).
    fn on_unknown(&mut self, kind: u8) {
        if kind & 0x40 != 0 {
            self.send_control(encode_cause(chunk::ERROR, UNRECOGNIZED_CHUNK, &[kind, 0, 0, 4]));
        }
    }

    fn can_receive(&self) -> bool {
        matches!(
            self.state,
            State::CookieEchoed | State::Established | State::ShutdownPending | State::ShutdownSent
        )
    }

    fn on_data(&mut self, data: Data) {
        if !self.can_receive() {
            return;
        }
        self.stats.received_chunks += 1;
        if data.payload.is_empty() {
            self.abort_for(PROTOCOL_VIOLATION);
            return;
        }
        self.ack.is_due |= data.is_immediate;
        match self.inbound.receive(data) {
            Arrival::InOrder => {}
            Arrival::Ahead | Arrival::Refused => self.ack.is_due = true,
            Arrival::Duplicate => {
                self.stats.duplicate_chunks += 1;
                self.ack.is_due = true;
            }
            Arrival::TooLong => self.abort_for(PROTOCOL_VIOLATION),
        }
    }

    /// Every second packet is acknowledged, and at once while something is missing.
    fn after_data(&mut self, now: Instant) {
        self.ack.packets += 1;
        if self.ack.packets >= 2 || self.inbound.has_gaps() || self.state == State::ShutdownSent {
            self.ack.is_due = true;
        } else if !self.ack.is_due && self.timers.ack.at.is_none() {
            self.timers.ack.at = Some(now + ACK_DELAY);
        }
    }

    /// The acknowledgement is on its way.
    pub(super) fn acknowledged(&mut self, room: u64) {
        self.ack = AckState { is_due: false, packets: 0, told_room: room };
        self.timers.ack.stop();
    }

    /// Hands whole messages to their streams.
    pub(super) fn deliver(&mut self) {
        while let Some(complete) = self.inbound.take_complete() {
            let id = complete.stream;
            if !self.streams.contains_key(&id) {
                self.add_stream(id);
                self.events.push_back(Event::Stream(StreamEvent::Opened { id }));
            }
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if stream.can_read {
                stream.ready.push_back(complete.message);
                self.events.push_back(Event::Stream(StreamEvent::Readable { id }));
            } else {
                self.inbound.release(&complete.message.pieces);
            }
        }
        self.retry_reset();
    }

    fn on_forward(&mut self, forward: &ForwardTsn) {
        if self.can_receive() {
            self.inbound.forward(forward);
            self.ack.is_due = true;
        }
    }

    fn on_sack(&mut self, now: Instant, sack: &Sack) {
        if !matches!(
            self.state,
            State::Established
                | State::ShutdownPending
                | State::ShutdownSent
                | State::ShutdownReceived
                | State::ShutdownAckSent
        ) {
            return;
        }
        self.stats.received_sacks += 1;
        let mut freed = std::mem::take(&mut self.freed);
        match self.flight.on_sack(now, sack, &mut freed) {
            Ok(report) => {
                self.release(&freed);
                self.after_sack(now, sack, report);
            }
            Err(SackError::Stale) => {}
            Err(SackError::Impossible) => self.abort_for(PROTOCOL_VIOLATION),
        }
        freed.clear();
        self.freed = freed;
    }

    fn after_sack(&mut self, now: Instant, sack: &Sack, mut report: AckReport) {
        let (lost, deadline) = self.flight.detect_losses(now);
        self.timers.loss.at = deadline;
        report.lost = lost;
        report.flight = self.flight.in_flight();
        self.congestion.on_ack(&report);
        self.peer_window = u64::from(sack.window).saturating_sub(self.flight.payload_in_flight());
        if report.acked > 0 || report.has_advanced {
            self.restart_retransmission(now);
            self.forget_signs_of_life();
        }
        if self.flight.is_empty() {
            self.timers.retransmission.stop();
            self.timers.loss.stop();
        }
        self.forward_due |= self.flight.has_abandoned();
        self.give_up_messages(now);
    }

    pub(super) fn find_losses(&mut self, now: Instant) {
        let (lost, deadline) = self.flight.detect_losses(now);
        self.timers.loss.at = deadline;
        if lost > 0 {
            self.congestion.on_loss(lost, self.flight.in_flight());
            self.give_up_messages(now);
        }
    }

    /// Breaks the association off because of what the peer did.
    pub(super) fn abort_for(&mut self, cause: u16) {
        self.send_control(encode_cause(chunk::ABORT, cause, &[]));
        self.end(&AssociationError::TransportError);
    }
}

/// A small piece of a large packet gets memory of its own, lest a peer that sends many of them fills this side's.
fn shrunk(mut data: Data, packet_len: usize) -> Data {
    if data.payload.len() * SMALL_PART < packet_len {
        data.payload = Bytes::copy_from_slice(&data.payload);
    }
    data
}
