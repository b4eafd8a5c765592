//! The way to the server, or this machine's own.

use std::time::{Duration, Instant, SystemTime};

use rendezvous::BindError;
use url::Url;

use super::super::{Error, failure};
use super::clock;
use super::diagnosis::problem;
use crate::config::{Config, ServerUrl};
use crate::connect::ConnectError;
use crate::embedded::Embedded;
use crate::report::{Check, Direction, Fact, Finding};
use crate::signaling::{self, CONNECT_DEADLINE, Connection};

/// Where both ends of a trial meet.
pub(super) struct Place {
    /// Its address for this process.
    pub(super) url: Url,
    /// Its name in errors.
    pub(super) name: String,
    /// The first connection there.
    pub(super) connection: Connection,
    /// What serves there, if that is this process.
    pub(super) embedded: Option<Embedded>,
}

/// Reaches the configured server, or starts one.
pub(super) async fn reach(config: &Config) -> (Vec<Finding>, Option<Place>) {
    if let Some(server) = &config.server {
        return reach_configured(server).await;
    }
    let (finding, place) = start(config).await;
    (vec![finding], place)
}

async fn reach_configured(server: &ServerUrl) -> (Vec<Finding>, Option<Place>) {
    let (url, name, since) = (server.as_url().clone(), server.to_string(), Instant::now());
    let proxy = signaling::proxy_for(&url);
    let mark = |finding: Finding| {
        let finding = finding.with("server", Fact::Text(name.clone()));
        match &proxy {
            Some(proxy) => finding.with("proxy", Fact::Text(proxy.clone())),
            None => finding,
        }
    };
    let connection = match Connection::connect(&url, CONNECT_DEADLINE).await {
        Ok(connection) => connection,
        Err(error) => return (vec![mark(unreachable(error, &name))], None),
    };
    let took = since.elapsed();
    let way = proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
    let message = format!("{name} answers{way} after {} ms.", took.as_millis());
    let good = Finding::good(Check::Server, "reached", message).with("elapsed", Fact::Time(took));
    let mut findings = vec![mark(good)];
    findings.extend(connection.date().map(|date| clock::compare(date, SystemTime::now())));
    (findings, Some(Place { url, name, connection, embedded: None }))
}

fn unreachable(error: signaling::ConnectError, server: &str) -> Finding {
    let is_no_server = matches!(
        error,
        signaling::ConnectError::NotARendezvous { .. } | signaling::ConnectError::Protocol(_)
    );
    let failed = failure::meeting(ConnectError::Unreachable(error), Direction::Send, server);
    let finding = problem(Check::Server, &failed);
    if is_no_server {
        finding.advise("something else answers there: check the address and its path, and that the proxy before it passes WebSockets on")
    } else {
        finding
    }
}

async fn start(config: &Config) -> (Finding, Option<Place>) {
    let embedded = match Embedded::start(config.port).await {
        Ok(embedded) => embedded,
        Err(error) => return (problem(Check::Server, &not_started(error)), None),
    };
    let (url, name) = (embedded.local_url(), embedded.origin().trim_end_matches('/').to_owned());
    let finding = own(config, &embedded).with("server", Fact::Text(name.clone()));
    let deadline = Duration::from_secs(2);
    match Connection::connect(&url, deadline).await {
        Ok(connection) => (finding, Some(Place { url, name, connection, embedded: Some(embedded) })),
        Err(error) => {
            embedded.stop().await;
            (unreachable(error, &name), None)
        }
    }
}

fn own(config: &Config, embedded: &Embedded) -> Finding {
    let (port, wanted) = (embedded.port(), Config::PREFERRED_PORT);
    let at = embedded.origin();
    let at = at.trim_end_matches('/');
    if config.port.is_none() && port != wanted {
        let message =
            format!("None is set; this machine is its own, but port {wanted} is taken, so at {at}.");
        return Finding::warning(Check::Server, "port_taken", message)
            .advise("choose a port with --port, and allow it in the firewall");
    }
    let message =
        format!("None is set: while it sends, this machine is its own, for others on this network, at {at}.");
    Finding::good(Check::Server, "own", message)
}

fn not_started(error: BindError) -> Error {
    if let BindError::Listen { address, source } = error {
        Error::Listen { address, source }
    } else {
        Error::System { doing: "start a server", source: error.into() }
    }
}
