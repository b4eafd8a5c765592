//! Two sides of one session without a network: what every test of this crate that needs both starts from.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

pub(crate) mod lanes;
pub(crate) mod pair;

use wire::code::{Code, Nameplate, Password};
use wire::generation::{Generation, OpeningError};
use wire::handshake::{HandshakeError, Receiver, Seed, Sender, Session};
use wire::keys::Binding;
use wire::message::Message;
use wire::record::{HEADER_LEN, Opener, Sealer, TAG_LEN};
use wire::signaling::Claim;

/// A seed that differs from that of every other number.
pub(crate) fn seed(number: u64) -> Seed {
    let mut bytes = [0x5e; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Seed::new(bytes)
}

/// The typed password of these digits or words.
pub(crate) fn typed(password: &str) -> Password {
    format!("48-{password}").parse::<Code>().unwrap().password().clone()
}

/// A typed door.
pub(crate) fn nameplate(number: u32) -> Claim {
    Claim::Nameplate(Nameplate::new(number).unwrap())
}

/// Both ends of a session, the sender's first.
pub(crate) fn sessions(number: u64) -> (Session, Session) {
    let (password, at) = (typed("2093"), nameplate(48));
    shake((&password, &at), (&password, &at), number).unwrap()
}

/// A handshake of a sender and a receiver with what each of them believes to be the password and the place.
pub(crate) fn shake(
    sender: (&Password, &Claim),
    receiver: (&Password, &Claim),
    number: u64,
) -> Result<(Session, Session), HandshakeError> {
    let (receiver, hello_r) = Receiver::new(receiver.0, receiver.1, seed(2 * number));
    let sender = Sender::new(sender.0, sender.1, seed(2 * number + 1));
    let (sender, hello_s) = sender.receive_hello(&hello_r)?;
    let (receiver, confirm_r) = receiver.receive_hello(&hello_s)?;
    let (sender, confirm_s) = sender.receive_confirm(&confirm_r)?;
    Ok((sender, receiver.receive_confirm(&confirm_s)?))
}

/// One side's sealer and opener of a generation.
pub(crate) type Keys = (Sealer, Opener);

/// Opens generation `number` of a session; the sender's keys come first.
pub(crate) fn open_generation(
    sessions: &(Session, Session),
    number: u32,
) -> Result<(Keys, Keys), OpeningError> {
    let binding = Binding::webrtc(&[0x11; 32], &[0x22; 32]);
    let end = |session: &Session| Generation::new(session.secret.clone(), number, binding.clone());
    let entropy = 1_000_000 + 2 * u64::from(number);
    let (receiver, opening_r) = end(&sessions.1)?.receiver(seed(entropy));
    let (sealer, opener, opening_s) = end(&sessions.0)?.sender(&opening_r, seed(entropy + 1))?;
    Ok(((sealer, opener), receiver.receive(&opening_s)?))
}

/// The plaintext that holds these messages.
pub(crate) fn encode(messages: &[Message<'_>]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    for message in messages {
        message.encode_into(&mut plaintext);
    }
    plaintext
}

/// A sealed record.
pub(crate) fn seal(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut record = [&[0; HEADER_LEN], plaintext, &[0; TAG_LEN]].concat();
    sealer.seal(&mut record).unwrap();
    record
}
