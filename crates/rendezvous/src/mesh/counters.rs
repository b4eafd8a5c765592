//! What one client has done at all instances together. The limits of each instance come first; these are behind them.

use std::time::Duration;

use super::store::Down;
use super::{Mesh, record};
use crate::client_ip::ClientKey;
use crate::config::{Limits, Rate};
use crate::limits::AGGREGATE_FACTOR;
use crate::registry::Fault;

/// Which counters a client has a part in, and how many times the limit of one client each may reach.
fn keys(client: ClientKey) -> impl Iterator<Item = (ClientKey, u64)> {
    let aggregate = client.aggregate().map(|aggregate| (aggregate, u64::from(AGGREGATE_FACTOR)));
    std::iter::once((client, 1)).chain(aggregate)
}

impl Mesh {
    /// Whether a client has guessed so often, anywhere, that it may not claim.
    pub(crate) async fn has_failed_too_often(
        &self,
        client: ClientKey,
        limits: &Limits,
    ) -> Result<bool, Down> {
        let holders: Vec<_> = keys(client).collect();
        let names: Vec<String> = holders
            .iter()
            .flat_map(|(key, _)| [SHORT, LONG].map(|window| record::counter_key(window.name, *key)))
            .collect();
        let counts = self.store.counts(&names).await?;
        let limits =
            [limits.failed_claims, limits.failed_claims_hourly].map(|limit| 2 * u64::from(limit.max(1)));
        let exceeded = |(count, (limit, factor)): (u64, (u64, u64))| count >= limit.saturating_mul(factor);
        let bounds = holders.iter().flat_map(|(_, factor)| limits.map(|limit| (limit, *factor)));
        Ok(counts.into_iter().zip(bounds).any(exceeded))
    }

    /// Counts a fault of a client for all instances.
    pub(crate) async fn count_fault(
        &self,
        client: ClientKey,
        fault: Fault,
        limits: &Limits,
    ) -> Result<(), Down> {
        let halves = match fault {
            Fault::FailedClaim => 2,
            Fault::SoftDrop => 1,
        };
        for (key, factor) in keys(client) {
            let windows = [SHORT, LONG].map(|window| (record::counter_key(window.name, key), window.length));
            let counts = self.store.count(&windows, halves).await?;
            let most = 2 * u64::from(limits.failed_claims_hourly.max(1)) * factor;
            if let ([_, (hourly, _)], Some(count)) = (&windows, counts.get(1))
                && *count >= most
            {
                // Whoever reaches it waits an hour from then.
                self.store.lock(hourly, LONG.length).await?;
            }
        }
        Ok(())
    }

    /// Counts a new session of a client; whether it may have it.
    pub(crate) async fn count_create(&self, client: ClientKey, limits: &Limits) -> Result<bool, Down> {
        let rates = [("c", limits.creates), ("ch", limits.creates_hourly)];
        for (key, factor) in keys(client) {
            let windows = rates.iter().filter_map(|(name, rate)| rate.map(|rate| (*name, rate)));
            let (names, most): (Vec<_>, Vec<_>) = windows
                .map(|(name, rate)| {
                    ((record::counter_key(name, key), rate.per), most(rate).saturating_mul(factor))
                })
                .unzip();
            if names.is_empty() {
                return Ok(true);
            }
            let counts = self.store.count(&names, 1).await?;
            if counts.iter().zip(most).any(|(count, most)| *count > most) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a bucket gives at most within one of its periods that begins full.
fn most(rate: Rate) -> u64 {
    u64::from(rate.count.get()) + u64::from(rate.burst.get())
}

/// A window in which faults are counted; it begins with the first.
#[derive(Clone, Copy)]
struct Window {
    name: &'static str,
    length: Duration,
}

/// Of `failed_claims`.
const SHORT: Window = Window { name: "f", length: Duration::from_mins(10) };

/// Of `failed_claims_hourly`.
const LONG: Window = Window { name: "fh", length: Duration::from_hours(1) };
