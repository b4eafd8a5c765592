//! Servers that are no rendezvous, or a bad one: both programs end in time, with a sentence, and obey nothing.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::program::{Ending, Program};
use super::room::Room;

/// How long a user waits for a server that does not answer, with room for a busy machine.
const BOUND: Duration = Duration::from_secs(40);

/// What a server does to whoever connects.
#[derive(Clone, Debug)]
enum Misdeed {
    /// Sends these bytes instead of an upgrade, and then keeps the connection.
    Answer(Vec<u8>),
    /// Accepts and says nothing.
    Silence,
    /// Upgrades and says nothing.
    SilenceInside,
    /// Upgrades and sends these texts.
    Texts(Vec<String>),
    /// Upgrades and sends bytes that are no text.
    Binary,
    /// Upgrades and closes with this code and reason.
    Close(u16, &'static str),
    /// Upgrades and then breaks the framing.
    Broken(Vec<u8>),
}

/// A server on a port of its own; it ends with this value.
struct BadServer {
    url: String,
    serving: JoinHandle<()>,
}

impl BadServer {
    async fn start(misdeed: Misdeed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(misbehave(stream, misdeed.clone()));
            }
        });
        Self { url, serving }
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn misbehave(mut stream: TcpStream, misdeed: Misdeed) {
    let mut sink = [0; 4096];
    match misdeed {
        Misdeed::Answer(bytes) => {
            let _ = stream.read(&mut sink).await;
            let _ = stream.write_all(&bytes).await;
        }
        Misdeed::Silence => {}
        Misdeed::SilenceInside => {
            let mut socket = accept_async(stream).await.unwrap();
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            return;
        }
        Misdeed::Texts(texts) => {
            let mut socket = accept_async(stream).await.unwrap();
            for text in texts {
                let _ = socket.send(Message::text(text)).await;
            }
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            return;
        }
        Misdeed::Binary => {
            let mut socket = accept_async(stream).await.unwrap();
            let _ = socket.send(Message::binary(vec![0x1b; 100])).await;
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            return;
        }
        Misdeed::Close(code, reason) => {
            let mut socket = accept_async(stream).await.unwrap();
            let _ = socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await;
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            return;
        }
        Misdeed::Broken(bytes) => {
            let mut socket = accept_async(stream).await.unwrap();
            let _ = socket.get_mut().write_all(&bytes).await;
            while socket.next().await.is_some_and(|heard| heard.is_ok()) {}
            return;
        }
    }
    while stream.read(&mut sink).await.is_ok_and(|len| len > 0) {}
}

fn texts(texts: &[&str]) -> Misdeed {
    Misdeed::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn answer(text: &str) -> Misdeed {
    Misdeed::Answer(text.as_bytes().to_vec())
}

/// A sender and a receiver use this server at once; how each ends.
async fn visit(misdeed: Misdeed, json: bool) -> [Ending; 2] {
    let server = BadServer::start(misdeed).await;
    let room = Room::new();
    let file = room.file("a.txt", b"a");
    let format: &[&str] = if json { &["--json"] } else { &[] };
    let send = [&["--no-qr", "--server", &server.url, file.to_str().unwrap()], format].concat();
    let sender = Program::start(&room, send);
    let receiver = Program::start(
        &room,
        [&["receive", "--yes", "--server", &server.url, "987654-2093"], format].concat(),
    );
    let (sender, receiver) = tokio::join!(sender.end(), receiver.end());
    [sender, receiver]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_server_answers_ends_in_a_sentence_and_nothing_is_obeyed() {
    let esc = "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}21t\u{202e}";
    let page = format!("HTTP/1.1 200 O{esc}K\r\nContent-Length: 5\r\nX: {esc}\r\n\r\nhello");
    let refusal = |reason: &str| {
        let text =
            serde_json::json!({ "type": "refused", "reason": reason, "motd": esc, "retry_after": 1_000_000 });
        texts(&[&text.to_string()])
    };
    let huge_frame = [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    let table = [
        ("a web page", answer(&page)),
        ("a redirect", answer(&format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/{esc}\r\n\r\n"))),
        ("no HTTP", answer(esc)),
        (
            "a header without end",
            Misdeed::Answer([b"HTTP/1.1 101 X\r\nX: ".as_slice(), &vec![b'a'; 1 << 20]].concat()),
        ),
        ("no WebSocket after all", answer("HTTP/1.1 101 Switching Protocols\r\n\r\n")),
        ("a refusal with a text", refusal("busy")),
        ("a refusal for a made-up reason", refusal(esc)),
        ("JSON that is no message", texts(&["[]"])),
        ("a message of the wrong types", texts(&[r#"{"type":"created","nameplate":{},"ttl":"x"}"#])),
        ("a type that is a number", texts(&[r#"{"type":7}"#])),
        ("an escape instead of JSON", texts(&[esc])),
        ("deep nesting", texts(&[&"[".repeat(10_000)])),
        ("a frame that is too long", texts(&[&"x".repeat(20_000)])),
        ("a frame of a terabyte", Misdeed::Broken(huge_frame)),
        ("a frame with reserved bits", Misdeed::Broken(vec![0xf1, 1, b'x'])),
        ("bytes", Misdeed::Binary),
        ("a close with a text", Misdeed::Close(4008, "\u{1b}[2Jyou have been hacked")),
        ("a close for a made-up reason", Misdeed::Close(4999, "\u{1b}]0;x\u{7}")),
    ];
    for (index, (what, misdeed)) in table.into_iter().enumerate() {
        for ending in visit(misdeed, index % 2 == 0).await {
            println!("{what}: {:?} in {:?}: {}", ending.status, ending.took, ending.stderr.trim());
            assert!(matches!(ending.status, Some(4 | 5)), "{what}: {ending:#?}");
            ending.assert_failed(ending.status.unwrap_or_default());
            assert!(ending.took < BOUND, "{what}: {ending:#?}");
            let said = [ending.stderr.as_str(), &ending.stdout].concat();
            assert!(!said.contains("hacked") && !said.contains("ZXZpbA"), "{what}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up() {
    for misdeed in [Misdeed::Silence, Misdeed::SilenceInside] {
        for ending in visit(misdeed.clone(), false).await {
            println!("{misdeed:?}: {:?} in {:?}: {}", ending.status, ending.took, ending.stderr.trim());
            ending.assert_clean();
            assert_eq!(ending.status, Some(5), "{misdeed:?}: {ending:#?}");
            assert!(ending.took < BOUND, "{misdeed:?}: {ending:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_cannot_choose_the_password_or_shorten_it() {
    let absurd = [
        r#"{"type":"created","nameplate":"7","ttl":300}"#,
        r#"{"type":"created","nameplate":"0048","ttl":300}"#,
        r#"{"type":"created","nameplate":"987654-2093","ttl":300}"#,
        r#"{"type":"created","ttl":4294967295}"#,
        r#"{"type":"created","nameplate":"99999999999","ttl":300}"#,
    ];
    for text in absurd {
        let server = BadServer::start(texts(&[text])).await;
        let room = Room::new();
        let file = room.file("a.txt", b"a");
        let args = ["--no-qr", "--quiet", "--server", &server.url, file.to_str().unwrap()];
        let ending = Program::start(&room, args).end().await;
        ending.assert_failed(5);
        assert_eq!(ending.stdout, "", "no code is shown: {text}");
    }
}
