//! Somebody else's download: enough of CUBIC (RFC 9438) to compete with.

use std::collections::BTreeSet;
use std::time::Duration;

/// Of a full segment on the wire.
pub(crate) const SEGMENT: u64 = 1_500;

/// A sender that always has something to send.
#[derive(Debug)]
pub(crate) struct Cubic {
    /// In segments.
    window: f64,
    threshold: f64,
    max: f64,
    epoch: Option<Duration>,
    next: u64,
    outstanding: BTreeSet<u64>,
    /// Losses of segments before this one belong to a reduction that was made.
    recovered: u64,
    pub(crate) acked: u64,
    shortest: Duration,
    slow: u32,
}

const BETA: f64 = 0.7;
const C: f64 = 0.4;

impl Cubic {
    pub(crate) fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::MAX,
            max: 0.0,
            epoch: None,
            next: 0,
            outstanding: BTreeSet::new(),
            recovered: 0,
            acked: 0,
            shortest: Duration::MAX,
            slow: 0,
        }
    }

    /// The numbers of the segments that leave now.
    pub(crate) fn send(&mut self) -> Vec<u64> {
        let mut segments = Vec::new();
        while (self.outstanding.len() as f64) < self.window && segments.len() < 64 {
            self.outstanding.insert(self.next);
            segments.push(self.next);
            self.next += 1;
        }
        segments
    }

    /// Segment `number` has been acknowledged after `round_trip`.
    pub(crate) fn on_ack(&mut self, now: Duration, number: u64, round_trip: Duration) {
        if !self.outstanding.remove(&number) {
            return;
        }
        self.acked += SEGMENT;
        self.shortest = self.shortest.min(round_trip);
        // Three segments later nobody waits any more.
        let lost: Vec<u64> = self.outstanding.range(..number.saturating_sub(3)).copied().collect();
        let is_loss = lost.iter().any(|&segment| segment >= self.recovered);
        for segment in lost {
            self.outstanding.remove(&segment);
        }
        if is_loss {
            self.recovered = self.next;
            self.max = if self.window < self.max { self.window * (1.0 + BETA) / 2.0 } else { self.window };
            self.window = (self.window * BETA).max(2.0);
            self.threshold = self.window;
            self.epoch = None;
        } else if self.window < self.threshold {
            // HyStart: a queue ends the doubling.
            let is_slow = round_trip > self.shortest + (self.shortest / 8).max(Duration::from_millis(4));
            self.slow = if is_slow { self.slow + 1 } else { 0 };
            if self.slow > 16 {
                self.threshold = self.window;
            }
            self.window += 1.0;
        } else {
            let epoch = *self.epoch.get_or_insert(now);
            if self.max < self.window {
                self.max = self.window;
            }
            let k = (self.max * (1.0 - BETA) / C).cbrt();
            let t = (now.saturating_sub(epoch) + self.shortest).as_secs_f64() - k;
            let target = (C * t.powi(3) + self.max).clamp(self.window, self.window * 1.5);
            self.window += (target - self.window) / self.window;
        }
    }

    /// Nothing has come for long.
    pub(crate) fn on_timeout(&mut self) {
        self.outstanding.clear();
        self.recovered = self.next;
        self.threshold = self.window / 2.0;
        self.window = 2.0;
        self.epoch = None;
    }
}
