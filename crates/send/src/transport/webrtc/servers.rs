//! STUN and TURN servers as `webrtc` can use them: over UDP, by address.
//!
//! `webrtc` looks host names up on the task that drives the connection, so a slow name server would hold up even a path
//! that needs no server. The names are looked up here instead, all at once and with a deadline.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use webrtc::peer_connection::RTCIceServer;
use wire::signaling::IceServer;

/// How long host candidates wait for the name servers.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(1);

/// More than this many addresses of servers only multiply the checks.
const MAX_SERVERS: usize = 8;

/// One address of a server, as RFC 7064 and RFC 7065 write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServerUrl<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
}

/// The servers with names replaced by addresses; those with no name in time and those that need TCP or TLS are left out.
pub(super) async fn usable(servers: &[IceServer]) -> Vec<RTCIceServer> {
    let deadline = Instant::now() + LOOKUP_DEADLINE;
    let mut lookups = JoinSet::new();
    for server in servers {
        for url in addresses(server) {
            let scheme = url.scheme.to_owned();
            let (host, port) = (url.host.to_owned(), url.port);
            let (username, credential) = (server.username.clone(), server.credential.clone());
            lookups.spawn(async move {
                let found = lookup_host((host.as_str(), port)).await.ok()?;
                let urls = one_of_each_family(found).map(|address| format!("{scheme}:{address}")).collect();
                Some(RTCIceServer {
                    urls,
                    username: username.unwrap_or_default(),
                    credential: credential.unwrap_or_default(),
                })
            });
        }
    }
    let mut usable = Vec::new();
    while let Ok(Some(found)) = timeout_at(deadline, lookups.join_next()).await {
        if let Ok(Some(server)) = found {
            usable.push(server);
        }
    }
    usable.truncate(MAX_SERVERS);
    usable
}

/// One server over UDP, as somebody asks it who makes no connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As it was given.
    pub url: String,
    /// Its addresses, one of each family at most; none when its name is not known.
    pub addresses: Vec<SocketAddr>,
    /// User name and credential, if it is a TURN server.
    pub login: Option<(String, String)>,
}

impl fmt::Debug for Endpoint {
    /// Without the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Every STUN and TURN server over UDP in `servers`, all ports of one machine too, in their order; names are looked up for a
/// second.
pub async fn endpoints(servers: &[IceServer]) -> Vec<Endpoint> {
    let deadline = Instant::now() + LOOKUP_DEADLINE;
    let urls = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let usable = urls.filter_map(|(server, url)| Some((server, url, ServerUrl::parse(url)?)));
    let lookups = usable.take(MAX_SERVERS).map(|(server, url, parsed)| async move {
        let found = timeout_at(deadline, lookup_host((parsed.host, parsed.port))).await;
        let addresses = found.ok().and_then(Result::ok).map(|found| one_of_each_family(found).collect());
        let login = server.username.clone().zip(server.credential.clone());
        let login = login.filter(|_| parsed.scheme == "turn");
        Endpoint { url: url.clone(), addresses: addresses.unwrap_or_default(), login }
    });
    join_all(lookups).await
}

/// Whether a server passes data on.
pub(super) fn is_relay(server: &RTCIceServer) -> bool {
    server.urls.iter().any(|url| url.starts_with("turn:"))
}

/// The addresses of one server that are of use. Several for STUN are ports of one machine, of which one says it all.
fn addresses(server: &IceServer) -> impl Iterator<Item = ServerUrl<'_>> {
    let mut has_stun = false;
    server.urls.iter().filter_map(|url| ServerUrl::parse(url)).filter(move |url| {
        let is_stun = url.scheme == "stun";
        let is_further = is_stun && has_stun;
        has_stun |= is_stun;
        !is_further
    })
}

/// The first IPv4 and the first IPv6 address: `webrtc` takes one per family anyway.
fn one_of_each_family(found: impl Iterator<Item = SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let (mut v4, mut v6) = (None, None);
    for address in found {
        match address.ip() {
            IpAddr::V4(_) => v4.get_or_insert(address),
            IpAddr::V6(_) => v6.get_or_insert(address),
        };
    }
    v4.into_iter().chain(v6)
}

impl<'a> ServerUrl<'a> {
    /// `None` for everything that is not STUN or TURN over UDP.
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !matches!(scheme, "stun" | "turn") || !matches!(query, "" | "transport=udp") {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map_or(Ok(DEFAULT_PORT), str::parse).ok()?;
        (!host.is_empty()).then_some(Self { scheme, host, port })
    }
}

/// Of STUN and TURN over UDP (RFC 8489 §18.6).
const DEFAULT_PORT: u16 = 3478;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_read_as_the_standard_writes_them() {
        let readings = [
            ("stun:drop.example.org", Some(("stun", "drop.example.org", 3478))),
            ("stun:192.0.2.1:19302", Some(("stun", "192.0.2.1", 19302))),
            ("turn:[2001:db8::1]:5349?transport=udp", Some(("turn", "2001:db8::1", 5349))),
            ("turn:[2001:db8::1]", Some(("turn", "2001:db8::1", 3478))),
            ("turn:drop.example.org?transport=tcp", None),
            ("turns:drop.example.org", None),
            ("stun:", None),
            ("stun:drop.example.org:70000", None),
            ("http://drop.example.org", None),
            ("", None),
        ];
        for (url, expected) in readings {
            let expected = expected.map(|(scheme, host, port)| ServerUrl { scheme, host, port });
            assert_eq!(ServerUrl::parse(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn names_become_addresses_and_unusable_servers_are_left_out() {
        let server = |url: &str| IceServer {
            urls: vec![url.to_owned()],
            username: Some("1700000000:x".to_owned()),
            credential: Some("hmac".to_owned()),
        };
        let usable = usable(&[server("turn:127.0.0.1?transport=udp"), server("turns:127.0.0.1")]).await;
        assert_eq!(usable.len(), 1);
        assert_eq!(usable[0].urls, ["turn:127.0.0.1:3478"]);
        assert_eq!((usable[0].username.as_str(), usable[0].credential.as_str()), ("1700000000:x", "hmac"));
    }

    #[tokio::test]
    async fn somebody_who_makes_no_connection_asks_every_port() {
        let urls =
            ["stun:127.0.0.1:1", "stun:127.0.0.1:2", "turns:127.0.0.1", "turn:127.0.0.1"].map(str::to_owned);
        let login = Some("x".to_owned());
        let servers = [IceServer { urls: urls.into(), username: login.clone(), credential: login }];
        let found: Vec<_> = endpoints(&servers)
            .await
            .into_iter()
            .map(|found| (found.addresses[0].port(), found.login.is_some()))
            .collect();
        assert_eq!(found, [(1, false), (2, false), (3478, true)]);
    }

    #[test]
    fn of_several_ports_of_one_stun_server_one_is_asked() {
        let urls = ["stuns:a", "stun:a:3478", "stun:a:3479", "turn:a:3478", "turn:b:3478"].map(str::to_owned);
        let server = IceServer { urls: urls.into(), username: None, credential: None };
        let found: Vec<_> = addresses(&server).map(|url| (url.scheme, url.host, url.port)).collect();
        assert_eq!(found, [("stun", "a", 3478), ("turn", "a", 3478), ("turn", "b", 3478)]);
    }
}
