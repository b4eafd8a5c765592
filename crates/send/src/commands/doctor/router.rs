//! What the router before this machine does to addresses (NAT), and whom it lets in: in the words of RFC 4787, as far as the
//! servers that were asked can tell (RFC 5780 §4.3, §4.4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::report::{Check, Fact, Finding, Verdict};
use crate::transport::webrtc::probe::{LetIn, Seen};

/// Which address others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Translation {
    /// This machine's own.
    None,
    /// Another, and whether it is the same for everybody cannot be told: one address and port was asked.
    Some,
    /// Another, the same at every port of the one server that was asked. A router that differs by address would be a rare
    /// one.
    SamePorts,
    /// Another, the same for several servers (endpoint-independent).
    Same,
    /// Another for every server (address-dependent).
    PerAddress,
    /// Another for every port (address- and port-dependent), which is called symmetric.
    PerPort,
}

/// From where something gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// From everywhere (endpoint-independent).
    Open,
    /// From every port of an address that was asked, and perhaps from elsewhere.
    Ports,
    /// From what was asked only (address- and port-dependent).
    Asked,
    /// No server answers from elsewhere.
    Unknown,
}

impl Translation {
    /// What `seen` shows of a socket at `port` of this machine, whose addresses `is_own` knows.
    pub(super) fn of(seen: &[Seen], port: u16, is_own: impl Fn(IpAddr) -> bool) -> Self {
        let is_untouched = |mapped: SocketAddr| mapped.port() == port && is_own(mapped.ip());
        if seen.iter().all(|one| is_untouched(one.mapped)) {
            return Self::None;
        }
        let mut by_address: BTreeMap<IpAddr, BTreeSet<SocketAddr>> = BTreeMap::new();
        for one in seen {
            by_address.entry(one.server.ip()).or_default().insert(one.mapped);
        }
        let all: BTreeSet<&SocketAddr> = by_address.values().flatten().collect();
        if by_address.values().any(|of_one| of_one.len() > 1) {
            Self::PerPort
        } else if all.len() > 1 {
            Self::PerAddress
        } else if by_address.len() > 1 {
            Self::Same
        } else if seen.len() > 1 {
            Self::SamePorts
        } else {
            Self::Some
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Some => "unknown",
            Self::SamePorts => "same_for_ports",
            Self::Same => "endpoint_independent",
            Self::PerAddress => "address_dependent",
            Self::PerPort => "address_and_port_dependent",
        }
    }
}

impl Filter {
    /// What answers from another port and from another address show.
    pub(super) fn of(port: LetIn, address: LetIn) -> Self {
        match (port, address) {
            (_, LetIn::Yes) => Self::Open,
            (LetIn::Yes, LetIn::No | LetIn::Unknown) => Self::Ports,
            (LetIn::No, LetIn::No | LetIn::Unknown) => Self::Asked,
            (LetIn::Unknown, LetIn::No | LetIn::Unknown) => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Open => "endpoint_independent",
            Self::Ports => "address_dependent_at_most",
            Self::Asked => "address_and_port_dependent",
            Self::Unknown => "unknown",
        }
    }

    /// A sentence about it.
    fn words(self) -> &'static str {
        match self {
            Self::Open => " Everybody gets in who knows the port.",
            Self::Ports => " Other ports of an address that was asked get in.",
            Self::Asked => " What gets in is what was asked for.",
            Self::Unknown => "",
        }
    }
}

/// In words; `seen` is not empty.
pub(super) fn finding(seen: &[Seen], translation: Translation, filter: Filter) -> Finding {
    let mapped: BTreeSet<SocketAddr> = seen.iter().map(|seen| seen.mapped).collect();
    let addresses: BTreeSet<String> = mapped.iter().map(|mapped| mapped.ip().to_string()).collect();
    let addresses = addresses.into_iter().collect::<Vec<_>>().join(", ");
    let is_v4 = seen.iter().all(|seen| seen.server.is_ipv4());
    let family = if is_v4 { "ipv4" } else { "ipv6" };
    let (verdict, words) = match translation {
        Translation::None => (Verdict::Good, format!("Others see this machine as it is, at {addresses}.")),
        Translation::Some => (
            Verdict::Note,
            format!(
                "Others see this machine at {addresses}. Whether at one port cannot be told: STUN answers at one of its own."
            ),
        ),
        Translation::SamePorts | Translation::Same => (
            Verdict::Good,
            format!(
                "A router shows this machine at {addresses}, at one port for everybody: most networks connect directly."
            ),
        ),
        Translation::PerAddress | Translation::PerPort => (
            Verdict::Warning,
            format!(
                "A router shows this machine at {addresses} at another port for everybody (symmetric): a direct path leads to networks without that only."
            ),
        ),
    };
    let words = format!("{words}{}", filter.words());
    let finding = Finding::new(Check::Router, verdict, translation.name(), words)
        .with("family", Fact::Text(family.to_owned()))
        .with("seen_at", Fact::Texts(mapped.iter().map(ToString::to_string).collect()))
        .with("filtering", Fact::Text(filter.name().to_owned()));
    match translation {
        Translation::Some => {
            finding.advise("the server's operator names a second port (rendezvous --stun-listen, twice)")
        }
        Translation::PerAddress | Translation::PerPort => {
            finding.advise("use IPv6 where there is some, or a server with TURN (rendezvous --turn-url)")
        }
        Translation::None | Translation::SamePorts | Translation::Same => finding,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(pairs: &[(&str, &str)]) -> Vec<Seen> {
        let seen = |&(server, mapped): &(&str, &str)| Seen {
            server: server.parse().unwrap(),
            mapped: mapped.parse().unwrap(),
            took: Duration::ZERO,
        };
        pairs.iter().map(seen).collect()
    }

    /// Of a socket at 192.168.1.2:5000.
    fn translation(pairs: &[(&str, &str)]) -> Translation {
        Translation::of(&seen(pairs), 5_000, |address| address == IpAddr::from([192, 168, 1, 2]))
    }

    const OWN: &str = "192.168.1.2:5000";
    const FIRST: &str = "203.0.113.9:5000";
    const SECOND: &str = "203.0.113.9:5001";

    #[test]
    fn translations_are_told_by_what_several_servers_see() {
        let two_ports = |first, second| translation(&[("192.0.2.1:1", first), ("192.0.2.1:2", second)]);
        let two_servers = |first, second| translation(&[("192.0.2.1:1", first), ("192.0.2.7:1", second)]);
        assert_eq!(translation(&[("192.0.2.1:1", OWN)]), Translation::None);
        assert_eq!(translation(&[("192.0.2.1:1", FIRST)]), Translation::Some);
        assert_eq!(two_ports(OWN, OWN), Translation::None);
        assert_eq!(two_ports(FIRST, FIRST), Translation::SamePorts);
        assert_eq!(two_ports(FIRST, SECOND), Translation::PerPort);
        assert_eq!(two_servers(FIRST, FIRST), Translation::Same);
        assert_eq!(two_servers(FIRST, SECOND), Translation::PerAddress);
        // Through a tunnel to one of the two.
        assert_eq!(two_servers(OWN, FIRST), Translation::PerAddress);
        let all = [("192.0.2.1:1", FIRST), ("192.0.2.1:2", SECOND), ("192.0.2.7:1", FIRST)];
        assert_eq!(translation(&all), Translation::PerPort);
    }

    #[test]
    fn an_own_address_at_another_port_is_translated() {
        assert_eq!(translation(&[("192.0.2.1:1", "192.168.1.2:6000")]), Translation::Some);
    }

    #[test]
    fn filters_are_told_by_what_gets_in() {
        use LetIn::{No, Unknown, Yes};
        let table = [
            (Yes, Yes, Filter::Open),
            (Yes, No, Filter::Ports),
            (Yes, Unknown, Filter::Ports),
            (No, Unknown, Filter::Asked),
            (No, No, Filter::Asked),
            (Unknown, Unknown, Filter::Unknown),
            (Unknown, Yes, Filter::Open),
        ];
        for (port, address, expected) in table {
            assert_eq!(Filter::of(port, address), expected, "{port:?} {address:?}");
        }
    }

    #[test]
    fn only_a_router_that_stands_in_the_way_is_warned_of() {
        let pairs = seen(&[("192.0.2.1:1", FIRST), ("192.0.2.1:2", SECOND)]);
        let verdict = |translation| finding(&pairs, translation, Filter::Asked).verdict;
        assert_eq!(verdict(Translation::SamePorts), Verdict::Good);
        assert_eq!(verdict(Translation::Some), Verdict::Note);
        let symmetric = finding(&pairs, Translation::PerPort, Filter::Asked);
        assert_eq!((symmetric.verdict, symmetric.outcome), (Verdict::Warning, "address_and_port_dependent"));
        assert!(symmetric.message.contains("at 203.0.113.9 at another port"), "{}", symmetric.message);
        assert!(symmetric.advice.unwrap().contains("--turn-url"));
    }
}
