//! One direction of a path.

use std::time::Duration;

use crate::dice::Dice;

/// What a direction is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkConfig {
    /// Bytes per second.
    pub(crate) rate: u64,
    pub(crate) delay: Duration,
    /// Bytes that wait at most.
    pub(crate) queue: u64,
    /// Lost packets in a million.
    pub(crate) loss: u64,
    /// How many packets are lost together.
    pub(crate) burst: u64,
    /// Added to the delay of each packet, at random up to here; packets overtake each other.
    pub(crate) jitter: Duration,
    /// The longest packet that gets through, in bytes and with all headers.
    pub(crate) mtu: u64,
    /// Packets in a million that come twice.
    pub(crate) duplication: u64,
}

/// What Ethernet carries, with all headers.
pub(crate) const ETHERNET: u64 = 1_500;

impl LinkConfig {
    /// A link of so many megabits and a delay of `delay` one way, with room for a bandwidth-delay product of the round trip.
    pub(crate) fn new(megabits: u64, delay: Duration) -> Self {
        let rate = megabits * 125_000;
        let queue = (u128::from(rate) * delay.as_nanos() * 2 / 1_000_000_000) as u64;
        Self {
            rate,
            delay,
            queue: queue.max(30_000),
            loss: 0,
            burst: 1,
            jitter: Duration::ZERO,
            mtu: ETHERNET,
            duplication: 0,
        }
    }
}

/// The state of a direction.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) config: LinkConfig,
    dice: Dice,
    /// When the last packet that was taken will have left.
    free_at: Duration,
    losing: u64,
    pub(crate) is_down: bool,
    pub(crate) dropped: u64,
    pub(crate) carried: u64,
}

impl Link {
    pub(crate) fn new(config: LinkConfig, seed: u64) -> Self {
        let dice = Dice::new(seed);
        Self { config, dice, free_at: Duration::ZERO, losing: 0, is_down: false, dropped: 0, carried: 0 }
    }

    /// Bytes that wait at `now`.
    fn backlog(&self, now: Duration) -> u64 {
        let wait = self.free_at.saturating_sub(now);
        (wait.as_nanos() * u128::from(self.config.rate) / 1_000_000_000) as u64
    }

    /// A packet of `size` bytes sets out. Returns when it arrives: never, once, or twice.
    pub(crate) fn carry(&mut self, now: Duration, size: u64) -> Vec<Duration> {
        if self.is_down || size > self.config.mtu || self.backlog(now) + size > self.config.queue + size {
            self.dropped += 1;
            return Vec::new();
        }
        let takes = Duration::from_nanos(size * 1_000_000_000 / self.config.rate);
        self.free_at = self.free_at.max(now) + takes;
        if self.losing == 0 && self.dice.happens(self.config.loss / self.config.burst) {
            self.losing = self.config.burst;
        }
        if self.losing > 0 {
            self.losing -= 1;
            self.dropped += 1;
            return Vec::new();
        }
        self.carried += size;
        let mut arrivals = Vec::new();
        let copies = if self.dice.happens(self.config.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.dice.below(self.config.jitter.as_nanos() as u64 + 1);
            arrivals.push(self.free_at + self.config.delay + Duration::from_nanos(jitter));
        }
        arrivals
    }
}
