//! At which addresses others may reach this machine: the candidates that a transfer would offer.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wire::signaling::IceServer;

use super::super::Error;
use super::diagnosis::problem;
use crate::config::Config;
use crate::policy::Relay;
use crate::report::{Check, Fact, Finding, Verdict};
use crate::transport::webrtc::{Negotiation, NegotiationEvent, PeerConfig, Role};

/// How long candidates are waited for; a connection waits no longer for those of a relay.
const DEADLINE: Duration = Duration::from_secs(5);

/// One candidate (RFC 8839 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    kind: Kind,
    address: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of this machine.
    Host,
    /// As a STUN server sees it.
    Reflexive,
    /// At a TURN server.
    Relay,
}

/// Gathers candidates with `ice_servers`, as a transfer does.
pub(super) async fn check((config, has_relay): (&Config, bool), ice_servers: Vec<IceServer>) -> Finding {
    let is_relay = |server: &IceServer| server.urls.iter().any(|url| url.starts_with("turn:"));
    if config.policy.relay == Relay::Only && !ice_servers.iter().any(is_relay) {
        let message = "No address of this machine is shown: only the server's own relay is used.";
        return if has_relay {
            Finding::good(Check::Addresses, "hidden", message)
        } else {
            finding(&[], Relay::Only)
        };
    }
    let policy = config.policy.clone();
    let started = Negotiation::start(PeerConfig { ice_servers, policy, role: Role::Initiator }).await;
    let mut negotiation = match started {
        Ok(negotiation) => negotiation,
        Err(error) => {
            let failed = Error::System { doing: "open a connection", source: error.into() };
            return Finding { verdict: Verdict::Warning, ..problem(Check::Addresses, &failed) }
                .advise("check --interface, --ipv4 and --ipv6");
        }
    };
    let deadline = Instant::now() + DEADLINE;
    let mut candidates = Vec::new();
    while let Ok(NegotiationEvent::LocalCandidate { candidate, .. }) =
        timeout_at(deadline, negotiation.next_event()).await
    {
        candidates.extend(Candidate::parse(&candidate));
    }
    finding(&candidates, config.policy.relay)
}

impl Candidate {
    /// `candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host …`; `None` for kinds and names that this side never offers.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().skip(4);
        let (address, port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let kind = match (words.next()?, words.next()?) {
            ("typ", "host") => Kind::Host,
            ("typ", "srflx") => Kind::Reflexive,
            ("typ", "relay") => Kind::Relay,
            _ => return None,
        };
        Some(Self { kind, address, port })
    }

    fn fact(&self) -> String {
        let kind = match self.kind {
            Kind::Host => "host",
            Kind::Reflexive => "srflx",
            Kind::Relay => "relay",
        };
        format!("{kind} {}", std::net::SocketAddr::new(self.address, self.port))
    }
}

fn finding(candidates: &[Candidate], relay: Relay) -> Finding {
    let of = |kind| {
        let mut found: Vec<String> = Vec::new();
        for candidate in candidates.iter().filter(|candidate| candidate.kind == kind) {
            let address = candidate.address.to_string();
            if !found.contains(&address) {
                found.push(address);
            }
        }
        found.join(", ")
    };
    let (near, outside) = (of(Kind::Host), of(Kind::Reflexive));
    let is_same = near.split(", ").any(|address| address == outside);
    let parts = [
        ("on this network", near),
        ("from outside", if is_same { String::new() } else { outside }),
        ("at a relay", of(Kind::Relay)),
    ];
    let parts = parts.into_iter().filter(|(_, found)| !found.is_empty());
    let parts: Vec<String> = parts.map(|(place, found)| format!("{place} {found}")).collect();
    let is_alone = candidates.iter().all(|candidate| candidate.address.is_loopback());
    let finding = if candidates.is_empty() && relay == Relay::Only {
        Finding::warning(
            Check::Addresses,
            "none",
            "No relay gives this machine an address, and --relay-only allows no other.",
        )
        .advise("use a server that has a relay (rendezvous --turn-url), or leave --relay-only out")
    } else if is_alone {
        Finding::warning(
            Check::Addresses,
            "no_network",
            "This machine is on no network: nobody else can reach it.",
        )
        .advise("connect it to a network, and check --interface, --ipv4 and --ipv6")
    } else {
        Finding::good(
            Check::Addresses,
            "found",
            format!("The other side may reach this machine {}.", parts.join("; ")),
        )
    };
    finding.with("candidates", Fact::Texts(candidates.iter().map(Candidate::fact).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(lines: &[&str]) -> Vec<Candidate> {
        lines.iter().filter_map(|line| Candidate::parse(line)).collect()
    }

    #[test]
    fn candidates_are_told_by_where_they_are() {
        let found = candidates(&[
            "candidate:1 1 udp 2130706431 192.168.1.2 50000 typ host",
            "candidate:2 1 udp 2130706431 2001:db8::2 50001 typ host",
            "candidate:3 1 udp 1694498815 203.0.113.9 50000 typ srflx raddr 192.168.1.2 rport 50000",
            "candidate:4 1 udp 16777215 198.51.100.1 49152 typ relay raddr 203.0.113.9 rport 50000",
            "candidate:5 1 udp 1 x.local 9 typ host",
            "nonsense",
        ]);
        assert_eq!(found.len(), 4);
        let told = finding(&found, Relay::Allowed);
        assert_eq!(
            told.message,
            "The other side may reach this machine on this network 192.168.1.2, 2001:db8::2; from outside 203.0.113.9; \
             at a relay 198.51.100.1."
        );
        let facts = [
            "host 192.168.1.2:50000",
            "host [2001:db8::2]:50001",
            "srflx 203.0.113.9:50000",
            "relay 198.51.100.1:49152",
        ];
        assert_eq!(told.facts, [("candidates", Fact::Texts(facts.map(str::to_owned).into()))]);
    }

    #[test]
    fn a_machine_that_nobody_reaches_is_warned_of() {
        let alone = candidates(&["candidate:1 1 udp 1 127.0.0.1 9 typ host"]);
        assert_eq!(finding(&alone, Relay::Allowed).outcome, "no_network");
        assert_eq!(finding(&[], Relay::Allowed).outcome, "no_network");
        assert_eq!(finding(&[], Relay::Only).outcome, "none");
    }
}
