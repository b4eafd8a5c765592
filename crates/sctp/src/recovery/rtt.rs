//! Round-trip times and the timeouts that follow from them (RFC 6298, RFC 9260 §6.3).

use std::time::Duration;

/// Peers of before acknowledge after 200 ms at the latest; anything shorter would take that for a loss.
const MIN_TIMEOUT: Duration = Duration::from_millis(300);

/// Before anything is known (RFC 9260 §16).
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// A timeout is doubled up to here. RFC 9260 §16 recommends a minute, which a link that comes back would have to wait out; one
/// packet in three seconds burdens nobody.
const MAX_TIMEOUT: Duration = Duration::from_secs(3);

/// However slow the path is.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The estimate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    latest: Duration,
    minimum: Option<Duration>,
    backoff: u32,
}

impl RoundTrip {
    /// Takes a measurement. One that took longer than a silence may last says more about lost acknowledgements than about the
    /// path, so it counts for no more than twice that; a path that really is so slow is learned step by step.
    pub(crate) fn update(&mut self, measured: Duration) {
        let sample = if self.smoothed.is_some() { measured.min(self.timeout() * 2) } else { measured };
        self.latest = sample;
        self.minimum = Some(self.minimum.map_or(sample, |minimum| minimum.min(sample)));
        self.smoothed = Some(match self.smoothed {
            None => {
                self.variation = sample / 2;
                sample
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                (smoothed * 7 + sample) / 8
            }
        });
    }

    /// Something got through: the next silence counts from the start.
    pub(crate) fn forget_backoff(&mut self) {
        self.backoff = 0;
    }

    /// Another silence: the next one may be twice as long.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// How long the peer may be silent.
    pub(crate) fn timeout(&self) -> Duration {
        let base = self.base_timeout();
        base.saturating_mul(1 << self.backoff).min(MAX_TIMEOUT.max(base)).min(LONGEST_TIMEOUT)
    }

    fn base_timeout(&self) -> Duration {
        match self.smoothed {
            None => FIRST_TIMEOUT,
            Some(smoothed) => (smoothed + self.variation * 4).max(MIN_TIMEOUT),
        }
    }

    /// How long after the last sign of life a probe is worth sending (RFC 8985 §7.2). Acknowledgements that come in bursts must
    /// not set it off.
    pub(crate) fn probe_timeout(&self) -> Duration {
        let smoothed = self.smoothed.unwrap_or(FIRST_TIMEOUT);
        (smoothed * 2 + self.variation * 2 + PROBE_SLACK).min(self.base_timeout())
    }

    /// The average; nothing before the first measurement.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The shortest there has been.
    pub(crate) fn minimum(&self) -> Option<Duration> {
        self.minimum
    }
}

/// Over delayed acknowledgements and a peer that is scheduled late.
const PROBE_SLACK: Duration = Duration::from_millis(30);
