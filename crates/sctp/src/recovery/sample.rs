//! How fast the path delivers, measured by acknowledgements (draft-ietf-ccwg-bbr §4.1).

use std::time::{Duration, Instant};

use crate::units::Rate;

/// The counters at the moment a chunk was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) delivered: u64,
    pub(crate) delivered_at: Instant,
    /// When the chunk was sent whose acknowledgement came last.
    pub(crate) first_sent_at: Instant,
    pub(crate) is_app_limited: bool,
}

/// Counts what is delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    delivered_at: Option<Instant>,
    first_sent_at: Option<Instant>,
    /// Everything up to this count says nothing about the path: there was not enough to send.
    app_limited_until: u64,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateSample {
    pub(crate) rate: Rate,
    pub(crate) is_app_limited: bool,
    /// Delivered when the chunk was sent: tells in which round that was.
    pub(crate) prior_delivered: u64,
}

impl Delivery {
    pub(crate) fn new() -> Self {
        Self { delivered: 0, lost: 0, delivered_at: None, first_sent_at: None, app_limited_until: 0 }
    }

    /// What a chunk that is sent now has to remember. `flight` is what is in flight without it.
    pub(crate) fn snapshot(&mut self, now: Instant, flight: u64) -> Snapshot {
        if flight == 0 {
            self.first_sent_at = Some(now);
            self.delivered_at = Some(now);
        }
        Snapshot {
            delivered: self.delivered,
            delivered_at: self.delivered_at.unwrap_or(now),
            first_sent_at: self.first_sent_at.unwrap_or(now),
            is_app_limited: self.app_limited_until > self.delivered,
        }
    }

    /// There was not enough to send, with `flight` bytes still on their way.
    pub(crate) fn limit_by_app(&mut self, flight: u64) {
        self.app_limited_until = (self.delivered + flight).max(1);
    }

    /// Counts `newly` delivered bytes and measures by the youngest chunk among them.
    pub(crate) fn sample(
        &mut self,
        now: Instant,
        newly: u64,
        youngest: &Snapshot,
        sent_at: Instant,
    ) -> Option<RateSample> {
        self.delivered += newly;
        self.delivered_at = Some(now);
        self.first_sent_at = Some(self.first_sent_at.map_or(sent_at, |first| first.max(sent_at)));
        let sending = sent_at.saturating_duration_since(youngest.first_sent_at);
        let acking = now.saturating_duration_since(youngest.delivered_at);
        // Acknowledgements may come faster than what they acknowledge was sent; the slower of the two is the truth.
        let elapsed = sending.max(acking).max(SHORTEST);
        Some(RateSample {
            rate: Rate::of(self.delivered - youngest.delivered, elapsed)?,
            is_app_limited: youngest.is_app_limited,
            prior_delivered: youngest.delivered,
        })
    }
}

/// Clocks and schedulers are not better than this.
const SHORTEST: Duration = Duration::from_micros(50);
