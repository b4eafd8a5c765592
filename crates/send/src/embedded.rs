//! The rendezvous in this process, for when no server is configured: it serves the page and the meeting point on the
//! local network, and is announced there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rendezvous::{BindError, Server, ServerHandle};
use tokio::task::JoinHandle;
use url::Url;
use wire::code::Nameplate;

use crate::config::Config;
use crate::discovery::{self, Announcement, DiscoveryError};
use crate::interfaces;

/// How long to listen for other senders near by, whose nameplates are then avoided. Short, because the user waits: a
/// clash that is missed is noticed by the receiver, who is then asked.
const LISTEN_WINDOW: Duration = Duration::from_millis(40);

/// How long the end of the server may take.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(1);

/// A rendezvous that runs for as long as this lives.
#[derive(Debug)]
pub struct Embedded {
    handle: ServerHandle,
    serving: JoinHandle<()>,
    port: u16,
    addresses: Vec<IpAddr>,
    announcement: Option<Announcement>,
}

impl Embedded {
    /// Starts on `port`, or on [`Config::PREFERRED_PORT`], or on any port when that is taken.
    ///
    /// # Errors
    /// [`BindError`] when `port` was asked for and cannot be had, or when no port can.
    pub async fn start(port: Option<u16>) -> Result<Self, BindError> {
        let avoid = discovery::heard(LISTEN_WINDOW).await.unwrap_or_default();
        let mut config = rendezvous::Config::default();
        config.avoid_nameplates = avoid;
        let server = match port {
            Some(port) => bind(config, port).await?,
            None => match bind(config.clone(), Config::PREFERRED_PORT).await {
                Ok(server) => server,
                Err(_) => bind(config, 0).await?,
            },
        };
        let bound_port = server.local_addr().port();
        let handle = server.handle();
        let serving = tokio::spawn(server.serve());
        let addresses = interfaces::lan_addresses();
        Ok(Self { handle, serving, port: bound_port, addresses, announcement: None })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether any other machine can reach it, as far as this one's addresses tell.
    pub fn is_reachable(&self) -> bool {
        self.addresses.iter().any(|address| !address.is_loopback())
    }

    /// Its address for this process.
    ///
    /// # Panics
    /// Never: an address and a port are a URL.
    pub fn local_url(&self) -> Url {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        format!("http://{address}/").parse().expect("an address and a port are a URL")
    }

    /// Its address for other machines, as a link begins.
    pub fn origin(&self) -> String {
        let address = self.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        format!("http://{}/", SocketAddr::new(address, self.port))
    }

    /// Announces that the sender of `nameplate` is here; the announcement before is taken back.
    ///
    /// # Errors
    /// [`DiscoveryError`] when this machine has no multicast.
    pub fn announce(&mut self, nameplate: Nameplate) -> Result<(), DiscoveryError> {
        self.announcement = None;
        self.announcement = Some(Announcement::new(nameplate, self.port, &self.addresses)?);
        Ok(())
    }

    /// Ends it: takes the announcement back and lets the sockets go.
    pub async fn stop(self) {
        if let Some(announcement) = self.announcement {
            announcement.withdraw().await;
        }
        self.handle.shutdown(SHUTDOWN_DEADLINE).await;
        // It ends with its last connection, or was told to.
        let _ = self.serving.await;
    }
}

/// Listens on both families where the system has both.
async fn bind(mut config: rendezvous::Config, port: u16) -> Result<Server, BindError> {
    config.listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    Server::bind(config).await
}
