//! Somebody in a door: how far it has come in the handshake, and what it said last.

use core::time::Duration;

use super::{PROOF_LIMIT, Place};
use crate::code::Password;
use crate::handshake::{AwaitingConfirm, HandshakeError, Seed, Sender, Session};
use crate::signaling::{Body, Claim};

/// Somebody in a door.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) place: Place,
    /// When it must have proved itself.
    pub(super) deadline: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Hello(Box<Sender>),
    Proof(Box<AwaitingConfirm>),
    /// It said hello in a way that makes no sense, and will not be answered. It counts when it has left: until then the
    /// rendezvous opens no other door.
    Spoilt,
}

/// What a message of a visitor leads to.
#[derive(Debug)]
pub(super) enum Heard {
    /// It stays, and may be told something.
    Stays(Visitor, Option<Vec<u8>>),
    /// It knows the password; this is the answer to its proof.
    Proved(Session, Vec<u8>, Place),
    /// It does not.
    Wrong(Place),
    /// It knows the password, and no version of the protocol that this side knows.
    Incompatible(HandshakeError),
}

impl Visitor {
    pub(super) fn new(place: Place, password: &Password, at: &Claim, seed: Seed, now: Duration) -> Self {
        let stage = Stage::Hello(Box::new(Sender::new(password, at, seed)));
        Self { place, deadline: now + PROOF_LIMIT, stage }
    }

    /// Takes its next handshake message.
    pub(super) fn hear(self, body: &Body) -> Heard {
        let Self { place, deadline, stage } = self;
        let bytes = body.to_bytes().unwrap_or_default();
        let (next, answer) = match stage {
            Stage::Hello(sender) => match sender.receive_hello(&bytes) {
                Ok((waiting, answer)) => (Stage::Proof(Box::new(waiting)), Some(answer)),
                Err(_) => (Stage::Spoilt, None),
            },
            Stage::Spoilt => (Stage::Spoilt, None),
            Stage::Proof(waiting) => return judge(*waiting, &bytes, place),
        };
        Heard::Stays(Self { place, deadline, stage: next }, answer)
    }
}

fn judge(waiting: AwaitingConfirm, proof: &[u8], place: Place) -> Heard {
    match waiting.receive_confirm(proof) {
        Ok((session, answer)) => Heard::Proved(session, answer, place),
        Err(error @ HandshakeError::NoCommonVersion) => Heard::Incompatible(error),
        Err(_) => Heard::Wrong(place),
    }
}
