//! So many bytes per second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Rate;

/// Says how long each record has to wait so that a rate is kept. Records are never refused.
#[derive(Debug)]
pub(super) struct Pace(Option<Mutex<State>>);

#[derive(Debug)]
struct State {
    rate: Rate,
    /// When everything that passed would have passed at exactly that rate.
    through_at: Option<Instant>,
}

impl Pace {
    /// Nothing has passed yet. Without a rate nothing waits.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| Mutex::new(State { rate, through_at: None })))
    }

    /// `len` bytes are to pass: after this long.
    pub(super) fn take(&self, len: usize, now: Instant) -> Duration {
        let Some(state) = &self.0 else { return Duration::ZERO };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = state.time_of(u64::from(state.rate.burst.get()));
        let earliest = now.checked_sub(burst).unwrap_or(now);
        let begin = state.through_at.map_or(earliest, |at| at.max(earliest));
        let through_at = begin + state.time_of(len as u64);
        state.through_at = Some(through_at);
        through_at.saturating_duration_since(now)
    }
}

impl State {
    /// How long so many bytes take.
    fn time_of(&self, bytes: u64) -> Duration {
        let nanos = self.rate.per.as_nanos() * u128::from(bytes) / u128::from(self.rate.count.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let pace = Pace::new(Rate::new(1000, Duration::from_secs(1), 500));
        assert_eq!(pace.take(500, now), Duration::ZERO);
        assert_eq!(pace.take(250, now), Duration::from_millis(250));
        assert_eq!(pace.take(250, now), Duration::from_millis(500));
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.take(600, later), Duration::from_millis(100), "what was not used is not saved up");
        assert_eq!(Pace::new(None).take(usize::MAX, now), Duration::ZERO);
    }
}
