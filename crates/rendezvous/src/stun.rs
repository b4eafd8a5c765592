//! Tells whoever asks which address it asks from: the Binding method of STUN (RFC 8489), and of RFC 5780 what shows a client
//! whom its router lets in: an answer from elsewhere. Nothing else of either.
//!
//! Sans-IO: a datagram in, a datagram out. No state, no authentication, no fingerprint; what is not a Binding request is
//! not answered at all. An answer is at most [`MAX_ANSWER_LEN`] bytes, so that this server is of no use to somebody who
//! writes another's address as the sender's.

use std::net::{IpAddr, SocketAddr};

/// Answers `request`, which came from `from`; `None` for everything that is not to be answered. `has` says whether there is a
/// socket to answer from that differs in this way from the one that was asked.
///
/// A request with attributes that it demands to be understood and that RFC 8489 does not know gets the error 420, which names
/// the first four of them; so does one for an answer from a socket that there is not.
///
/// Source: RFC 8489 §5 (header), §6.3.1 (requests), §14.2, §14.8, §14.13; RFC 5780 §6.1, §7.2.
pub(crate) fn answer(
    request: &[u8],
    from: SocketAddr,
    has: impl FnOnce(Elsewhere) -> bool,
) -> Option<(Vec<u8>, Elsewhere)> {
    let header = Header::parse(request)?;
    let Attributes { mut unknown, elsewhere } = attributes(request.get(HEADER_LEN..)?)?;
    let is_had = elsewhere == Elsewhere::default() || has(elsewhere);
    if !is_had && unknown.len() < MAX_UNKNOWN {
        unknown.push(CHANGE_REQUEST);
    }
    let mut answer = Answer::new(&header, unknown.is_empty());
    if unknown.is_empty() {
        answer.push_address(&header, from);
        return Some((answer.finish(), elsewhere));
    }
    answer.push(ERROR_CODE, &[0, 0, 4, 20]);
    let types: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
    answer.push(UNKNOWN_ATTRIBUTES, &types);
    Some((answer.finish(), Elsewhere::default()))
}

/// In what an answer is to come from another socket than the one that was asked. By default in nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// It has another address.
    pub(crate) address: bool,
    /// It has another port.
    pub(crate) port: bool,
}

/// Longest request that is looked at, in bytes: what fits every IPv4 path (RFC 8489 §6.1).
pub(crate) const MAX_REQUEST_LEN: usize = 548;

/// Longest answer, in bytes: the header and an IPv6 address. The shortest request is 20 bytes long; with the headers of IPv6
/// and UDP around both that is 92 bytes for 68.
pub(crate) const MAX_ANSWER_LEN: usize = 44;

/// What a request and its answer have in common.
struct Header {
    /// The cookie and the transaction's number behind it.
    transaction: [u8; 16],
}

impl Header {
    fn parse(request: &[u8]) -> Option<Self> {
        let (kind, rest) = request.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (transaction, body) = rest.split_first_chunk::<16>()?;
        let is_request = u16::from_be_bytes(*kind) == BINDING_REQUEST && transaction.starts_with(&COOKIE);
        let is_whole = usize::from(u16::from_be_bytes(*len)) == body.len() && body.len().is_multiple_of(4);
        let fits = is_request && is_whole && request.len() <= MAX_REQUEST_LEN;
        fits.then_some(Self { transaction: *transaction })
    }
}

/// What matters of a request's attributes.
#[derive(Default)]
struct Attributes {
    /// The types, at most [`MAX_UNKNOWN`], that it demands to be understood and nobody here does.
    unknown: Vec<u16>,
    /// From where it wants its answer.
    elsewhere: Elsewhere,
}

/// Reads attributes; `None` for such as do not fit their message.
fn attributes(mut body: &[u8]) -> Option<Attributes> {
    let mut found = Attributes::default();
    while !body.is_empty() {
        let (kind, rest) = body.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let value = rest.get(..len)?;
        body = rest.get(len.next_multiple_of(4)..)?;
        let kind = u16::from_be_bytes(*kind);
        if let (CHANGE_REQUEST, &[.., flags]) = (kind, value) {
            found.elsewhere =
                Elsewhere { address: flags & CHANGE_ADDRESS != 0, port: flags & CHANGE_PORT != 0 };
        } else if kind < OPTIONAL && !KNOWN.contains(&kind) && found.unknown.len() < MAX_UNKNOWN {
            found.unknown.push(kind);
        }
    }
    Some(found)
}

/// An answer under construction: its length is written last.
struct Answer(Vec<u8>);

impl Answer {
    fn new(header: &Header, is_success: bool) -> Self {
        let mut bytes = Vec::with_capacity(MAX_ANSWER_LEN);
        bytes.extend(if is_success { BINDING_SUCCESS } else { BINDING_ERROR }.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(header.transaction);
        Self(bytes)
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        self.0.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// XOR-MAPPED-ADDRESS. An IPv4 client of a socket for both families is told its IPv4 address.
    fn push_address(&mut self, header: &Header, from: SocketAddr) {
        let port = from.port().to_be_bytes();
        let (family, address) = match from.ip().to_canonical() {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (2, v6.octets().to_vec()),
        };
        let plain = port.into_iter().zip(header.transaction);
        let plain = plain.chain(address.into_iter().zip(header.transaction));
        let value: Vec<u8> = [0, family].into_iter().chain(plain.map(|(byte, mask)| byte ^ mask)).collect();
        self.push(XOR_MAPPED_ADDRESS, &value);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u16::try_from(self.0.len() - HEADER_LEN).unwrap_or_default();
        self.0.splice(2..4, len.to_be_bytes());
        self.0
    }
}

/// Type, length, cookie and number of the transaction.
const HEADER_LEN: usize = 20;

/// What no other protocol has at its place (RFC 8489 §5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const CHANGE_REQUEST: u16 = 0x0003;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// What a CHANGE-REQUEST asks for, in its last byte (RFC 5780 §7.2).
const CHANGE_ADDRESS: u8 = 4;
const CHANGE_PORT: u8 = 2;

/// Attributes from here on may be skipped by whoever does not know them.
const OPTIONAL: u16 = 0x8000;

/// The others that RFC 8489 §18.3 defines. Who proves its identity here need not have, and is answered.
const KNOWN: [u16; 11] = [
    0x0001,
    0x0006,
    0x0008,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014,
    0x0015,
    0x001c,
    0x001d,
    0x001e,
    XOR_MAPPED_ADDRESS,
];

/// Unknown attributes that an answer names: with more it would be longer than one that helps.
const MAX_UNKNOWN: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let len = u16::try_from(attributes.len()).unwrap();
        let mut bytes = BINDING_REQUEST.to_be_bytes().to_vec();
        bytes.extend(len.to_be_bytes());
        bytes.extend(COOKIE);
        bytes.extend(*b"transaction!");
        bytes.extend(attributes);
        bytes
    }

    /// By a server with one socket.
    fn answered(request: &[u8], from: &str) -> Option<Vec<u8>> {
        Some(answer(request, from.parse().unwrap(), |_| false)?.0)
    }

    /// CHANGE-REQUEST with these flags.
    fn change(flags: u8) -> Vec<u8> {
        request(&[0x00, 0x03, 0, 4, 0, 0, 0, flags])
    }

    #[test]
    fn the_examples_of_rfc_5769_are_answered_with_their_addresses() {
        // §2.2 and §2.3, without the attributes that are optional here: software, integrity, fingerprint.
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let mut asked = request(&[]);
        asked.splice(8.., transaction);
        let v4 = answered(&asked, "192.0.2.1:32853").unwrap();
        assert_eq!(v4[20..], [0x00, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6 = answered(&asked, "[2001:db8:1234:5678:11:2233:4455:6677]:32853").unwrap();
        let mapped = [
            0x00, 0x20, 0, 20, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25,
            0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(v6[20..], mapped);
        assert_eq!(v6.len(), MAX_ANSWER_LEN);
        for answer in [v4, v6] {
            assert_eq!(answer[..2], BINDING_SUCCESS.to_be_bytes());
            assert_eq!(usize::from(answer[3]), answer.len() - HEADER_LEN);
            assert_eq!(answer[4..20], asked[4..20]);
        }
    }

    #[test]
    fn an_ipv4_client_of_a_socket_for_both_families_is_told_its_ipv4_address() {
        let asked = request(&[]);
        assert_eq!(answered(&asked, "[::ffff:192.0.2.1]:9"), answered(&asked, "192.0.2.1:9"));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        // RESPONSE-PORT, which would have this server answer to somebody else.
        let answer = answered(&request(&[0x00, 0x27, 0, 4, 0, 9, 0, 0]), "192.0.2.1:9").unwrap();
        assert_eq!(answer[..2], BINDING_ERROR.to_be_bytes());
        assert_eq!(answer[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 0x27, 0, 0]);
    }

    #[test]
    fn an_answer_comes_from_elsewhere_where_there_is_such_a_socket_and_else_the_wish_is_named() {
        let from = "192.0.2.1:9".parse().unwrap();
        let other_port = Elsewhere { address: false, port: true };
        let plain = answered(&request(&[]), "192.0.2.1:9").unwrap();
        let has = |there: Elsewhere| move |wanted| wanted == there;
        assert_eq!(answer(&change(2), from, has(other_port)), Some((plain.clone(), other_port)));
        let other_address = Elsewhere { address: true, port: false };
        assert_eq!(answer(&change(4), from, has(other_address)), Some((plain.clone(), other_address)));
        assert_eq!(answer(&change(0), from, |_| false), Some((plain, Elsewhere::default())));
        for flags in [4, 6] {
            let (refused, elsewhere) = answer(&change(flags), from, has(other_port)).unwrap();
            assert_eq!(refused[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 3, 0, 0]);
            assert_eq!(elsewhere, Elsewhere::default(), "by the socket that was asked");
        }
    }

    #[test]
    fn what_is_known_or_optional_does_not_matter() {
        let named = [0x00, 0x06, 0, 3, b'a', b':', b'b', 0, 0x80, 0x22, 0, 1, b'x', 0, 0, 0];
        assert_eq!(answered(&request(&named), "192.0.2.1:9"), answered(&request(&[]), "192.0.2.1:9"));
    }

    #[test]
    fn what_is_not_a_binding_request_is_not_answered() {
        let good = request(&[]);
        assert!(answered(&good, "192.0.2.1:9").is_some());
        for (what, broken) in [
            ("an indication", [&[0x00, 0x11], &good[2..]].concat()),
            ("an answer, which would begin a loop", [&[0x01, 0x01], &good[2..]].concat()),
            ("an allocation", [&[0x00, 0x03], &good[2..]].concat()),
            ("no cookie", [&good[..4], &[0; 16][..]].concat()),
            ("cut off", good[..19].to_vec()),
            ("empty", Vec::new()),
            ("a length beyond the end", [&[0, 1, 0, 4], &good[4..]].concat()),
            ("bytes behind the end", [&good[..], &[0; 4]].concat()),
            ("an attribute beyond the end", request(&[0x80, 0x22, 0, 5, 0, 0, 0, 0])),
            ("half an attribute", [&[0, 1, 0, 2], &good[4..], &[0, 6]].concat()),
            ("too long", request(&[0x80; 532])),
        ] {
            assert_eq!(answered(&broken, "192.0.2.1:9"), None, "{what}");
        }
    }

    #[test]
    fn an_answer_to_somebody_else_is_hardly_longer_than_the_request() {
        // Sixteen attributes nobody knows: all of them named would be 32 bytes.
        let unknown: Vec<u8> = (0..16).flat_map(|number| [0x7f, number, 0, 0]).collect();
        for (attributes, from) in [
            (&[][..], "192.0.2.1:9"),
            (&[][..], "[2001:db8::1]:9"),
            (&unknown[..4], "192.0.2.1:9"),
            (&unknown, "192.0.2.1:9"),
        ] {
            let asked = request(attributes);
            let answer = answered(&asked, from).unwrap();
            let headers = if from.starts_with('[') { 48 } else { 28 };
            assert!(answer.len() <= MAX_ANSWER_LEN);
            assert!(
                (answer.len() + headers) * 10 <= (asked.len() + headers) * 14,
                "{} for {}",
                answer.len(),
                asked.len()
            );
        }
    }

    proptest! {
        #[test]
        fn no_datagram_does_more_than_that(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), genuine: bool) {
            if genuine && bytes.len() >= HEADER_LEN {
                let len = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
                bytes.splice(..8, request(&[])[..8].to_vec());
                bytes.splice(2..4, len.to_be_bytes());
            }
            let answered = answered(&bytes, "[2001:db8::1]:9");
            prop_assert!(answered.is_none_or(|answer| answer.len() <= MAX_ANSWER_LEN));
        }
    }
}
