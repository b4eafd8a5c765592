//! What the two sides say to each other about transports, sealed, through the rendezvous (PROTOCOL.md §7).
//!
//! A session description comes out of here checked: one fingerprint, one data section, room for a record. The transport
//! never sees another.

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cipher::{Cipher, TAG_LEN};
use crate::handshake::{Seed, kind};
use crate::keys::{Key, SessionSecret, SignalKeys};
use crate::record::MAX_RECORD_LEN;
use crate::signaling::{Role, message_type};

/// Most candidates that are looked at, per generation and direction.
pub const MAX_CANDIDATES: usize = 64;

/// Longest candidate line, in bytes.
const MAX_CANDIDATE_LEN: usize = 512;

/// Whether a session description opens a negotiation or answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescriptionKind {
    /// The sender's.
    Offer,
    /// The receiver's.
    Answer,
}

/// One message about transports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Signal {
    /// The highest generation this side has seen; the first signal of each later meeting.
    Generations {
        /// 0 when none was opened.
        highest: u32,
    },
    /// A session description.
    Description {
        /// The generation it is for.
        generation: u32,
        /// How many times ICE was restarted in it.
        restart: u32,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// An address under which this side may be reached.
    Candidate {
        /// The generation it is for.
        generation: u32,
        /// How many times ICE was restarted in it.
        restart: u32,
        /// The candidate attribute (RFC 8839 §5.1), with or without `candidate:` in front.
        candidate: String,
        /// Identification of the media section.
        mid: String,
    },
    /// No more candidates follow.
    EndOfCandidates {
        /// The generation it is for.
        generation: u32,
        /// How many times ICE was restarted in it.
        restart: u32,
    },
    /// The sender opens this generation over the rendezvous' relay.
    Relay {
        /// The generation.
        generation: u32,
    },
    /// This side gives up before a generation is open.
    Abort {
        /// As in the message of that name.
        reason: u8,
    },
    /// A type this version does not know; ignored.
    Unknown,
}

/// The fields of every [`Signal`].
#[derive(Deserialize)]
struct Fields {
    highest: Option<u32>,
    generation: Option<u32>,
    restart: Option<u32>,
    kind: Option<DescriptionKind>,
    sdp: Option<String>,
    candidate: Option<String>,
    mid: Option<String>,
    reason: Option<u8>,
}

impl Signal {
    /// Reads a signal that was opened; nothing when it is none.
    fn read(json: &[u8]) -> Option<Self> {
        let name = message_type(json)?;
        let known = ["generations", "description", "candidate", "end_of_candidates", "relay", "abort"];
        if !known.contains(&&*name) {
            return Some(Self::Unknown);
        }
        let fields: Fields = serde_json::from_slice(json).ok()?;
        let Fields { highest, generation, restart, kind, sdp, candidate, mid, reason } = fields;
        Some(match &*name {
            "generations" => Self::Generations { highest: highest? },
            "relay" => Self::Relay { generation: generation? },
            "abort" => Self::Abort { reason: reason? },
            other => {
                let (generation, restart) = (generation?, restart?);
                match other {
                    "description" => Self::Description { generation, restart, kind: kind?, sdp: sdp? },
                    "candidate" => Self::Candidate { generation, restart, candidate: candidate?, mid: mid? },
                    _ => Self::EndOfCandidates { generation, restart },
                }
            }
        })
    }
}

/// Seals this side's signals of one meeting.
#[derive(Debug)]
pub struct SignalSealer {
    cipher: Cipher,
    counter: u64,
}

/// Opens the other side's signals of one meeting.
#[derive(Debug)]
pub struct SignalOpener {
    cipher: Cipher,
    next: u64,
}

/// What the keys of one meeting are for. Those of the first are in [`crate::handshake::Session`], those of a later one
/// come from a [`Meeting`].
pub fn halves(keys: SignalKeys) -> (SignalSealer, SignalOpener) {
    let SignalKeys { seal, open } = keys;
    (SignalSealer::new(&seal), SignalOpener::new(&open))
}

/// This side's half of a later meeting: the body to send in clear, then the other side's completes it.
#[derive(Debug)]
pub struct Meeting {
    secret: SessionSecret,
    role: Role,
    nonce: [u8; 32],
}

impl Meeting {
    /// Opens a meeting and gives the body to send.
    pub fn new(secret: SessionSecret, role: Role, seed: Seed) -> (Self, Vec<u8>) {
        let nonce = seed.into_bytes();
        let body = [&[meet_kind(role)], nonce.as_slice()].concat();
        (Self { secret, role, nonce }, body)
    }

    /// Takes the other side's body.
    ///
    /// # Errors
    /// [`SignalError::Malformed`].
    pub fn receive(self, body: &[u8]) -> Result<(SignalSealer, SignalOpener), SignalError> {
        let other = match self.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        let theirs: [u8; 32] = match body.split_first() {
            Some((first, nonce)) if *first == meet_kind(other) => nonce.try_into().ok(),
            _ => None,
        }
        .ok_or(SignalError::Malformed)?;
        let keys = match self.role {
            Role::Sender => self.secret.meeting(&self.nonce, &theirs),
            Role::Receiver => self.secret.meeting(&theirs, &self.nonce),
        };
        Ok(halves(SignalKeys::new(keys, self.role)))
    }
}

impl SignalSealer {
    fn new(key: &Key) -> Self {
        Self { cipher: Cipher::new(key), counter: 0 }
    }

    /// The body `05 || counter || sealed signal`.
    ///
    /// # Panics
    /// Never: strings and integers always serialise.
    pub fn seal(&mut self, signal: &Signal) -> Vec<u8> {
        let text = serde_json::to_vec(signal);
        let mut text = text.unwrap_or_else(|_| unreachable!("strings and integers always serialise"));
        let mut body = vec![kind::SIGNAL];
        body.extend_from_slice(&self.counter.to_be_bytes());
        let tag = self.cipher.seal(self.counter, &body, &mut text);
        self.counter += 1;
        body.append(&mut text);
        body.extend_from_slice(&tag);
        body
    }
}

impl SignalOpener {
    fn new(key: &Key) -> Self {
        Self { cipher: Cipher::new(key), next: 0 }
    }

    /// Opens a body. Counters may skip but never repeat.
    ///
    /// # Errors
    /// [`SignalError::Malformed`] when it is too short, replayed, or does not open; [`SignalError::Unreadable`] when
    /// the other side sealed something that is no signal.
    pub fn open(&mut self, body: &[u8]) -> Result<Signal, SignalError> {
        let (aad, sealed) = body.split_at_checked(1 + 8).ok_or(SignalError::Malformed)?;
        let [marker, counter @ ..] = aad else { return Err(SignalError::Malformed) };
        let counter = u64::from_be_bytes(counter.try_into().map_err(|_| SignalError::Malformed)?);
        if *marker != kind::SIGNAL || counter < self.next || counter == u64::MAX {
            return Err(SignalError::Malformed);
        }
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(SignalError::Malformed)?;
        let mut text = text.to_vec();
        self.cipher.open(counter, aad, &mut text, tag).map_err(|_| SignalError::Malformed)?;
        self.next = counter + 1;
        Signal::read(&text).ok_or(SignalError::Unreadable)
    }
}

/// SHA-256 of a certificate's DER encoding, as a session description states it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(redacted)")
    }
}

/// A session description that passed every check of PROTOCOL.md §7, less the candidates that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedDescription {
    sdp: String,
    fingerprint: Fingerprint,
}

impl CheckedDescription {
    /// Checks a description, the other side's or this side's own.
    ///
    /// # Errors
    /// The variant of [`SignalError`] that names what is wrong with it.
    pub fn parse(sdp: &str) -> Result<Self, SignalError> {
        // A lone CR ends a line too: some parsers read it so, and none must see a line that was not checked here.
        let lines: Vec<&str> = sdp.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
        let values =
            |name: &str| -> Vec<&str> { lines.iter().filter_map(|line| line.strip_prefix(name)).collect() };
        match values("m=").as_slice() {
            [media] if is_data_section(media) => {}
            _ => return Err(SignalError::NotADataSection),
        }
        let fingerprint = match values("a=fingerprint:").as_slice() {
            [only] => parse_fingerprint(only)?,
            _ => return Err(SignalError::Fingerprint),
        };
        if values("a=candidate:").len() > MAX_CANDIDATES {
            return Err(SignalError::TooManyCandidates);
        }
        let limit = match values("a=max-message-size:").as_slice() {
            [only] => only.trim().parse().map_err(|_| SignalError::MessageSize { max_len: 0 })?,
            [] => 65_536_u64,
            _ => return Err(SignalError::MessageSize { max_len: 0 }),
        };
        if limit != 0 && limit < MAX_RECORD_LEN as u64 {
            return Err(SignalError::MessageSize { max_len: limit });
        }
        let keep = |line: &&&str| line.strip_prefix("a=candidate:").is_none_or(is_usable_candidate);
        let kept = lines.iter().filter(keep).flat_map(|line| [*line, "\r\n"]).collect();
        Ok(Self { sdp: kept, fingerprint })
    }

    /// The description, for the transport.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// The fingerprint of the certificate it promises.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Whether a candidate names an address worth trying: not port 0, not unspecified, multicast or a cloud metadata
/// service, not overlong.
pub fn is_usable_candidate(candidate: &str) -> bool {
    let text = candidate.strip_prefix("candidate:").unwrap_or(candidate);
    if text.len() > MAX_CANDIDATE_LEN {
        return false;
    }
    // foundation component transport priority address port "typ" type … (RFC 8839 §5.1)
    let mut fields = text.split_ascii_whitespace().skip(4);
    let (Some(address), Some(port), Some("typ")) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    if port.parse::<u16>().is_ok_and(|port| port == 0) || port.parse::<u16>().is_err() {
        return false;
    }
    match address.parse::<IpAddr>() {
        Ok(ip) => is_usable_address(ip),
        Err(_) => is_mdns_name(address),
    }
}

/// Why a signal or a description was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalError {
    /// Too short, replayed, or not sealed by the other side. Deliberately without detail.
    #[error("a signal does not open")]
    Malformed,
    /// Opened, but not a signal.
    #[error("the other side sent a signal that makes no sense")]
    Unreadable,
    /// Not exactly one SHA-256 fingerprint.
    #[error("the session description must contain exactly one sha-256 fingerprint")]
    Fingerprint,
    /// Not exactly one section, for a data channel over DTLS.
    #[error("the session description must contain exactly one data section")]
    NotADataSection,
    /// The other side does not take messages as long as a record.
    #[error("the other side accepts messages of {max_len} bytes only, a record needs 66,066")]
    MessageSize {
        /// What it announced.
        max_len: u64,
    },
    /// More candidates than any machine has.
    #[error("the session description has too many candidates")]
    TooManyCandidates,
}

fn meet_kind(role: Role) -> u8 {
    match role {
        Role::Sender => kind::MEET_S,
        Role::Receiver => kind::MEET_R,
    }
}

fn is_data_section(media: &str) -> bool {
    let fields: Vec<_> = media.split_ascii_whitespace().collect();
    matches!(fields.as_slice(), ["application", _, "UDP/DTLS/SCTP", "webrtc-datachannel"])
}

fn parse_fingerprint(value: &str) -> Result<Fingerprint, SignalError> {
    let (algorithm, digits) = value.trim().split_once(' ').ok_or(SignalError::Fingerprint)?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return Err(SignalError::Fingerprint);
    }
    let bytes: Option<Vec<u8>> = digits.split(':').map(parse_hex_byte).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Fingerprint).ok_or(SignalError::Fingerprint)
}

fn parse_hex_byte(digits: &str) -> Option<u8> {
    let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| plain)
}

fn is_usable_address(ip: IpAddr) -> bool {
    let metadata = match ip {
        IpAddr::V4(v4) => v4.octets() == [169, 254, 169, 254],
        IpAddr::V6(v6) => v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    !(ip.is_unspecified() || ip.is_multicast() || metadata || broadcast || mapped)
}

/// A name as browsers make them to hide addresses: `<uuid>.local`.
fn is_mdns_name(name: &str) -> bool {
    name.strip_suffix(".local").is_some_and(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str =
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff";

    fn sdp(attributes: &[&str]) -> String {
        let head = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        ];
        [&head, attributes].concat().join("\r\n")
    }

    fn fingerprint(algorithm: &str) -> String {
        format!("a=fingerprint:{algorithm} {DIGITS}")
    }

    fn check(attributes: &[&str]) -> Result<CheckedDescription, SignalError> {
        CheckedDescription::parse(&sdp(attributes))
    }

    #[test]
    fn exactly_one_sha_256_fingerprint_is_required() {
        let (good, upper, old) = (fingerprint("sha-256"), fingerprint("SHA-256"), fingerprint("sha-1"));
        let size = "a=max-message-size:262144";
        assert_eq!(check(&[&good, size]).map(|checked| checked.fingerprint().0[10]), Ok(0xaa));
        assert!(check(&[&upper, size]).is_ok());
        for bad in [&[size][..], &[&good, &good, size], &[&old, size], &[&good, &old, size]] {
            assert_eq!(check(bad), Err(SignalError::Fingerprint));
        }
        let short = "a=fingerprint:sha-256 00:11";
        let signed = format!("a=fingerprint:sha-256 +0:{}", &DIGITS[3..]);
        for bad in [short, &signed] {
            assert_eq!(check(&[bad, size]), Err(SignalError::Fingerprint));
        }
    }

    #[test]
    fn a_peer_that_takes_no_whole_record_is_refused() {
        let good = fingerprint("sha-256");
        assert_eq!(check(&[&good]), Err(SignalError::MessageSize { max_len: 65_536 }));
        assert_eq!(
            check(&[&good, "a=max-message-size:66065"]),
            Err(SignalError::MessageSize { max_len: 66_065 })
        );
        for size in ["a=max-message-size:66066", "a=max-message-size:0", "a=max-message-size:1073741823"] {
            assert!(check(&[&good, size]).is_ok());
        }
    }

    #[test]
    fn a_description_without_exactly_one_data_section_is_refused() {
        let (good, size) = (fingerprint("sha-256"), "a=max-message-size:0");
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96";
        assert_eq!(check(&[&good, size, video]), Err(SignalError::NotADataSection));
        assert_eq!(CheckedDescription::parse("v=0\r\n"), Err(SignalError::NotADataSection));
    }

    #[test]
    fn ten_thousand_candidates_are_refused() {
        let good = fingerprint("sha-256");
        let candidates = vec!["a=candidate:1 1 udp 1 192.0.2.1 9 typ host"; 10_000];
        let attributes = [&[good.as_str(), "a=max-message-size:0"], candidates.as_slice()].concat();
        assert_eq!(check(&attributes), Err(SignalError::TooManyCandidates));
    }

    #[test]
    fn candidates_that_lead_nowhere_or_somewhere_dangerous_are_dropped() {
        for (address, usable) in [
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("6ac6e0c0-e0c0-4e6e-8a0e-3a5a3c6b1d2e.local", true),
            ("0.0.0.0", false),
            ("::", false),
            ("169.254.169.254", false),
            ("fd00:ec2::254", false),
            ("::ffff:169.254.169.254", false),
            ("224.0.0.251", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
            ("metadata.internal", false),
            (".local", false),
        ] {
            let line = format!("candidate:1 1 udp 2130706431 {address} 50000 typ host");
            assert_eq!(is_usable_candidate(&line), usable, "{address}");
        }
        assert!(!is_usable_candidate("candidate:1 1 udp 1 192.0.2.1 0 typ host"));
        assert!(!is_usable_candidate("candidate:1 1 udp 1 192.0.2.1 70000 typ host"));
        assert!(!is_usable_candidate("candidate:1 1 udp"));
        assert!(!is_usable_candidate(&format!("1 1 udp 1 192.0.2.1 9 typ host {}", "x".repeat(600))));
        let good = fingerprint("sha-256");
        let metadata = "a=candidate:1 1 udp 1 169.254.169.254 80 typ host";
        let checked = check(&[&good, "a=max-message-size:0", metadata]).unwrap();
        assert!(!checked.sdp().contains("169.254"));
    }

    #[test]
    fn a_signal_is_json_with_these_names() {
        let signal = Signal::Description {
            generation: 1,
            restart: 0,
            kind: DescriptionKind::Offer,
            sdp: "v=0".to_owned(),
        };
        let text = r#"{"type":"description","generation":1,"restart":0,"kind":"offer","sdp":"v=0"}"#;
        assert_eq!(serde_json::to_string(&signal).unwrap(), text);
        assert_eq!(Signal::read(text.as_bytes()), Some(signal));
        let unknown = br#"{"type":"weather","sunny":true,"generation":"all"}"#;
        assert_eq!(Signal::read(unknown), Some(Signal::Unknown));
        assert_eq!(Signal::read(br#"{"type":"candidate","generation":1}"#), None);
    }
}
