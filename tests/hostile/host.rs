//! A real rendezvous inside the test, on a port of its own, that trusts this machine with everything.

use rendezvous::{Config, Server};
use tokio::task::JoinHandle;
use url::Url;

/// A running rendezvous; it ends with this value.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) url: Url,
    serving: JoinHandle<()>,
}

impl Host {
    pub(super) async fn start() -> Self {
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".parse().unwrap();
        let limits = &mut config.limits;
        (limits.connects, limits.creates, limits.creates_hourly) = (None, None, None);
        (limits.claims, limits.messages, limits.accepts) = (None, None, None);
        (limits.sockets_per_client, limits.sessions_per_client) = (1_000, 1_000);
        (limits.connections_per_client, limits.failed_claims) = (1_000, 1_000);
        limits.failed_claims_hourly = 1_000;
        let server = Server::bind(config).await.unwrap();
        let url = format!("http://{}/", server.local_addr()).parse().unwrap();
        Self { url, serving: tokio::spawn(server.serve()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
