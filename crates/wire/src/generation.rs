//! A generation: one transport's worth of records under keys of its own (PROTOCOL.md §6.1).
//!
//! Both sides prove over the new transport that they hold the session secret, and bind the keys to that transport. The
//! receiver speaks first.

use thiserror::Error;

use crate::handshake::Seed;
use crate::keys::{Binding, SessionSecret};
use crate::record::{Opener, Sealer, TYPE_OPENING};
use crate::signaling::Role;

/// Most generations of one session.
pub const MAX_GENERATIONS: u32 = 10_000;

/// Length of a record that opens a generation: type, flags, number, nonce and MAC.
const LEN: usize = 2 + 4 + 32 + 32;

/// Everything a generation is made of before either side has spoken.
#[derive(Clone, Debug)]
pub struct Generation {
    secret: SessionSecret,
    number: u32,
    binding: Binding,
}

impl Generation {
    /// Generation `number` of a session over the transport that `binding` names.
    ///
    /// # Errors
    /// [`OpeningError`] unless the number is in 1..=[`MAX_GENERATIONS`].
    pub fn new(secret: SessionSecret, number: u32, binding: Binding) -> Result<Self, OpeningError> {
        let is_valid = (1..=MAX_GENERATIONS).contains(&number);
        is_valid.then_some(Self { secret, number, binding }).ok_or(OpeningError)
    }

    /// The receiver's end: gives the record to send first.
    pub fn receiver(self, seed: Seed) -> (AwaitingSender, Vec<u8>) {
        let nonce = seed.into_bytes();
        let mac = self.secret.opening(Role::Receiver, self.number).mac(&[
            &self.number.to_be_bytes(),
            &nonce,
            self.binding.as_bytes(),
        ]);
        let record = encode(self.number, &nonce, &mac);
        (AwaitingSender { generation: self, nonce }, record)
    }

    /// The sender's end: takes the receiver's record, gives the record to answer with and what carries on from there.
    ///
    /// # Errors
    /// [`OpeningError`] when the record is not the receiver's opening of this generation over this transport.
    pub fn sender(self, record: &[u8], seed: Seed) -> Result<(Sealer, Opener, Vec<u8>), OpeningError> {
        let (theirs, mac) = decode(self.number, record)?;
        let number = self.number.to_be_bytes();
        let binding = self.binding.as_bytes();
        if !self.secret.opening(Role::Receiver, self.number).verify(&[&number, theirs, binding], mac) {
            return Err(OpeningError);
        }
        let nonce = seed.into_bytes();
        let proof = self.secret.opening(Role::Sender, self.number).mac(&[&number, &nonce, theirs, binding]);
        let (sealer, opener) = self.records(Role::Sender, &nonce, theirs);
        Ok((sealer, opener, encode(self.number, &nonce, &proof)))
    }

    fn records(&self, role: Role, nonce_s: &[u8; 32], nonce_r: &[u8; 32]) -> (Sealer, Opener) {
        let keys = self.secret.records(nonce_s, nonce_r, self.number, &self.binding);
        let (seal, open) = keys.into_seal_and_open(role);
        (Sealer::new(&seal, self.number), Opener::new(&open, self.number))
    }
}

/// A receiver that has opened a generation and waits for the sender's answer.
#[derive(Debug)]
pub struct AwaitingSender {
    generation: Generation,
    nonce: [u8; 32],
}

impl AwaitingSender {
    /// Takes the sender's record.
    ///
    /// # Errors
    /// [`OpeningError`] when it is not the sender's answer to this opening.
    pub fn receive(self, record: &[u8]) -> Result<(Sealer, Opener), OpeningError> {
        let Self { generation, nonce } = self;
        let (theirs, mac) = decode(generation.number, record)?;
        let number = generation.number.to_be_bytes();
        let parts: [&[u8]; 4] = [&number, theirs, &nonce, generation.binding.as_bytes()];
        if !generation.secret.opening(Role::Sender, generation.number).verify(&parts, mac) {
            return Err(OpeningError);
        }
        Ok(generation.records(Role::Receiver, theirs, &nonce))
    }
}

/// The first record over a transport is not the other side's opening, or the generation is none that can be. Deliberately
/// without detail.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the connection does not lead to the other side")]
pub struct OpeningError;

fn encode(number: u32, nonce: &[u8; 32], mac: &[u8; 32]) -> Vec<u8> {
    [&[TYPE_OPENING, 0], number.to_be_bytes().as_slice(), nonce, mac].concat()
}

fn decode(number: u32, record: &[u8]) -> Result<(&[u8; 32], &[u8; 32]), OpeningError> {
    let record: &[u8; LEN] = record.try_into().map_err(|_| OpeningError)?;
    let (header, rest) = record.split_first_chunk::<6>().ok_or(OpeningError)?;
    let [a, b, c, d] = number.to_be_bytes();
    if *header != [TYPE_OPENING, 0, a, b, c, d] {
        return Err(OpeningError);
    }
    let (nonce, mac) = rest.split_first_chunk().ok_or(OpeningError)?;
    Ok((nonce, mac.try_into().map_err(|_| OpeningError)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySchedule;
    use crate::transcript::TranscriptHash;

    #[test]
    fn only_numbers_from_1_to_the_limit_are_generations() {
        let secret = KeySchedule::new(&TranscriptHash([1; 32]), b"shared").session();
        let is_one =
            |number| Generation::new(secret.clone(), number, Binding::webrtc(&[2; 32], &[3; 32])).is_ok();
        assert_eq!(
            [0, 1, MAX_GENERATIONS, MAX_GENERATIONS + 1, u32::MAX].map(is_one),
            [false, true, true, false, false]
        );
    }
}
