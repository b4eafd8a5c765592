//! Whether UDP gets out of this network and back in. What its router does is found out on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;

use super::Reached;
use super::router::{self, Translation};
use crate::config::Config;
use crate::interfaces;
use crate::policy::Policy;
use crate::report::{Check, Fact, Finding};
use crate::transport::webrtc::probe::{Endpoint, LetIn, Origin, Probe, Seen};

/// What came of asking the servers of one family of addresses.
#[derive(Clone, Debug, Default)]
struct Asked {
    servers: Vec<SocketAddr>,
    seen: Vec<Seen>,
    router: Option<Finding>,
}

/// Asks every STUN server of `endpoints`, from addresses of both families where this machine has such.
pub(super) async fn check(
    endpoints: &[Endpoint],
    (config, reached): (&Config, Reached),
) -> (Finding, Vec<Finding>) {
    let stun: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.login.is_none()).collect();
    let own = interfaces::allowed_addresses(&config.policy);
    let families = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let families = families
        .into_iter()
        .filter(|family: &IpAddr| own.iter().any(|address| address.is_ipv4() == family.is_ipv4()));
    let asking = families.map(|family| {
        let of_family = |address: &SocketAddr| address.is_ipv4() == family.is_ipv4();
        let addresses = stun.iter().flat_map(|endpoint| &endpoint.addresses);
        let servers: Vec<SocketAddr> = addresses.copied().filter(of_family).collect();
        ask(servers, source(&config.policy, &own, family))
    });
    let asked = join_all(asking).await;
    let unknown: Vec<&str> =
        stun.iter().filter(|endpoint| endpoint.addresses.is_empty()).map(|endpoint| &*endpoint.url).collect();
    let found = finding(&asked, &unknown, reached);
    (found, asked.into_iter().filter_map(|asked| asked.router).collect())
}

/// The address to ask from: whichever the system takes, unless the user has chosen interfaces.
fn source(policy: &Policy, own: &[IpAddr], family: IpAddr) -> IpAddr {
    let chosen = own.iter().find(|address| address.is_ipv4() == family.is_ipv4());
    chosen.copied().filter(|_| !policy.interfaces.is_empty()).unwrap_or(family)
}

async fn ask(servers: Vec<SocketAddr>, source: IpAddr) -> Asked {
    let source = SocketAddr::new(source, 0);
    let Ok(probe) = Probe::bind(source).await else { return Asked::default() };
    if servers.is_empty() {
        return Asked::default();
    }
    let seen = probe.survey(&servers).await;
    let router = match seen.first() {
        Some(first) => {
            let lets_in = async |origin| match Probe::bind(source).await {
                Ok(fresh) => fresh.lets_in(first.server, origin).await,
                Err(_) => LetIn::Unknown,
            };
            let (port, address) = tokio::join!(lets_in(Origin::OtherPort), lets_in(Origin::OtherAddress));
            let translation = Translation::of(&seen, probe.port().unwrap_or_default(), interfaces::is_own);
            Some(router::finding(&seen, translation, router::Filter::of(port, address)))
        }
        None => None,
    };
    Asked { servers, seen, router }
}

fn finding(asked: &[Asked], unknown: &[&str], reached: Reached) -> Finding {
    let texts = |addresses: &mut dyn Iterator<Item = SocketAddr>| {
        Fact::Texts(addresses.map(|address| address.to_string()).collect())
    };
    let servers: Vec<SocketAddr> = asked.iter().flat_map(|asked| &asked.servers).copied().collect();
    let seen: Vec<Seen> = asked.iter().flat_map(|asked| &asked.seen).copied().collect();
    let Some(quickest) = seen.iter().map(|seen| seen.took).min() else {
        return unanswered(&servers, unknown, reached)
            .with("asked", texts(&mut servers.iter().copied()))
            .with("answered", Fact::Texts(Vec::new()));
    };
    let (count, of) = (seen.len(), servers.len());
    let who = if count == of {
        "STUN answers".to_owned()
    } else {
        format!("{count} of {of} STUN addresses answer")
    };
    let message = format!("UDP gets out and back in: {who} after {}.", milliseconds(quickest));
    Finding::good(Check::Udp, "answered", message)
        .with("asked", texts(&mut servers.iter().copied()))
        .with("answered", texts(&mut seen.iter().map(|seen| seen.server)))
        .with("elapsed", Fact::Time(quickest))
}

fn unanswered(servers: &[SocketAddr], unknown: &[&str], reached: Reached) -> Finding {
    if !servers.is_empty() {
        let named: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let message = format!(
            "No STUN server answers ({}): UDP is blocked on the way, or these ports are where the server is.",
            named.join(", ")
        );
        return Finding::warning(Check::Udp, "blocked", message).advise(
            "allow outgoing UDP in the firewall; without, only machines on this network are reached directly",
        );
    }
    if !unknown.is_empty() {
        let message = format!("These STUN servers have names that nobody knows: {}.", unknown.join(", "));
        return Finding::warning(Check::Udp, "unknown_name", message)
            .advise("check --stun, and whether this machine looks up names");
    }
    let note = |message| Finding::note(Check::Udp, "not_asked", message);
    match reached {
        Reached::Server => note("The server names no STUN server to ask, so whether UDP gets out is not known.").advise(
            "its operator adds one (rendezvous --stun-listen '[::]:3478'), or name one with --stun: else two networks rarely connect",
        ),
        Reached::Nobody => note("Whether UDP gets out is not known: a server that is reached names whom to ask."),
        Reached::Own => note("No STUN server is set (--stun). On one network none is needed."),
    }
}

/// `0.4 ms`, `12 ms`.
fn milliseconds(took: Duration) -> String {
    let micros = took.as_micros();
    if micros < 9_950 {
        format!("{}.{} ms", micros / 1_000, micros / 100 % 10)
    } else {
        format!("{} ms", (micros + 500) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(servers: &[&str], answered: &[usize]) -> Asked {
        let servers: Vec<SocketAddr> = servers.iter().map(|server| server.parse().unwrap()).collect();
        let seen = answered.iter().map(|&index| {
            let took = Duration::from_micros(12_340);
            Seen { server: servers[index], mapped: "203.0.113.9:5".parse().unwrap(), took }
        });
        Asked { seen: seen.collect(), servers, router: None }
    }

    #[test]
    fn one_answer_shows_that_udp_gets_out() {
        let all = finding(&[asked(&["192.0.2.1:1", "192.0.2.1:2"], &[0, 1])], &[], Reached::Server);
        assert_eq!(
            (all.outcome, &*all.message),
            ("answered", "UDP gets out and back in: STUN answers after 12 ms.")
        );
        let some =
            finding(&[asked(&["192.0.2.1:1"], &[]), asked(&["[2001:db8::1]:1"], &[0])], &[], Reached::Server);
        assert!(some.message.contains("1 of 2 STUN addresses answer"), "{}", some.message);
    }

    #[test]
    fn silence_is_told_from_nobody_to_ask() {
        let outcome = |asked: &[Asked], unknown: &[&str], reached| finding(asked, unknown, reached).outcome;
        assert_eq!(outcome(&[asked(&["192.0.2.1:1"], &[])], &["stun:x"], Reached::Server), "blocked");
        assert_eq!(outcome(&[Asked::default()], &["stun:x"], Reached::Server), "unknown_name");
        assert_eq!(outcome(&[Asked::default()], &[], Reached::Server), "not_asked");
        assert!(finding(&[], &[], Reached::Own).advice.is_none(), "without a server none is needed");
    }

    #[test]
    fn short_times_have_a_decimal() {
        let shown = |micros| milliseconds(Duration::from_micros(micros));
        assert_eq!(
            [shown(440), shown(9_949), shown(9_950), shown(12_500)],
            ["0.4 ms", "9.9 ms", "10 ms", "13 ms"]
        );
    }
}
