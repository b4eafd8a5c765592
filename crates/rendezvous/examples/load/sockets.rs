//! Sockets from many addresses of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wire::signaling::{ClientMessage, ServerMessage};

/// One client's socket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects as the `number`th client: 127.1.0.1, 127.1.0.2, …
    pub(crate) async fn connect(server: SocketAddr, number: u32) -> Option<Self> {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number % 100_000);
        let socket = TcpSocket::new_v4().ok()?;
        socket.bind(SocketAddr::from((address, 0))).ok()?;
        let stream = timeout(PATIENCE, socket.connect(server)).await.ok()?.ok()?;
        stream.set_nodelay(true).ok()?;
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let url = format!("ws://{server}/v1/socket");
        let upgraded = timeout(PATIENCE, client_async_with_config(url, stream, Some(config))).await.ok()?;
        Some(Self(upgraded.ok()?.0))
    }

    /// Says something.
    pub(crate) async fn say(&mut self, message: ClientMessage) -> Option<()> {
        self.0.send(Message::text(message.to_frame())).await.ok()
    }

    /// The next message; `None` when the socket is over, or silent for too long.
    pub(crate) async fn hear(&mut self) -> Option<ServerMessage> {
        timeout(PATIENCE, self.next()).await.ok()?
    }

    /// The next message, whenever it comes; `None` when the socket is over.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return ServerMessage::parse(&text).ok(),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

/// Longer than anything takes that is not lost.
const PATIENCE: Duration = Duration::from_secs(20);
