//! How much one side may send the other through the server.

use std::time::{Duration, Instant};

use crate::config::Limits;

/// Messages and bytes that may still pass in one direction.
///
/// A handshake and its session descriptions are some ten messages and 10 KiB; the rest is room for candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    messages: u32,
    bytes: usize,
}

impl Allowance {
    /// What is configured.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { messages: limits.relayed_frames, bytes: limits.relayed_bytes }
    }

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

/// An [`Allowance`] that is full again whenever [`REFILL`] has passed since it last was, for meetings: they last as
/// long as the transfer, and every restart of ICE needs its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refilling {
    allowance: Allowance,
    filled_at: Instant,
}

impl Refilling {
    /// `full` from the start.
    pub(super) fn new(full: Allowance, now: Instant) -> Self {
        Self { allowance: full, filled_at: now }
    }

    /// Takes one message of `len` bytes out of it, or out of `full` if it is time for that.
    pub(super) fn take(&mut self, len: usize, full: Allowance, now: Instant) -> Taken {
        if now.saturating_duration_since(self.filled_at) >= REFILL {
            *self = Self::new(full, now);
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

/// An ICE restart is not sensible more often (PROTOCOL.md §4).
const REFILL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 128 * 1024;

    fn full() -> Allowance {
        Allowance::new(&Limits::default())
    }

    #[test]
    fn messages_and_bytes_are_both_counted() {
        let mut allowance = full();
        for _ in 0..64 {
            assert_eq!(allowance.take(2048), Taken::Passes);
        }
        assert_eq!(allowance.take(0), Taken::Exceeded, "the 65th message");
        let mut bytes = full();
        assert_eq!(bytes.take(BYTES), Taken::Passes);
        assert_eq!(bytes.take(1), Taken::Exceeded);
    }

    #[test]
    fn a_meeting_refills_after_five_seconds_and_not_before() {
        let start = Instant::now();
        let mut refilling = Refilling::new(full(), start);
        assert_eq!(refilling.take(BYTES, full(), start), Taken::Passes);
        assert_eq!(
            refilling.take(1, full(), (start + REFILL).checked_sub(Duration::from_millis(1)).unwrap()),
            Taken::Exceeded
        );
        assert_eq!(refilling.take(BYTES, full(), start + REFILL), Taken::Passes);
        assert_eq!(refilling.take(1, full(), start + REFILL), Taken::Exceeded);
    }
}
