//! One WebSocket's life: frames in, frames out, heartbeats, and an end with a reason.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use tokio::time::{self, Instant};
use wire::signaling::{ClientMessage, CloseReason, MAX_FRAME_LEN};

use crate::hub::Connection;
use crate::limits::Bucket;
use crate::outbox::Outgoing;
use crate::routing::Router;
use crate::toll::{Debt, Passage};

/// Sets the sizes of a socket before it is upgraded.
pub(crate) fn sized(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_frame_size(MAX_FRAME_LEN)
        .max_message_size(MAX_FRAME_LEN)
        .read_buffer_size(BUFFER_LEN)
        .write_buffer_size(BUFFER_LEN)
        .max_write_buffer_size(4 * MAX_FRAME_LEN)
}

/// Runs a socket until it ends.
pub(crate) async fn run(socket: WebSocket, connection: Connection) {
    let times = &connection.config().times;
    let started = Instant::now();
    let mut task = Task {
        frames: Bucket::new(connection.config().limits.messages),
        first_message_by: Some(started + times.first_message),
        beats_at: started + times.heartbeat.mul_f64(connection.phase()),
        heartbeat: times.heartbeat,
        unanswered: 0,
        debt: Debt::default(),
        socket,
        router: Router::default(),
        connection,
    };
    while task.step().await.is_continue() {}
}

struct Task {
    socket: WebSocket,
    connection: Connection,
    router: Router,
    frames: Bucket,
    first_message_by: Option<Instant>,
    beats_at: Instant,
    heartbeat: Duration,
    unanswered: u32,
    debt: Debt,
}

impl Task {
    async fn step(&mut self) -> ControlFlow<()> {
        let wakes_at = self.first_message_by.map_or(self.beats_at, |by| by.min(self.beats_at));
        tokio::select! {
            biased;
            outgoing = self.connection.outbox().next() => match outgoing {
                Outgoing::Frame(frame, since) => {
                    let sent = self.send(Message::Text(frame.into())).await;
                    self.connection.metrics().observe_delivery(since.elapsed());
                    sent
                }
                Outgoing::Close(reason) => self.close(reason).await,
            },
            incoming = self.socket.recv() => match incoming {
                Some(Ok(message)) => self.receive(message).await,
                // Too long, not masked, not UTF-8, or simply cut off: the next step tries to say so.
                Some(Err(_)) => self.refuse(CloseReason::BadMessage),
                None => ControlFlow::Break(()),
            },
            () = time::sleep_until(wakes_at) => self.wake().await,
        }
    }

    async fn receive(&mut self, frame: Message) -> ControlFlow<()> {
        if !self.frames.take() {
            return self.refuse(CloseReason::RateLimited);
        }
        match frame {
            Message::Text(text) => match ClientMessage::parse(&text) {
                Ok(message) => {
                    self.first_message_by = None;
                    match self.debt.take(message, &self.connection) {
                        Passage::Free(message) => self.router.handle(&self.connection, message).await,
                        Passage::Owed => {
                            let patience = self.connection.config().times.search;
                            self.first_message_by = Some(Instant::now() + patience);
                        }
                        Passage::Refused(reason) => return self.refuse(reason),
                    }
                    // One read can hold more frames than the other side's queue. Its task has its turn after each,
                    // so that only a client that does not read overflows it.
                    tokio::task::yield_now().await;
                    ControlFlow::Continue(())
                }
                Err(_) => self.refuse(CloseReason::BadMessage),
            },
            Message::Binary(_) => self.refuse(CloseReason::BadMessage),
            Message::Ping(_) => ControlFlow::Continue(()),
            Message::Pong(_) => {
                self.unanswered = 0;
                ControlFlow::Continue(())
            }
            Message::Close(_) => {
                self.connection.leave();
                self.close(CloseReason::Gone).await
            }
        }
    }

    async fn wake(&mut self) -> ControlFlow<()> {
        let now = Instant::now();
        if self.first_message_by.is_some_and(|by| by <= now) || self.unanswered >= MOST_UNANSWERED {
            self.first_message_by = None;
            self.beats_at = now + self.heartbeat;
            return self.refuse(CloseReason::IdleTimeout);
        }
        if self.beats_at <= now {
            self.beats_at = now + self.heartbeat;
            self.unanswered += 1;
            return self.send(Message::Ping(axum::body::Bytes::new())).await;
        }
        ControlFlow::Continue(())
    }

    /// Has the registry end this socket; its last words come through the outbox.
    fn refuse(&self, reason: CloseReason) -> ControlFlow<()> {
        self.connection.refuse(reason, None);
        ControlFlow::Continue(())
    }

    /// A client that does not take a frame for as long as it may leave pings unanswered is as good as gone.
    async fn send(&mut self, message: Message) -> ControlFlow<()> {
        let patience = self.heartbeat * MOST_UNANSWERED;
        let sent = tokio::select! {
            sent = self.socket.send(message) => sent.is_ok(),
            () = self.connection.outbox().abandoned() => return ControlFlow::Continue(()),
            () = time::sleep(patience) => false,
        };
        if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Says why and gives the client a moment to hear it: closing at once, with its frames still unread, would reset
    /// the connection and take the last message with it (RFC 9293 §3.10.7.4).
    async fn close(&mut self, reason: CloseReason) -> ControlFlow<()> {
        let frame = CloseFrame { code: reason.code(), reason: "".into() };
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                for _ in 0..MOST_UNREAD {
                    let Some(Ok(_)) = self.socket.recv().await else { break };
                }
            }
        };
        // Whether it was heard or not, this is the end.
        let _ = time::timeout(FAREWELL, farewell).await;
        ControlFlow::Break(())
    }
}

/// Read and write buffer, in bytes: most messages of an idle session are shorter, and it is what such a session costs. The
/// library's are 128 KiB each.
const BUFFER_LEN: usize = 1024;

/// Pings that may go unanswered.
const MOST_UNANSWERED: u32 = 3;

/// Longest wait for the other half of a closing handshake.
const FAREWELL: Duration = Duration::from_secs(2);

/// Frames read and dropped while closing: what may be under way from an honest client.
const MOST_UNREAD: usize = 256;
