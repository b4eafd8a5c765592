//! Requests that no receiver makes, to a real sender: it gives up with a word, and nothing leaves it but the file.

use std::cell::Cell;

use wire::message::{AbortReason, DeclineReason, Message};

use super::host::Host;
use super::peer::{LastWord, Peer};
use super::program::{Ending, Program};
use super::room::Room;

/// Four chunks and a little.
const SIZE: u64 = 4 * 65_536 + 100;

/// Credit without end.
const CREDIT: u64 = u64::MAX;

fn start(first: u32, offset: u64, until: u32) -> Message<'static> {
    Message::Start { first, offset, until, credit: CREDIT }
}

fn resume(file: u32, offset: u64) -> Message<'static> {
    Message::Resume { file, offset }
}

fn is_content(message: &Message<'_>) -> bool {
    message.is_counted()
}

async fn visit(host: &Host, room: &Room) -> (Program, Peer) {
    let content: Vec<u8> = (0..SIZE).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let file = room.file("a.bin", &content);
    let (program, invitation) = Program::send(room, host.url.as_str(), &file, &["--link-only"]).await;
    (program, Peer::claim(&invitation.link).await)
}

/// What a real sender makes of a receiver that says this after it has accepted.
async fn send(host: &Host, messages: &[Message<'_>]) -> (Ending, LastWord) {
    let room = Room::new();
    let (program, mut receiver) = visit(host, &room).await;
    receiver.accept().await;
    receiver.say(messages).await;
    let last_word = receiver.last_word().await;
    (program.end().await, last_word)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_what_was_not_offered_are_refused() {
    let host = Host::start().await;
    let other = [0; 32];
    let table = [
        ("a file behind the last", vec![start(1, 0, 2)]),
        ("files up to 2^32 - 1", vec![start(0, 0, u32::MAX)]),
        ("an empty range", vec![start(0, 0, 0)]),
        ("a range that runs backwards", vec![start(1, 0, 0)]),
        ("an offset that was not proven", vec![start(0, 65_536, 1)]),
        ("an unaligned offset", vec![start(0, 1, 1)]),
        ("an offset behind the end", vec![start(0, 1 << 32, 1)]),
        ("an offset of 2^64 - 1", vec![start(0, u64::MAX, 1)]),
        ("the same twice", vec![start(0, 0, 1), start(0, 0, 1)]),
        ("a proof of a file behind the last", vec![resume(1, 65_536)]),
        ("a proof of file 2^32 - 1", vec![resume(u32::MAX, 65_536)]),
        ("an unaligned proof", vec![resume(0, 65_537)]),
        ("a proof of more than there is", vec![resume(0, 5 * 65_536)]),
        ("a proof of 2^64 - 65,536 bytes", vec![resume(0, u64::MAX - 65_535)]),
        ("less credit than before", vec![Message::Credit { total: 9 }, Message::Credit { total: 8 }]),
        ("success before the end", vec![Message::Done { digest: other }]),
        ("a second consent", vec![Message::Accept { digest: other }]),
        ("a second state", vec![Message::State { manifest: None, accepted: false, next: 0 }]),
        ("bytes", vec![Message::Data { file: 0, offset: 0, bytes: b"x".as_slice().into() }]),
        ("an end", vec![Message::TransferEnd { digest: other }]),
        ("an acknowledgement", vec![Message::DoneAck]),
        ("a switch", vec![Message::Switch { next: 2 }]),
    ];
    for (what, messages) in table {
        let (ending, last_word) = send(&host, &messages).await;
        assert_eq!(last_word, LastWord::Aborted(AbortReason::Protocol), "{what}: {ending:#?}");
        ending.assert_failed(1);
        assert_eq!(ending.error(), "protocol", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn success_that_is_claimed_before_the_end_is_a_failure() {
    let host = Host::start().await;
    // Right after consent, and in the middle of the file.
    for credit in [None, Some(2 * 66_000)] {
        let room = Room::new();
        let (program, mut receiver) = visit(&host, &room).await;
        let digest = receiver.accept().await;
        if let Some(credit) = credit {
            receiver.say(&[Message::Start { first: 0, offset: 0, until: 1, credit }]).await;
            assert!(receiver.hear_until(|message| matches!(message, Message::Data { .. })).await);
        }
        receiver.say(&[Message::Done { digest }]).await;
        assert_eq!(receiver.last_word().await, LastWord::Aborted(AbortReason::Protocol));
        program.end().await.assert_failed(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_sent_everything_and_heard_no_more_says_just_that() {
    let host = Host::start().await;
    for (credit, name, status) in [(CREDIT, "unconfirmed", 5), (2 * 66_000, "cancelled_by_peer", 3)] {
        let room = Room::new();
        let (program, mut receiver) = visit(&host, &room).await;
        receiver.accept().await;
        receiver.say(&[Message::Start { first: 0, offset: 0, until: 1, credit }]).await;
        let is_last = |message: &Message<'_>| match credit {
            CREDIT => matches!(message, Message::TransferEnd { .. }),
            _ => matches!(message, Message::Data { offset: 65_536, .. }),
        };
        assert!(receiver.hear_until(is_last).await);
        Box::pin(receiver.leave()).await;
        let ending = program.end().await;
        ending.assert_failed(status);
        assert_eq!(ending.error(), name);
        let is_told = ["everything was sent", "ask the receiver"].map(|words| ending.stdout.contains(words));
        assert_eq!(is_told, [name == "unconfirmed"; 2], "{ending:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_consent() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut receiver) = visit(&host, &room).await;
    receiver.listen_to_offer().await;
    receiver.say(&[start(0, 0, 1)]).await;
    assert!(!receiver.hear_until(is_content).await, "nobody agreed to anything");
    program.end().await.assert_failed(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_beyond_the_credit() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut receiver) = visit(&host, &room).await;
    receiver.accept().await;
    // A chunk needs more than that.
    receiver.say(&[Message::Start { first: 0, offset: 0, until: 1, credit: 65_535 }]).await;
    receiver.say(&[Message::Ping { token: 77 }]).await;
    let data_count = Cell::new(0);
    let heard = receiver.hear_until(|message| {
        data_count.set(data_count.get() + usize::from(message.is_counted()));
        *message == Message::Pong { token: 77 }
    });
    assert!(heard.await, "it had heard what it was granted");
    receiver.say(&[Message::DoneAck]).await;
    let more = receiver.hear_until(is_content).await;
    assert_eq!((data_count.get(), more), (0, false), "not a byte of the file");
    program.end().await.assert_failed(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_says_on_leaving_is_told_in_words() {
    let host = Host::start().await;
    let decline = |reason| vec![Message::Decline { reason }];
    let abort = |reason| vec![Message::Abort { reason, file: Some(u32::MAX - 1) }];
    let table = [
        (decline(DeclineReason::User), 3),
        (decline(DeclineReason::NoSpace), 1),
        (decline(DeclineReason::Unwanted), 1),
        (decline(DeclineReason::InvalidManifest), 1),
        (abort(AbortReason::Cancelled), 3),
        (abort(AbortReason::DiskFull), 1),
        (abort(AbortReason::Integrity), 7),
        (abort(AbortReason::Internal), 1),
        (vec![Message::Bye], 5),
    ];
    for (messages, status) in table {
        let (ending, last_word) = send(&host, &messages).await;
        ending.assert_failed(status);
        assert_eq!(last_word, LastWord::Nothing, "whoever left is not talked to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_five_proofs_at_once_or_thousands_of_pings_are_a_flood() {
    let host = Host::start().await;
    for flood in [vec![resume(0, 65_536); 65], vec![Message::Ping { token: 1 }; 5_000]] {
        let room = Room::new();
        let (program, mut receiver) = visit(&host, &room).await;
        receiver.accept().await;
        receiver.say_together(&flood).await;
        assert_eq!(receiver.last_word().await, LastWord::Aborted(AbortReason::Protocol));
        program.end().await.assert_failed(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_closes_or_falls_silent_is_waited_for_where_both_meet_again() {
    let host = Host::start().await;
    for closes in [true, false] {
        let room = Room::new();
        let (program, mut receiver) = visit(&host, &room).await;
        receiver.accept().await;
        let silent = if closes {
            receiver.close().await;
            None
        } else {
            Some(receiver)
        };
        program.interrupt_while_it_reconnects().await;
        drop(silent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_never_heard_done_learns_of_it_when_they_meet_again() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, mut receiver) = visit(&host, &room).await;
    let digest = receiver.accept().await;
    receiver.say(&[start(0, 0, 1)]).await;
    assert!(receiver.hear_until(|message| matches!(message, Message::TransferEnd { .. })).await);
    receiver.come_again().await;
    receiver.say(&[Message::State { manifest: Some(digest), accepted: true, next: 0 }]).await;
    receiver.say(&[Message::Done { digest }]).await;
    assert!(receiver.hear_until(|message| matches!(message, Message::DoneAck)).await);
    assert_eq!(program.end().await.status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_from_a_generation_that_is_over() {
    let host = Host::start().await;
    let table = [
        ("an offset that was proven in another generation", start(0, 65_536, 1)),
        ("success without a byte in this session", Message::Done { digest: [0; 32] }),
        ("credit for nothing", Message::Credit { total: CREDIT }),
    ];
    for (what, claim) in table {
        // On a busy machine a connection may break by itself and the word with it: then it is said once more, to another program.
        let mut word = LastWord::Nothing;
        for _ in 0..3 {
            word = word_on_an_old_claim(&host, &claim).await;
            if word != LastWord::Nothing {
                break;
            }
        }
        assert_eq!(word, LastWord::Aborted(AbortReason::Protocol), "{what}");
    }
}

/// What a real sender says to a receiver that proves a beginning, comes again, and makes a claim of which only the generation
/// before knew; nothing, when the connection broke before it was heard. It refuses the claim in any case.
async fn word_on_an_old_claim(host: &Host, claim: &Message<'_>) -> LastWord {
    let room = Room::new();
    let (mut program, mut receiver) = visit(host, &room).await;
    let digest = receiver.accept().await;
    receiver.say(&[resume(0, 65_536)]).await;
    assert!(receiver.hear_until(|message| matches!(message, Message::Prefix { .. })).await);
    let mut word = LastWord::Nothing;
    while word == LastWord::Nothing {
        tokio::select! {
            () = receiver.come_again() => {}
            () = program.ended() => break,
        }
        let known = Message::State { manifest: Some(digest), accepted: false, next: 0 };
        receiver.say(&[known, claim.clone()]).await;
        word = receiver.last_word().await;
    }
    program.end().await.assert_failed(1);
    word
}
