//! The handshake: from a short password to a session, in four messages of which the receiver sends the first and the
//! first proof (PROTOCOL.md §5).
//!
//! Each step consumes the one before, so that a step cannot be taken twice or out of order, and a guess at the password
//! is spent by construction. The machines take bodies and give bodies; the driver carries them.
//!
//! ```text
//! receiver: Receiver::new ─01─► receive_hello ─03─► Confirmed::receive_confirm ─► Session
//! sender:   Sender::new ◄─01─ receive_hello ─02─► AwaitingConfirm::receive_confirm ─04─► Session
//! ```

mod hello;
mod pake;
mod receiver;
mod sender;

use core::fmt;

use thiserror::Error;

use crate::code::{Mode, Password};
use crate::keys::{KeySchedule, SessionSecret, SignalKeys, Verifier};
use crate::signaling::{Claim, Role};
use crate::transcript::{Transcript, TranscriptHash};

pub use receiver::{Confirmed, Receiver};
pub use sender::{AwaitingConfirm, Sender};

use hello::Hello;

/// 32 bytes of entropy, to be used once: not `Clone`, taken by value.
pub struct Seed([u8; 32]);

impl Seed {
    /// Wraps fresh entropy. Handing in the same bytes twice breaks the protocol.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// What a completed handshake leaves: both sides have proved that they know the password.
#[derive(Debug)]
#[non_exhaustive]
pub struct Session {
    /// The secret from which every generation and later meeting derives its keys.
    pub secret: SessionSecret,
    /// The keys of the first meeting, which happens once.
    pub signal_keys: SignalKeys,
    /// What both users may compare to be sure that nobody stands between them.
    pub verifier: Verifier,
    /// Which end this is.
    pub role: Role,
    /// The sender's: body 04, the first that it says at every later meeting until the receiver has shown that it has it.
    pub confirmation: Option<Vec<u8>>,
}

/// Whether a body is the sender's confirmation, which a receiver that has it passes over at a later meeting.
pub fn is_confirmation(body: &[u8]) -> bool {
    body.first() == Some(&kind::CONFIRM_S)
}

/// Why a handshake ended.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A body that is not the message that had to come: wrong kind, length or layout.
    #[error("the other side sent a handshake message that makes no sense here")]
    Malformed,
    /// The other side came through another kind of door than its hello says.
    #[error("the other side uses another kind of code")]
    ModeMismatch,
    /// The PAKE message is this side's own, or not a point of the group.
    #[error("the other side sent an unusable key exchange message")]
    BadPakeMessage,
    /// The other side does not know the password, or somebody changed a message on the way.
    #[error("the code does not match")]
    WrongPassword,
    /// The sender's nonce is not the one it committed to.
    #[error("the other side went back on its commitment")]
    BadCommitment,
    /// No version or cipher suite is known to both sides.
    #[error("the two sides have no protocol version in common")]
    NoCommonVersion,
}

/// The kinds of bodies (PROTOCOL.md §5.1).
pub(crate) mod kind {
    pub(crate) const HELLO_R: u8 = 1;
    pub(crate) const HELLO_S: u8 = 2;
    pub(crate) const CONFIRM_R: u8 = 3;
    pub(crate) const CONFIRM_S: u8 = 4;
    pub(crate) const SIGNAL: u8 = 5;
    pub(crate) const MEET_R: u8 = 6;
    pub(crate) const MEET_S: u8 = 7;
}

/// What both sides know before the first message: the password and where they meet.
#[derive(Clone, Debug)]
struct Identities {
    password: Vec<u8>,
    sender: Vec<u8>,
    receiver: Vec<u8>,
    mode: Mode,
}

impl Identities {
    fn new(password: &Password, at: &Claim) -> Self {
        let mode = password.mode();
        let place = match at {
            Claim::Nameplate(nameplate) => nameplate.to_string().into_bytes(),
            Claim::Slot(slot) => slot.as_bytes().to_vec(),
        };
        let identity =
            |label| Transcript::new(label).push(mode.as_str().as_bytes()).push(&place).into_bytes();
        Self {
            password: Transcript::new("")
                .push(b"send/1 pw")
                .push(mode.as_str().as_bytes())
                .push(password.as_bytes())
                .into_bytes(),
            sender: identity("send/1 S"),
            receiver: identity("send/1 R"),
            mode,
        }
    }

    /// `TH`, from the bytes as they were sent.
    fn transcript(&self, from_receiver: &Opening<'_>, from_sender: &Opening<'_>) -> TranscriptHash {
        Transcript::new("send/1 th")
            .push(&self.sender)
            .push(&self.receiver)
            .push(from_receiver.hello)
            .push(from_receiver.pake)
            .push(from_sender.hello)
            .push(from_sender.pake)
            .hash()
    }
}

impl Drop for Identities {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.password);
    }
}

/// A first message of either side: `kind || hello_len u16 || hello || pake[33]`.
#[derive(Clone, Copy, Debug)]
struct Opening<'a> {
    hello: &'a [u8],
    pake: &'a [u8; pake::MESSAGE_LEN],
}

impl<'a> Opening<'a> {
    fn encode(kind: u8, hello: &[u8], pake: &[u8; pake::MESSAGE_LEN]) -> Vec<u8> {
        let len = u16::try_from(hello.len()).expect("a hello of our own is short");
        [&[kind], len.to_be_bytes().as_slice(), hello, pake].concat()
    }

    fn decode(kind: u8, body: &'a [u8]) -> Result<Self, HandshakeError> {
        let rest = content(kind, body)?;
        let (len, rest) = rest.split_first_chunk().ok_or(HandshakeError::Malformed)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (hello, rest) = rest.split_at_checked(len).ok_or(HandshakeError::Malformed)?;
        let pake = rest.try_into().map_err(|_| HandshakeError::Malformed)?;
        Ok(Self { hello, pake })
    }
}

/// A proof of either side: `kind || mac[32] || nonce[32]`.
#[derive(Debug)]
struct Confirmation {
    mac: [u8; 32],
    nonce: [u8; 32],
}

impl Confirmation {
    fn encode(&self, kind: u8) -> Vec<u8> {
        [&[kind], self.mac.as_slice(), self.nonce.as_slice()].concat()
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Self, HandshakeError> {
        let rest = content(kind, body)?;
        let (mac, rest) = rest.split_first_chunk().ok_or(HandshakeError::Malformed)?;
        let nonce = rest.try_into().map_err(|_| HandshakeError::Malformed)?;
        Ok(Self { mac: *mac, nonce })
    }
}

/// Everything both sides hold between the exchange of PAKE messages and the end.
#[derive(Debug)]
struct Agreement {
    transcript: TranscriptHash,
    schedule: KeySchedule,
    own: Hello,
    theirs: Hello,
}

impl Agreement {
    /// The session, once both proofs were good and the nonces are known.
    fn session(&self, role: Role, nonce_s: &[u8; 32], nonce_r: &[u8; 32]) -> Result<Session, HandshakeError> {
        self.own.require_common(&self.theirs)?;
        Ok(Session {
            secret: self.schedule.session(),
            signal_keys: SignalKeys::new(self.schedule.signal(), role),
            verifier: self.schedule.verifier(nonce_s, nonce_r),
            role,
            confirmation: None,
        })
    }
}

fn content(kind: u8, body: &[u8]) -> Result<&[u8], HandshakeError> {
    match body.split_first() {
        Some((first, rest)) if *first == kind => Ok(rest),
        _ => Err(HandshakeError::Malformed),
    }
}
