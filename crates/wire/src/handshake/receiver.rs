//! The receiver's end of the handshake: it speaks first, and proves itself first.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::pake::Pake;
use super::{Agreement, Confirmation, HandshakeError, Hello, Identities, Opening, Seed, Session, kind};
use crate::code::Password;
use crate::keys::KeySchedule;
use crate::signaling::{Claim, Role, Slot};

/// A receiver whose hello is on its way.
#[derive(Debug)]
pub struct Receiver {
    identities: Identities,
    pake: Pake,
    body: Vec<u8>,
    verifier_nonce: [u8; 32],
}

impl Receiver {
    /// A receiver for the door at `at`, and the body 01 to send.
    pub fn new(password: &Password, at: &Claim, seed: Seed) -> (Self, Vec<u8>) {
        let identities = Identities::new(password, at);
        let mut rng = ChaCha20Rng::from_seed(seed.into_bytes());
        let (mut nonce, mut verifier_nonce) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut nonce);
        rng.fill_bytes(&mut verifier_nonce);
        let hello = Hello::new(identities.mode, nonce, None).encode();
        let (pake, message) = Pake::start(Role::Receiver, &identities, &mut rng);
        let body = Opening::encode(kind::HELLO_R, &hello, &message);
        (Self { identities, pake, body: body.clone(), verifier_nonce }, body)
    }

    /// Takes body 02 and answers with body 03, after which the code must not be tried again.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::ModeMismatch`], [`HandshakeError::BadPakeMessage`]: nothing was
    /// disclosed.
    pub fn receive_hello(self, body: &[u8]) -> Result<(Confirmed, Vec<u8>), HandshakeError> {
        let answer = Opening::decode(kind::HELLO_S, body)?;
        let theirs = Hello::decode(answer.hello, true)?;
        if theirs.mode != self.identities.mode {
            return Err(HandshakeError::ModeMismatch);
        }
        let own_opening = Opening::decode(kind::HELLO_R, &self.body)?;
        let own = Hello::decode(own_opening.hello, false)?;
        let transcript = self.identities.transcript(&own_opening, &answer);
        let shared = self.pake.finish(answer.pake)?;
        let schedule = KeySchedule::new(&transcript, &shared);
        let proof = Confirmation {
            mac: schedule.confirm(Role::Receiver).mac(&[&transcript.0, &self.verifier_nonce]),
            nonce: self.verifier_nonce,
        };
        let agreement = Agreement { transcript, schedule, own, theirs };
        let confirmed = Confirmed { agreement, verifier_nonce: self.verifier_nonce };
        Ok((confirmed, proof.encode(kind::CONFIRM_R)))
    }
}

/// A receiver that has sent its proof and waits for the sender's.
#[derive(Debug)]
pub struct Confirmed {
    agreement: Agreement,
    verifier_nonce: [u8; 32],
}

impl Confirmed {
    /// Where the sender repeats body 04, should it get lost. The receiver only listens there until it has verified that.
    pub fn resume_slot(&self) -> Slot {
        self.agreement.schedule.session().resume_slot()
    }

    /// Takes body 04.
    ///
    /// # Errors
    /// [`HandshakeError::WrongPassword`] when the sender's proof is wrong, [`HandshakeError::BadCommitment`] when its
    /// nonce is not the committed one, [`HandshakeError::Malformed`], [`HandshakeError::NoCommonVersion`].
    pub fn receive_confirm(self, body: &[u8]) -> Result<Session, HandshakeError> {
        let theirs = Confirmation::decode(kind::CONFIRM_S, body)?;
        let Agreement { transcript, schedule, theirs: hello, .. } = &self.agreement;
        let parts: [&[u8]; 3] = [&transcript.0, &self.verifier_nonce, &theirs.nonce];
        if !schedule.confirm(Role::Sender).verify(&parts, &theirs.mac) {
            return Err(HandshakeError::WrongPassword);
        }
        let commitment: [u8; 32] = Sha256::digest(theirs.nonce).into();
        if hello.commitment != Some(commitment) {
            return Err(HandshakeError::BadCommitment);
        }
        self.agreement.session(Role::Receiver, &theirs.nonce, &self.verifier_nonce)
    }
}
