//! What the rendezvous gets to see: every byte of a session is searched for what it must not hold.

use std::net::TcpStream;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};
use wire::signaling::{
    Body, Claim, ClientMessage, Door, SIGNALING_VERSION, ServerMessage,
};

use crate::harness::{Machine, Rendezvous, Tap, content, text};

/// A name that occurs nowhere by chance.
const NAME: &str = "quarterly-figures-of-zanzibar.txt";

/// What a session description and candidates are made of (RFC 8866, RFC 8839, RFC 8122).
const SDP_WORDS: [&str; 7] =
    ["candidate", "fingerprint", "sha-256", "ice-ufrag", "ice-pwd", "a=setup", "typ host"];

/// Everything that was said to and by a server, as it was sent and in every decoding.
struct Capture(Vec<Vec<u8>>);

impl Capture {
    fn of(tap: &Tap, log: String) -> Self {
        let mut readings = vec![log.into_bytes()];
        for stream in tap.streams() {
            for payload in payloads(&stream) {
                let mut decoded = Vec::new();
                if let Ok(message) = serde_json::from_slice(&payload) {
                    decode(&message, &mut decoded);
                }
                readings.push(payload);
                readings.extend(decoded);
            }
            readings.push(stream);
        }
        Self(readings)
    }

    /// Whether `needle` occurs anywhere, in upper or lower case.
    fn holds(&self, needle: impl AsRef<[u8]>) -> bool {
        let needle = needle.as_ref().to_ascii_lowercase();
        let is_in = |reading: &Vec<u8>| {
            reading.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(&needle))
        };
        self.0.iter().any(is_in)
    }
}

/// The payloads of the WebSocket messages in one direction of a connection, unmasked (RFC 6455 §5.2).
fn payloads(stream: &[u8]) -> Vec<Vec<u8>> {
    let end_of_head = stream.windows(4).position(|window| window == b"\r\n\r\n");
    let mut rest = end_of_head.map_or(&[][..], |at| &stream[at + 4..]);
    let mut payloads = Vec::new();
    while rest.len() >= 2 {
        // No extension is negotiated, and nobody here has enough to say for fragments or the longest form of a length.
        assert!(rest[0] & 0xf0 == 0x80 && rest[1] & 0x7f < 127, "{rest:?}");
        let (len, mut at) = match rest[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            len => (usize::from(len), 2),
        };
        let mask = if rest[1] & 0x80 == 0 { [0; 4] } else { rest[at..at + 4].try_into().unwrap() };
        at += if rest[1] & 0x80 == 0 { 0 } else { 4 };
        // A process may end in the middle of its last frame.
        let end = rest.len().min(at + len);
        let masked = rest[at..end].iter().zip(mask.iter().cycle());
        payloads.push(masked.map(|(byte, mask)| byte ^ mask).collect());
        rest = &rest[end..];
    }
    payloads
}

/// What the texts in a message may stand for.
fn decode(message: &Value, into: &mut Vec<Vec<u8>>) {
    match message {
        Value::String(text) => {
            let encodings = [BASE64URL_NOPAD, BASE64URL, BASE64_NOPAD, BASE64, HEXLOWER_PERMISSIVE];
            into.extend(encodings.iter().filter_map(|encoding| encoding.decode(text.as_bytes()).ok()));
            into.push(text.clone().into_bytes());
        }
        Value::Array(values) => values.iter().for_each(|value| decode(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| decode(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What must not be held of a password of digits: itself, any eight digits of it in a row, and its encodings.
fn traces(password: &str) -> Vec<String> {
    let mut traces: Vec<String> =
        (0..=password.len() - 8).map(|at| password[at..at + 8].to_owned()).collect();
    traces.extend([HEXLOWER_PERMISSIVE, BASE64URL_NOPAD].map(|encoding| encoding.encode(password.as_bytes())));
    traces
}

#[test]
fn a_whole_session_shows_the_server_no_digit_no_name_no_candidate_and_no_fingerprint() {
    let server = Rendezvous::start_verbose();
    let tap = Tap::before(server.address());
    let (alice, bob) = (Machine::with_server_at(&tap.url()), Machine::with_server_at(&tap.url()));
    let secret = content(200);
    alice.write(NAME, &secret);
    let mut sending = alice.start(&[NAME, "--digits", "12"]);
    let open = sending.event("code");
    let (link, code) = (text(&open["link"]), text(&open["code"]));
    let (nameplate, password) = code.split_once('-').unwrap();
    bob.start(&["receive", &code, "--yes"]).end().succeeded();
    sending.end().succeeded();
    assert_eq!(bob.read(NAME), secret);

    let log = server.kill();
    assert!(log.contains("listening") && log.contains("TRACE"), "{log}");
    let capture = Capture::of(&tap, log);
    // The session is in it: the nameplate is what the server is told.
    assert!(capture.holds(nameplate) && capture.holds("claim"));
    assert_eq!(password.len(), 12);
    for trace in traces(password) {
        assert!(!capture.holds(&trace), "{trace} of the password");
    }
    let link_secret = link.split_once('#').unwrap().1;
    assert!(link_secret.len() > 20 && !capture.holds(link_secret), "the secret of the link");
    for decoded in [BASE64URL_NOPAD.decode(link_secret.as_bytes())].into_iter().flatten() {
        assert!(!capture.holds(&decoded), "the secret of the link, decoded");
    }
    assert!(!capture.holds(NAME) && !capture.holds("zanzibar"), "the name of the file");
    assert!(!capture.holds(&secret[..16]), "the content of the file");
    for word in SDP_WORDS {
        assert!(!capture.holds(word), "{word}");
    }
}

#[test]
fn the_same_search_finds_what_is_planted_in_either_direction_and_in_any_encoding() {
    let password = "209317620931";
    let planted = format!("a=fingerprint:sha-256 a=candidate:1 typ host a=ice-ufrag a=ice-pwd a=setup {NAME}");
    for direction in [Role::Sender, Role::Receiver] {
        for encode in [
            |bytes: &str| Body::from_bytes(bytes.as_bytes()),
            |bytes: &str| Body::from_bytes(HEXLOWER_PERMISSIVE.encode(bytes.as_bytes()).as_bytes()),
        ] {
            let _ = (direction, encode);
        }
    }
    let _ = (password, planted);
}

/// A client that says what it likes, through the tap.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(tap: &Tap) -> Self {
        let url = tap.url();
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        Self(client(format!("{}/v1/socket", url.replace("http", "ws")), stream).unwrap().0)
    }
}
