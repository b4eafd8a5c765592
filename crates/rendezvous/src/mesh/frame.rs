//! What instances say to each other on their channels, byte by byte.
//!
//! ```text
//! "s1" ‖ kind (1) ‖ link (16) ‖ instance that says it (8) ‖ number (4) ‖ acknowledged (4) ‖ payload
//! ```
//!
//! Integers are big-endian. It comes through Redis, so nothing in it is believed: what is not a frame is dropped.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use wire::signaling::{CloseReason, MAX_FRAME_LEN, Slot};

use crate::client_ip::ClientKey;
use crate::guard::Signs;

/// Names an instance for as long as its process lives; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(pub(crate) [u8; 8]);

/// Names one socket's way to another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LinkId(pub(crate) [u8; 16]);

/// One message from instance to instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// On which link; all zero for what concerns none.
    pub(crate) link: LinkId,
    /// Who says it.
    pub(crate) from: InstanceId,
    /// Its number on the link, from 1; 0 for what is not repeated.
    pub(crate) number: u32,
    /// The number of the last frame that came the other way.
    pub(crate) acknowledged: u32,
    /// What it says.
    pub(crate) body: Body,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A socket of this client comes; the first on every link.
    Open(ClientKey),
    /// A signaling message, as the text that it is on a socket.
    Message(String),
    /// The socket is dismissed, for this reason. The last of the far end.
    Close(CloseReason),
    /// The socket goes on to a meeting elsewhere. The last of the near end.
    Depart,
    /// The socket is gone. The last of the near end.
    Gone,
    /// Nothing: it carries an acknowledgement.
    Acknowledge,
    /// There is no such link.
    Reset,
    /// Its instance lives.
    Beat,
    /// Its instance has taken over the session of this return slot.
    Moved(Slot),
    /// What speaks for an attack, and against it, of the last second of its instance.
    Signs(Signs),
}

impl InstanceId {
    /// The id that this text is.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 16)?;
        u64::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({self})")
    }
}

impl LinkId {
    /// What concerns no link.
    pub(crate) const NONE: Self = Self([0; 16]);
}

impl Frame {
    /// A frame that is said once and concerns no link.
    pub(crate) fn aside(from: InstanceId, body: Body) -> Self {
        Self { link: LinkId::NONE, from, number: 0, acknowledged: 0, body }
    }

    /// The frame as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (kind, payload): (u8, Vec<u8>) = match &self.body {
            Body::Open(client) => (1, address(*client).octets().to_vec()),
            Body::Message(text) => (2, text.as_bytes().to_vec()),
            Body::Close(reason) => (3, reason.code().to_be_bytes().to_vec()),
            Body::Depart => (4, Vec::new()),
            Body::Gone => (5, Vec::new()),
            Body::Acknowledge => (6, Vec::new()),
            Body::Reset => (7, Vec::new()),
            Body::Beat => (8, Vec::new()),
            Body::Moved(slot) => (9, slot.as_bytes().to_vec()),
            Body::Signs(Signs { failed, burnt, confirmed }) => {
                (10, [failed, burnt, confirmed].map(|count| count.to_be_bytes()).concat())
            }
        };
        let mut bytes = Vec::with_capacity(HEAD_LEN + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(kind);
        bytes.extend_from_slice(&self.link.0);
        bytes.extend_from_slice(&self.from.0);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.acknowledged.to_be_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// The frame that these bytes are; `None` when they are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > HEAD_LEN + MAX_FRAME_LEN {
            return None;
        }
        let rest = bytes.strip_prefix(MAGIC.as_slice())?;
        let (kind, rest) = rest.split_first()?;
        let (link, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (acknowledged, payload) = rest.split_first_chunk()?;
        let body = match kind {
            1 => Body::Open(ClientKey::new(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(payload).ok()?)))),
            2 => Body::Message(std::str::from_utf8(payload).ok()?.to_owned()),
            3 => Body::Close(CloseReason::from_code(u16::from_be_bytes(payload.try_into().ok()?))?),
            4 => Body::Depart,
            5 => Body::Gone,
            6 => Body::Acknowledge,
            7 => Body::Reset,
            8 => Body::Beat,
            9 => Body::Moved(Slot::new(payload.try_into().ok()?)),
            10 => Body::Signs(signs(payload)?),
            _ => return None,
        };
        Some(Self {
            link: LinkId(*link),
            from: InstanceId(*from),
            number: u32::from_be_bytes(*number),
            acknowledged: u32::from_be_bytes(*acknowledged),
            body,
        })
    }
}

/// Three counts.
fn signs(payload: &[u8]) -> Option<Signs> {
    let (failed, rest) = payload.split_first_chunk()?;
    let (burnt, rest) = rest.split_first_chunk()?;
    let confirmed = rest.try_into().ok()?;
    let [failed, burnt, confirmed] = [*failed, *burnt, confirmed].map(u32::from_be_bytes);
    Some(Signs { failed, burnt, confirmed })
}

/// IPv4 addresses go in their mapped form.
fn address(client: ClientKey) -> Ipv6Addr {
    match client.address() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// What every frame of this version begins with.
const MAGIC: &[u8; 2] = b"s1";

/// Bytes before the payload.
const HEAD_LEN: usize = 2 + 1 + 16 + 8 + 4 + 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: Body) -> Frame {
        Frame { link: LinkId([7; 16]), from: InstanceId([1; 8]), number: 3, acknowledged: 2, body }
    }

    #[test]
    fn a_frame_is_these_bytes() {
        let bytes = frame(Body::Close(CloseReason::Gone)).to_bytes();
        let expected =
            "s1\u{3}".to_owned() + &"\u{7}".repeat(16) + &"\u{1}".repeat(8) + "\0\0\0\u{3}\0\0\0\u{2}\u{f}";
        assert_eq!(bytes.split_last(), Some((&0xa0, expected.as_bytes())), "4000 is 0x0fa0");
    }

    #[test]
    fn every_frame_comes_back_as_it_was() {
        for body in [
            Body::Open(ClientKey::new("192.0.2.1".parse().unwrap())),
            Body::Open(ClientKey::new("2001:db8:1:2::1".parse().unwrap())),
            Body::Message(r#"{"type":"open_door"}"#.to_owned()),
            Body::Close(CloseReason::GoingAway),
            Body::Depart,
            Body::Gone,
            Body::Acknowledge,
            Body::Reset,
            Body::Beat,
            Body::Moved(Slot::new([9; 16])),
            Body::Signs(Signs { failed: 1, burnt: 0x0203_0405, confirmed: u32::MAX }),
        ] {
            let frame = frame(body);
            assert_eq!(Frame::parse(&frame.to_bytes()), Some(frame));
        }
    }

    #[test]
    fn what_is_too_long_is_no_frame() {
        let longest = frame(Body::Message("x".repeat(MAX_FRAME_LEN)));
        assert!(Frame::parse(&longest.to_bytes()).is_some());
        let longer = frame(Body::Message("x".repeat(MAX_FRAME_LEN + 1)));
        assert_eq!(Frame::parse(&longer.to_bytes()), None);
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_are_a_frame_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Frame::parse(&bytes);
            let _ = Frame::parse(&[MAGIC.as_slice(), &bytes].concat());
        }
    }
}
