//! Who is asking, as far as limits are concerned: an address, masked to what one customer of a network usually has.
//!
//! Only configured proxies may speak for somebody else, and only by `X-Forwarded-For`; every other header that
//! claims an address is never looked at.

use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The key that limits count by: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 §2: one site or less).
///
/// `Debug` shows nothing of it, so that an address cannot slip into a log; see [`ClientKey::pseudonym`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientKey(IpAddr);

impl ClientKey {
    /// The key of an address; `::ffff:192.0.2.1` is 192.0.2.1.
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4)),
            IpAddr::V6(v6) => Self(IpAddr::V6(masked(v6, 64))),
        }
    }

    /// The address, or the first of the /64.
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }

    /// The /48 an IPv6 key lies in: the most that one customer is commonly given. `None` for IPv4.
    pub(crate) fn aggregate(self) -> Option<Self> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(Self(IpAddr::V6(masked(v6, 48)))),
        }
    }

    /// What a log may call this client: a hash under a salt that nobody knows and that changes daily.
    pub(crate) fn pseudonym(self, salt: &impl BuildHasher) -> String {
        format!("{:08x}", salt.hash_one(self.0) >> 32)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(redacted)")
    }
}

/// The client behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// What limits count by.
    pub(crate) key: ClientKey,
    /// How the request reached us.
    pub(crate) via: Via,
}

/// How a request reached this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// From the client itself, as far as anyone can tell.
    Direct,
    /// Through a proxy that was configured as trusted; what it says about the scheme counts too.
    TrustedProxy,
    /// From a loopback or private address that is not trusted but forwards for others: all of them share one key.
    UntrustedProxy,
}

impl Client {
    /// Finds the client of a request that came from `peer`.
    ///
    /// From a trusted peer, `X-Forwarded-For` is read from the right, skipping trusted hops: what stands left of the
    /// first untrusted address was written by the client. A hop that is no address ends the search.
    pub(crate) fn of(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let mut nearest = peer.ip().to_canonical();
        if !is_trusted(nearest, trusted) {
            let forwards = FORWARDING_HEADERS.iter().any(|name| headers.contains_key(*name));
            let via = if forwards && is_local(nearest) { Via::UntrustedProxy } else { Via::Direct };
            return Self { key: ClientKey::new(nearest), via };
        }
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in hops.into_iter().rev() {
            let Some(address) = parse_hop(hop) else { break };
            nearest = address;
            if !is_trusted(nearest, trusted) {
                break;
            }
        }
        Self { key: ClientKey::new(nearest), via: Via::TrustedProxy }
    }
}

/// Whether `address` belongs to a configured proxy.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let canonical = address.to_canonical();
    trusted.iter().any(|net| net.contains(&canonical))
}

/// One element of `X-Forwarded-For`: an address, or an address and a port as some proxies write it.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let hop = text.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn masked(address: Ipv6Addr, prefix_len: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - prefix_len)))
}

/// Headers by which a proxy shows that it forwards for somebody.
const FORWARDING_HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use axum::http::HeaderName;

    use super::*;

    fn key(text: &str) -> ClientKey {
        ClientKey::new(text.parse().unwrap())
    }

    fn client(peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let nets: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Client::of(SocketAddr::new(peer.parse().unwrap(), 1234), &map, &nets)
    }

    #[test]
    fn all_addresses_of_an_ipv6_64_share_one_key() {
        let first = key("2001:db8:1:2::");
        for host in (0..0x1_0000_u32).step_by(257) {
            assert_eq!(key(&format!("2001:db8:1:2:{host:x}::{host:x}")), first);
        }
        assert_ne!(key("2001:db8:1:3::"), first);
        assert_eq!(key("2001:db8:1:3::").aggregate(), first.aggregate());
        assert_ne!(key("2001:db8:2:2::").aggregate(), first.aggregate());
    }

    #[test]
    fn a_mapped_ipv4_address_is_that_ipv4_address() {
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("192.0.2.1").aggregate(), None);
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn forwarding_headers_of_an_untrusted_peer_are_ignored() {
        let spoofed = [
            ("x-forwarded-for", "198.51.100.7"),
            ("forwarded", "for=198.51.100.7"),
            ("cf-connecting-ip", "198.51.100.7"),
            ("x-real-ip", "198.51.100.7"),
            ("true-client-ip", "198.51.100.7"),
        ];
        let seen = client("203.0.113.5", &spoofed, &["10.0.0.0/8"]);
        assert_eq!(seen, Client { key: key("203.0.113.5"), via: Via::Direct });
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_the_rightmost_untrusted_hop_only() {
        let headers = [("x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.9")];
        assert_eq!(client("10.0.0.1", &headers, &["10.0.0.0/8"]).key, key("198.51.100.7"));
        let two = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(client("10.0.0.1", &two, &["10.0.0.0/8"]).key, key("198.51.100.7"));
        let mapped = client("::ffff:10.0.0.1", &two, &["10.0.0.0/8"]);
        assert_eq!(mapped, Client { key: key("198.51.100.7"), via: Via::TrustedProxy });
    }

    #[test]
    fn other_headers_of_a_trusted_proxy_are_not_read() {
        let headers = [("cf-connecting-ip", "198.51.100.7"), ("x-real-ip", "198.51.100.8")];
        assert_eq!(client("10.0.0.1", &headers, &["10.0.0.0/8"]).key, key("10.0.0.1"));
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_search() {
        for (chain, expected) in [
            ("198.51.100.7, unknown, 10.0.0.9", "10.0.0.9"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("", "10.0.0.1"),
        ] {
            let seen = client("10.0.0.1", &[("x-forwarded-for", chain)], &["10.0.0.0/8"]);
            assert_eq!(seen.key, key(expected), "{chain}");
        }
    }

    #[test]
    fn an_untrusted_local_peer_that_forwards_is_noticed() {
        let headers = [("x-forwarded-for", "198.51.100.7")];
        for peer in ["127.0.0.1", "::1", "192.168.1.1", "172.17.0.1", "fd00::1"] {
            assert_eq!(client(peer, &headers, &[]).via, Via::UntrustedProxy, "{peer}");
            assert_eq!(client(peer, &[], &[]).via, Via::Direct, "{peer}");
        }
    }

    #[test]
    fn nothing_of_an_address_reaches_a_log() {
        let salt = RandomState::new();
        let pseudonym = key("192.0.2.1").pseudonym(&salt);
        assert_eq!(pseudonym, key("192.0.2.1").pseudonym(&salt));
        assert_eq!(pseudonym.len(), 8);
        assert!(!format!("{:?}", key("192.0.2.1")).contains("192"));
    }
}
