//! INIT, COOKIE ECHO and their answers (RFC 9260 §5).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::path_mtu::LONGEST_PACKET;
use super::{Association, Control, State};
use crate::chunk::control::encode;
use crate::chunk::init::Init;
use crate::chunk::{COOKIE_ACK, COOKIE_ECHO, INIT, INIT_ACK};
use crate::event::Event;
use crate::inbound::Inbound;
use crate::tsn;
use crate::units::to_usize;

/// What the handshake has to remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Handshake {
    /// How the peer has introduced itself.
    pub(super) peer: Option<Init>,
    /// What the peer wants to be shown.
    cookie: Option<Bytes>,
    streams: u16,
    /// When the message that is not answered yet was sent for the first time, if it was not repeated.
    asked_at: Option<Instant>,
    /// Whether this side sends packets without checksums, and takes them.
    pub(super) is_without_checksum: bool,
}

impl Handshake {
    pub(super) fn stream_count(&self) -> u16 {
        self.streams
    }

    pub(super) fn has_forward_tsn(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.has_forward_tsn)
    }
}

/// The path carried the handshake of DTLS a moment ago, so an answer takes no longer than that did; then twice as long.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
const MAX_PATIENCE: Duration = Duration::from_secs(4);

impl Association {
    /// Begins as the side that asks.
    pub(super) fn start(&mut self, now: Instant) {
        self.state = State::CookieWait;
        self.handshake.asked_at = Some(now);
        self.ask(now);
    }

    fn introduction(&self) -> Init {
        Init {
            tag: self.birth.tag,
            window: u32::try_from(self.inbound.window()).unwrap_or(u32::MAX),
            outbound_streams: self.config.outbound_streams,
            inbound_streams: self.config.inbound_streams,
            first_tsn: self.birth.first_tsn,
            cookie: None,
            has_forward_tsn: true,
            has_reset: true,
            takes_zero_checksum: self.config.offers_zero_checksum,
            longest_packet: LONGEST_PACKET,
        }
    }

    /// Sends what has to be answered next.
    fn ask(&mut self, now: Instant) {
        let chunk = match (self.state, &self.handshake.cookie) {
            (State::CookieWait, _) => self.introduction().encode(INIT),
            (State::CookieEchoed, Some(cookie)) => encode(COOKIE_ECHO, cookie),
            _ => return,
        };
        let tag = if self.state == State::CookieWait { 0 } else { self.header.tag };
        self.control.push_back(Control { tag, chunk, needs_checksum: true });
        let doublings = u32::try_from(self.timers.handshake.count).unwrap_or(u32::MAX).min(8);
        self.timers.handshake.at = Some(now + (FIRST_PATIENCE * (1 << doublings)).min(MAX_PATIENCE));
    }

    pub(super) fn repeat_handshake(&mut self, now: Instant) {
        self.handshake.asked_at = None;
        self.ask(now);
    }

    /// Takes over what the peer says about itself.
    fn meet(&mut self, init: Init) {
        self.header.tag = init.tag;
        self.peer_window = init.window.into();
        let config = &self.config;
        self.handshake.streams = init
            .inbound_streams
            .min(config.outbound_streams)
            .min(init.outbound_streams.min(config.inbound_streams));
        self.handshake.is_without_checksum = init.takes_zero_checksum && config.offers_zero_checksum;
        let max_message = to_usize(config.max_message_size.into());
        self.inbound = Inbound::new(tsn::first(init.first_tsn), config.receive_window.into(), max_message);
        self.resets.expect(init.first_tsn);
        self.path.meet(init.longest_packet);
        self.handshake.peer = Some(init);
    }

    pub(super) fn on_init(&mut self, now: Instant, init: Init) {
        if !is_sound(&init) {
            return;
        }
        let is_known = self.handshake.peer.as_ref().is_some_and(|peer| peer.tag == init.tag);
        let reply_to = init.tag;
        // Both may ask at once: whichever cookie comes back first decides (RFC 9260 §5.2.1).
        let is_new =
            matches!(self.state, State::Awaiting | State::CookieWait) && self.handshake.peer.is_none();
        if is_new {
            self.meet(init);
        } else if !is_known {
            return;
        }
        if self.state == State::Awaiting {
            // The cookie comes back a round trip later; which answer brought it, once there were two, nobody knows.
            self.handshake.asked_at = is_new.then_some(now);
        }
        let cookie = Some(Bytes::copy_from_slice(&self.birth.cookie));
        let chunk = Init { cookie, ..self.introduction() }.encode(INIT_ACK);
        self.control.push_back(Control { tag: reply_to, chunk, needs_checksum: true });
    }

    pub(super) fn on_init_ack(&mut self, now: Instant, mut init: Init) {
        if self.state != State::CookieWait || !is_sound(&init) {
            return;
        }
        let Some(cookie) = init.cookie.take() else { return };
        self.measure_handshake(now);
        self.handshake.cookie = Some(cookie);
        self.meet(init);
        self.state = State::CookieEchoed;
        self.timers.handshake.stop();
        self.handshake.asked_at = Some(now);
        self.ask(now);
    }

    pub(super) fn on_cookie_echo(&mut self, now: Instant, cookie: &[u8]) {
        if cookie != self.birth.cookie || self.handshake.peer.is_none() {
            return;
        }
        if matches!(self.state, State::Awaiting | State::CookieWait | State::CookieEchoed) {
            self.timers.handshake.stop();
            if self.state == State::Awaiting {
                self.measure_handshake(now);
            }
            self.establish(now);
        }
        self.control.push_back(Control {
            tag: self.header.tag,
            chunk: encode(COOKIE_ACK, &[]),
            needs_checksum: false,
        });
    }

    pub(super) fn on_cookie_ack(&mut self, now: Instant) {
        if self.state == State::CookieEchoed {
            self.timers.handshake.stop();
            self.measure_handshake(now);
            self.establish(now);
        }
    }

    fn measure_handshake(&mut self, now: Instant) {
        if let Some(asked_at) = self.handshake.asked_at.take() {
            self.flight.round_trip.update(now.saturating_duration_since(asked_at));
        }
    }

    fn establish(&mut self, now: Instant) {
        if let Some(round_trip) = self.flight.round_trip.minimum() {
            self.congestion.seed(now, round_trip);
        }
        self.state = State::Established;
        self.was_established = true;
        self.events.push_back(Event::Connected);
    }
}

/// RFC 9260 §3.3.2: zeros here are not allowed.
fn is_sound(init: &Init) -> bool {
    init.tag != 0 && init.inbound_streams != 0 && init.outbound_streams != 0
}
