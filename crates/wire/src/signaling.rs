//! What a client and the rendezvous say to each other: JSON text frames over one WebSocket (PROTOCOL.md §4).
//!
//! The rendezvous pairs two sockets and passes on [`Body`]s, which it cannot read. A frame is at most
//! [`MAX_FRAME_LEN`] bytes. Clients ignore message types they do not know; the rendezvous refuses them.

use core::fmt;
use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::code::Nameplate;

mod relay;

pub use self::relay::{Join, Ticket, relay_name};
pub use crate::pow::{Challenge, MAX_BITS as MAX_CHALLENGE_BITS};

/// The version of this message set; every opening message carries it.
pub const SIGNALING_VERSION: u16 = 1;

/// Longest text frame either side accepts, in bytes. Session descriptions are 1 to 4 KiB; the rest is room.
pub const MAX_FRAME_LEN: usize = 16 * 1024;

/// Longest body inside a relayed frame, in bytes of base64url text: [`MAX_FRAME_LEN`] less the message around it.
pub const MAX_BODY_LEN: usize = MAX_FRAME_LEN - 256;

/// A 128-bit name that cannot be guessed: of a link's door, of where a confirmed session meets again, or of the doors that
/// a sender comes back to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slot([u8; 16]);

impl Slot {
    /// The slot with these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Slot {
    /// Knowing a slot is what lets one join it, so it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(redacted)")
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        Base64UrlUnpadded::encode_string(&slot.0)
    }
}

impl TryFrom<String> for Slot {
    type Error = ParseFrameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = Base64UrlUnpadded::decode_vec(&text).map_err(|_| ParseFrameError)?;
        bytes.try_into().map(Self).map_err(|_| ParseFrameError)
    }
}

/// What one client sends another through the rendezvous: base64url text without padding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Body(String);

impl Body {
    /// Wraps bytes for the way through the rendezvous.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Base64UrlUnpadded::encode_string(bytes))
    }

    /// Unwraps the bytes.
    ///
    /// # Errors
    /// [`ParseFrameError`] when the text is not base64url without padding.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ParseFrameError> {
        Base64UrlUnpadded::decode_vec(&self.0).map_err(|_| ParseFrameError)
    }

    /// Length of the text, in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// Where a frame belongs: one of a sender's two doors, or the meeting point of a confirmed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Found by its nameplate.
    Typed,
    /// Found by the slot of a link.
    Link,
    /// The slot both sides of a confirmed session derive.
    Meeting,
}

/// What a receiver names when it claims a sender's door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The digits before the dash.
    Nameplate(Nameplate),
    /// The slot of a link.
    Slot(Slot),
}

/// Which end of the transfer a socket speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has the files.
    Sender,
    /// Wants them.
    Receiver,
}

/// How an attempt at a door ended, as the sender saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver proved that it knows the password; the other door closes.
    Confirmed,
    /// The receiver's proof was wrong; this door is spent.
    WrongCode,
}

/// How two sides were connected, as coarsely as an operator needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedPath {
    /// Within one network.
    LocalNetwork,
    /// From one network to another.
    Direct,
    /// Through a TURN server.
    Turn,
    /// Through the rendezvous.
    Relay,
    /// Not at all.
    None,
}

impl ReportedPath {
    /// Every path there is.
    pub const ALL: [Self; 5] = [Self::LocalNetwork, Self::Direct, Self::Turn, Self::Relay, Self::None];
}

/// One server for finding a path between the peers, as in `RTCIceServer` of the WebRTC specification.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` and `turn:` addresses (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// TURN user name, if the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// TURN password, if the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Client to rendezvous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// A sender opens its doors. The first message on its socket.
    Create {
        /// [`SIGNALING_VERSION`].
        v: u16,
        /// Whether to open a typed door, that is to assign a nameplate.
        typed: bool,
        /// The slot of the link door, if there is to be one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link_slot: Option<Slot>,
        /// What a private rendezvous asks for before it lets anyone create a session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// By what this sender will name its doors when it comes back to them on another socket; it makes that up, and
        /// tells nobody else. Without it the doors end with this socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        return_slot: Option<Slot>,
    },
    /// A sender whose socket broke comes back to its doors, which may be at another instance now. The first message on
    /// its socket.
    Reopen {
        /// [`SIGNALING_VERSION`].
        v: u16,
        /// What it was created with.
        return_slot: Slot,
        /// The slot of the link door, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link_slot: Option<Slot>,
    },
    /// A sender whose typed door is gone asks for another nameplate; the link door lives on.
    OpenDoor,
    /// A receiver names a door. The first message on its socket.
    Claim {
        /// [`SIGNALING_VERSION`].
        v: u16,
        /// Which door.
        at: Claim,
    },
    /// Either side of a confirmed session goes to where both meet again.
    Meet {
        /// [`SIGNALING_VERSION`].
        v: u16,
        /// The meeting point.
        slot: Slot,
        /// Which end is speaking.
        role: Role,
    },
    /// Passes a body to the other side.
    Relay {
        /// Where the pairing was made.
        door: Door,
        /// Which pairing at that door; the rendezvous drops frames of a finished one.
        attempt: u32,
        /// What to pass on.
        body: Body,
    },
    /// The sender tells how an attempt ended.
    Result {
        /// At which door.
        door: Door,
        /// Which attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// The answer to [`ServerMessage::Challenge`]: what was said before it is to be done now.
    Stamp {
        /// What the search has found.
        counter: u64,
    },
    /// The sender tells how the session ended, for the operator's statistics. Last on its socket, and never needed.
    Report {
        /// How the two sides were connected.
        path: ReportedPath,
        /// Whether the receiver got everything.
        ok: bool,
    },
}

impl ClientMessage {
    fn read(frame: &str) -> Option<Self> {
        serde_json::from_str(frame).ok()
    }
}

/// Rendezvous to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The answer to [`ClientMessage::Create`], [`ClientMessage::Reopen`] and [`ClientMessage::OpenDoor`].
    Created {
        /// The nameplate of the typed door, if one was asked for, or is still open.
        #[serde(skip_serializing_if = "Option::is_none")]
        nameplate: Option<Nameplate>,
        /// How long an unclaimed door stays open, in seconds.
        ttl: u32,
    },
    /// The other side is here.
    Paired {
        /// Where.
        door: Door,
        /// Number of this pairing at that door, from 1.
        attempt: u32,
        /// Servers for finding a path; credentials in them are short-lived.
        ice_servers: Vec<IceServer>,
        /// What this side shows to use the rendezvous' relay, if that is offered.
        #[serde(skip_serializing_if = "Option::is_none")]
        relay: Option<Ticket>,
    },
    /// What the other side sent.
    Relay {
        /// Where the pairing was made.
        door: Door,
        /// Which pairing.
        attempt: u32,
        /// What it sent.
        body: Body,
    },
    /// The other side of a pairing is gone.
    Left {
        /// Where the pairing was made.
        door: Door,
        /// Which pairing.
        attempt: u32,
        /// Why, as far as the rendezvous knows.
        reason: CloseReason,
    },
    /// A door of this sender closed. The socket stays open.
    DoorClosed {
        /// Which door.
        door: Door,
        /// Why.
        reason: CloseReason,
    },
    /// The rendezvous will not go on with this socket and closes it.
    Refused {
        /// Why.
        reason: CloseReason,
        /// When it is worth trying again, in seconds from now.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The rendezvous is under attack: it does what was asked once the client has worked for it.
    Challenge(Challenge),
    /// A type this version does not know; clients ignore it.
    Unknown,
}

/// The fields of every [`ServerMessage`]. What reads tagged messages field by field is a fifth of the size of what
/// `serde` makes of a tagged enum, and a phone waits for it.
#[derive(Deserialize)]
struct ServerFields {
    nameplate: Option<Nameplate>,
    ttl: Option<u32>,
    door: Option<Door>,
    attempt: Option<u32>,
    ice_servers: Option<Vec<IceServer>>,
    relay: Option<Ticket>,
    body: Option<Body>,
    reason: Option<CloseReason>,
    retry_after: Option<u32>,
    bits: Option<u8>,
    seed: Option<String>,
}

impl ServerMessage {
    fn read(frame: &str) -> Option<Self> {
        let name = message_type(frame.as_bytes())?;
        let known = ["created", "paired", "relay", "left", "door_closed", "refused", "challenge"];
        if !known.contains(&&*name) {
            return Some(Self::Unknown);
        }
        let fields: ServerFields = serde_json::from_slice(frame.as_bytes()).ok()?;
        let ServerFields {
            nameplate,
            ttl,
            door,
            attempt,
            ice_servers,
            relay,
            body,
            reason,
            retry_after,
            bits,
            seed,
        } = fields;
        Some(match &*name {
            "created" => Self::Created { nameplate, ttl: ttl? },
            "paired" => Self::Paired { door: door?, attempt: attempt?, ice_servers: ice_servers?, relay },
            "relay" => Self::Relay { door: door?, attempt: attempt?, body: body? },
            "left" => Self::Left { door: door?, attempt: attempt?, reason: reason? },
            "door_closed" => Self::DoorClosed { door: door?, reason: reason? },
            "challenge" => Self::Challenge(Challenge { bits: bits?, seed: seed? }),
            _ => Self::Refused { reason: reason?, retry_after },
        })
    }
}

/// The field `type` of a message that is a JSON object.
pub(crate) fn message_type(json: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        name: Cow<'a, str>,
    }
    serde_json::from_slice(json).ok().map(|Typed { name }| name)
}

/// Why a socket, a pairing or a door ended. The WebSocket close code is [`CloseReason::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseReason {
    /// It went away without saying why.
    Gone,
    /// No such code: unknown, used and expired ones are not told apart.
    NoSuchCode,
    /// The receiver's proof of the password was wrong.
    WrongCode,
    /// Nobody came before the door's time was up.
    Expired,
    /// Too many came and left without proving anything.
    Exhausted,
    /// The other door of this session was confirmed.
    OtherDoor,
    /// The receiver did not prove that it knows the password in time.
    ConfirmTimeout,
    /// Too many requests from this address.
    RateLimited,
    /// The rendezvous is full.
    Busy,
    /// This rendezvous asks for a token to create sessions.
    TokenRequired,
    /// The client speaks another version of the message set.
    UnsupportedVersion,
    /// A frame that is not a message, is too long, or makes no sense in this state.
    BadMessage,
    /// Nothing was said in time.
    IdleTimeout,
    /// The client does not read what is sent to it.
    SlowReader,
    /// A newer socket took this one's place at a meeting.
    Replaced,
    /// The rendezvous is shutting down.
    GoingAway,
    /// The rendezvous cannot reach what it shares with its other instances: it takes no new sessions for now.
    Unavailable,
    /// The session has used up what this rendezvous relays for one.
    Quota,
    /// A reason this version does not know.
    #[serde(other)]
    Unknown,
}

impl CloseReason {
    /// Every reason that a close frame can give.
    const ALL: [Self; 19] = [
        Self::Gone,
        Self::NoSuchCode,
        Self::WrongCode,
        Self::Expired,
        Self::Exhausted,
        Self::OtherDoor,
        Self::ConfirmTimeout,
        Self::RateLimited,
        Self::Busy,
        Self::TokenRequired,
        Self::UnsupportedVersion,
        Self::BadMessage,
        Self::IdleTimeout,
        Self::SlowReader,
        Self::Replaced,
        Self::GoingAway,
        Self::Unavailable,
        Self::Quota,
        Self::Unknown,
    ];

    /// The reason with this close code; [`CloseReason::Unknown`] for those of 4000 to 4999 that no version has named yet,
    /// nothing for those of the WebSocket protocol itself.
    pub fn from_code(code: u16) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|reason| reason.code() == code);
        named.or_else(|| (4000..5000).contains(&code).then_some(Self::Unknown))
    }

    /// Whether the rendezvous that says so, or another instance of it, may soon serve a side that comes back.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::GoingAway | Self::Unavailable | Self::Busy | Self::RateLimited)
    }

    /// The WebSocket close code, 4000 to 4099 (the private range of RFC 6455 §7.4.2).
    pub fn code(self) -> u16 {
        match self {
            Self::Gone => 4000,
            Self::NoSuchCode => 4001,
            Self::WrongCode => 4002,
            Self::Expired => 4003,
            Self::Exhausted => 4004,
            Self::OtherDoor => 4005,
            Self::ConfirmTimeout => 4006,
            Self::RateLimited => 4007,
            Self::Busy => 4008,
            Self::TokenRequired => 4009,
            Self::UnsupportedVersion => 4010,
            Self::BadMessage => 4011,
            Self::IdleTimeout => 4012,
            Self::SlowReader => 4013,
            Self::Replaced => 4014,
            Self::GoingAway => 4015,
            Self::Unavailable => 4016,
            Self::Quota => 4017,
            Self::Unknown => 4099,
        }
    }
}

/// A frame that is not a message of this version. Deliberately without detail: it is the peer's text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a signaling message")]
pub struct ParseFrameError;

/// Deepest nesting of arrays and objects in a frame. The messages need four.
const MAX_DEPTH: usize = 8;

/// How deep arrays and objects are nested in JSON. Of text that is not JSON it says nothing.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

macro_rules! frame {
    ($message:ty) => {
        impl $message {
            /// Parses one text frame.
            ///
            /// # Errors
            /// [`ParseFrameError`] when it is longer than [`MAX_FRAME_LEN`] or not a message of this direction.
            pub fn parse(frame: &str) -> Result<Self, ParseFrameError> {
                if frame.len() > MAX_FRAME_LEN {
                    return Err(ParseFrameError);
                }
                // Parsers of nested values call themselves.
                if depth(frame) > MAX_DEPTH {
                    return Err(ParseFrameError);
                }
                Self::read(frame).ok_or(ParseFrameError)
            }

            /// The message as one text frame.
            pub fn to_frame(&self) -> String {
                // Not `expect`: what shows an error of serde_json is large, and none can arise.
                serde_json::to_string(self).unwrap_or_else(|_| unreachable!("strings and integers serialise"))
            }
        }
    };
}

frame!(ClientMessage);
frame!(ServerMessage);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_close_code_of_its_own() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_code(reason.code()), Some(reason));
            assert!((4000..4100).contains(&reason.code()), "{reason:?}");
        }
        let codes = [1000, 1001, 3999, 4018, 4999, 5000];
        let unknown = Some(CloseReason::Unknown);
        assert_eq!(codes.map(CloseReason::from_code), [None, None, None, unknown, unknown, None]);
    }

    fn nameplate() -> Nameplate {
        Nameplate::new(48).unwrap()
    }

    #[test]
    fn client_frames_are_these_bytes() {
        let slot = Slot::new([0xab; 16]);
        let body = Body::from_bytes(b"\x01opaque");
        let golden = [
            (
                ClientMessage::Create {
                    v: 1,
                    typed: true,
                    link_slot: Some(slot),
                    token: None,
                    return_slot: None,
                },
                r#"{"type":"create","v":1,"typed":true,"link_slot":"q6urq6urq6urq6urq6urqw"}"#,
            ),
            (
                ClientMessage::Create {
                    v: 1,
                    typed: true,
                    link_slot: None,
                    token: None,
                    return_slot: Some(slot),
                },
                r#"{"type":"create","v":1,"typed":true,"return_slot":"q6urq6urq6urq6urq6urqw"}"#,
            ),
            (
                ClientMessage::Reopen { v: 1, return_slot: slot, link_slot: Some(slot) },
                r#"{"type":"reopen","v":1,"return_slot":"q6urq6urq6urq6urq6urqw","link_slot":"q6urq6urq6urq6urq6urqw"}"#,
            ),
            (ClientMessage::OpenDoor, r#"{"type":"open_door"}"#),
            (
                ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate()) },
                r#"{"type":"claim","v":1,"at":{"nameplate":48}}"#,
            ),
            (
                ClientMessage::Claim { v: 1, at: Claim::Slot(slot) },
                r#"{"type":"claim","v":1,"at":{"slot":"q6urq6urq6urq6urq6urqw"}}"#,
            ),
            (
                ClientMessage::Meet { v: 1, slot, role: Role::Sender },
                r#"{"type":"meet","v":1,"slot":"q6urq6urq6urq6urq6urqw","role":"sender"}"#,
            ),
            (
                ClientMessage::Relay { door: Door::Typed, attempt: 1, body },
                r#"{"type":"relay","door":"typed","attempt":1,"body":"AW9wYXF1ZQ"}"#,
            ),
            (
                ClientMessage::Result { door: Door::Link, attempt: 2, outcome: Outcome::WrongCode },
                r#"{"type":"result","door":"link","attempt":2,"outcome":"wrong_code"}"#,
            ),
            (ClientMessage::Stamp { counter: 134_217 }, r#"{"type":"stamp","counter":134217}"#),
            (
                ClientMessage::Report { path: ReportedPath::LocalNetwork, ok: true },
                r#"{"type":"report","path":"local_network","ok":true}"#,
            ),
        ];
        for (message, frame) in golden {
            assert_eq!(message.to_frame(), frame);
            assert_eq!(ClientMessage::parse(frame), Ok(message));
        }
    }

    #[test]
    fn server_frames_are_these_bytes() {
        let ice_servers = vec![IceServer {
            urls: vec!["stun:drop.example.org:3478".to_owned()],
            username: None,
            credential: None,
        }];
        let golden = [
            (
                ServerMessage::Created { nameplate: Some(nameplate()), ttl: 300 },
                r#"{"type":"created","nameplate":48,"ttl":300}"#,
            ),
            (
                ServerMessage::Paired { door: Door::Meeting, attempt: 3, ice_servers, relay: None },
                r#"{"type":"paired","door":"meeting","attempt":3,"ice_servers":[{"urls":["stun:drop.example.org:3478"]}]}"#,
            ),
            (
                ServerMessage::Paired {
                    door: Door::Typed,
                    attempt: 1,
                    ice_servers: Vec::new(),
                    relay: Some(Ticket::try_from("q6urq6urq6urq6urq6urqw".to_owned()).unwrap()),
                },
                r#"{"type":"paired","door":"typed","attempt":1,"ice_servers":[],"relay":"q6urq6urq6urq6urq6urqw"}"#,
            ),
            (
                ServerMessage::Left { door: Door::Typed, attempt: 1, reason: CloseReason::WrongCode },
                r#"{"type":"left","door":"typed","attempt":1,"reason":"wrong_code"}"#,
            ),
            (
                ServerMessage::DoorClosed { door: Door::Typed, reason: CloseReason::Expired },
                r#"{"type":"door_closed","door":"typed","reason":"expired"}"#,
            ),
            (
                ServerMessage::Refused { reason: CloseReason::RateLimited, retry_after: Some(7) },
                r#"{"type":"refused","reason":"rate_limited","retry_after":7}"#,
            ),
            (
                ServerMessage::Challenge(Challenge { bits: 18, seed: "q6urq6urq6urq6urq6urqw".to_owned() }),
                r#"{"type":"challenge","bits":18,"seed":"q6urq6urq6urq6urq6urqw"}"#,
            ),
        ];
        for (message, frame) in golden {
            assert_eq!(message.to_frame(), frame);
            assert_eq!(ServerMessage::parse(frame), Ok(message));
        }
    }

    #[test]
    fn a_client_ignores_what_a_newer_server_says() {
        let frame = r#"{"type":"weather","sunny":true}"#;
        assert_eq!(ServerMessage::parse(frame), Ok(ServerMessage::Unknown));
        let refusal = r#"{"type":"refused","reason":"wednesday"}"#;
        let refused = ServerMessage::Refused { reason: CloseReason::Unknown, retry_after: None };
        assert_eq!(ServerMessage::parse(refusal), Ok(refused));
    }

    #[test]
    fn a_frame_nests_eight_deep_at_most() {
        let nested = |depth: usize| {
            format!(r#"{{"type":"open_door","x":{}"]["{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert_eq!(ClientMessage::parse(&nested(8)), Ok(ClientMessage::OpenDoor));
        assert_eq!(ClientMessage::parse(&nested(9)), Err(ParseFrameError));
        let brackets = r#"{"type":"open_door","x":"[[[[[[[[[[\"[[[[[[[["}"#;
        assert_eq!(
            ClientMessage::parse(brackets),
            Ok(ClientMessage::OpenDoor),
            "in a string they mean nothing"
        );
    }

    #[test]
    fn a_server_refuses_what_it_does_not_know() {
        let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
        let long = format!(r#"{{"type":"open_door","x":"{}"}}"#, "x".repeat(MAX_FRAME_LEN));
        for frame in [r#"{"type":"weather"}"#, "", "null", "{", &deep, &long] {
            assert_eq!(ClientMessage::parse(frame), Err(ParseFrameError));
        }
        let frame = r#"{"type":"claim","v":1,"at":{"nameplate":7}}"#;
        assert_eq!(ClientMessage::parse(frame), Err(ParseFrameError), "nameplates have two digits or more");
    }
}
