//! A rate per client for what costs the sender of a datagram nothing, not even an address of its own: a table that never
//! grows and never fills up.
//!
//! A client is in the slot that a keyed hash of it picks, with whoever else is there. So many made-up addresses fill no
//! table that a real client would then be missing from: they only take a little of everybody's share, and all of them
//! together get no more than the rate times the slots.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::client_ip::ClientKey;
use crate::config::Rate;

/// One bucket (GCRA) per slot.
#[derive(Debug)]
pub(crate) struct Slots {
    /// For one request, in nanoseconds.
    period: u64,
    /// How far ahead of the clock a slot may be, in nanoseconds.
    burst: u64,
    /// When each slot has got over what it was asked for, in nanoseconds since `start`.
    table: Box<[u64]>,
    start: Instant,
    key: RandomState,
}

/// 128 KiB. At the default rate an attacker has to keep up 300,000 datagrams a second before others notice.
const SLOT_COUNT: usize = 16_384;

impl Slots {
    /// A table in which nobody has asked for anything.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let period = nanoseconds(rate.per) / u64::from(rate.count.get());
        Self {
            period,
            burst: period.saturating_mul(rate.burst.get().into()),
            table: vec![0; SLOT_COUNT].into(),
            start: now,
            key: RandomState::new(),
        }
    }

    /// Takes one request out of what `client` may ask for; whether there was one.
    pub(crate) fn take(&mut self, client: ClientKey, now: Instant) -> bool {
        let now = nanoseconds(now.saturating_duration_since(self.start));
        let Ok(index) = usize::try_from(self.key.hash_one(client) % SLOT_COUNT as u64) else { return false };
        let Some(slot) = self.table.get_mut(index) else { return false };
        let next = (*slot).max(now).saturating_add(self.period);
        let is_free = next - now <= self.burst;
        if is_free {
            *slot = next;
        }
        is_free
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> ClientKey {
        ClientKey::new(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into())
    }

    fn slots(count: u32, burst: u32, now: Instant) -> Slots {
        Slots::new(Rate::new(count, Duration::from_secs(1), burst).unwrap(), now)
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let now = Instant::now();
        let mut slots = slots(10, 3, now);
        assert_eq!((0..9).filter(|_| slots.take(client(1), now)).count(), 3);
        let later = now + Duration::from_millis(200);
        assert_eq!((0..9).filter(|_| slots.take(client(1), later)).count(), 2);
        assert_eq!(
            (0..9).filter(|_| slots.take(client(1), now)).count(),
            0,
            "a clock that goes back gives nothing"
        );
    }

    #[test]
    fn made_up_addresses_take_no_memory_and_shut_nobody_out() {
        let now = Instant::now();
        let mut slots = slots(20, 100, now);
        for number in 0..500_000 {
            slots.take(client(number), now);
        }
        assert_eq!(slots.table.len(), SLOT_COUNT);
        let served = (600_000..601_000).filter(|number| slots.take(client(*number), now)).count();
        assert_eq!(served, 1_000, "thirty strangers in every slot have used a third of it");
    }

    #[test]
    fn all_addresses_of_an_ipv6_64_are_one_client() {
        let now = Instant::now();
        let mut slots = slots(1, 5, now);
        let address =
            |host: u16| ClientKey::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into());
        assert_eq!((0..100).filter(|host| slots.take(address(*host), now)).count(), 5);
    }
}
