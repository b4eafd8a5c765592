//! What the rendezvous gets to see: every byte of a session is searched for what it must not hold.

use std::net::TcpStream;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};
use wire::signaling::{Body, Claim, ClientMessage, SIGNALING_VERSION, ServerMessage};

use crate::harness::{Machine, PATIENCE, Rendezvous, Tap, content, text};

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
        payloads.push(masked.map(|(byte, key)| byte ^ key).collect());
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
    traces
        .extend([HEXLOWER_PERMISSIVE, BASE64URL_NOPAD].map(|encoding| encoding.encode(password.as_bytes())));
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
fn the_logs_of_both_sides_hold_no_password_however_much_they_tell() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write(NAME, b"content");
    let mut sending = alice.start(&[NAME, "--digits", "12", "-vvv"]);
    let open = sending.event("code");
    let code = text(&open["code"]);
    let received = bob.start(&["receive", &code, "--yes", "-vvv"]).end();
    let sent = sending.end();
    let (_, password) = code.split_once('-').unwrap();
    let link_secret = text(&open["link"]).split_once('#').unwrap().1.to_owned();
    for ended in [sent.succeeded(), received.succeeded()] {
        let log = Capture(vec![ended.err.clone().into_bytes()]);
        assert!(log.holds("DEBUG"), "{ended:?}");
        for trace in traces(password).iter().chain([&link_secret]) {
            assert!(!log.holds(trace), "{trace} in {}", ended.err);
        }
    }
}

/// A client that says what it likes to the server behind a tap.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(tap: &Tap) -> Self {
        let stream = TcpStream::connect(tap.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(client(format!("ws://{}/v1/socket", tap.address()), stream).unwrap().0)
    }

    fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next message that is one.
    fn hear(&mut self) -> ServerMessage {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return ServerMessage::parse(&text).unwrap();
            }
        }
    }
}

/// What the search sees of a receiver that sends `texts` to a sender through the server.
fn capture_of(texts: &[&str]) -> Capture {
    let server = Rendezvous::start();
    let tap = Tap::before(server.address());
    let (mut sender, mut receiver) = (Client::connect(&tap), Client::connect(&tap));
    let v = SIGNALING_VERSION;
    sender.say(
        ClientMessage::Create { v, typed: true, link_slot: None, token: None, return_slot: None }.to_frame(),
    );
    let ServerMessage::Created { nameplate: Some(nameplate), .. } = sender.hear() else { panic!() };
    receiver.say(ClientMessage::Claim { v, at: Claim::Nameplate(nameplate) }.to_frame());
    let ServerMessage::Paired { door, attempt, .. } = receiver.hear() else { panic!() };
    assert!(matches!(sender.hear(), ServerMessage::Paired { .. }));
    for text in texts {
        let body = Body::from_bytes(text.as_bytes());
        receiver.say(ClientMessage::Relay { door, attempt, body: body.clone() }.to_frame());
        assert_eq!(sender.hear(), ServerMessage::Relay { door, attempt, body });
    }
    Capture::of(&tap, String::new())
}

#[test]
fn the_same_search_finds_what_is_planted() {
    let password = "209317620931";
    let mut planted = vec![NAME, "some content"];
    planted.extend(SDP_WORDS);
    let capture = capture_of(&[&planted.join(" ").to_uppercase(), password]);
    for needle in planted.iter().copied().chain([&password[..8], &password[4..], password]) {
        assert!(capture.holds(needle), "{needle}");
    }
    assert!(!capture.holds("something else"));
    for trace in traces(password) {
        let is_found =
            if trace.len() == 8 { capture.holds(&trace) } else { capture_of(&[&trace]).holds(&trace) };
        assert!(is_found, "{trace}");
    }
}

#[test]
fn the_search_reads_what_goes_either_way_and_what_is_not_encoded() {
    let masked = [
        &b"GET / HTTP/1.1\r\n\r\n\x81\x85"[..],
        &[1, 2, 3, 4],
        &[b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1],
    ];
    assert_eq!(payloads(&masked.concat()), [b"hello"]);
    let long = [&b"HTTP/1.1 101\r\n\r\n\x82\x7e\x01\x00"[..], &[b'x'; 256], b"\x81\x02ok"].concat();
    assert_eq!(payloads(&long), [vec![b'x'; 256], b"ok".to_vec()]);
    assert!(Capture(vec![b"log: 20931762".to_vec()]).holds("20931762"));
}
