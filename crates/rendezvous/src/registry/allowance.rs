//! How much one side may send the other through the server.

use std::time::{Duration, Instant};

/// Messages and bytes that may still pass in one direction.
///
/// A handshake and its session descriptions are some ten messages and 10 KiB; the rest is room for candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    messages: u32,
    bytes: usize,
}

impl Allowance {
    /// Takes one message of `len` bytes out of it.
    pub(super) fn take(&mut self, len: usize) -> Taken {
        match (self.messages.checked_sub(1), self.bytes.checked_sub(len)) {
            (Some(messages), Some(bytes)) => {
                *self = Self { messages, bytes };
                Taken::Passes
            }
            _ => Taken::Exceeded,
        }
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { messages: MESSAGES, bytes: BYTES }
    }
}

/// An [`Allowance`] that is full again whenever [`REFILL`] has passed since it last was, for meetings: they last as
/// long as the transfer, and every restart of ICE needs its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refilling {
    allowance: Allowance,
    filled_at: Instant,
}

impl Refilling {
    /// Full from the start.
    pub(super) fn new(now: Instant) -> Self {
        Self { allowance: Allowance::default(), filled_at: now }
    }

    /// Takes one message of `len` bytes out of it.
    pub(super) fn take(&mut self, len: usize, now: Instant) -> Taken {
        if now.saturating_duration_since(self.filled_at) >= REFILL {
            *self = Self::new(now);
        }
        self.allowance.take(len)
    }
}

/// Whether a message was within the allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was.
    Passes,
    /// It was not, and nothing was taken.
    Exceeded,
}

/// Messages per direction (PROTOCOL.md §4).
const MESSAGES: u32 = 64;

/// Bytes of bodies per direction (PROTOCOL.md §4).
const BYTES: usize = 128 * 1024;

/// An ICE restart is not sensible more often (PROTOCOL.md §4).
const REFILL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_bytes_are_both_counted() {
        let mut allowance = Allowance::default();
        for _ in 0..64 {
            assert_eq!(allowance.take(2048), Taken::Passes);
        }
        assert_eq!(allowance.take(0), Taken::Exceeded, "the 65th message");
        let mut bytes = Allowance::default();
        assert_eq!(bytes.take(BYTES), Taken::Passes);
        assert_eq!(bytes.take(1), Taken::Exceeded);
    }

    #[test]
    fn a_meeting_refills_after_five_seconds_and_not_before() {
        let start = Instant::now();
        let mut refilling = Refilling::new(start);
        assert_eq!(refilling.take(BYTES, start), Taken::Passes);
        assert_eq!(
            refilling.take(1, (start + REFILL).checked_sub(Duration::from_millis(1)).unwrap()),
            Taken::Exceeded
        );
        assert_eq!(refilling.take(BYTES, start + REFILL), Taken::Passes);
        assert_eq!(refilling.take(1, start + REFILL), Taken::Exceeded);
    }
}
