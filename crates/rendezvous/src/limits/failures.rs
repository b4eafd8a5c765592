//! Who has guessed wrong, and how often.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Denied;
use crate::client_ip::ClientKey;
use crate::config;
use crate::registry::Fault;

/// The failed claims of the last hour. Time is since the server started.
///
/// It belongs to the address, not to the socket: connecting again changes nothing.
#[derive(Debug)]
pub(crate) struct Failures {
    of_client: Table,
    of_aggregate: Table,
}

/// One ledger per key.
#[derive(Debug)]
struct Table {
    ledgers: HashMap<ClientKey, Ledger>,
    /// Half failures within [`WINDOW`].
    most: usize,
    /// Half failures within [`LONG_WINDOW`], which then lock the key out.
    most_hourly: usize,
    most_keys: usize,
}

#[derive(Debug, Default)]
struct Ledger {
    /// When they happened, in seconds, oldest first; one entry per half failure.
    halves: VecDeque<u32>,
    /// Until when every claim is refused, in seconds.
    locked_until: u32,
}

impl Failures {
    /// Nobody has failed yet.
    pub(crate) fn new(config: &config::Limits) -> Self {
        let table = |factor: u32| Table {
            ledgers: HashMap::new(),
            most: halves(config.failed_claims, factor),
            most_hourly: halves(config.failed_claims_hourly, factor),
            most_keys: config.clients,
        };
        Self { of_client: table(1), of_aggregate: table(super::AGGREGATE_FACTOR) }
    }

    /// Whether `client` may claim at `now`.
    ///
    /// # Errors
    /// [`Denied`] after too many failures, with the time until the next claim; or without, when the table is full.
    pub(crate) fn check(&self, client: ClientKey, now: Duration) -> Result<(), Denied> {
        self.of_client.check(client, seconds(now))?;
        client.aggregate().map_or(Ok(()), |aggregate| self.of_aggregate.check(aggregate, seconds(now)))
    }

    /// Counts a fault.
    pub(crate) fn charge(&mut self, client: ClientKey, fault: Fault, now: Duration) {
        self.of_client.charge(client, fault, seconds(now));
        if let Some(aggregate) = client.aggregate() {
            self.of_aggregate.charge(aggregate, fault, seconds(now));
        }
    }

    /// Forgets who has behaved for an hour.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.of_client.sweep(seconds(now));
        self.of_aggregate.sweep(seconds(now));
    }
}

impl Table {
    fn check(&self, key: ClientKey, now: u32) -> Result<(), Denied> {
        let Some(ledger) = self.ledgers.get(&key) else {
            let is_full = self.ledgers.len() >= self.most_keys;
            return if is_full { Err(Denied { retry_after: None }) } else { Ok(()) };
        };
        let deciding = ledger.halves.len().checked_sub(self.most).and_then(|index| ledger.halves.get(index));
        let full_until = deciding.map_or(0, |at| at.saturating_add(WINDOW));
        let until = full_until.max(ledger.locked_until);
        if until <= now {
            return Ok(());
        }
        Err(Denied { retry_after: Some(Duration::from_secs((until - now).into())) })
    }

    fn charge(&mut self, key: ClientKey, fault: Fault, now: u32) {
        if !self.ledgers.contains_key(&key) && self.ledgers.len() >= self.most_keys {
            return;
        }
        let ledger = self.ledgers.entry(key).or_default();
        let weight = match fault {
            Fault::FailedClaim => 2,
            Fault::SoftDrop => 1,
        };
        ledger.halves.extend(std::iter::repeat_n(now, weight));
        ledger.forget(now);
        if ledger.halves.len() >= self.most_hourly {
            ledger.locked_until = now.saturating_add(LONG_WINDOW);
            ledger.halves.truncate(self.most_hourly);
        }
    }

    fn sweep(&mut self, now: u32) {
        self.ledgers.retain(|_, ledger| {
            ledger.forget(now);
            !ledger.halves.is_empty() || ledger.locked_until > now
        });
        self.ledgers.shrink_to_fit();
    }
}

impl Ledger {
    fn forget(&mut self, now: u32) {
        while self.halves.front().is_some_and(|at| at.saturating_add(LONG_WINDOW) <= now) {
            self.halves.pop_front();
        }
    }
}

fn halves(limit: u32, factor: u32) -> usize {
    usize::try_from(limit.max(1).saturating_mul(2 * factor)).unwrap_or(usize::MAX)
}

fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// The window of `failed_claims`, in seconds.
const WINDOW: u32 = 600;

/// The window of `failed_claims_hourly` and the time a client is locked out for, in seconds.
const LONG_WINDOW: u32 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn client(text: &str) -> ClientKey {
        ClientKey::new(text.parse().unwrap())
    }

    fn failures() -> Failures {
        Failures::new(&config::Limits::default())
    }

    #[test]
    fn the_sixth_claim_after_five_failures_waits_ten_minutes() {
        let (mut failures, someone) = (failures(), client("192.0.2.1"));
        for _ in 0..5 {
            assert_eq!(failures.check(someone, Duration::ZERO), Ok(()));
            failures.charge(someone, Fault::FailedClaim, Duration::ZERO);
        }
        let wait =
            |after: Duration| failures.check(someone, after).err().and_then(|denied| denied.retry_after);
        assert_eq!(wait(Duration::ZERO), Some(10 * MINUTE));
        assert_eq!(wait(9 * MINUTE), Some(MINUTE));
        assert_eq!(wait(10 * MINUTE), None);
    }

    #[test]
    fn a_soft_drop_counts_half() {
        let (mut failures, someone) = (failures(), client("192.0.2.1"));
        for _ in 0..9 {
            failures.charge(someone, Fault::SoftDrop, Duration::ZERO);
            assert_eq!(failures.check(someone, Duration::ZERO), Ok(()));
        }
        failures.charge(someone, Fault::SoftDrop, Duration::ZERO);
        assert!(failures.check(someone, Duration::ZERO).is_err());
    }

    #[test]
    fn twenty_failures_within_an_hour_lock_a_client_out_for_an_hour() {
        let (mut failures, someone) = (failures(), client("192.0.2.1"));
        let mut now = Duration::ZERO;
        let mut failed = 0;
        while now < 60 * MINUTE {
            if failures.check(someone, now).is_ok() {
                failures.charge(someone, Fault::FailedClaim, now);
                failed += 1;
            }
            now += MINUTE / 2;
        }
        assert_eq!(failed, 20);
        let denied = failures.check(someone, now).unwrap_err();
        assert!(denied.retry_after.unwrap() > 30 * MINUTE, "{denied:?}");
        assert_eq!(failures.check(someone, now + 60 * MINUTE), Ok(()));
    }

    #[test]
    fn an_ipv6_48_as_a_whole_has_five_times_as_many_failures() {
        let mut failures = failures();
        let mut failed = 0;
        for net in 0..1000 {
            let someone = client(&format!("2001:db8:1:{net:x}::1"));
            if failures.check(someone, Duration::ZERO).is_ok() {
                failures.charge(someone, Fault::FailedClaim, Duration::ZERO);
                failed += 1;
            }
        }
        assert_eq!(failed, 25);
    }

    #[test]
    fn the_table_is_bounded_and_refuses_the_unknown_when_full() {
        let mut failures = Failures::new(&config::Limits { clients: 3, ..config::Limits::default() });
        for host in 0..3 {
            failures.charge(client(&format!("192.0.2.{host}")), Fault::SoftDrop, Duration::ZERO);
        }
        let unknown = client("198.51.100.1");
        failures.charge(unknown, Fault::SoftDrop, Duration::ZERO);
        assert_eq!(failures.of_client.ledgers.len(), 3);
        assert_eq!(failures.check(unknown, Duration::ZERO), Err(Denied { retry_after: None }));
        assert_eq!(failures.check(client("192.0.2.1"), Duration::ZERO), Ok(()));
        failures.sweep(61 * MINUTE);
        assert_eq!(failures.check(unknown, 61 * MINUTE), Ok(()));
    }
}
