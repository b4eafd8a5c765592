//! The end of a link at the instance that has the socket.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::time;
use wire::signaling::{ClientMessage, CloseReason, ServerMessage};

use super::wire_end::WireEnd;
use crate::hub::{Connection, Hub};
use crate::mesh::Mesh;
use crate::mesh::frame::{Body, Frame, InstanceId};
use crate::outbox::Outbox;
use crate::registry::ConnectionId;

/// A socket's way to its place at another instance. Dropping it says that the socket is gone.
#[derive(Debug)]
pub(crate) struct Link {
    /// That instance.
    pub(super) peer: InstanceId,
    up: mpsc::Sender<Up>,
}

/// What the socket's task has for the other instance.
#[derive(Debug)]
enum Up {
    Message(String),
    Depart,
}

impl Link {
    /// Passes on what the socket said.
    ///
    /// # Errors
    /// The reason to close the socket for, when more waits than an honest client says.
    pub(super) fn say(&self, message: &ClientMessage) -> Result<(), CloseReason> {
        match self.up.try_send(Up::Message(message.to_frame())) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(CloseReason::RateLimited),
            // The link was lost, and the socket is being told.
            Err(mpsc::error::TrySendError::Closed(_)) => Err(CloseReason::GoingAway),
        }
    }

    /// The socket goes on to a meeting elsewhere.
    pub(super) async fn depart(self) {
        // A link that is lost has nobody to tell.
        let _ = self.up.send(Up::Depart).await;
    }
}

/// Opens a link to `peer` with a first message, and waits until it is known whether that is there.
pub(super) async fn open(
    connection: &Connection,
    mesh: &Arc<Mesh>,
    peer: InstanceId,
    first: &ClientMessage,
    received: Instant,
) -> Option<Link> {
    let place = mesh.begin_link(peer)?;
    let mut wire = WireEnd::new(Arc::clone(mesh), place);
    wire.say(Body::Open(connection.client())).ok()?;
    wire.say(Body::Message(first.to_frame())).ok()?;
    let (up, down) = mpsc::channel(MOST_UNSENT);
    let (established, is_established) = oneshot::channel();
    let end = NearEnd {
        hub: Arc::clone(connection.hub()),
        id: connection.id(),
        outbox: Arc::clone(connection.outbox()),
        wire,
        established: Some(established),
        refuse_at: received + connection.config().times.refusal_delay,
        is_leaving: false,
    };
    let hub = Arc::clone(connection.hub());
    tokio::spawn(async move { hub.own(end.run(down)).await });
    is_established.await.ok()?;
    Some(Link { peer, up })
}

struct NearEnd {
    hub: Arc<Hub>,
    id: ConnectionId,
    outbox: Arc<Outbox>,
    wire: WireEnd,
    established: Option<oneshot::Sender<()>>,
    /// When a claim that fails is refused, wherever the door would have been.
    refuse_at: Instant,
    is_leaving: bool,
}

impl NearEnd {
    async fn run(mut self, mut down: mpsc::Receiver<Up>) {
        loop {
            self.wire.flush().await;
            if self.wire.is_lost() {
                return self.lose();
            }
            if self.is_leaving && self.wire.is_settled() {
                return;
            }
            let said = tokio::select! {
                frame = self.wire.next() => {
                    if let Some(frame) = frame
                        && self.hear(frame).await
                    {
                        return self.wire.flush().await;
                    }
                    continue;
                }
                up = down.recv(), if !self.is_leaving => up,
            };
            let body = match said {
                Some(Up::Message(text)) => Body::Message(text),
                Some(Up::Depart) => Body::Depart,
                None => Body::Gone,
            };
            self.is_leaving = !matches!(body, Body::Message(_));
            if self.wire.say(body).is_err() {
                return self.lose();
            }
        }
    }

    /// Takes in a frame; whether it was the last.
    async fn hear(&mut self, frame: Frame) -> bool {
        let heard = self.wire.hear(frame);
        if self.wire.is_established()
            && let Some(established) = self.established.take()
        {
            // Whoever waited for it may be gone.
            let _ = established.send(());
        }
        match heard {
            Some(Body::Message(text)) if !self.is_leaving => {
                self.deliver(text).await;
                false
            }
            Some(Body::Close(reason)) => {
                if !self.is_leaving {
                    self.hub.decide(|registry, _| registry.handle_dismissal(self.id, reason));
                }
                true
            }
            _ => false,
        }
    }

    /// Gives the socket what the other instance said, if that is a message.
    async fn deliver(&self, text: String) {
        let Ok(mut message) = ServerMessage::parse(&text) else { return };
        if matches!(message, ServerMessage::Refused { reason: CloseReason::NoSuchCode, .. }) {
            time::sleep_until(self.refuse_at.into()).await;
        }
        let frame = if matches!(message, ServerMessage::Paired { .. }) {
            self.hub.complete(&mut message, self.id, &self.outbox);
            message.to_frame()
        } else {
            text
        };
        if self.outbox.push(frame).is_err() {
            self.hub.decide(|registry, now| registry.handle_break(self.id, now));
        }
    }

    /// The other instance is gone: the client connects again, to one that is there.
    fn lose(self) {
        if self.established.is_none() && !self.is_leaving {
            let (id, reason) = (self.id, CloseReason::GoingAway);
            self.hub.decide(|registry, now| registry.handle_refusal(id, reason, None, now));
        }
    }
}

/// Messages of a socket that may wait for its link: what one read of it can hold.
const MOST_UNSENT: usize = 64;
