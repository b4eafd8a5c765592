//! Names that are allowed and nasty all the same: they arrive as they are, and no terminal obeys them.

use sha2::{Digest as _, Sha256};
use wire::message::Message;

use super::entry::{Raw, offer};
use super::host::Host;
use super::peer::OpenDoor;
use super::program::Program;
use super::room::Room;

/// Names that some program somewhere takes for something else.
const NASTY: [&str; 13] = [
    "%0d%0aSet-Cookie: x",
    "a'b; rm -rf ~",
    "$(reboot)",
    "`reboot`",
    ") paren",
    "-rf",
    "--output=evil",
    "__proto__",
    "constructor",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}.exe",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}",
    "e\u{301}\u{301}\u{301}\u{301}.txt",
    "javascript(alert).js",
];

#[tokio::test(flavor = "multi_thread")]
async fn nasty_names_are_saved_as_they_are_and_printed_harmlessly() {
    let host = Host::start().await;
    for (index, name) in NASTY.into_iter().enumerate() {
        let room = Room::new();
        let door = OpenDoor::open(&host).await;
        let formats: [&[&str]; 3] = [&[], &["--json"], &["--quiet"]];
        let program = Program::receive(&room, &door.link, formats[index % formats.len()]);
        let mut sender = door.peer().await;
        let offer = offer(&[Raw::file(name, 1)]);
        sender.say(&offer.messages).await;
        let accepted = sender.hear_until(|message| matches!(message, Message::Start { .. })).await;
        if accepted {
            let digest = Sha256::digest(b"x").into();
            sender.say(&[Message::Data { file: 0, offset: 0, bytes: b"x".as_slice().into() }]).await;
            sender.say(&[Message::FileEnd { file: 0, len: 1, digest }]).await;
            sender.say(&[Message::TransferEnd { digest: offer.digest }]).await;
            assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await, "{name}");
            sender.say(&[Message::DoneAck]).await;
            sender.last_word().await;
        }
        let ending = program.end().await;
        ending.assert_clean();
        assert_eq!(ending.status, Some(if accepted { 0 } else { 1 }), "{name}: {ending:#?}");
        let saved: Vec<_> =
            room.output().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let expected: Vec<std::ffi::OsString> = accepted.then(|| name.into()).into_iter().collect();
        assert_eq!(saved, expected, "{ending:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_stays_an_archive_and_nothing_is_opened() {
    let host = Host::start().await;
    let room = Room::new();
    // The end-of-directory record of an empty archive: valid, and nothing to unpack.
    let archive: Vec<u8> = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    let door = OpenDoor::open(&host).await;
    let program = Program::receive(&room, &door.link, &["--json"]);
    let mut sender = door.peer().await;
    let size = archive.len() as u64;
    let offer = offer(&[Raw::file("x.zip", size)]);
    sender.offer(&offer).await;
    let digest = Sha256::digest(&archive).into();
    sender.say(&[Message::Data { file: 0, offset: 0, bytes: archive.as_slice().into() }]).await;
    sender.say(&[Message::FileEnd { file: 0, len: size, digest }]).await;
    sender.say(&[Message::TransferEnd { digest: offer.digest }]).await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    sender.say(&[Message::DoneAck]).await;
    sender.last_word().await;
    assert_eq!(program.end().await.status, Some(0));
    assert_eq!(room.output().read_dir().unwrap().count(), 1);
    assert_eq!(std::fs::read(room.output().join("x.zip")).unwrap(), archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_files_to_send_are_printed_harmlessly_too() {
    let host = Host::start().await;
    for name in ["\u{1b}[2Jx", "\u{1b}]52;c;ZXZpbA==\u{7}", "a\rb", "\u{202e}gnp.exe"] {
        for format in ["--json", "--no-qr"] {
            let room = Room::new();
            let missing = room.parent().join(name);
            let args = [format, "--server", host.url.as_str(), missing.to_str().unwrap()];
            Program::start(&room, args).end().await.assert_failed(6);
        }
    }
}
