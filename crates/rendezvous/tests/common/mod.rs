//! Servers to test against, and clients that speak for themselves.

#![allow(dead_code, reason = "every test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rendezvous::{Config, Rendezvous, Server, ServerHandle, TlsFiles};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt;
use wire::code::Nameplate;
use wire::signaling::{Body, Claim, ClientMessage, CloseReason, Door, Role, ServerMessage, Slot};

/// Ten times what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a port of its own; it ends with this value.
pub(crate) struct TestServer {
    pub(crate) addr: SocketAddr,
    pub(crate) metrics_addr: Option<SocketAddr>,
    pub(crate) stun_addrs: Vec<SocketAddr>,
    pub(crate) handle: ServerHandle,
    pub(crate) serving: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(mut config: Config) -> Self {
        config.listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(config).await.unwrap();
        let (addr, metrics_addr, handle) = (server.local_addr(), server.metrics_addr(), server.handle());
        let stun_addrs = server.stun_addrs();
        Self { addr, metrics_addr, stun_addrs, handle, serving: tokio::spawn(server.serve()) }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        self.connect_with(&[]).await.unwrap()
    }

    /// Connects with more headers, or tells the status of the refusal.
    pub(crate) async fn connect_with(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<Client<TcpStream>, u16> {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        Client::upgrade(stream, &format!("ws://{}/v1/socket", self.addr), headers).await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A rendezvous whose sockets are pipes in memory: nothing is ever under way outside the runtime, so a stopped clock
/// moves exactly when all have done what they can.
pub(crate) struct MemoryServer {
    pub(crate) rendezvous: Rendezvous,
}

impl MemoryServer {
    pub(crate) fn new(config: Config) -> Self {
        Self { rendezvous: Rendezvous::new(config) }
    }

    pub(crate) async fn connect(&self) -> Client<DuplexStream> {
        self.connect_from("192.0.2.1").await
    }

    pub(crate) async fn connect_from(&self, address: &str) -> Client<DuplexStream> {
        self.connect_with(address, &[]).await.unwrap()
    }

    pub(crate) async fn connect_with(
        &self,
        address: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Client<DuplexStream>, u16> {
        let (ours, theirs) = tokio::io::duplex(4096);
        let peer = SocketAddr::new(address.parse().unwrap(), 4711);
        tokio::spawn(serve_http(theirs, peer, self.rendezvous.router()));
        Client::upgrade(ours, "ws://drop.example/v1/socket", headers).await
    }
}

async fn serve_http(stream: DuplexStream, peer: SocketAddr, router: Router) {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let service = TowerToHyperService::new(service);
    // A client that goes away in the middle is part of what is tested.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

/// One client on its socket.
pub(crate) struct Client<S> {
    pub(crate) socket: WebSocketStream<S>,
    pub(crate) response: Response,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn upgrade(stream: S, url: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match client_async(request, stream).await {
            Ok((socket, response)) => Ok(Self { socket, response }),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn say(&mut self, message: ClientMessage) {
        self.socket.send(Message::text(message.to_frame())).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> ServerMessage {
        ServerMessage::parse(&self.hear_text().await).unwrap()
    }

    /// The next message as it came.
    pub(crate) async fn hear_text(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("nothing was said") {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The close code the socket ends with, after whatever else is said.
    pub(crate) async fn ended(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the socket stays open") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Asserts that this socket is refused and closed for this reason; tells when to come back.
    pub(crate) async fn refused(&mut self, expected: CloseReason) -> Option<u32> {
        let ServerMessage::Refused { reason, retry_after } = self.hear().await else { panic!("not refused") };
        assert_eq!(reason, expected);
        assert_eq!(self.ended().await, Some(expected.code()));
        retry_after
    }

    /// Creates a session with a typed door.
    pub(crate) async fn create(&mut self) -> Nameplate {
        self.say(ClientMessage::Create {
            v: 1,
            typed: true,
            link_slot: None,
            token: None,
            return_slot: None,
        })
        .await;
        let heard = self.hear().await;
        let ServerMessage::Created { nameplate: Some(nameplate), .. } = heard else { panic!("{heard:?}") };
        nameplate
    }

    pub(crate) async fn claim(&mut self, nameplate: Nameplate) {
        self.say(ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) }).await;
    }

    pub(crate) async fn meet(&mut self, role: Role) {
        self.say(ClientMessage::Meet { v: 1, slot: Slot::new([7; 16]), role }).await;
    }

    pub(crate) async fn paired(&mut self, expected: Door) {
        let heard = self.hear().await;
        assert!(matches!(heard, ServerMessage::Paired { door, .. } if door == expected), "{heard:?}");
    }
}

/// Status and body of the answer to a request of its own connection.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    get_over(stream, path).await
}

/// The same over a connection that there is.
pub(crate) async fn get_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: drop.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no answer").unwrap();
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// A directory with a certificate for `localhost` and its key.
pub(crate) fn certificate() -> (TempDir, TlsFiles) {
    let directory = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files =
        TlsFiles { certificate: directory.path().join("cert.pem"), key: directory.path().join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (directory, files)
}

/// TLS with `localhost`, which has to have this certificate.
pub(crate) async fn encrypted(stream: TcpStream, files: &TlsFiles) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A relayed body of so many bytes.
pub(crate) fn relay(door: Door, len: usize) -> ClientMessage {
    ClientMessage::Relay { door, attempt: 1, body: Body::from_bytes(&vec![b'x'; len]) }
}

/// A nameplate that no server has given away yet: longer ones come later.
pub(crate) fn unknown_nameplate() -> Nameplate {
    Nameplate::new(999_999).unwrap()
}
