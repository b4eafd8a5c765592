//! The client of a rendezvous: signaling messages over one WebSocket. The only place that names `tokio_tungstenite`.
//!
//! Everything that waits for the network has a deadline, and a server that has gone silent is noticed: it pings every 30
//! seconds (PROTOCOL.md §4).

use std::io;
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::error::{Error as SocketError, ProtocolError, TlsError};
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config, connect_async_with_config,
};
use url::Url;
use wire::signaling::{ClientMessage, CloseReason, MAX_FRAME_LEN, ServerMessage};

mod proxy;
mod records;

pub use proxy::{ProxyError, proxy_for};
pub(crate) use records::{RecordSink, RecordStream, join as join_relay};

/// How long a rendezvous may take to accept a connection, unless the caller knows better.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long one message may take to leave this machine.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// How long saying goodbye may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// A rendezvous that has said nothing for this long, three pings and a little, is gone.
const SILENCE_DEADLINE: Duration = Duration::from_secs(100);

/// Bytes read and written at a time. Frames are at most 16 KiB and there are a dozen of them.
const BUFFER_LEN: usize = 4 * 1024;

/// Where below its address a rendezvous waits for clients.
const SOCKET_PATH: &str = "v1/socket";

/// A connection to a rendezvous.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    server: Url,
    last_heard: Instant,
    date: Option<SystemTime>,
}

/// Why a rendezvous could not be reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one of a web server.
    #[error("{0} is not an http or https address")]
    BadAddress(Url),
    /// No such host, or nothing there takes connections.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The proxy that the environment names does not let this through.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Its certificate is not one for this address.
    #[error("the server's certificate is not trusted")]
    Tls(#[source] TlsError),
    /// Something answers at that address, but it is no rendezvous.
    #[error("the server answered with status {status}, so it is not a rendezvous")]
    NotARendezvous {
        /// The HTTP status, 200 to 599.
        status: u16,
    },
    /// Something answers that does not speak HTTP or WebSocket.
    #[error("the server does not speak the protocol of a rendezvous")]
    Protocol(#[source] SocketError),
    /// Nothing was heard in time.
    #[error("the server did not answer in time")]
    TimedOut,
}

/// Why a connection to a rendezvous is over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignalingError {
    /// The connection broke, or nothing was heard for a long time.
    #[error("the connection to the server was lost")]
    Lost,
    /// The rendezvous closed the connection.
    #[error("the server closed the connection")]
    Closed(CloseReason),
    /// What came is not a message of a rendezvous, or longer than any.
    #[error("the server sent what is not a message")]
    NotAMessage,
}

impl Connection {
    /// Connects to the rendezvous at `server`, an `http` or `https` address, perhaps with a path, within `deadline`.
    ///
    /// # Errors
    /// One of [`ConnectError`]; nothing is tried twice.
    pub async fn connect(server: &Url, deadline: Duration) -> Result<Self, ConnectError> {
        let address = address(server, SOCKET_PATH).ok_or_else(|| ConnectError::BadAddress(server.clone()))?;
        match timeout(deadline, Box::pin(open(server, &address, limits()))).await {
            Ok(Ok((socket, response))) => {
                tracing::info!(%server, "connected to the rendezvous");
                let date = response.headers().get("date").and_then(|date| date.to_str().ok());
                let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
                Ok(Self { socket, server: server.clone(), last_heard: Instant::now(), date })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::TimedOut),
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`SignalingError::Lost`] when it cannot be sent, or not in time. What the rendezvous said before it closed the
    /// connection is still to be received.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), SignalingError> {
        let frame = Message::text(message.to_frame());
        tracing::trace!(len = frame.len(), "frame to the rendezvous");
        match timeout(SEND_DEADLINE, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(SignalingError::Lost),
        }
    }

    /// The next message of a type this version knows. Cancelling it loses nothing.
    ///
    /// # Errors
    /// How the connection ended, or [`SignalingError::NotAMessage`], after which it is of no use either.
    pub async fn recv(&mut self) -> Result<ServerMessage, SignalingError> {
        loop {
            let heard = timeout_at(self.last_heard + SILENCE_DEADLINE, self.socket.next()).await;
            let frame = match heard {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(SignalingError::from_socket(&error)),
                Ok(None) | Err(_) => return Err(SignalingError::Lost),
            };
            self.last_heard = Instant::now();
            tracing::trace!(len = frame.len(), "frame from the rendezvous");
            match frame {
                Message::Text(text) => match ServerMessage::parse(text.as_str()) {
                    Ok(ServerMessage::Unknown) => {}
                    Ok(message) => return Ok(message),
                    Err(_) => return Err(SignalingError::NotAMessage),
                },
                Message::Binary(_) => return Err(SignalingError::NotAMessage),
                Message::Close(frame) => {
                    return Err(frame.map_or(SignalingError::Lost, |frame| closed(&frame)));
                }
                // Pings are answered below this layer; here they only show that the server lives.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Where the rendezvous is, as it was given.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// What the clock of the server said, to the second, when it accepted this connection, if it told.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }

    /// For how long nothing has been heard.
    pub fn silence(&self) -> Duration {
        self.last_heard.elapsed()
    }

    /// Has the rendezvous show that it is there, which ends the silence.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn probe(&mut self) -> Result<(), SignalingError> {
        match timeout(SEND_DEADLINE, self.socket.send(Message::Ping(Vec::new().into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(SignalingError::Lost),
        }
    }

    /// Says goodbye, if that can be done quickly.
    pub async fn close(mut self) {
        let _ = timeout(CLOSE_DEADLINE, self.socket.close(None)).await;
    }
}

/// Opens a WebSocket, through a proxy where there is one to be used.
async fn open(
    server: &Url,
    address: &Url,
    limits: WebSocketConfig,
) -> Result<(WebSocketStream<MaybeTlsStream<TcpStream>>, Response), ConnectError> {
    // Fails when a provider is installed already, which is then the one to use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let opened = match proxy::dial(server).await? {
        Some(stream) => {
            // Frames are small and somebody waits for each.
            let _ = stream.set_nodelay(true);
            client_async_tls_with_config(address.as_str(), stream, Some(limits), None).await
        }
        None => connect_async_with_config(address.as_str(), Some(limits), true).await,
    };
    opened.map_err(ConnectError::from_socket)
}

impl ConnectError {
    fn from_socket(error: SocketError) -> Self {
        match error {
            // A certificate that is refused arrives as an error of the stream below it.
            SocketError::Io(broken) => match broken.downcast::<rustls::Error>() {
                Ok(refused) => Self::Tls(TlsError::Rustls(Box::new(refused))),
                Err(broken) => Self::Unreachable(broken),
            },
            SocketError::Tls(refused) => Self::Tls(refused),
            SocketError::Http(response) => Self::NotARendezvous { status: response.status().as_u16() },
            SocketError::ConnectionClosed
            | SocketError::AlreadyClosed
            | SocketError::Capacity(_)
            | SocketError::Protocol(_)
            | SocketError::WriteBufferFull(_)
            | SocketError::Utf8(_)
            | SocketError::AttackAttempt
            | SocketError::Url(_)
            | SocketError::HttpFormat(_) => Self::Protocol(error),
        }
    }
}

impl SignalingError {
    fn from_socket(error: &SocketError) -> Self {
        match error {
            SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | SocketError::ConnectionClosed
            | SocketError::AlreadyClosed
            | SocketError::Io(_)
            | SocketError::Tls(_)
            | SocketError::WriteBufferFull(_)
            | SocketError::AttackAttempt
            | SocketError::Url(_)
            | SocketError::Http(_)
            | SocketError::HttpFormat(_) => Self::Lost,
            SocketError::Capacity(_) | SocketError::Utf8(_) | SocketError::Protocol(_) => Self::NotAMessage,
        }
    }
}

/// `https://host/path` → `wss://host/path/v1/socket`, where `below` is what comes last.
fn address(server: &Url, below: &str) -> Option<Url> {
    let scheme = match server.scheme() {
        "http" => "ws",
        "https" => "wss",
        _ => return None,
    };
    let mut address = server.clone();
    address.set_scheme(scheme).ok()?;
    address.set_query(None);
    address.set_fragment(None);
    let path = format!("{}/{below}", server.path().trim_end_matches('/'));
    address.set_path(&path);
    Some(address)
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_LEN)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME_LEN)
        .max_message_size(Some(MAX_FRAME_LEN))
        .max_frame_size(Some(MAX_FRAME_LEN))
}

/// What a close frame says. A code of the WebSocket protocol itself, other than that the server goes away, says nothing.
fn closed(frame: &CloseFrame) -> SignalingError {
    if frame.code == CloseCode::Away {
        return SignalingError::Closed(CloseReason::GoingAway);
    }
    CloseReason::from_code(frame.code.into()).map_or(SignalingError::Lost, SignalingError::Closed)
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response as Accepted};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn listen() -> (TcpListener, Url) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, format!("http://{address}/some/path/").parse().unwrap())
    }

    /// A connection to a server that does `serve` with its end of the socket.
    async fn connected<F>(serve: impl FnOnce(WebSocketStream<TcpStream>) -> F + Send + 'static) -> Connection
    where
        F: Future<Output = ()> + Send,
    {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            #[expect(clippy::result_large_err, reason = "the signature is the library's")]
            let check = |request: &Request, mut response: Accepted| {
                assert_eq!(request.uri().path(), "/some/path/v1/socket");
                let date = "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap();
                response.headers_mut().insert("date", date);
                Ok(response)
            };
            serve(accept_hdr_async(stream, check).await.unwrap()).await;
        });
        Connection::connect(&url, PATIENCE).await.unwrap()
    }

    async fn close_with(code: u16) -> SignalingError {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let mut connection = connected(|mut socket| async move {
            socket.close(Some(frame)).await.unwrap();
            while socket.next().await.is_some() {}
        })
        .await;
        connection.recv().await.unwrap_err()
    }

    #[tokio::test]
    async fn messages_go_both_ways_and_unknown_ones_are_skipped() {
        let created = ServerMessage::Created { nameplate: None, ttl: 300 };
        let expected = created.clone();
        let mut connection = connected(|mut socket| async move {
            let frame = socket.next().await.unwrap().unwrap();
            assert_eq!(ClientMessage::parse(frame.to_text().unwrap()), Ok(ClientMessage::OpenDoor));
            socket.send(Message::text(r#"{"type":"weather"}"#)).await.unwrap();
            socket.send(Message::Ping("still here?".into())).await.unwrap();
            socket.send(Message::text(created.to_frame())).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("still here?".into()));
            socket.send(Message::text(created.to_frame())).await.unwrap();
        })
        .await;
        connection.send(&ClientMessage::OpenDoor).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), expected);
        assert_eq!(
            connection.recv().await.unwrap(),
            expected,
            "the ping was answered while waiting for this"
        );
        assert!(matches!(connection.recv().await, Err(SignalingError::Lost)));
    }

    #[tokio::test]
    async fn the_clock_of_the_server_is_told() {
        let connection = connected(|_| async {}).await;
        let date = connection.date().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(date.as_secs(), 784_111_777, "RFC 9110 §5.6.7");
    }

    #[tokio::test]
    async fn close_codes_become_reasons() {
        for reason in [CloseReason::Gone, CloseReason::RateLimited, CloseReason::GoingAway] {
            let error = close_with(reason.code()).await;
            assert!(matches!(error, SignalingError::Closed(told) if told == reason), "{reason:?}: {error:?}");
        }
        assert!(matches!(close_with(1001).await, SignalingError::Closed(CloseReason::GoingAway)));
        assert!(matches!(close_with(4098).await, SignalingError::Closed(CloseReason::Unknown)));
        assert!(matches!(close_with(1000).await, SignalingError::Lost));
    }

    #[tokio::test]
    async fn what_is_not_a_message_ends_the_connection() {
        let long = Message::text("x".repeat(MAX_FRAME_LEN + 1));
        for frame in [Message::text("{"), Message::binary(vec![1, 2, 3]), long] {
            let mut connection = connected(|mut socket| async move {
                let _ = socket.send(frame).await;
                while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            })
            .await;
            assert!(matches!(connection.recv().await, Err(SignalingError::NotAMessage)));
        }
    }

    #[tokio::test]
    async fn a_server_that_has_gone_silent_is_lost() {
        let mut connection = connected(|socket| async move {
            std::future::pending::<()>().await;
            drop(socket);
        })
        .await;
        tokio::time::pause();
        let started = Instant::now();
        assert!(matches!(connection.recv().await, Err(SignalingError::Lost)));
        assert!(started.elapsed() + Duration::from_secs(1) >= SILENCE_DEADLINE);
    }

    #[tokio::test]
    async fn nothing_listening_is_unreachable() {
        let (listener, url) = listen().await;
        drop(listener);
        assert!(matches!(Connection::connect(&url, PATIENCE).await, Err(ConnectError::Unreachable(_))));
    }

    #[tokio::test]
    async fn a_web_server_without_a_rendezvous_is_told_by_its_status() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        let error = Connection::connect(&url, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotARendezvous { status: 404 }), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_speak_http_is_told_so() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_10.0\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
        });
        let error = Connection::connect(&url, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_that_takes_the_connection_and_says_nothing_times_out() {
        let (listener, url) = listen().await;
        let serve = tokio::spawn(async move { listener.accept().await.unwrap() });
        let error = Connection::connect(&url, Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
        drop(serve);
    }

    #[tokio::test]
    async fn https_to_a_server_without_tls_fails_and_does_not_panic() {
        let (listener, mut url) = listen().await;
        url.set_scheme("https").unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let error = Connection::connect(&url, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    }

    #[test]
    fn the_socket_is_below_the_servers_address() {
        let addresses = [
            ("http://drop.example.org", Some("ws://drop.example.org/v1/socket")),
            ("https://drop.example.org/", Some("wss://drop.example.org/v1/socket")),
            ("https://example.org:8443/drop?x=1#k", Some("wss://example.org:8443/drop/v1/socket")),
            ("http://[::1]:9473/", Some("ws://[::1]:9473/v1/socket")),
            ("ftp://drop.example.org", None),
        ];
        for (server, expected) in addresses {
            let address = address(&server.parse().unwrap(), SOCKET_PATH);
            assert_eq!(address.as_ref().map(Url::as_str), expected, "{server}");
        }
    }
}
