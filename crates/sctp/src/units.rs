//! Numbers with units, and conversions that cannot wrap.

use std::time::Duration;

/// Bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rate(pub(crate) u64);

/// A factor in hundredths.
pub(crate) type Percent = u64;

impl Rate {
    /// So many bytes in so much time. `None` when no time passed.
    pub(crate) fn of(bytes: u64, elapsed: Duration) -> Option<Self> {
        let nanos = elapsed.as_nanos();
        (nanos > 0).then(|| Self(clamp(u128::from(bytes) * NANOS / nanos)))
    }

    /// What passes in `time`, in bytes.
    pub(crate) fn bytes_in(self, time: Duration) -> u64 {
        clamp(u128::from(self.0) * time.as_nanos() / NANOS)
    }

    /// How long `bytes` take; a second for a path that passes nothing.
    pub(crate) fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::from_secs(1);
        }
        Duration::from_nanos(clamp(u128::from(bytes) * NANOS / u128::from(self.0)))
    }

    pub(crate) fn scaled(self, percent: Percent) -> Self {
        Self(scale(self.0, percent))
    }
}

const NANOS: u128 = 1_000_000_000;

/// `value` × `percent` / 100.
pub(crate) fn scale(value: u64, percent: Percent) -> u64 {
    clamp(u128::from(value) * u128::from(percent) / 100)
}

fn clamp(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// A length that fits where the protocol counts 16 bits.
pub(crate) fn to_u16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// An amount of bytes where the protocol counts 32 bits.
pub(crate) fn to_u32(amount: u64) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

/// Bytes in memory as the counters have them.
pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A counter as an amount of memory.
pub(crate) fn to_usize(amount: u64) -> usize {
    usize::try_from(amount).unwrap_or(usize::MAX)
}

/// The length of a chunk or parameter with its padding.
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
