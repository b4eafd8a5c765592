//! A rendezvous that lies: it brings together whom it likes, at doors of its choice, and lets everything through.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use url::Url;
use wire::signaling::{Body, Claim, ClientMessage, Door, ServerMessage};

use super::peer::PATIENCE;

/// The only attempt there ever is.
const ATTEMPT: u32 = 1;

/// A server on a port of its own; it ends with this value.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) url: Url,
    clients: mpsc::Receiver<Client>,
    serving: JoinHandle<()>,
}

impl Liar {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (arrivals, clients) = mpsc::channel(16);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let client = Client { socket: accept_async(stream).await.unwrap(), door: Door::Typed };
                arrivals.send(client).await.unwrap();
            }
        });
        Self { url, clients, serving }
    }

    /// The next client that connects.
    pub(super) async fn client(&mut self) -> Client {
        timeout(PATIENCE, self.clients.recv()).await.expect("somebody comes").unwrap()
    }

    /// Nobody has connected of whom it was not known.
    pub(super) fn assert_nobody_else(&mut self) {
        assert!(self.clients.try_recv().is_err(), "nobody tries another way");
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One program's connection, from the server's side.
#[derive(Debug)]
pub(super) struct Client {
    socket: WebSocketStream<TcpStream>,
    /// The door at which it is told to be.
    door: Door,
}

impl Client {
    pub(super) async fn say(&mut self, message: &ServerMessage) {
        self.socket.send(Message::text(message.to_frame())).await.unwrap();
    }

    /// The next message; `None` once it has gone.
    pub(super) async fn hear(&mut self) -> Option<ClientMessage> {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await.expect("the program says something")?;
            match frame.ok()? {
                Message::Text(text) => return Some(ClientMessage::parse(text.as_str()).unwrap()),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Answers what a sender asks for first.
    pub(super) async fn open(&mut self, nameplate: Option<u32>) {
        assert!(matches!(self.hear().await, Some(ClientMessage::Create { .. } | ClientMessage::OpenDoor)));
        let nameplate = nameplate.map(|number| wire::code::Nameplate::new(number).unwrap());
        self.say(&ServerMessage::Created { nameplate, ttl: 300 }).await;
    }

    /// What a receiver claims.
    pub(super) async fn claim(&mut self) -> Claim {
        match self.hear().await {
            Some(ClientMessage::Claim { at, .. }) => at,
            other => panic!("a claim: {other:?}"),
        }
    }

    /// Tells it that somebody is at this door.
    pub(super) async fn pair(&mut self, door: Door) {
        self.door = door;
        self.say(&ServerMessage::Paired { door, attempt: ATTEMPT, ice_servers: Vec::new(), relay: None })
            .await;
    }

    /// The next body for the other side.
    pub(super) async fn body(&mut self) -> Vec<u8> {
        match self.hear().await {
            Some(ClientMessage::Relay { body, .. }) => body.to_bytes().unwrap(),
            other => panic!("a body: {other:?}"),
        }
    }

    /// A body from the other side.
    pub(super) async fn relay(&mut self, bytes: &[u8]) {
        let (door, attempt) = (self.door, ATTEMPT);
        self.say(&ServerMessage::Relay { door, attempt, body: Body::from_bytes(bytes) }).await;
    }

    pub(super) async fn leave(&mut self, reason: wire::signaling::CloseReason) {
        let (door, attempt) = (self.door, ATTEMPT);
        self.say(&ServerMessage::Left { door, attempt, reason }).await;
    }

    /// It has taken everything that was said so far and had nothing to say to it: frames are handled in order, so an answer
    /// would come before that to a ping.
    pub(super) async fn assert_silent(&mut self) {
        self.socket.send(Message::Ping("silent?".into())).await.unwrap();
        let frame = timeout(PATIENCE, self.socket.next()).await.expect("it answers a ping").unwrap().unwrap();
        assert_eq!(frame, Message::Pong("silent?".into()));
    }
}
