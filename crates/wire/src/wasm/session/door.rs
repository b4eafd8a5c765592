//! The conversation through the rendezvous until both sides have proved themselves.

use super::super::connection::{Connection, Place};
use super::super::output::{self, Output};
use super::super::ticket::Ticket;
use super::Session;
use crate::handshake::{self, Confirmed, Seed};
use crate::signaling::{Body, ClientMessage, Role, ServerMessage};

/// How far the two sides know each other.
#[derive(Debug)]
pub(super) enum Stage {
    Claiming(Box<(Ticket, Seed)>),
    Greeting(Box<handshake::Receiver>),
    Proving(Box<Confirmed>),
    Met(Box<Connection>),
    Over,
}

impl Session {
    /// A message of the rendezvous before the two sides have met.
    pub(super) fn handle_at_door(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Paired { door, attempt, ice_servers } => {
                self.ice_servers = ice_servers;
                self.greet(Place { door, attempt });
            }
            ServerMessage::Relay { door, attempt, body } if self.place == Some(Place { door, attempt }) => {
                match body.to_bytes() {
                    Ok(body) => self.handle_body(&body),
                    Err(_) => self.fail("unverified"),
                }
            }
            ServerMessage::Left { door, attempt, reason } if self.place == Some(Place { door, attempt }) => {
                self.fail(output::closed(reason));
            }
            ServerMessage::Refused { reason, retry_after } => {
                self.stage = Stage::Over;
                self.fail_until(output::closed(reason), retry_after);
            }
            ServerMessage::Created { .. }
            | ServerMessage::Relay { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Unknown => {}
        }
    }

    fn greet(&mut self, place: Place) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Claiming(claiming) => {
                let (ticket, seed) = *claiming;
                self.place = Some(place);
                let (receiver, hello) = handshake::Receiver::new(&ticket.password, &ticket.at, seed);
                self.stage = Stage::Greeting(Box::new(receiver));
                self.relay(&hello);
            }
            stage @ (Stage::Greeting(_) | Stage::Proving(_) | Stage::Met(_) | Stage::Over) => {
                self.stage = stage;
            }
        }
    }

    fn handle_body(&mut self, body: &[u8]) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeting(receiver) => match receiver.receive_hello(body) {
                Ok((confirmed, proof)) => {
                    self.stage = Stage::Proving(Box::new(confirmed));
                    self.outbox.push_back(Output::Prove);
                    self.relay(&proof);
                }
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Proving(confirmed) => match (confirmed.receive_confirm(body), self.place) {
                (Ok(session), Some(place)) => {
                    let ice_servers = std::mem::take(&mut self.ice_servers);
                    let connection = Connection::new(session, Role::Receiver, place, ice_servers);
                    self.stage = Stage::Met(Box::new(connection));
                }
                (Ok(_), None) => {}
                (Err(error), _) => self.fail(output::handshake(error)),
            },
            stage @ (Stage::Claiming(_) | Stage::Met(_) | Stage::Over) => self.stage = stage,
        }
    }

    fn relay(&mut self, body: &[u8]) {
        if let Some(Place { door, attempt }) = self.place {
            self.say(&ClientMessage::Relay { door, attempt, body: Body::from_bytes(body) });
        }
    }
}
