//! What a client says to the record relay of a rendezvous, once, before the records (PROTOCOL.md §4.6).

use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{MAX_FRAME_LEN, ParseFrameError, Role, Slot};

/// What a rendezvous gave one side of a pairing, for it to use the relay. Opaque to the client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticket(String);

/// Longest ticket, in bytes of text.
const MAX_TICKET_LEN: usize = 128;

impl Ticket {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(redacted)")
    }
}

impl From<Ticket> for String {
    fn from(ticket: Ticket) -> Self {
        ticket.0
    }
}

impl TryFrom<String> for Ticket {
    type Error = ParseFrameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_one = (1..=MAX_TICKET_LEN).contains(&text.len());
        is_one.then_some(Self(text)).ok_or(ParseFrameError)
    }
}

/// The only text frame on a socket of the relay, and the first: whom this side wants to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "join")]
pub struct Join {
    /// [`SIGNALING_VERSION`](super::SIGNALING_VERSION).
    pub v: u16,
    /// The session's resume slot.
    pub slot: Slot,
    /// Which end is speaking.
    pub role: Role,
    /// The generation that is to be opened: only two that name the same are brought together.
    pub generation: u32,
    /// What came with the pairing.
    pub ticket: Ticket,
}

/// What may come first: serde writes the tag of a struct and does not ask for it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum First {
    Join(Join),
}

impl Join {
    /// Parses the first text frame.
    ///
    /// # Errors
    /// [`ParseFrameError`] when it is longer than any frame or something else.
    pub fn parse(frame: &str) -> Result<Self, ParseFrameError> {
        if frame.len() > MAX_FRAME_LEN {
            return Err(ParseFrameError);
        }
        let First::Join(join) = serde_json::from_str(frame).map_err(|_| ParseFrameError)?;
        Ok(join)
    }

    /// The message as one text frame.
    pub fn to_frame(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("strings and integers serialise"))
    }
}

/// `base64url(SHA256("send/1 relay" || slot)[..16])`: the last part of the address at which both sides of a session find the
/// relay. It lets whatever stands before several instances lead both to one of them, and tells nobody the slot.
pub fn relay_name(slot: &Slot) -> String {
    let digest = Sha256::new().chain_update(b"send/1 relay").chain_update(slot.as_bytes()).finalize();
    Base64UrlUnpadded::encode_string(digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_is_these_bytes() {
        let join = Join {
            v: 1,
            slot: Slot::new([0xab; 16]),
            role: Role::Receiver,
            generation: 2,
            ticket: Ticket("dGlja2V0".to_owned()),
        };
        let frame = r#"{"type":"join","v":1,"slot":"q6urq6urq6urq6urq6urqw","role":"receiver","generation":2,"ticket":"dGlja2V0"}"#;
        assert_eq!(join.to_frame(), frame);
        assert_eq!(Join::parse(frame), Ok(join));
        for other in ["", "{", "null", &frame.replace("join", "meet"), &frame.replace("dGlja2V0", "")] {
            assert_eq!(Join::parse(other), Err(ParseFrameError), "{other}");
        }
        let long = frame.replace("dGlja2V0", &"x".repeat(MAX_TICKET_LEN + 1));
        assert_eq!(Join::parse(&long), Err(ParseFrameError));
    }

    #[test]
    fn the_name_of_a_session_at_the_relay_does_not_tell_its_slot() {
        // (printf 'send/1 relay'; printf '\253%.0s' {1..16}) | openssl dgst -sha256 -binary | head -c 16 | basenc --base64url
        let name = relay_name(&Slot::new([0xab; 16]));
        assert_eq!(name, "X9n0wlBvHv5gbcjQRFY0tA");
        assert_ne!(name, relay_name(&Slot::new([0xac; 16])));
        assert_ne!(name, String::from(Slot::new([0xab; 16])));
    }
}
