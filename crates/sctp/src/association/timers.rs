//! Deadlines.

use std::time::Instant;

use super::{Association, State};
use crate::event::{AssociationError, Event};

/// A deadline with the number of times it has passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timer {
    pub(super) at: Option<Instant>,
    pub(super) count: usize,
}

impl Timer {
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Whether it is due; if so it is counted and stands still.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = self.at.is_some_and(|at| at <= now);
        if is_due {
            self.at = None;
            self.count += 1;
        }
        is_due
    }
}

/// All of an association.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// T1: INIT or COOKIE ECHO is not answered.
    pub(super) handshake: Timer,
    /// T2: SHUTDOWN or SHUTDOWN ACK is not answered.
    pub(super) shutdown: Timer,
    /// T3: data is not acknowledged.
    pub(super) retransmission: Timer,
    /// A chunk is lost if it has not been acknowledged by then.
    pub(super) loss: Timer,
    pub(super) reset: Timer,
    pub(super) ack: Timer,
    /// Longer packets have not been answered by then.
    pub(super) path: Timer,
}

impl Timers {
    pub(super) fn next(&self, other: Option<Instant>) -> Option<Instant> {
        let Self { handshake, shutdown, retransmission, loss, reset, ack, path } = self;
        [handshake, shutdown, retransmission, loss, reset, ack, path]
            .into_iter()
            .filter_map(|timer| timer.at)
            .chain(other)
            .min()
    }
}

impl Association {
    pub(super) fn run_timers(&mut self, now: Instant) {
        let limits = self.config.timers;
        if self.timers.handshake.take(now) {
            let is_first = self.state == State::CookieWait;
            let most = if is_first { limits.max_t1_init_retrans } else { limits.max_t1_cookie_retrans };
            if self.timers.handshake.count > most {
                let reason = AssociationError::HandshakeFailed("the peer does not answer".to_owned());
                self.events.push_back(Event::HandshakeFailed { reason: reason.clone() });
                self.end(&reason);
            } else {
                self.repeat_handshake(now);
            }
        }
        if self.timers.shutdown.take(now) {
            if self.timers.shutdown.count > limits.max_t2_shutdown_retrans {
                self.end(&AssociationError::TimedOut);
            } else {
                self.repeat_shutdown(now);
            }
        }
        if self.timers.loss.take(now) {
            self.find_losses(now);
        }
        if self.timers.retransmission.take(now) {
            self.on_silence(now);
        }
        if self.timers.reset.take(now) {
            if self.timers.reset.count > limits.max_reconfig_retrans {
                self.end(&AssociationError::TimedOut);
            } else {
                self.repeat_reset(now);
            }
        }
        // What is due then is done when packets are gathered.
        let _ = self.timers.path.take(now);
        if self.timers.ack.take(now) {
            self.ack.is_due = true;
        }
    }

    /// Data was sent and nothing came back for a while. First a probe, to learn what is lost; then, in growing intervals, one
    /// after the other.
    fn on_silence(&mut self, now: Instant) {
        if self.flight.is_empty() {
            return;
        }
        let is_probe = self.timers.retransmission.count == 1;
        if !is_probe {
            self.stats.timeouts += 1;
            if self.timers.retransmission.count - 1 > self.config.timers.max_t3_rtx_retrans {
                self.end(&AssociationError::TimedOut);
                return;
            }
            if self.timers.retransmission.count > 2 {
                self.flight.round_trip.back_off();
            }
            self.congestion.on_timeout(now);
            self.ask_for_life();
        }
        self.flight.probe();
        self.allowance = 1;
        self.forward_due = true;
        self.give_up_messages(now);
        self.timers.retransmission.at = Some(now + self.flight.round_trip.timeout());
    }

    /// Data is outstanding: the silence begins.
    pub(super) fn arm_retransmission(&mut self, now: Instant) {
        if self.timers.retransmission.at.is_none() {
            self.restart_retransmission(now);
        }
    }

    /// The peer has said something new: the silence begins again, if there is anything to wait for.
    pub(super) fn restart_retransmission(&mut self, now: Instant) {
        self.timers.retransmission.stop();
        if !self.flight.is_empty() {
            self.timers.retransmission.at = Some(now + self.flight.round_trip.probe_timeout());
        }
    }
}
