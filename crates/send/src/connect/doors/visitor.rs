//! Somebody in a door: how far it has come in the handshake, and what it said last.

use tokio::time::Instant;
use wire::code::Password;
use wire::handshake::{AwaitingConfirm, HandshakeError, Sender, Session};
use wire::signaling::{Body, Claim, Door, IceServer};

use super::PROOF_DEADLINE;
use crate::connect::ConnectError;
use crate::entropy;

/// Which visitor, and what the rendezvous gave for it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) door: Door,
    pub(super) attempt: u32,
    pub(super) ice_servers: Vec<IceServer>,
}

/// Somebody in a door.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) place: Place,
    /// When it must have proved itself.
    pub(super) deadline: Instant,
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
}

impl Visitor {
    /// A visitor at a door with this password gets fresh entropy and its time.
    pub(super) fn admit(
        place: Place,
        password: &Password,
        at: &Claim,
        now: Instant,
    ) -> Result<Self, ConnectError> {
        let stage = Stage::Hello(Box::new(Sender::new(password, at, entropy::seed()?)));
        Ok(Self { place, deadline: now + PROOF_DEADLINE, stage })
    }

    /// Takes its next handshake message.
    ///
    /// # Errors
    /// When it knows the password and no protocol version that this side knows.
    pub(super) fn hear(self, body: &Body) -> Result<Heard, ConnectError> {
        let Self { place, deadline, stage } = self;
        let bytes = body.to_bytes().unwrap_or_default();
        let (stage, answer) = match stage {
            Stage::Hello(sender) => match sender.receive_hello(&bytes) {
                Ok((waiting, answer)) => (Stage::Proof(Box::new(waiting)), Some(answer)),
                Err(_) => (Stage::Spoilt, None),
            },
            Stage::Spoilt => (Stage::Spoilt, None),
            Stage::Proof(waiting) => return judge(*waiting, &bytes, place),
        };
        Ok(Heard::Stays(Self { place, deadline, stage }, answer))
    }
}

fn judge(waiting: AwaitingConfirm, proof: &[u8], place: Place) -> Result<Heard, ConnectError> {
    match waiting.receive_confirm(proof) {
        Ok((session, answer)) => Ok(Heard::Proved(session, answer, place)),
        Err(error @ HandshakeError::NoCommonVersion) => Err(error.into()),
        Err(_) => Ok(Heard::Wrong(place)),
    }
}
