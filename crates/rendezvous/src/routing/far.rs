//! The end of a link at the instance that has the place.

use std::sync::Arc;

use wire::signaling::{ClientMessage, CloseReason};

use super::claim_here;
use super::wire_end::WireEnd;
use crate::client_ip::ClientKey;
use crate::hub::{Connection, Hub, now};
use crate::mesh::frame::{Body, Frame};
use crate::mesh::{LinkPlace, Mesh};
use crate::outbox::Outgoing;
use crate::registry::Prepared;

/// Runs a link that another instance began with `first`, a frame that opens it for `client`.
pub(super) async fn run(hub: Arc<Hub>, mesh: Arc<Mesh>, place: LinkPlace, client: ClientKey, first: Frame) {
    let connection = hub.visit(client);
    let mut end =
        FarEnd { wire: WireEnd::new(Arc::clone(&mesh), place), mesh, connection, stage: Stage::Open };
    end.wire.hear(first);
    while !end.is_over() {
        end.step().await;
    }
}

struct FarEnd {
    mesh: Arc<Mesh>,
    connection: Connection,
    wire: WireEnd,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The socket has its place here.
    Open,
    /// It was dismissed, or left; the other end may still have to hear of it.
    Over,
}

impl FarEnd {
    fn is_over(&self) -> bool {
        self.wire.is_lost() || (self.stage == Stage::Over && self.wire.is_settled())
    }

    async fn step(&mut self) {
        self.wire.flush().await;
        if self.is_over() {
            return;
        }
        let outgoing = tokio::select! {
            frame = self.wire.next() => {
                if let Some(body) = frame.and_then(|frame| self.wire.hear(frame)) {
                    self.handle(body).await;
                }
                return;
            }
            outgoing = self.connection.outbox().next(), if self.stage == Stage::Open => outgoing,
        };
        let said = match outgoing {
            Outgoing::Frame(text, _) => self.wire.say(Body::Message(text)),
            Outgoing::Close(reason) => {
                self.stage = Stage::Over;
                self.wire.say(Body::Close(reason))
            }
        };
        if said.is_err() {
            self.connection.refuse(CloseReason::SlowReader, None);
        }
    }

    async fn handle(&mut self, body: Body) {
        if self.stage == Stage::Over {
            return;
        }
        match body {
            Body::Message(text) => match ClientMessage::parse(&text) {
                Ok(message) => self.handle_message(message).await,
                Err(_) => self.connection.refuse(CloseReason::BadMessage, None),
            },
            Body::Depart => {
                let id = self.connection.id();
                self.connection.hub().decide(|registry, now| registry.handle_departure(id, now));
                self.stage = Stage::Over;
            }
            Body::Gone => {
                self.connection.leave();
                self.stage = Stage::Over;
            }
            Body::Open(_)
            | Body::Close(_)
            | Body::Acknowledge
            | Body::Reset
            | Body::Beat
            | Body::Moved(_)
            | Body::Signs(_) => {}
        }
    }

    async fn handle_message(&self, message: ClientMessage) {
        let received = now();
        match message {
            ClientMessage::Claim { at, .. } => {
                if claim_here(&self.connection, &self.mesh, at, received).await.is_err() {
                    self.connection.refuse(CloseReason::Unavailable, None);
                }
            }
            // A session is made where its sender's socket is.
            ClientMessage::Create { .. }
            | ClientMessage::Reopen { .. }
            | ClientMessage::OpenDoor
            // Work is done where the socket is.
            | ClientMessage::Stamp { .. } => {
                self.connection.refuse(CloseReason::BadMessage, None);
            }
            ClientMessage::Meet { .. }
            | ClientMessage::Relay { .. }
            | ClientMessage::Result { .. }
            | ClientMessage::Report { .. } => {
                self.connection.say(message, Prepared::default(), received);
            }
        }
    }
}
