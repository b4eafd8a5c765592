//! Lets packets go at a rate.

use std::time::{Duration, Instant};

use crate::units::Rate;

/// A clock of departures: each one moves it on by the time its bytes take. Whoever is late may catch up, but not with more than
/// one burst: a receiver's socket may hold no more (64 KiB in browsers).
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    next: Option<Instant>,
}

/// Bytes that may leave at once after a pause: sixteen packets.
const MIN_BURST: u64 = 16 * 1_200;
/// And at most, unless the path is so fast that this is less than half a millisecond.
const MAX_BURST: u64 = 48 * 1_200;
/// What leaves in this time leaves together.
const SLICE: Duration = Duration::from_micros(200);
/// A sleep of the driver may take this much longer than it was asked to.
const LATENESS: Duration = Duration::from_millis(2);
const SHORT_LATENESS: Duration = Duration::from_micros(500);

impl Pacer {
    /// Whether a packet may leave at `now`.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// When it is worth waking up: a little after the next packet may leave, so that several leave together.
    pub(crate) fn wake_up(&self) -> Option<Instant> {
        self.next.map(|next| next + SLICE)
    }

    /// `bytes` have left.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64, rate: Rate) {
        let burst = rate.bytes_in(LATENESS).clamp(MIN_BURST, MAX_BURST.max(rate.bytes_in(SHORT_LATENESS)));
        let earliest = now.checked_sub(rate.time_for(burst)).unwrap_or(now);
        let from = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(from + rate.time_for(bytes));
    }
}
