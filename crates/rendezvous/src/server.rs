//! A rendezvous with a listener of its own.
//!
//! The accept loop is ours because `axum::serve` arms no timer: a client that sends the head of its request one byte
//! at a time would keep its connection for ever.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::client_ip::{self, ClientKey};
use crate::config::Config;
use crate::http::{Encrypted, Rendezvous};
use crate::hub::Hub;
use crate::ice::IceError;
use crate::limits::Bucket;
use crate::limits::gate::{Gate, Pass};
use crate::metrics::TurnedAway;
use crate::responder::Responder;
use crate::routing;
use crate::tls::{Tls, TlsError};

/// A bound server. Nothing is accepted until [`Server::serve`] runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Tls>,
    /// For the operator.
    metrics: Option<(TcpListener, SocketAddr)>,
    /// For whoever asks how its address looks.
    stun: Vec<Responder>,
    handle: ServerHandle,
    _end: End,
}

/// Stops a [`Server`] from elsewhere. Clones stop the same one.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    rendezvous: Rendezvous,
    stopping: CancellationToken,
    stopped: CancellationToken,
}

impl Server {
    /// Binds to `config.listen`. Where the machine has no IPv6, `[::]` means `0.0.0.0`.
    ///
    /// # Errors
    /// [`BindError::Listen`] when an address cannot be had; [`BindError::Ice`] for bad STUN and TURN servers;
    /// [`BindError::Tls`] for files that hold no certificate.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        config.check_servers()?;
        let now = time::Instant::now().into_std();
        let tls = config.tls.clone().map(|files| Tls::open(files, now)).transpose()?;
        let (listener, local_addr) = listen(config.listen).await?;
        let metrics = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let stun = answer_stun(&config.stun_listen).await?;
        let handle = ServerHandle {
            rendezvous: Rendezvous::new(config),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        };
        let ports = stun.iter().map(|responder| responder.local_addr().port()).collect();
        handle.rendezvous.hub.handout.set_stun_ports(ports);
        let end = End(handle.clone());
        Ok(Self { listener, local_addr, tls, metrics, stun, handle, _end: end })
    }

    /// Where it listens; with the port that was given for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it answers its operator, if it does.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Where it answers STUN, with the ports that were given for port 0.
    pub fn stun_addrs(&self) -> Vec<SocketAddr> {
        self.stun.iter().map(Responder::local_addr).collect()
    }

    /// A handle to stop it with, to be taken before [`Server::serve`].
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until [`ServerHandle::shutdown`] is done. Dropping the future closes everything at once.
    pub async fn serve(self) {
        let rendezvous = &self.handle.rendezvous;
        let hub = Arc::clone(&rendezvous.hub);
        routing::start(&hub);
        let limits = &hub.config.limits;
        let gate = Gate::new(limits.sockets, limits.connections_per_client);
        let accepts = Bucket::new(limits.accepts);
        let router = rendezvous.router();
        let mut connections = JoinSet::new();
        // Aborted when this future ends or is dropped.
        let mut operator = JoinSet::new();
        for responder in self.stun {
            operator.spawn(responder.run(Arc::clone(&hub)));
        }
        if let Some((metrics, _)) = self.metrics {
            operator.spawn(serve_operator(
                metrics,
                rendezvous.operator_router(),
                hub.config.times.request_head,
            ));
        }
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = self.handle.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(pass) = admit(&hub, (&gate, &accepts), peer) {
                        let service = router.clone();
                        let stopping = self.handle.stopping.clone();
                        let guest = Guest { peer, pass, stopping, head: hub.config.times.request_head };
                        match &self.tls {
                            None => drop(connections.spawn(guest.talk(stream, service))),
                            Some(tls) => {
                                let acceptor = tls.acceptor(time::Instant::now().into_std());
                                let hub = Arc::clone(&hub);
                                connections.spawn(guest.unwrap_and_talk(stream, (acceptor, hub), service));
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let done = async {
            while connections.join_next().await.is_some() {}
            hub.drained().await;
        };
        tokio::select! {
            () = done => {}
            () = hub.killed() => {}
        }
    }
}

impl ServerHandle {
    /// The rendezvous it serves.
    pub fn rendezvous(&self) -> &Rendezvous {
        &self.rendezvous
    }

    /// Stops accepting, tells every client, and waits until they left, at most until `deadline`; then the rest is
    /// closed. Returns when [`Server::serve`] has, or when the server was dropped.
    pub async fn shutdown(&self, deadline: Duration) {
        self.stopping.cancel();
        let leaving = async {
            self.rendezvous.drain(deadline).await;
            self.stopped.cancelled().await;
        };
        if time::timeout(deadline, leaving).await.is_err() {
            self.rendezvous.hub.kill();
            self.stopped.cancelled().await;
        }
    }
}

/// Why a server does not listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The system says no.
    #[error("{address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The list of STUN and TURN servers.
    #[error("the STUN and TURN servers are not valid")]
    Ice(#[from] IceError),
    /// The certificate.
    #[error("there is no certificate to serve with")]
    Tls(#[from] TlsError),
}

/// Ends the sockets with the server that accepted them.
#[derive(Debug)]
struct End(ServerHandle);

impl Drop for End {
    fn drop(&mut self) {
        self.0.rendezvous.hub.kill();
        self.0.stopped.cancel();
    }
}

/// Counts a TCP connection; one too many is closed without a word.
fn admit(hub: &Hub, (gate, accepts): (&Arc<Gate>, &Bucket), peer: SocketAddr) -> Option<Pass> {
    let is_proxy = client_ip::is_trusted(peer.ip(), &hub.config.trusted_proxies);
    let client = (!is_proxy).then(|| ClientKey::new(peer.ip()));
    let pass = if accepts.take() { gate.enter(client).ok() } else { None };
    if pass.is_none() {
        hub.metrics.count_turned_away(TurnedAway::Connection);
    }
    pass
}

/// One connection, and how long it may take.
struct Guest {
    peer: SocketAddr,
    pass: Pass,
    stopping: CancellationToken,
    head: Duration,
}

impl Guest {
    async fn talk(self, stream: TcpStream, router: Router) {
        // A signaling message is small and somebody waits for it.
        let _ = stream.set_nodelay(true);
        let peer = self.peer;
        let service = router.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        talk(stream, service, self.head, self.stopping).await;
        drop(self.pass);
    }

    /// Takes the TLS off first, for which there is a deadline too.
    async fn unwrap_and_talk(
        self,
        stream: TcpStream,
        (acceptor, hub): (TlsAcceptor, Arc<Hub>),
        router: Router,
    ) {
        let _ = stream.set_nodelay(true);
        let accepted = time::timeout(hub.config.times.tls_handshake, acceptor.accept(stream)).await;
        let Ok(Ok(unwrapped)) = accepted else {
            hub.metrics.count_turned_away(TurnedAway::Tls);
            return;
        };
        drop(hub);
        let peer = self.peer;
        let service = router.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(Encrypted);
            request
        });
        talk(unwrapped, service, self.head, self.stopping).await;
        drop(self.pass);
    }
}

/// Answers the operator, who is few and asks little: a handful of connections at a time.
async fn serve_operator(listener: TcpListener, router: Router, head: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < OPERATOR_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(stream, router.clone(), head, CancellationToken::new()));
                }
                Err(_) => time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Listens on an address. Where the machine has no IPv6, `[::]` means `0.0.0.0`.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let mut listener = TcpListener::bind(address).await;
    if listener.is_err() && address.ip() == std::net::Ipv6Addr::UNSPECIFIED {
        listener = TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, address.port())).await;
    }
    let failed = |source| BindError::Listen { address, source };
    let listener = listener.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, local_addr))
}

/// Binds to as many addresses as clients are told of.
async fn answer_stun(addresses: &[SocketAddr]) -> Result<Vec<Responder>, BindError> {
    let mut bound = Vec::new();
    for &address in addresses.iter().take(MAX_STUN_SOCKETS) {
        let responder = Responder::bind(address).await;
        bound.push(responder.map_err(|source| BindError::Listen { address, source })?);
    }
    Responder::introduce(&mut bound);
    Ok(bound)
}

/// Speaks HTTP on one connection, until it becomes a WebSocket or has had its time.
async fn talk<S, H>(stream: S, service: H, head: Duration, stopping: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: tower::Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    H::Future: Send,
{
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(HEAD_LEN)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades()
    );
    let lived = time::timeout(CONNECTION_LIFE, async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stopping.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    match lived.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::trace!(%error, "connection ended"),
        Err(_) => tracing::trace!("connection had its time"),
    }
}

/// Longest head of a request, in bytes: ours are below 1 KiB, a proxy adds some.
const HEAD_LEN: usize = 16 * 1024;

/// How long a connection may speak plain HTTP. The page loads in a second; a client that does not read what it asked
/// for, which no other timer sees, ends here.
const CONNECTION_LIFE: Duration = Duration::from_mins(2);

/// Connections of the operator at a time: Prometheus keeps one.
const OPERATOR_CONNECTIONS: usize = 16;

/// Addresses on which STUN is answered: two ports are of use, each on one address per family.
const MAX_STUN_SOCKETS: usize = 4;

/// Pause after the system refuses to accept, which it does when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
