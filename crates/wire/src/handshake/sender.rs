//! The sender's end of the handshake: it answers, and proves itself second.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::pake::Pake;
use super::{Agreement, Confirmation, HandshakeError, Hello, Identities, Opening, Seed, Session, kind};
use crate::code::Password;
use crate::keys::KeySchedule;
use crate::signaling::{Claim, Role};

/// A sender with an open door, waiting for a hello. Good for one attempt.
#[derive(Debug)]
pub struct Sender {
    identities: Identities,
    rng: ChaCha20Rng,
}

impl Sender {
    /// A sender whose door at `at` is guarded by `password`.
    pub fn new(password: &Password, at: &Claim, seed: Seed) -> Self {
        Self { identities: Identities::new(password, at), rng: ChaCha20Rng::from_seed(seed.into_bytes()) }
    }

    /// Takes body 01 and answers with body 02.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::ModeMismatch`] and [`HandshakeError::BadPakeMessage`]; all of
    /// them are soft: nothing keyed has been sent.
    pub fn receive_hello(mut self, body: &[u8]) -> Result<(AwaitingConfirm, Vec<u8>), HandshakeError> {
        let opening = Opening::decode(kind::HELLO_R, body)?;
        let theirs = Hello::decode(opening.hello, false)?;
        if theirs.mode != self.identities.mode {
            return Err(HandshakeError::ModeMismatch);
        }
        let (mut nonce, mut verifier_nonce) = ([0; 16], [0; 32]);
        self.rng.fill_bytes(&mut nonce);
        self.rng.fill_bytes(&mut verifier_nonce);
        let commitment = Sha256::digest(verifier_nonce).into();
        let own = Hello::new(self.identities.mode, nonce, Some(commitment));
        let own_bytes = own.encode();
        let (pake, message) = Pake::start(Role::Sender, &self.identities, &mut self.rng);
        let shared = pake.finish(opening.pake)?;
        let answer = Opening { hello: &own_bytes, pake: &message };
        let transcript = self.identities.transcript(&opening, &answer);
        let schedule = KeySchedule::new(&transcript, &shared);
        let agreement = Agreement { transcript, schedule, own, theirs };
        let own_body = Opening::encode(kind::HELLO_S, &own_bytes, &message);
        Ok((AwaitingConfirm { agreement, verifier_nonce }, own_body))
    }
}

/// A sender that has answered a hello and waits for the receiver's proof.
#[derive(Debug)]
pub struct AwaitingConfirm {
    agreement: Agreement,
    verifier_nonce: [u8; 32],
}

impl AwaitingConfirm {
    /// Takes body 03 and answers with body 04, with which the attempt is spent.
    ///
    /// # Errors
    /// [`HandshakeError::WrongPassword`] when the proof is wrong: the code is burnt. [`HandshakeError::Malformed`] when
    /// the body is no proof at all, which is soft. [`HandshakeError::NoCommonVersion`].
    pub fn receive_confirm(self, body: &[u8]) -> Result<(Session, Vec<u8>), HandshakeError> {
        let theirs = Confirmation::decode(kind::CONFIRM_R, body)?;
        let transcript = &self.agreement.transcript.0;
        let schedule = &self.agreement.schedule;
        if !schedule.confirm(Role::Receiver).verify(&[transcript, &theirs.nonce], &theirs.mac) {
            return Err(HandshakeError::WrongPassword);
        }
        let mut session = self.agreement.session(Role::Sender, &self.verifier_nonce, &theirs.nonce)?;
        let parts: [&[u8]; 3] = [transcript, &theirs.nonce, &self.verifier_nonce];
        let own =
            Confirmation { mac: schedule.confirm(Role::Sender).mac(&parts), nonce: self.verifier_nonce };
        let confirmation = own.encode(kind::CONFIRM_S);
        session.confirmation = Some(confirmation.clone());
        Ok((session, confirmation))
    }
}
