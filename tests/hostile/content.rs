//! Content that is not what was offered: more, less, other, elsewhere, or not finished.

use std::pin::pin;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use wire::message::{AbortReason, Batch, Message};
use wire::transfer::DONE_LINGER;

use super::entry::{Raw, offer};
use super::host::Host;
use super::peer::{LastWord, OpenDoor, Peer};
use super::program::{Ending, Program};
use super::room::Room;

const HELLO: &[u8] = b"0123456789";

/// Memory that no offer and no flood may take, in bytes.
const MEMORY_LIMIT: u64 = 200 << 20;

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn data(file: u32, offset: u64, bytes: &[u8]) -> Message<'_> {
    Message::Data { file, offset, bytes: bytes.into() }
}

fn end(file: u32, bytes: &[u8]) -> Message<'static> {
    Message::FileEnd { file, len: bytes.len() as u64, digest: digest(bytes) }
}

/// Two files of ten bytes, accepted by a real receiver.
async fn accepted(host: &Host, room: &Room) -> (Program, Peer, [u8; 32]) {
    let door = OpenDoor::open(host).await;
    let program = Program::receive(room, &door.link, &["--json"]);
    let mut sender = door.peer().await;
    let offer = offer(&[Raw::file("a.txt", 10), Raw::file("b.txt", 10)]);
    sender.offer(&offer).await;
    (program, sender, offer.digest)
}

/// What a real receiver that accepted two files of ten bytes makes of these messages.
async fn receive(host: &Host, room: &Room, messages: &[Message<'_>]) -> (Ending, LastWord) {
    let (program, mut sender, _) = accepted(host, room).await;
    sender.say(messages).await;
    let last_word = sender.last_word().await;
    (program.end().await, last_word)
}

/// Neither file has its final name.
#[track_caller]
fn assert_nothing_received(room: &Room, what: &str) {
    for name in ["a.txt", "b.txt", "a (1).txt"] {
        assert!(!room.output().join(name).exists(), "{name} exists after {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_anything_but_the_next_bytes_is_stopped() {
    let host = Host::start().await;
    let digest = digest(HELLO);
    let d = [0; 32];
    let batch = |items, bytes: &'static [u8]| Message::Batch(Batch { items, bytes: bytes.into() });
    let more = "0123456789X".as_bytes();
    let table: Vec<(&str, Vec<Message<'_>>)> = vec![
        ("eleven bytes of ten", vec![data(0, 0, more)]),
        ("byte eleven by itself", vec![data(0, 0, HELLO), data(0, 10, b"X")]),
        ("a byte at 2^64 - 1", vec![data(0, u64::MAX, b"X")]),
        ("bytes behind a gap", vec![data(0, 1, b"X")]),
        ("the same bytes twice", vec![data(0, 0, b"01"), data(0, 0, b"01")]),
        ("bytes of the second file first", vec![data(1, 0, HELLO)]),
        ("bytes of a file that is not there", vec![data(2, 0, HELLO)]),
        ("bytes of file 2^32 - 1", vec![data(u32::MAX, 0, HELLO)]),
        ("an end without bytes", vec![Message::FileEnd { file: 0, len: 10, digest }]),
        ("an end too early", vec![data(0, 0, b"01234"), end(0, b"01234")]),
        ("a batch longer than declared", vec![batch(vec![(0, 11, d)], b"0123456789X")]),
        ("a batch shorter than declared", vec![batch(vec![(0, 9, d)], b"012345678")]),
        ("a batch of the second file", vec![batch(vec![(1, 10, d)], b"0123456789")]),
        ("a batch in the middle of a file", vec![data(0, 0, b"0"), batch(vec![(0, 10, d)], b"0123456789")]),
        ("the end of everything at the beginning", vec![Message::TransferEnd { digest: d }]),
        ("DONE_ACK before DONE", vec![Message::DoneAck]),
        ("a proof that nobody asked for", vec![Message::Prefix { file: 0, offset: 0, digest }]),
        ("another offer", offer(&[Raw::file("c.txt", 1)]).messages),
        ("what only a receiver says", vec![Message::Accept { digest }]),
        ("a request", vec![Message::Start { first: 0, offset: 0, until: 2, credit: 1 << 40 }]),
        ("a switch to where it is already", vec![Message::Switch { next: 1 }]),
    ];
    for (what, messages) in table {
        let room = Room::new();
        let (ending, last_word) = Box::pin(receive(&host, &room, &messages)).await;
        assert_eq!(last_word, LastWord::Aborted(AbortReason::Protocol), "{what}: {ending:#?}");
        ending.assert_failed(1);
        assert_eq!(ending.error(), "protocol", "{what}");
        assert_nothing_received(&room, what);
        let longest = room.listing().into_values().flatten().map(|content| content.len()).max();
        assert!(longest.is_some_and(|len| len < 1024), "{what}: no more than was declared is kept");
        assert!(!room.listing().into_values().flatten().any(|content| content.ends_with(b"X")), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_with_another_digest_is_discarded_and_both_sides_know_why() {
    let host = Host::start().await;
    let wrong = [0x5a; 32];
    let table = [
        vec![data(0, 0, HELLO), Message::FileEnd { file: 0, len: 10, digest: wrong }],
        vec![Message::Batch(Batch { items: vec![(0, 10, wrong)], bytes: HELLO.into() })],
    ];
    for messages in table {
        let room = Room::new();
        let before = room.listing();
        let (ending, last_word) = Box::pin(receive(&host, &room, &messages)).await;
        assert_eq!(last_word, LastWord::Aborted(AbortReason::Integrity), "{ending:#?}");
        ending.assert_failed(7);
        assert_eq!(ending.error(), "integrity");
        assert_eq!(room.listing(), before, "wrong bytes are not even kept in part");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_leaves_before_the_end_delivers_nothing_but_what_is_verified() {
    let host = Host::start().await;
    let whole = [data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)];
    for (said, saved) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)] {
        for with_goodbye in [false, true] {
            let room = Room::new();
            let (program, mut sender, _) = accepted(&host, &room).await;
            sender.say(&whole[..said]).await;
            if with_goodbye {
                sender.say(&[Message::Bye]).await;
            }
            sender.close().await;
            let ending = if with_goodbye {
                let ending = program.end().await;
                ending.assert_failed(5);
                assert_eq!(ending.error(), "peer_lost");
                ending
            } else {
                // A close is not authenticated: whoever made it, the other side may come back.
                program.interrupt_while_it_reconnects().await
            };
            let names = ["a.txt", "b.txt"].map(|name| room.output().join(name).exists());
            assert_eq!(
                names,
                [saved > 0, saved > 1],
                "after {said} messages only verified files have their name: {ending:#?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_leaves_without_having_heard_of_the_success_changes_nothing_about_it() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, digest) = accepted(&host, &room).await;
    let whole = [data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)];
    sender.say(&whole).await;
    sender.say(&[Message::TransferEnd { digest }]).await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    sender.close().await;
    let ending = tokio::task::spawn_blocking(|| {
        // The user knows at once, and need not wait for a sender that may not come back.
        program.wait_for("finished");
        assert_eq!(program.wait_for("warning")["warning"], "sender_unaware");
        program.interrupt();
        program
    });
    let ending = ending.await.unwrap().end().await;
    assert_eq!(ending.status, Some(0), "{ending:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_comes_back_after_a_while_hears_that_everything_was_received() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, digest) = accepted(&host, &room).await;
    sender.say(&[data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)]).await;
    sender.say(&[Message::TransferEnd { digest }]).await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    sender.hang_up();
    // Longer than a receiver waits for an answer while there is a connection.
    tokio::time::sleep(DONE_LINGER + Duration::from_secs(3)).await;
    sender.come_again().await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    sender.say(&[Message::DoneAck]).await;
    assert_eq!(sender.last_word().await, LastWord::Bye);
    let ending = program.end().await;
    assert_eq!(ending.status, Some(0), "{ending:#?}");
    assert_eq!(ending.stdout.matches("\"finished\"").count(), 1, "{ending:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn abort_reasons_of_the_sender_are_told_in_words() {
    let host = Host::start().await;
    for (reason, status) in [(1, 3), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 7), (8, 1), (0, 1), (200, 1)]
    {
        let room = Room::new();
        let (program, mut sender, _) = accepted(&host, &room).await;
        sender.say_bytes(&[20, 0, 0, 0, 5, reason, 0xff, 0xff, 0xff, 0xfe]).await;
        let ending = program.end().await;
        ending.assert_failed(status);
        assert_nothing_received(&room, "an abort");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintexts_that_are_no_messages_end_the_transfer() {
    let host = Host::start().await;
    let table: [&[u8]; 8] = [
        &[0],
        &[21, 0, 0, 0, 0],
        &[255, 0, 0, 0, 0],
        &[16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        &[16, 0xff, 0xff, 0xff, 0xff, 0],
        &[14, 0, 0, 0, 1, 0],
        &[9, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[10, 0, 0, 0, 2, 0xff, 0xff],
    ];
    for plaintext in table {
        let room = Room::new();
        let (program, mut sender, _) = accepted(&host, &room).await;
        sender.say_bytes(plaintext).await;
        let last_word = sender.last_word().await;
        assert_eq!(last_word, LastWord::Aborted(AbortReason::Protocol), "{plaintext:?}");
        program.end().await.assert_failed(1);
        assert_nothing_received(&room, "nonsense");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_pings_in_one_record_are_a_flood() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, _) = accepted(&host, &room).await;
    sender.say_together(&vec![Message::Ping { token: 1 }; 5_000]).await;
    assert_eq!(sender.last_word().await, LastWord::Aborted(AbortReason::Protocol));
    let ending = program.end().await;
    ending.assert_failed(1);
    assert!(ending.peak_memory < MEMORY_LIMIT, "{} bytes", ending.peak_memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_whose_answers_nobody_reads_cost_no_memory_and_do_not_make_deaf() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, _) = accepted(&host, &room).await;
    // The way back is full soon.
    let pings = vec![Message::Ping { token: 1 }; 250];
    let flood = async {
        loop {
            sender.say_together(&pings).await;
            // What nobody takes any more is refused without a pause.
            tokio::task::yield_now().await;
        }
    };
    let mut flood = pin!(flood);
    assert!(timeout(Duration::from_secs(10), &mut flood).await.is_err(), "a flood does not end");
    program.interrupt();
    let interrupted = Instant::now();
    let ending = tokio::select! {
        ending = program.end() => ending,
        () = flood => unreachable!("a flood does not end"),
    };
    ending.assert_failed(130);
    // Words of farewell have three seconds, and as many to be acknowledged.
    assert!(interrupted.elapsed() < Duration::from_secs(30), "{:?}", interrupted.elapsed());
    assert!(ending.peak_memory < MEMORY_LIMIT, "{} bytes", ending.peak_memory);
    assert_nothing_received(&room, "a flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tiny_records_delay_a_transfer_and_nothing_else() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, digest) = accepted(&host, &room).await;
    for _ in 0..10_000 {
        sender.say(&[Message::Pong { token: 0 }]).await;
    }
    sender.say(&[data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)]).await;
    sender.say(&[Message::TransferEnd { digest }]).await;
    if sender.hear_until(|message| matches!(message, Message::Done { .. })).await {
        sender.say(&[Message::DoneAck]).await;
        sender.last_word().await;
    }
    let ending = program.end().await;
    assert_eq!(ending.status, Some(0), "{ending:#?}");
    assert!(ending.peak_memory < MEMORY_LIMIT, "{} bytes", ending.peak_memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_ignores_its_credit_does_not_make_memory_grow() {
    let host = Host::start().await;
    let room = Room::new();
    let door = OpenDoor::open(&host).await;
    let program = Program::receive(&room, &door.link, &["--json"]);
    let mut sender = door.peer().await;
    sender.offer(&offer(&[Raw::file("big", 1 << 30)])).await;
    let chunk = vec![7; 65_536];
    for index in 0..2_000 {
        sender.say(&[data(0, index * 65_536, &chunk)]).await;
    }
    sender.close().await;
    let ending = program.end().await;
    assert_ne!(ending.status, Some(0));
    ending.assert_clean();
    assert!(ending.peak_memory < MEMORY_LIMIT, "{} bytes", ending.peak_memory);
    assert!(!room.output().join("big").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_complete_and_verified_is_received_whatever_the_sender_says_then() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, digest) = accepted(&host, &room).await;
    sender.say(&[data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)]).await;
    sender.say(&[Message::TransferEnd { digest }]).await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    sender.say(&[Message::Abort { reason: AbortReason::Cancelled, file: None }]).await;
    let ending = program.end().await;
    assert_eq!(ending.status, Some(0), "{ending:#?}");
    assert!(ending.stdout.contains("\"finished\""), "{ending:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_done_was_not_acknowledged_says_it_again_when_they_meet_again() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut sender, digest) = accepted(&host, &room).await;
    sender.say(&[data(0, 0, HELLO), end(0, HELLO), data(1, 0, HELLO), end(1, HELLO)]).await;
    sender.say(&[Message::TransferEnd { digest }]).await;
    assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await);
    for _ in 0..2 {
        sender.come_again().await;
        let is_known = |message: &Message<'_>| matches!(message, Message::State { manifest: Some(known), accepted: true, .. } if *known == digest);
        assert!(sender.hear_until(is_known).await, "it says what it knows");
        assert!(sender.hear_until(|message| matches!(message, Message::Done { .. })).await, "it is done");
    }
    sender.say(&[Message::DoneAck]).await;
    assert_eq!(sender.last_word().await, LastWord::Bye);
    assert_eq!(program.end().await.status, Some(0));
}
