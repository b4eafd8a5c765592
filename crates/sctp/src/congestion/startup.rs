//! When to stop doubling.

use std::time::Duration;

use crate::units::{Rate, scale};

/// Watches the start of a transfer for signs that the path is full.
#[derive(Debug, Default)]
pub(super) struct Startup {
    /// The largest rate when it last grew by a quarter.
    full_rate: Rate,
    /// Rounds since.
    flat_rounds: u32,
    /// Round trips in a row that stood clearly above the shortest.
    slow_samples: u32,
}

const FLAT_ROUNDS: u32 = 3;

/// As `HyStart++` (RFC 9406 §4.2): eight samples.
const SLOW_SAMPLES: u32 = 8;

/// A queue on the way shows as this much on top of the shortest round trip, at least and at most (RFC 9406 §4.2); on short paths
/// the scheduler alone makes that much.
const MIN_QUEUE: Duration = Duration::from_millis(4);
const MAX_QUEUE: Duration = Duration::from_millis(16);

impl Startup {
    /// A round has passed in which there was enough to send. Returns whether the rate has stopped growing.
    pub(super) fn is_flat(&mut self, rate: Rate) -> bool {
        if rate.0 >= scale(self.full_rate.0, 125) {
            self.full_rate = rate;
            self.flat_rounds = 0;
            return false;
        }
        self.flat_rounds += 1;
        self.flat_rounds >= FLAT_ROUNDS
    }

    /// Returns whether a queue has built up.
    pub(super) fn is_queueing(&mut self, sample: Duration, minimum: Duration) -> bool {
        let queue = (minimum / 8).clamp(MIN_QUEUE, MAX_QUEUE);
        self.slow_samples = if sample > minimum + queue { self.slow_samples + 1 } else { 0 };
        self.slow_samples >= SLOW_SAMPLES
    }
}
