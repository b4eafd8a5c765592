//! `send serve`: the rendezvous from the same binary.

use std::time::Duration;

use rendezvous::{BindError, Server};
use tokio_util::sync::CancellationToken;
use wire::signaling::IceServer;

use super::Error;
use crate::config::Config;
use crate::connect::Reach;
use crate::report::{Event, Reporter};

/// How long clients have to leave when the server stops.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// Serves until `cancel` is cancelled.
///
/// # Errors
/// [`Error::Listen`].
pub async fn run(config: &Config, reporter: &dyn Reporter, cancel: &CancellationToken) -> Result<(), Error> {
    let mut serving = rendezvous::Config::default();
    serving.listen = config.listen;
    serving.ice_servers = stun_servers(config);
    let server = Server::bind(serving).await.map_err(|error| bind_error(config, error))?;
    reporter.report(Event::Listening { address: server.local_addr() });
    let handle = server.handle();
    let task = tokio::spawn(server.serve());
    cancel.cancelled().await;
    handle.shutdown(SHUTDOWN_DEADLINE).await;
    // It ends once it has been told to.
    let _ = task.await;
    Ok(())
}

/// How the user wants the other side to be looked for.
pub(super) fn reach(config: &Config) -> Reach {
    Reach { stun: stun_servers(config), policy: config.policy.clone() }
}

/// The STUN servers of the user's choice.
fn stun_servers(config: &Config) -> Vec<IceServer> {
    let server = |url: &crate::config::StunUrl| IceServer {
        urls: vec![url.as_str().to_owned()],
        username: None,
        credential: None,
    };
    config.stun.iter().map(server).collect()
}

fn bind_error(config: &Config, error: BindError) -> Error {
    if let BindError::Listen { address, source } = error {
        Error::Listen { address, source }
    } else {
        Error::Listen { address: config.listen, source: std::io::Error::other(error) }
    }
}
