//! Lets packets go at a rate.

use std::time::{Duration, Instant};

use crate::units::Rate;

/// A clock of departures: each one moves it on by the time its bytes take. Whoever is late may catch up, but not with more than
/// one burst: a receiver's socket may hold no more (64 KiB in browsers).
///
/// Packets leave in groups. After one, the clock is left alone until the next group may go as a whole: what is handed over
/// together costs the sender one system call, and what arrives together costs the receiver one and one acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    next: Option<Instant>,
    /// When the next group may leave, if not at once.
    opens: Option<Instant>,
}

/// Bytes that may leave at once after a pause: sixteen packets.
const MIN_BURST: u64 = 16 * 1_200;
/// And at most, unless the path is so fast that this is less than half a millisecond.
const MAX_BURST: u64 = 48 * 1_200;
/// A group: a little more than the sixteen packets from which on the driver hands them to the kernel as one.
const GROUP: u64 = 20 * 1_200;
/// What leaves in this time leaves together in any case.
const SLICE: Duration = Duration::from_micros(200);
/// Nothing waits longer than this for a group to be complete.
const MAX_SLICE: Duration = Duration::from_millis(1);
/// A sleep of the driver may take this much longer than it was asked to.
const LATENESS: Duration = Duration::from_millis(2);
const SHORT_LATENESS: Duration = Duration::from_micros(500);

impl Pacer {
    /// Whether a packet may leave at `now`.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.opens.is_none_or(|opens| opens <= now)
    }

    /// When it is worth waking up.
    pub(crate) fn wake_up(&self) -> Option<Instant> {
        self.opens.or(self.next)
    }

    /// `bytes` have left.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64, rate: Rate) {
        let burst = rate.bytes_in(LATENESS).clamp(MIN_BURST, MAX_BURST.max(rate.bytes_in(SHORT_LATENESS)));
        let earliest = now.checked_sub(rate.time_for(burst)).unwrap_or(now);
        let from = self.next.map_or(earliest, |next| next.max(earliest));
        let next = from + rate.time_for(bytes);
        self.opens = (next > now).then(|| next + rate.time_for(GROUP).clamp(SLICE, MAX_SLICE));
        self.next = Some(next);
    }
}
