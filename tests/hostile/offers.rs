//! Offers that are too much, too many, or not what they say.

use wire::message::{DeclineReason, Message};

use super::entry::{Raw, manifest_part, offer};
use super::host::Host;
use super::peer::{LastWord, OpenDoor, Peer};
use super::program::{Ending, Program};
use super::room::Room;

/// Memory that no offer of ordinary names may take, in bytes: what keeps them, and what comes faster than it is looked at.
const MEMORY_LIMIT: u64 = 128 << 20;

const LARGEST: u64 = (1 << 63) - 1;

async fn visit(host: &Host, room: &Room, args: &[&str]) -> (Program, Peer) {
    let door = OpenDoor::open(host).await;
    let program = Program::receive(room, &door.link, args);
    (program, door.peer().await)
}

async fn receive(host: &Host, room: &Room, messages: &[Message<'_>]) -> (Ending, LastWord) {
    let (program, mut sender) = visit(host, room, &["--json"]).await;
    sender.say(messages).await;
    let last_word = sender.last_word().await;
    (program.end().await, last_word)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_not_what_it_says_is_refused() {
    let host = Host::start().await;
    let good = offer(&[Raw::file("a", 10)]);
    let part = good.messages[0].clone();
    let digest = good.digest;
    let finish = |entries, total_size, said| Message::ManifestEnd { entries, total_size, digest: said };
    let with_end = |message| vec![part.clone(), message];
    let table = [
        ("a size of 2^63", offer(&[Raw::file("a", 1 << 63)]).messages),
        ("a size of 2^64 - 1", offer(&[Raw::file("a", u64::MAX)]).messages),
        ("sizes that overflow", offer(&["a", "b", "c"].map(|name| Raw::file(name, LARGEST))).messages),
        ("a directory with a size", offer(&[Raw { kind: 2, ..Raw::file("a", 1) }]).messages),
        ("a file with a target", offer(&[Raw { target: b"x".to_vec(), ..Raw::file("a", 1) }]).messages),
        ("another count", with_end(finish(2, 10, digest))),
        ("2^32 - 1 entries announced", with_end(finish(u32::MAX, 10, digest))),
        ("another total", with_end(finish(1, 11, digest))),
        ("another digest", with_end(finish(1, 10, [0; 32]))),
        ("half an entry", vec![manifest_part(vec![1, 0, 0])]),
        ("an empty part", vec![manifest_part(Vec::new())]),
        ("a part that is too long", vec![manifest_part(vec![0; 60_001])]),
    ];
    for (what, messages) in table {
        let room = Room::new();
        let before = room.listing();
        let (ending, last_word) = receive(&host, &room, &messages).await;
        assert_eq!(last_word, LastWord::Declined(DeclineReason::InvalidManifest), "{what}: {ending:#?}");
        ending.assert_failed(1);
        assert_eq!(ending.error(), "unsafe_offer", "{what}");
        assert_eq!(room.listing(), before, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_larger_than_the_disk_is_refused_before_anything_is_written() {
    let host = Host::start().await;
    for sizes in [&[LARGEST][..], &[1 << 62, 1 << 62]] {
        let room = Room::new();
        let before = room.listing();
        let entries = sizes.iter().enumerate().map(|(index, size)| Raw::file(format!("f{index}"), *size));
        let messages = offer(&entries.collect::<Vec<_>>()).messages;
        let (ending, last_word) = receive(&host, &room, &messages).await;
        assert_eq!(last_word, LastWord::Declined(DeclineReason::NoSpace), "{ending:#?}");
        ending.assert_failed(6);
        assert_eq!(ending.error(), "no_room");
        assert_eq!(room.listing(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_not_created_unless_the_user_asked_for_links() {
    let host = Host::start().await;
    let room = Room::new();
    let before = room.listing();
    let entries = [Raw::link("dir/link", "target"), Raw::file("dir/target", 0)];
    let (ending, last_word) = receive(&host, &room, &offer(&entries).messages).await;
    assert_eq!(last_word, LastWord::Declined(DeclineReason::Unwanted), "{ending:#?}");
    ending.assert_failed(1);
    assert_eq!(room.listing(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_consent_without_a_terminal() {
    let host = Host::start().await;
    let room = Room::new();
    let before = room.listing();
    let door = OpenDoor::open(&host).await;
    let program = Program::start(&room, ["receive", "--json", &door.link]);
    let mut sender = door.peer().await;
    sender.say(&offer(&[Raw::file("a", 1)]).messages).await;
    assert_eq!(sender.last_word().await, LastWord::Declined(DeclineReason::User));
    program.end().await.assert_failed(2);
    assert_eq!(room.listing(), before);
}

/// Parts of `count` entries with names of `name_len` bytes, without end.
async fn offer_without_end(sender: &mut Peer, name_len: usize) {
    let entry_len = 23 + name_len;
    let mut number = 0_u64;
    loop {
        let mut part = Vec::new();
        while part.len() + entry_len <= 60_000 {
            // The digit that changes most stands first: no two names in a row begin alike.
            let mut path = format!("{number:0name_len$}").into_bytes();
            path.reverse();
            // Components are at most 255 bytes.
            for at in (200..path.len().saturating_sub(20)).step_by(200) {
                path[at] = b'/';
            }
            part.push(1);
            part.extend_from_slice(&[0; 2 + 8 + 8]);
            part.extend_from_slice(&u16::try_from(path.len()).unwrap().to_be_bytes());
            part.append(&mut path);
            part.extend_from_slice(&[0, 0]);
            number += 1;
        }
        sender.say(&[manifest_part(part)]).await;
        // What nobody takes any more is refused without a pause.
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_without_end_is_refused_before_it_fills_the_memory() {
    let host = Host::start().await;
    // A million names, and as many bytes of names as an offer may have (PROTOCOL.md §8.1), with what keeps them in order.
    for (name_len, limit) in [(7, MEMORY_LIMIT), (900, wire::manifest::MAX_ENCODED_LEN as u64 + (128 << 20))]
    {
        let room = Room::new();
        let before = room.listing();
        let (program, mut sender) = visit(&host, &room, &["--json"]).await;
        let ending = tokio::select! {
            ending = program.end() => ending,
            () = offer_without_end(&mut sender, name_len) => unreachable!("it has no end"),
        };
        ending.assert_failed(1);
        println!("names of {name_len} bytes: {} MiB in {:?}", ending.peak_memory >> 20, ending.took);
        assert!(ending.peak_memory < limit, "{} bytes", ending.peak_memory);
        assert_eq!(room.listing(), before);
    }
}
