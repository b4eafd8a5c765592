//! The conversation through the rendezvous until both sides have proved themselves.

use crate::handshake::{self, Confirmed, Seed};
use crate::signaling::{Body, ClientMessage, Door, IceServer};

use super::super::output::{self, Output};
use super::Session;
use super::signals::Signals;

/// How far the two sides know each other.
#[derive(Debug)]
pub(super) enum Stage {
    Claiming(Seed),
    Greeting(Box<handshake::Receiver>),
    Proving(Box<Confirmed>),
    Met(Box<Signals>),
    Over,
}

impl Session {
    pub(super) fn handle_paired(&mut self, door: Door, attempt: u32, ice_servers: Vec<IceServer>) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Claiming(seed) => {
                (self.place, self.ice_servers) = (Some((door, attempt)), ice_servers);
                let (receiver, hello) =
                    handshake::Receiver::new(&self.ticket.password, &self.ticket.at, seed);
                self.stage = Stage::Greeting(Box::new(receiver));
                self.relay(&hello);
            }
            stage @ (Stage::Greeting(_) | Stage::Proving(_) | Stage::Met(_) | Stage::Over) => {
                self.stage = stage;
            }
        }
    }

    pub(super) fn handle_body(&mut self, body: &[u8]) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeting(receiver) => match receiver.receive_hello(body) {
                Ok((confirmed, proof)) => {
                    self.stage = Stage::Proving(Box::new(confirmed));
                    self.outbox.push_back(Output::Prove);
                    self.relay(&proof);
                }
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Proving(confirmed) => match confirmed.receive_confirm(body) {
                Ok(session) => self.stage = Stage::Met(Box::new(Signals::new(session))),
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Met(mut signals) => {
                let opened = signals.opener.open(body);
                self.stage = Stage::Met(signals);
                match opened {
                    Ok(signal) => self.handle_signal(signal),
                    Err(_) => self.fail("unverified"),
                }
            }
            stage @ (Stage::Claiming(_) | Stage::Over) => self.stage = stage,
        }
    }

    pub(super) fn relay(&mut self, body: &[u8]) {
        if let Some((door, attempt)) = self.place {
            let frame = ClientMessage::Relay { door, attempt, body: Body::from_bytes(body) }.to_frame();
            self.outbox.push_back(Output::Say { frame });
        }
    }
}
