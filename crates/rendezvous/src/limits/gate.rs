//! How many connections are open at one time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AGGREGATE_FACTOR;
use crate::client_ip::ClientKey;
use crate::shrink::Shrink;

/// Counts open connections: in all, per client, and per IPv6 /48, which may have five times as many.
#[derive(Debug)]
pub(crate) struct Gate {
    counts: Mutex<Counts>,
    most: usize,
    most_per_client: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of: HashMap<Holder, usize>,
}

/// What is counted. A /48 is not the first /64 in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Client(ClientKey),
    Aggregate(ClientKey),
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    client: Option<ClientKey>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// For anybody.
    Server,
    /// For this client.
    Client,
}

impl Gate {
    /// An empty gate.
    pub(crate) fn new(most: usize, most_per_client: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), most, most_per_client })
    }

    /// Takes a place; for `None`, a trusted proxy, out of those for everybody only.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn enter(self: &Arc<Self>, client: Option<ClientKey>) -> Result<Pass, Full> {
        let mut counts = self.counts();
        if counts.all >= self.most {
            return Err(Full::Server);
        }
        let full = client.into_iter().flat_map(holders).any(|(holder, factor)| {
            counts.of.get(&holder).is_some_and(|count| *count >= self.most_per_client.saturating_mul(factor))
        });
        if full {
            return Err(Full::Client);
        }
        counts.all += 1;
        for (holder, _) in client.into_iter().flat_map(holders) {
            *counts.of.entry(holder).or_default() += 1;
        }
        drop(counts);
        Ok(Pass { gate: Arc::clone(self), client })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all -= 1;
        for (holder, _) in self.client.into_iter().flat_map(holders) {
            if let Entry::Occupied(mut entry) = counts.of.entry(holder) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
        counts.of.shrink_if_sparse();
    }
}

/// Whose counts a client is part of, and how many times the limit of one client each may have.
fn holders(client: ClientKey) -> impl Iterator<Item = (Holder, usize)> {
    let aggregate =
        client.aggregate().map(|aggregate| (Holder::Aggregate(aggregate), AGGREGATE_FACTOR as usize));
    std::iter::once((Holder::Client(client), 1)).chain(aggregate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientKey {
        ClientKey::new(text.parse().unwrap())
    }

    #[test]
    fn a_client_has_so_many_places_and_gets_them_back() {
        let gate = Gate::new(100, 2);
        let first = gate.enter(Some(client("192.0.2.1"))).unwrap();
        let _second = gate.enter(Some(client("192.0.2.1"))).unwrap();
        assert_eq!(gate.enter(Some(client("192.0.2.1"))).unwrap_err(), Full::Client);
        assert!(gate.enter(Some(client("192.0.2.2"))).is_ok());
        drop(first);
        assert!(gate.enter(Some(client("192.0.2.1"))).is_ok());
    }

    #[test]
    fn all_clients_together_have_so_many_places() {
        let gate = Gate::new(2, 2);
        let _first = gate.enter(Some(client("192.0.2.1"))).unwrap();
        let _second = gate.enter(None).unwrap();
        assert_eq!(gate.enter(Some(client("192.0.2.2"))).unwrap_err(), Full::Server);
        assert_eq!(gate.enter(None).unwrap_err(), Full::Server);
    }

    #[test]
    fn an_ipv6_48_has_five_times_the_places_of_a_64() {
        let gate = Gate::new(100, 2);
        let passes: Vec<_> = (0..50)
            .filter_map(|net| gate.enter(Some(client(&format!("2001:db8:0:{net:x}::1")))).ok())
            .collect();
        assert_eq!(passes.len(), 10);
        drop(passes);
        assert!(gate.counts().of.is_empty());
    }
}
