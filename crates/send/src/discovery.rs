//! Finds a sender on the local network without a server, by multicast DNS (RFC 6762, RFC 6763).
//!
//! A sender that runs a rendezvous of its own announces the nameplate and the port. Anyone on the network can read that and
//! can announce what they like: an announcement says where to knock, never whom to trust. The password stays out of it.
//!
//! ```text
//! send-3f9a….  _send-p2p._tcp.local.  SRV port 9473  TXT v=1 np=48
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use data_encoding::HEXLOWER;
use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};
use wire::code::Nameplate;

use crate::interfaces;

/// The kind of service, as RFC 6763 names kinds.
const SERVICE_TYPE: &str = "_send-p2p._tcp.local.";

/// The version of what an announcement says; others are not for this program.
const VERSION: &str = "1";

/// After the first announcer of a nameplate, how long to wait for another: answers come within 20 to 120 ms of a question
/// when several may answer (RFC 6762 §6), and two announcers of one nameplate are something the user has to be asked about.
const SETTLE: Duration = Duration::from_millis(60);

/// How long a withdrawn announcement may take to leave this machine.
const WITHDRAW_DEADLINE: Duration = Duration::from_millis(500);

/// Announcers and addresses beyond this are somebody flooding the network.
const MAX_ANNOUNCERS: usize = 64;
const MAX_ADDRESSES: usize = 8;

/// Multicast DNS does not work on this machine.
#[derive(Debug, Error)]
#[error("the local network cannot be searched")]
pub struct DiscoveryError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A rendezvous that is announced for as long as this lives.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

impl Announcement {
    /// Announces that the sender of `nameplate` takes connections at `port` of `addresses`.
    ///
    /// # Errors
    /// [`DiscoveryError`] when this machine has no multicast or no entropy.
    pub fn new(nameplate: Nameplate, port: u16, addresses: &[IpAddr]) -> Result<Self, DiscoveryError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(unavailable)?;
        let instance = format!("send-{}", HEXLOWER.encode(&random));
        let text = [("v", VERSION.to_owned()), ("np", nameplate.number().to_string())];
        let host = format!("{instance}.local.");
        let mut service = ServiceInfo::new(SERVICE_TYPE, &instance, &host, addresses, port, &text[..])
            .map_err(unavailable)?;
        // Nobody else has a name of 64 random bits, and asking for it takes three quarters of a second.
        service.set_requires_probe(false);
        let name = service.get_fullname().to_owned();
        let daemon = ServiceDaemon::new().map_err(unavailable)?;
        daemon.register(service).map_err(unavailable)?;
        Ok(Self { daemon, name })
    }

    /// Takes the announcement back and waits until the network has been told; dropping it tells the network too, unless
    /// the process ends first.
    pub async fn withdraw(self) {
        if let Ok(done) = self.daemon.unregister(&self.name) {
            let _ = timeout(WITHDRAW_DEADLINE, done.recv_async()).await;
        }
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // The daemon takes these in turn. After `withdraw` there is nothing left to take back.
        let _ = self.daemon.unregister(&self.name);
        let _ = self.daemon.shutdown();
    }
}

/// Somebody on the local network who says that a sender is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcer {
    /// Whose sender.
    pub nameplate: Nameplate,
    /// Where it takes connections, the likeliest first; at least one.
    pub addresses: Vec<SocketAddr>,
}

/// Who announces `nameplate`, within `window`; returns early once somebody does and nobody else joins in.
///
/// An announcer answers each question once a second at most (RFC 6762 §6), so a search within a second of its start, or of
/// another search, may go unanswered until it is repeated a second later: with nothing to fall back on, allow three.
///
/// Two announcers of one nameplate are two senders, or one and an impostor: that is for the user to decide.
///
/// # Errors
/// [`DiscoveryError`] when this machine has no multicast.
pub async fn find(nameplate: Nameplate, window: Duration) -> Result<Vec<Announcer>, DiscoveryError> {
    let mut browser = Browser::start()?;
    let mut deadline = Instant::now() + window;
    let mut found = Vec::new();
    while let Some(announcer) = browser.next(deadline).await {
        if announcer.nameplate == nameplate {
            deadline = deadline.min(Instant::now() + SETTLE);
            found.push(announcer);
        }
    }
    Ok(found)
}

/// Every nameplate that is announced within `window`, for a sender to choose another.
///
/// # Errors
/// [`DiscoveryError`] when this machine has no multicast.
pub async fn heard(window: Duration) -> Result<BTreeSet<Nameplate>, DiscoveryError> {
    let mut browser = Browser::start()?;
    let deadline = Instant::now() + window;
    let mut nameplates = BTreeSet::new();
    while let Some(announcer) = browser.next(deadline).await {
        nameplates.insert(announcer.nameplate);
    }
    Ok(nameplates)
}

/// Listens for announcements; asks for them first.
struct Browser {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    /// What each announcer said last, by its name: announcements are repeated.
    known: BTreeMap<String, Announcer>,
    is_alone: bool,
}

impl Browser {
    fn start() -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new().map_err(unavailable)?;
        let events = daemon.browse(SERVICE_TYPE).map_err(unavailable)?;
        let is_alone = interfaces::lan_addresses().iter().all(IpAddr::is_loopback);
        Ok(Self { daemon, events, known: BTreeMap::new(), is_alone })
    }

    /// The next announcer not heard before; `None` once `deadline` has passed.
    async fn next(&mut self, deadline: Instant) -> Option<Announcer> {
        loop {
            let ServiceEvent::ServiceResolved(service) =
                timeout_at(deadline, self.events.recv_async()).await.ok()?.ok()?
            else {
                continue;
            };
            let Some(announcer) = read(&service, self.is_alone) else { continue };
            if self.known.len() < MAX_ANNOUNCERS
                && self.known.insert(service.fullname.clone(), announcer.clone()).is_none()
            {
                return Some(announcer);
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.daemon.shutdown();
    }
}

/// What an announcement says, or `None` when it is not one that this version can use.
///
/// Loopback addresses count only on a machine that `is_alone`: from anyone else they would point at this machine.
fn read(service: &ResolvedService, is_alone: bool) -> Option<Announcer> {
    if service.get_property_val_str("v") != Some(VERSION) || service.port == 0 {
        return None;
    }
    let nameplate = service.get_property_val_str("np")?;
    // `parse` alone would take a sign and leading zeros.
    if !nameplate.bytes().all(|byte| byte.is_ascii_digit()) || nameplate.starts_with('0') {
        return None;
    }
    let nameplate = Nameplate::new(nameplate.parse().ok()?)?;
    let addresses = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr);
    let mut addresses: Vec<_> = addresses.filter(|address| is_usable(*address, is_alone)).collect();
    addresses.sort_by_key(|&address| (!interfaces::is_on_this_network(address), address));
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return None;
    }
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, service.port)).collect();
    Some(Announcer { nameplate, addresses })
}

fn is_usable(address: IpAddr, is_alone: bool) -> bool {
    let is_scoped = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !address.is_unspecified() && !address.is_multicast() && !is_scoped && (is_alone || !address.is_loopback())
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> DiscoveryError {
    DiscoveryError(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An announcement ends a search as soon as it is heard; this is for machines that are busy.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn nameplate(number: u32) -> Nameplate {
        Nameplate::new(number).unwrap()
    }

    fn resolved(address: &str, port: u16, text: &[(&str, &str)]) -> ResolvedService {
        let service = ServiceInfo::new(SERVICE_TYPE, "send-1", "send-1.local.", address, port, text).unwrap();
        service.as_resolved_service()
    }

    #[tokio::test]
    async fn an_announced_sender_is_found_on_the_same_machine() {
        let number = 100_000 + std::process::id() % 100_000;
        let announcement = Announcement::new(nameplate(number), 9473, &interfaces::lan_addresses()).unwrap();
        let (found, heard) = tokio::join!(find(nameplate(number), PATIENCE), heard(Duration::from_secs(3)));
        let found = found.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].addresses.iter().all(|address| address.port() == 9473));
        assert!(heard.unwrap().contains(&nameplate(number)));
        assert_eq!(find(nameplate(number + 1), Duration::from_millis(300)).await.unwrap(), []);

        announcement.withdraw().await;
        assert_eq!(find(nameplate(number), Duration::from_millis(300)).await.unwrap(), []);
    }

    #[test]
    fn an_announcement_is_read_or_ignored() {
        let read = |address, port, text: &[_]| read(&resolved(address, port, text), false);
        let good = [("v", "1"), ("np", "48")];
        let expected =
            Announcer { nameplate: nameplate(48), addresses: vec!["192.0.2.9:9473".parse().unwrap()] };
        assert_eq!(read("192.0.2.9", 9473, &good), Some(expected.clone()));
        assert_eq!(read("192.0.2.9", 9473, &[("v", "1"), ("np", "48"), ("x", "y")]), Some(expected));
        assert_eq!(read("192.0.2.9", 0, &good), None);
        for np in ["", "7", "048", "+48", "1000000", "4８", "48\n", "99999999999999999999"] {
            assert_eq!(read("192.0.2.9", 9473, &[("v", "1"), ("np", np)]), None, "{np:?}");
        }
        for text in [&[("np", "48")][..], &[("v", "2"), ("np", "48")], &[("v", "1")], &[]] {
            assert_eq!(read("192.0.2.9", 9473, text), None, "{text:?}");
        }
    }

    #[test]
    fn an_announcement_cannot_point_at_the_machine_that_hears_it() {
        let good = [("v", "1"), ("np", "48")];
        for address in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "fe80::1"] {
            assert_eq!(read(&resolved(address, 9473, &good), false), None, "{address}");
        }
        assert!(read(&resolved("127.0.0.1", 9473, &good), true).is_some());
    }
}
