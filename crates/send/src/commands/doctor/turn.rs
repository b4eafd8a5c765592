//! Whether the TURN servers that the rendezvous hands out admit this machine: each is asked for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use wire::signaling::IceServer;

use super::{Reached, may_relay};
use crate::config::Config;
use crate::report::{Check, Fact, Finding};
use crate::transport::webrtc::probe::{AllocationError, Endpoint, Probe};

/// Asks every TURN server of `endpoints`, which are those of `told` that a terminal can use.
pub(super) async fn check(
    told: &[IceServer],
    endpoints: &[Endpoint],
    (config, reached, has_relay): (&Config, Reached, bool),
) -> Vec<Finding> {
    // On one network nobody passes anything on, and nobody but the server tells who would.
    if reached != Reached::Server {
        return Vec::new();
    }
    if !may_relay(config) {
        let message =
            "Relays are not used, as --no-relay says: some networks cannot reach each other without.";
        return vec![Finding::note(Check::Turn, "forbidden", message)];
    }
    let relays: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.login.is_some()).collect();
    if relays.is_empty() {
        return vec![absent(told, has_relay)];
    }
    join_all(relays.into_iter().map(ask)).await
}

fn absent(told: &[IceServer], has_relay: bool) -> Finding {
    let is_turn = |url: &String| url.starts_with("turn:") || url.starts_with("turns:");
    if told.iter().flat_map(|server| &server.urls).any(is_turn) {
        let message = "The server names TURN over TCP or TLS only, which pages use and terminals cannot.";
        return Finding::note(Check::Turn, "not_usable", message)
            .advise("its operator adds one over UDP (rendezvous --turn-url turn:HOST:3478)");
    }
    if has_relay {
        let message =
            "The server names no TURN server; where there is no direct path, its own relay takes that place.";
        return Finding::note(Check::Turn, "not_offered", message);
    }
    let message =
        "The server names no TURN server: two networks with strict routers cannot reach each other.";
    Finding::note(Check::Turn, "not_offered", message)
        .advise("its operator adds one (rendezvous --turn-url, --turn-secret-file)")
}

async fn ask(endpoint: &Endpoint) -> Finding {
    let Endpoint { url, addresses, login } = endpoint;
    let (username, credential) = login.as_ref().map(|(name, proof)| (&**name, &**proof)).unwrap_or_default();
    let mut outcome = None;
    for &server in addresses {
        let asked = allocate(server, username, credential).await;
        let is_had = asked.is_ok();
        outcome = Some(asked);
        if is_had {
            break;
        }
    }
    finding(url, outcome).with("url", Fact::Text(url.clone()))
}

async fn allocate(
    server: SocketAddr,
    username: &str,
    credential: &str,
) -> Result<(SocketAddr, Duration), AllocationError> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = Probe::bind(SocketAddr::new(any, 0)).await;
    let probe = probe.map_err(|error| AllocationError::Question(error.into()))?;
    probe.allocate(server, username, credential).await
}

/// In words; `None` for a server whose name is not known.
fn finding(url: &str, outcome: Option<Result<(SocketAddr, Duration), AllocationError>>) -> Finding {
    match outcome {
        None => Finding::warning(Check::Turn, "unknown_name", format!("The name of {url} is not known."))
            .advise("check whether this machine looks up names; if it does, tell the server's operator"),
        Some(Ok((relayed, took))) => {
            let message = format!(
                "{url} passes on where there is no direct path; it answers after {} ms.",
                took.as_millis()
            );
            Finding::good(Check::Turn, "admitted", message)
                .with("relayed", Fact::Text(relayed.to_string()))
                .with("elapsed", Fact::Time(took))
        }
        Some(Err(AllocationError::Refused { code: code @ (401 | 441), .. })) => {
            let message =
                format!("{url} does not take the credential that the server made for it (error {code}).");
            Finding::warning(Check::Turn, "bad_credential", message).advise(
                "tell its operator: both need one secret (--turn-secret-file, static-auth-secret) and clocks that agree",
            )
        }
        Some(Err(AllocationError::Refused { code: code @ (486 | 508), .. })) => {
            let message = format!("{url} has nothing left to give (error {code}).");
            Finding::warning(Check::Turn, "full", message).advise("try again later, or tell its operator")
        }
        Some(Err(AllocationError::Refused { code, reason })) => {
            let message = format!("{url} refuses with error {code} {reason}.");
            Finding::warning(Check::Turn, "refused", message).advise("tell the server's operator")
        }
        Some(Err(AllocationError::Silent)) => {
            let message = format!("{url} does not answer: UDP is blocked on the way, or it does not run.");
            Finding::warning(Check::Turn, "silent", message)
                .advise("allow outgoing UDP in the firewall; if it is, tell the server's operator")
        }
        Some(Err(AllocationError::Question(error))) => {
            Finding::warning(Check::Turn, "not_asked", format!("{url} could not be asked: {error}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_decides_what_there_is_to_do() {
        let refused = |code| Some(Err(AllocationError::Refused { code, reason: "No".to_owned() }));
        let outcome = |answer| finding("turn:a", answer).outcome;
        assert_eq!(outcome(Some(Ok(("192.0.2.1:9".parse().unwrap(), Duration::ZERO)))), "admitted");
        assert_eq!(
            [401, 441, 486, 508, 437].map(|code| outcome(refused(code))),
            ["bad_credential", "bad_credential", "full", "full", "refused",]
        );
        assert_eq!(outcome(Some(Err(AllocationError::Silent))), "silent");
        assert_eq!(outcome(None), "unknown_name");
    }

    #[test]
    fn a_relay_for_pages_alone_is_told_from_none() {
        let server = |url: &str| IceServer { urls: vec![url.to_owned()], username: None, credential: None };
        assert_eq!(absent(&[server("stun:a"), server("turns:a")], true).outcome, "not_usable");
        assert_eq!(absent(&[server("stun:a")], true).advice, None);
        assert!(absent(&[server("stun:a")], false).message.contains("cannot reach each other"));
    }
}
