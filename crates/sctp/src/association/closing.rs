//! The end: by SHUTDOWN, with everything delivered, or by ABORT (RFC 9260 §9).

use std::time::Instant;

use shared::error::{Error, Result};

use super::{Association, State};
use crate::chunk::control::{USER_INITIATED, encode, encode_cause};
use crate::chunk::{self};
use crate::event::{AssociationError, EndpointEvent};
use crate::tsn::narrow;

impl Association {
    /// Sends what is left, and then says goodbye.
    ///
    /// # Errors
    /// [`Error::ErrShutdownNonEstablished`], when there is nobody to say it to.
    pub fn shutdown(&mut self) -> Result<()> {
        if self.state != State::Established {
            return Err(Error::ErrShutdownNonEstablished);
        }
        self.state = State::ShutdownPending;
        if self.is_all_acknowledged() {
            self.say_shutdown();
        }
        Ok(())
    }

    /// Breaks off, and tells the peer that it was meant. Everything that was not handed out is lost.
    ///
    /// # Errors
    /// None.
    pub fn abort(&mut self) -> Result<()> {
        if self.state != State::Closed {
            if self.handshake.peer.is_some() {
                self.control.clear();
                self.send_control(encode_cause(chunk::ABORT, USER_INITIATED, &[]));
            }
            self.end(&AssociationError::LocallyClosed);
        }
        Ok(())
    }

    /// Breaks off without a word.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::needless_pass_by_value, reason = "the interface it stands in for has it so")]
    pub fn close(&mut self, reason: AssociationError) -> Result<()> {
        self.end(&reason);
        Ok(())
    }

    pub(super) fn end(&mut self, reason: &AssociationError) {
        if self.state == State::Closed {
            return;
        }
        tracing::debug!(%reason, stats = ?self.stats, "an association has ended");
        self.state = State::Closed;
        self.timers = super::Timers::default();
        for id in self.stream_ids() {
            self.lose_stream(id, reason.clone());
        }
    }

    /// As after a proper goodbye: nobody will ask for this association again.
    fn drain(&mut self, reason: &AssociationError) {
        self.end(reason);
        self.endpoint_events.push_back(EndpointEvent::drained());
    }

    fn is_all_acknowledged(&self) -> bool {
        self.flight.is_empty() && self.queue.is_empty()
    }

    /// The peer is answered when everything was read; it asks again until then.
    fn has_unread(&self) -> bool {
        self.streams.values().any(|stream| !stream.ready.is_empty())
    }

    fn say_shutdown(&mut self) {
        self.state = State::ShutdownSent;
        let cumulative = narrow(self.inbound.cumulative()).to_be_bytes();
        self.send_control(encode(chunk::SHUTDOWN, &cumulative));
    }

    /// Goes on with a goodbye once everything has arrived.
    pub(super) fn advance_shutdown(&mut self, now: Instant) {
        if !self.is_all_acknowledged() {
            return;
        }
        if self.state == State::ShutdownPending {
            self.say_shutdown();
        } else if self.state == State::ShutdownReceived && !self.has_unread() {
            self.state = State::ShutdownAckSent;
            self.send_control(encode(chunk::SHUTDOWN_ACK, &[]));
        } else {
            return;
        }
        self.timers.shutdown.at = Some(now + self.flight.round_trip.timeout());
    }

    pub(super) fn repeat_shutdown(&mut self, now: Instant) {
        if self.state == State::ShutdownSent {
            self.say_shutdown();
        } else if self.state == State::ShutdownAckSent {
            self.send_control(encode(chunk::SHUTDOWN_ACK, &[]));
        } else {
            return;
        }
        self.timers.shutdown.at = Some(now + self.flight.round_trip.timeout());
    }

    pub(super) fn on_shutdown(&mut self, now: Instant, _: u32) {
        match self.state {
            State::Established | State::ShutdownPending => self.state = State::ShutdownReceived,
            // Both at once (RFC 9260 §9.2).
            State::ShutdownSent => {
                self.state = State::ShutdownAckSent;
                self.send_control(encode(chunk::SHUTDOWN_ACK, &[]));
                self.timers.shutdown.at = Some(now + self.flight.round_trip.timeout());
            }
            State::ShutdownAckSent => self.send_control(encode(chunk::SHUTDOWN_ACK, &[])),
            State::Closed
            | State::Awaiting
            | State::CookieWait
            | State::CookieEchoed
            | State::ShutdownReceived => {}
        }
    }

    pub(super) fn on_shutdown_ack(&mut self) {
        if matches!(self.state, State::ShutdownSent | State::ShutdownAckSent) {
            self.send_control(encode(chunk::SHUTDOWN_COMPLETE, &[]));
            self.drain(&AssociationError::LocallyClosed);
        }
    }

    pub(super) fn on_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.drain(&AssociationError::ApplicationClosed);
        }
    }

    pub(super) fn on_abort(&mut self, cause: Option<u16>) {
        let reason = match cause {
            Some(USER_INITIATED) => AssociationError::Reset,
            _ => AssociationError::AssociationClosed,
        };
        tracing::debug!(?cause, "the peer has aborted");
        self.end(&reason);
    }
}
