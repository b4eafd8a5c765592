//! Both machines against each other, over real records: what arrives, what a break costs, and what a hostile side that
//! holds the keys can do.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeSet;

use common::pair::{Consent, Pair, content, directory, file, sha256, stream, symlink};
use wire::manifest::Entry;
use wire::message::{AbortReason, Batch, CHUNK_LEN, DATA_PREFIX_LEN, DeclineReason, Message};
use wire::record::{MAX_RECORD_LEN, record_len};
use wire::transfer::receiver::{Held, Output};
use wire::transfer::{
    CREDIT_WINDOW, Flow, MAX_CREDIT_WINDOW, MAX_RESUMES, PAGE_CREDIT_WINDOW, Receiver, TransferError,
    Violation,
};

type Entries = Vec<(Entry, Option<Vec<u8>>)>;

const CHUNK: u64 = CHUNK_LEN as u64;
const MEBIBYTE: usize = 1 << 20;

/// Small, but with every shape: a batch, an empty file, whole chunks, a tail, a directory and a link.
fn small_tree() -> Entries {
    vec![
        file("a/one", content(1, 1)),
        file("a/empty", Vec::new()),
        directory("a/nothing"),
        file("a/exact", content(2 * CHUNK_LEN, 2)),
        symlink("a/link", "one"),
        file("a/tail", content(CHUNK_LEN + 7, 3)),
        file("b", content(16_385, 4)),
        file("c", content(16_384, 5)),
    ]
}

/// Two hundred entries of all kinds and sizes.
fn mixed_tree() -> Entries {
    let entry = |index: usize| match index % 10 {
        0 => directory(&format!("tree/{index}")),
        1 => symlink(&format!("tree/{index}"), "2"),
        2 => file(&format!("tree/{index}"), Vec::new()),
        3 => file(&format!("tree/deep/{index}/x"), content(index * 700, index as u64)),
        4 => file(&format!("tree/{index}"), content(16_384, index as u64)),
        5 => file(&format!("tree/{index}"), content(16_385, index as u64)),
        _ => file(&format!("tree/{index}"), content(index * index, index as u64)),
    };
    (0..200).map(entry).collect()
}

fn transferred(entries: Entries) -> Pair {
    let mut pair = Pair::connected(entries);
    pair.run();
    pair
}

/// What a receiver says to a record that a hostile sender seals, once it has accepted files of 262,144 and 40,000
/// bytes of which it has nothing yet.
fn refusal_of(records: &[&[Message<'_>]]) -> Option<TransferError> {
    let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1)), file("y", content(40_000, 2))]);
    hold_back_sender(&mut pair);
    for record in records {
        pair.forge_from_sender(record);
    }
    while pair.receiver.error.is_none() && pair.step() {}
    pair.receiver.error
}

/// Brings a pair to where the receiver waits for the first byte, with a sender that will not say a word more.
fn hold_back_sender(pair: &mut Pair) {
    pair.connect();
    while pair.receiver.manifest.is_none() {
        assert!(pair.step());
    }
    pair.sender.is_puppet = true;
    pair.s2r.clear();
}

/// Brings a pair to where the sender has the receiver's consent, with a receiver that will ask for nothing of itself.
fn hold_back_receiver(pair: &mut Pair) {
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    let digest = pair.digest();
    pair.forge_from_receiver(&[Message::Accept { digest }]);
    pair.receiver.is_puppet = true;
    pair.run();
    assert_eq!(pair.sender.accepted, 1);
}

/// What a sender says to records that a hostile receiver seals behind an honest STATE and ACCEPT.
fn refusal_by_sender(records: &[&[Message<'_>]]) -> Option<TransferError> {
    let mut pair =
        Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1)), directory("d"), file("y", content(9, 2))]);
    hold_back_receiver(&mut pair);
    for record in records {
        pair.forge_from_receiver(record);
    }
    pair.run();
    pair.sender.error
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a pair may have noticed")]
fn violation(violation: Violation) -> Option<TransferError> {
    Some(TransferError::Violation(violation))
}

fn data(offset: u64, len: usize) -> Message<'static> {
    Message::Data { file: 0, offset, bytes: vec![7; len].into() }
}

fn start(first: u32, offset: u64, until: u32) -> Message<'static> {
    Message::Start { first, offset, until, credit: CREDIT_WINDOW }
}

#[test]
fn files_of_every_length_around_a_chunk_arrive_equal() {
    for len in [0, 1, 16_384, 16_385, 65_535, 65_536, 65_537, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1] {
        transferred(vec![file("x", content(len, 1))]).assert_success();
    }
}

#[test]
fn a_tree_of_two_hundred_entries_arrives_equal() {
    let pair = transferred(mixed_tree());
    pair.assert_success();
    let manifest = pair.receiver.manifest.as_ref().unwrap();
    let offered: Vec<_> = mixed_tree().into_iter().map(|(entry, _)| entry).collect();
    assert_eq!(
        manifest.entries().iter().collect::<Vec<_>>(),
        offered,
        "directories and links arrive with the manifest"
    );
}

#[test]
fn a_tree_without_a_single_file_is_done_with_the_manifest() {
    transferred(vec![directory("a"), directory("a/b"), symlink("a/l", "b")]).assert_success();
}

#[test]
fn a_stream_of_any_length_arrives_equal() {
    for len in [0, 1, CHUNK_LEN - 17, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN] {
        transferred(vec![stream("x", content(len, 1))]).assert_success();
    }
}

#[test]
fn a_stream_never_exceeds_the_credit_wherever_it_ends() {
    for tail in [0, 1, CHUNK_LEN - 70, CHUNK_LEN - 49, CHUNK_LEN - 48, CHUNK_LEN - 1] {
        for granted in 65_500..65_700 {
            let mut pair = Pair::new(vec![stream("x", content(tail, 1))]);
            hold_back_receiver(&mut pair);
            let start = Message::Start { first: 0, offset: 0, until: 1, credit: granted };
            pair.forge_from_receiver(&[start]);
            pair.run();
            assert_eq!(pair.sender.error, None);
        }
    }
}

#[test]
fn credit_is_never_exceeded_and_a_slow_writer_never_wedges_the_transfer() {
    // `Pair` asserts the first whenever the sender seals a record.
    let mut pair = Pair::new(vec![
        file("big", content(3 * 8 * MEBIBYTE + 12_345, 1)),
        file("small", content(9, 2)),
        file("medium", content(5 * MEBIBYTE, 3)),
    ]);
    pair.receiver.slow_writer = true;
    pair.connect();
    pair.run();
    pair.assert_success();
}

#[test]
fn a_wider_window_is_granted_at_once_and_ends_with_its_generation() {
    let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1))]);
    hold_back_sender(&mut pair);
    let machine = &mut pair.receiver.machine;
    assert_eq!(machine.flow(), Flow { granted: CREDIT_WINDOW, ..Flow::default() });
    let mut totals = Vec::new();
    for _ in 0..20 {
        machine.widen();
        while let Some(output) = machine.poll_output() {
            let Output::Send(Message::Credit { total }) = output else { panic!("{output:?}") };
            totals.push(total);
        }
    }
    assert_eq!(totals, [2 * CREDIT_WINDOW, MAX_CREDIT_WINDOW]);
    machine.handle_generation();
    assert_eq!(machine.flow(), Flow::default());
}

#[test]
fn a_window_is_as_narrow_as_asked_for_but_two_records_fit() {
    for (asked, window) in [(PAGE_CREDIT_WINDOW, PAGE_CREDIT_WINDOW), (65_536, 2 * MAX_RECORD_LEN as u64)] {
        let mut machine = Receiver::with_window(asked);
        machine.handle_generation();
        assert_eq!(machine.flow().window, window);
    }
}

#[test]
fn nothing_is_sent_before_the_receiver_agrees() {
    let mut pair = Pair::new(small_tree());
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    assert!(pair.receiver.manifest.is_some());
    assert_eq!(pair.sender.accepted, 0);
    assert!(pair.receiver.disk.is_empty());
    pair.receiver.machine.handle_accept(Vec::new());
    pair.run();
    pair.assert_success();
    assert_eq!(pair.sender.accepted, 1);
}

#[test]
fn a_receiver_that_declines_ends_the_transfer_on_both_sides() {
    let mut pair = Pair::new(small_tree());
    pair.receiver.consent = Consent::Decline;
    pair.connect();
    pair.run();
    assert_eq!(pair.sender.error, Some(TransferError::Declined(DeclineReason::User)));
    assert!(!pair.sender.machine.is_done());
    assert!(pair.receiver.disk.is_empty());
}

#[test]
fn either_side_may_give_up_at_any_moment() {
    let total = transferred(small_tree()).delivered;
    let told = Some(TransferError::Aborted { reason: AbortReason::Cancelled, file: Some(3) });
    for moment in 0..total {
        let mut pair = Pair::connected(small_tree());
        pair.run_until_delivered(moment);
        if !pair.sender.machine.is_done() {
            pair.sender.machine.handle_abort(AbortReason::Cancelled, Some(3));
            pair.run();
            assert_eq!(pair.receiver.error, told, "sender, after {moment} records");
            assert!(!pair.sender.machine.is_done(), "sender, after {moment} records");
        }
        let mut other = Pair::connected(small_tree());
        other.run_until_delivered(moment);
        if !other.sender.machine.is_done() {
            other.receiver.machine.handle_abort(AbortReason::Cancelled, Some(3));
            other.run();
            let knows = other.sender.error == told || other.sender.machine.is_done();
            assert!(knows, "receiver, after {moment} records");
        }
    }
}

#[test]
fn a_cut_after_any_record_costs_nothing_but_time() {
    let total = transferred(small_tree()).delivered;
    for cut in 0..=total {
        let mut pair = Pair::connected(small_tree());
        pair.run_until_delivered(cut);
        pair.connect();
        pair.run();
        pair.assert_success();
        assert_eq!(pair.sender.accepted, 1, "cut after {cut} records: the user is told once");
    }
}

#[test]
fn cuts_after_any_two_records_cost_nothing_but_time() {
    let total = transferred(small_tree()).delivered;
    for first in 0..total {
        for second in (0..total).step_by(3) {
            let mut pair = Pair::connected(small_tree());
            pair.run_until_delivered(first);
            pair.connect();
            pair.run_until_delivered(first + second);
            pair.connect();
            pair.run();
            pair.assert_success();
        }
    }
}

#[test]
fn a_hundred_breaks_cost_nothing_but_time() {
    let mut pair = Pair::connected(mixed_tree());
    for generation in 1..=100 {
        pair.run_until_delivered(pair.delivered + 3 + generation % 7);
        pair.connect();
    }
    pair.run();
    pair.assert_success();
}

#[test]
fn a_receiver_whose_done_was_lost_repeats_it_in_the_next_generation() {
    let mut pair = Pair::connected(small_tree());
    while !pair.receiver.machine.is_complete() {
        assert!(pair.step());
    }
    assert!(!pair.sender.machine.is_done());
    pair.connect();
    pair.run();
    pair.assert_success();
}

#[test]
fn a_sender_whose_answer_to_done_was_lost_repeats_it_in_the_next_generation() {
    let mut pair = Pair::connected(small_tree());
    while !pair.sender.machine.is_done() {
        assert!(pair.step());
    }
    assert!(!pair.receiver.machine.is_done());
    for _ in 0..3 {
        pair.connect();
        pair.speak();
    }
    pair.run();
    pair.assert_success();
}

#[test]
fn success_is_final() {
    let mut pair = transferred(small_tree());
    let digest = pair.digest();
    pair.forge_from_receiver(&[Message::Done { digest }]);
    pair.forge_from_receiver(&[Message::Abort { reason: AbortReason::DiskFull, file: None }]);
    pair.forge_from_receiver(&[Message::Decline { reason: DeclineReason::User }, Message::Bye]);
    pair.forge_from_sender(&[Message::DoneAck]);
    pair.forge_from_sender(&[Message::Abort { reason: AbortReason::Cancelled, file: None }, Message::Bye]);
    pair.run();
    pair.assert_success();
}

#[test]
fn failure_is_final() {
    let mut pair = Pair::connected(small_tree());
    while !pair.receiver.machine.is_complete() {
        assert!(pair.step());
    }
    pair.sender.machine.handle_abort(AbortReason::Cancelled, None);
    pair.run();
    assert!(!pair.sender.machine.is_done(), "a DONE that was on its way does not bring it back");
    let before = pair.s2r.len();
    pair.forge_from_receiver(&[Message::State { manifest: None, accepted: false, next: 0 }]);
    pair.run();
    assert_eq!(pair.s2r.len(), before);
}

#[test]
fn a_user_who_agrees_while_no_path_is_open_agrees_once() {
    let mut pair = Pair::new(small_tree());
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    pair.cut();
    pair.receiver.consent = Consent::Accept;
    pair.receiver.machine.handle_accept(Vec::new());
    pair.connect();
    pair.run();
    pair.assert_success();
    assert_eq!(pair.sender.accepted, 1);
}

#[test]
fn a_matching_beginning_is_not_sent_again() {
    let whole = content(4 * CHUNK_LEN + 5, 1);
    let mut pair = Pair::new(vec![file("x", whole.clone())]);
    pair.receiver.disk.insert(0, whole[..3 * CHUNK_LEN].to_vec());
    pair.connect();
    pair.run();
    pair.assert_success();
    assert!(pair.receiver.started_over.is_empty());
    assert!(pair.sender.counted() < 3 * CHUNK, "{} bytes were sent", pair.sender.counted());
}

#[test]
fn a_beginning_of_another_file_starts_over() {
    let mut pair =
        Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1)), file("y", content(3 * CHUNK_LEN, 2))]);
    pair.receiver.disk.insert(0, content(2 * CHUNK_LEN + 1, 9));
    pair.receiver.disk.insert(1, content(2 * CHUNK_LEN + 1, 2));
    pair.connect();
    pair.run();
    pair.assert_success();
    assert_eq!(pair.receiver.started_over, [0]);
}

#[test]
fn a_whole_file_that_is_in_place_is_stepped_over() {
    for whole in [vec![0], vec![1], vec![3], vec![0, 1], vec![0, 1, 2, 3], vec![1, 3]] {
        let entries = [0, 1, CHUNK_LEN, CHUNK_LEN + 1].map(|len| content(len, len as u64));
        let named = entries.iter().enumerate().map(|(index, bytes)| file(&index.to_string(), bytes.clone()));
        let mut pair = Pair::new(named.collect());
        for &index in &whole {
            pair.receiver.disk.insert(index, entries[index as usize].clone());
            pair.receiver.committed.insert(index);
        }
        pair.connect();
        pair.run();
        pair.assert_success();
    }
}

#[test]
fn two_hundred_beginnings_are_proven_in_turns() {
    let len = CHUNK_LEN + 1;
    let count = 200_u32;
    assert!(count as usize > 2 * MAX_RESUMES);
    let entries = (0..count).map(|index| file(&index.to_string(), content(len, index.into())));
    let mut pair = Pair::new(entries.collect());
    for index in (0..count).filter(|index| index % 5 != 0) {
        let salt = if index % 7 == 0 { 1_000 } else { index.into() };
        pair.receiver.disk.insert(index, content(len, salt));
    }
    pair.connect();
    pair.run();
    pair.assert_success();
    let other: BTreeSet<u32> = (0..count).filter(|index| index % 5 != 0 && index % 7 == 0).collect();
    assert_eq!(pair.receiver.started_over.iter().copied().collect::<BTreeSet<_>>(), other);
}

#[test]
fn beginnings_that_cannot_be_asked_for_are_fetched_anew() {
    let held = |file, offset| Held { file, offset, digest: Some([0; 32]) };
    for bad in [
        vec![held(1, CHUNK), held(0, CHUNK)],
        vec![held(0, CHUNK), held(0, CHUNK)],
        vec![held(0, 1), held(1, 5 * CHUNK), held(2, 0), held(99, 0)],
        // Not whole, so nothing has verified it.
        vec![Held { digest: None, ..held(0, CHUNK) }],
    ] {
        let mut pair = Pair::new(vec![
            file("x", content(3 * CHUNK_LEN, 1)),
            file("y", content(3 * CHUNK_LEN, 2)),
            directory("d"),
        ]);
        pair.receiver.consent = Consent::Hesitate;
        pair.connect();
        pair.run();
        pair.receiver.machine.handle_accept(bad);
        pair.run();
        pair.assert_success();
    }
}

#[test]
fn of_several_beginnings_of_a_file_the_longest_that_is_the_senders_counts() {
    let whole = content(9 * CHUNK_LEN + 5, 1);
    let other = content(9 * CHUNK_LEN, 2);
    let mut pair =
        Pair::new(vec![file("w", content(7, 3)), file("x", whole.clone()), file("y", content(CHUNK_LEN, 4))]);
    let on_disk = [&whole[..3 * CHUNK_LEN], &other[..3 * CHUNK_LEN]].concat();
    pair.receiver.disk.insert(1, on_disk.clone());
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    let held = |chunks: usize| Held {
        file: 1,
        offset: (chunks * CHUNK_LEN) as u64,
        digest: Some(sha256(&on_disk[..chunks * CHUNK_LEN])),
    };
    pair.receiver.machine.handle_accept(vec![held(1), held(3), held(5), held(6)]);
    pair.run();
    pair.assert_success();
    assert!(pair.receiver.started_over.is_empty());
    assert!(pair.sender.counted() < 8 * CHUNK, "{} bytes were sent", pair.sender.counted());
}

#[test]
fn files_that_were_verified_in_this_session_are_not_asked_about() {
    let entries = (0..6).map(|index| (index.to_string(), content(CHUNK_LEN + 1, index)));
    let entries: Vec<_> = entries.map(|(name, bytes)| file(&name, bytes)).collect();
    let mut pair = Pair::new(entries);
    for index in [0, 1, 3, 5] {
        pair.receiver.disk.insert(index, content(CHUNK_LEN + 1, index.into()));
        pair.receiver.committed.insert(index);
    }
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    let held = |file| Held { file, offset: CHUNK + 1, digest: None };
    pair.receiver.machine.handle_accept([0, 1, 3, 5].map(held).to_vec());
    pair.sender.is_puppet = true;
    pair.run();
    let (_, opener) = pair.sender.keys.as_mut().unwrap();
    let told: Vec<_> =
        pair.told_to_sender.iter_mut().map(|record| opener.open(record).unwrap().to_vec()).collect();
    let told: Vec<_> = told.iter().flat_map(|plaintext| wire::message::decode(plaintext)).collect();
    let starts: Vec<_> = told
        .into_iter()
        .skip_while(|decoded| matches!(decoded, Ok((Message::Accept { .. }, _))))
        .map(|decoded| {
            let message = decoded.unwrap().0;
            let Message::Start { first, offset: 0, until, .. } = message else { panic!("{message:?}") };
            (first, until)
        })
        .collect();
    assert_eq!(starts, [(2, 3), (4, 5), (6, 6)]);
}

#[test]
fn more_beginnings_than_ranges_may_wait_are_proven_in_turns() {
    let count = 140_000_u32;
    let entries = (0..count).map(|index| file(&index.to_string(), Vec::new()));
    let mut pair = Pair::new(entries.collect());
    for index in (0..count).step_by(2) {
        pair.receiver.disk.insert(index, Vec::new());
        pair.receiver.committed.insert(index);
    }
    pair.connect();
    pair.run();
    pair.assert_success();
    assert!(pair.receiver.started_over.is_empty());
}

#[test]
fn bytes_after_the_last_of_a_file_are_refused() {
    let digest = [0; 32];
    let all: Vec<_> = (0..4).map(|chunk| [data(chunk * CHUNK, CHUNK_LEN)]).collect();
    let mut records: Vec<&[Message<'_>]> = all.iter().map(<[_; 1]>::as_slice).collect();
    let end = [Message::FileEnd { file: 0, len: 4 * CHUNK, digest }];
    let more = [data(4 * CHUNK, 1)];
    records.push(&more);
    assert_eq!(refusal_of(&records), violation(Violation::TooLong));
    records.pop();
    let last = [data(3 * CHUNK, CHUNK_LEN), end[0].clone(), data(4 * CHUNK, 1)];
    records.pop();
    records.push(&last);
    assert_eq!(refusal_of(&records), violation(Violation::Order), "DATA after FILE_END");
}

#[test]
fn data_at_any_offset_but_the_next_is_refused() {
    for offset in [1, CHUNK, u64::MAX] {
        assert_eq!(refusal_of(&[&[data(offset, 9)]]), violation(Violation::Order));
    }
    assert_eq!(refusal_of(&[&[data(0, 9)], &[data(0, 9)]]), violation(Violation::Order), "twice the same");
    assert_eq!(refusal_of(&[&[data(0, 9)], &[data(10, 9)]]), violation(Violation::Order), "a gap");
    let other = Message::Data { file: 1, offset: 0, bytes: vec![1].into() };
    assert_eq!(refusal_of(&[&[other]]), violation(Violation::Order), "not its turn");
    let none = Message::Data { file: 2, offset: 0, bytes: vec![1].into() };
    assert_eq!(refusal_of(&[&[none]]), violation(Violation::Order), "no such entry");
}

#[test]
fn an_early_file_end_and_one_of_another_length_are_refused() {
    let end = |len| [Message::FileEnd { file: 0, len, digest: [0; 32] }];
    assert_eq!(refusal_of(&[&end(4 * CHUNK)]), violation(Violation::TooShort), "before any byte");
    assert_eq!(refusal_of(&[&end(0)]), violation(Violation::TooShort));
    assert_eq!(refusal_of(&[&[data(0, CHUNK_LEN)], &end(CHUNK)]), violation(Violation::TooShort));
    assert_eq!(refusal_of(&[&end(4 * CHUNK + 1)]), violation(Violation::TooLong));
    let other = Message::FileEnd { file: 1, len: 40_000, digest: [0; 32] };
    assert_eq!(refusal_of(&[&[other]]), violation(Violation::Order));
}

#[test]
fn a_transfer_end_before_the_last_byte_or_of_another_manifest_is_refused() {
    let other = Message::TransferEnd { digest: [9; 32] };
    assert_eq!(refusal_of(&[&[other]]), violation(Violation::OtherManifest));
    let mut pair = Pair::new(small_tree());
    hold_back_sender(&mut pair);
    let digest = pair.digest();
    pair.forge_from_sender(&[Message::TransferEnd { digest }]);
    pair.run();
    assert_eq!(pair.receiver.error, violation(Violation::TooShort));
}

#[test]
fn a_batch_out_of_turn_or_of_another_length_is_refused() {
    let batch = |items: &[(u32, u32)]| {
        let bytes = vec![7; items.iter().map(|(_, len)| *len as usize).sum()];
        let items = items.iter().map(|(file, len)| (*file, *len, [0; 32])).collect();
        [Message::Batch(Batch { items, bytes: bytes.into() })]
    };
    assert_eq!(refusal_of(&[&batch(&[(0, 9)])]), violation(Violation::TooShort));
    assert_eq!(refusal_of(&[&batch(&[(1, 9)])]), violation(Violation::Order));
    assert_eq!(refusal_of(&[&[data(0, 9)], &batch(&[(0, 9)])]), violation(Violation::Order));
    let too_much = batch(&[(0, 16_384), (1, 16_384), (2, 16_384), (3, 16_384), (4, 1)]);
    assert_eq!(refusal_of(&[&too_much]), violation(Violation::Unreadable), "65,537 bytes in a batch");
}

#[test]
fn a_batch_never_holds_more_than_65_536_bytes() {
    // Five files whose bytes would fit a record, but are 65,540 together.
    let entries = (0..5).map(|index| file(&index.to_string(), content(13_108, index)));
    let pair = transferred(entries.collect());
    pair.assert_success();
}

#[test]
fn a_sender_that_exceeds_its_credit_is_refused() {
    let chunks = CREDIT_WINDOW / record_len(DATA_PREFIX_LEN + CHUNK_LEN) as u64 + 1;
    let mut pair = Pair::new(vec![file("x", content(usize::try_from((chunks + 1) * CHUNK).unwrap(), 1))]);
    pair.receiver.slow_writer = true;
    hold_back_sender(&mut pair);
    for chunk in 0..chunks {
        assert_eq!(pair.receiver.error, None, "chunk {chunk}");
        pair.forge_from_sender(&[data(chunk * CHUNK, CHUNK_LEN)]);
        let record = pair.s2r.pop_front().unwrap();
        pair.deliver_unwritten(record);
    }
    assert_eq!(pair.receiver.error, violation(Violation::Credit));
}

#[test]
fn bytes_before_consent_are_refused() {
    let mut pair = Pair::new(small_tree());
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    pair.forge_from_sender(&[Message::Data { file: 0, offset: 0, bytes: vec![1].into() }]);
    pair.run();
    assert_eq!(pair.receiver.error, violation(Violation::OutOfPlace));
    assert!(pair.receiver.disk.is_empty());
}

#[test]
fn done_before_transfer_end_is_refused() {
    let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1))]);
    pair.receiver.consent = Consent::Hesitate;
    pair.connect();
    pair.run();
    let digest = pair.digest();
    pair.forge_from_receiver(&[Message::Accept { digest }, Message::Done { digest }]);
    pair.run();
    assert_eq!(pair.sender.error, violation(Violation::OutOfPlace));
    assert!(!pair.sender.machine.is_done());
}

#[test]
fn done_of_another_manifest_is_refused() {
    let other = Message::Done { digest: [9; 32] };
    assert_eq!(refusal_by_sender(&[&[start(0, 0, 3)], &[other]]), violation(Violation::OtherManifest));
}

#[test]
fn requests_before_consent_are_refused() {
    for request in [start(0, 0, 1), Message::Resume { file: 0, offset: CHUNK }, Message::Credit { total: 1 }]
    {
        let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1))]);
        pair.receiver.consent = Consent::Hesitate;
        pair.connect();
        pair.run();
        pair.forge_from_receiver(&[request]);
        pair.run();
        assert_eq!(pair.sender.error, violation(Violation::OutOfPlace));
    }
}

#[test]
fn ranges_that_overlap_descend_or_reach_too_far_are_refused() {
    let range = violation(Violation::Range);
    assert_eq!(refusal_by_sender(&[&[start(0, 0, 2), start(1, 0, 3)]]), range, "overlap");
    assert_eq!(refusal_by_sender(&[&[start(2, 0, 3), start(0, 0, 1)]]), range, "after the last");
    assert_eq!(refusal_by_sender(&[&[start(1, 0, 2), start(0, 0, 1)]]), range, "descending");
    assert_eq!(refusal_by_sender(&[&[start(0, 0, 4)]]), range, "beyond the manifest");
    assert_eq!(refusal_by_sender(&[&[start(4, 0, 4)]]), range, "behind the manifest");
    assert_eq!(refusal_by_sender(&[&[start(2, 0, 1)]]), range, "backwards");
    assert_eq!(refusal_by_sender(&[&[start(1, 0, 1)]]), range, "empty");
    assert_eq!(refusal_by_sender(&[&[start(0, 0, 3)]]), None);
}

#[test]
fn an_offset_that_was_not_proven_is_refused() {
    let range = violation(Violation::Range);
    assert_eq!(refusal_by_sender(&[&[start(0, CHUNK, 3)]]), range, "never asked");
    let resume = Message::Resume { file: 0, offset: CHUNK };
    assert_eq!(
        refusal_by_sender(&[core::slice::from_ref(&resume), &[start(0, 2 * CHUNK, 3)]]),
        range,
        "another"
    );
    assert_eq!(refusal_by_sender(&[&[resume], &[start(0, CHUNK, 3)]]), None);
}

#[test]
fn a_file_asked_for_from_its_end_is_its_end_alone() {
    let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1))]);
    hold_back_receiver(&mut pair);
    pair.forge_from_receiver(&[Message::Resume { file: 0, offset: 4 * CHUNK }]);
    pair.forge_from_receiver(&[start(0, 4 * CHUNK, 1)]);
    pair.run();
    assert_eq!(pair.sender.error, None);
    assert!(pair.sender.counted() < 200, "FILE_END and TRANSFER_END, not {} bytes", pair.sender.counted());
}

#[test]
fn a_beginning_that_is_no_beginning_is_refused() {
    for (file, offset) in [(0, 1), (0, 4 * CHUNK + 1), (0, 5 * CHUNK), (1, 0), (2, 8), (3, 0), (u32::MAX, 0)]
    {
        let refused = refusal_by_sender(&[&[Message::Resume { file, offset }]]);
        assert_eq!(refused, violation(Violation::Range), "{offset} of entry {file}");
    }
}

#[test]
fn more_questions_than_may_wait_are_a_flood() {
    let resumes = vec![Message::Resume { file: 0, offset: CHUNK }; MAX_RESUMES + 1];
    assert_eq!(refusal_by_sender(&[&resumes]), violation(Violation::Flood));
    let pings = vec![Message::Ping { token: 1 }; 257];
    assert_eq!(refusal_by_sender(&[&pings]), violation(Violation::Flood));
    assert_eq!(refusal_of(&[&pings]), violation(Violation::Flood));
}

#[test]
fn credit_that_shrinks_is_refused() {
    let (more, less) = (Message::Credit { total: 9 }, Message::Credit { total: 8 });
    assert_eq!(refusal_by_sender(&[&[more, less]]), violation(Violation::Credit));
}

#[test]
fn a_second_state_or_a_second_manifest_is_refused() {
    let state = Message::State { manifest: None, accepted: false, next: 0 };
    assert_eq!(refusal_by_sender(&[&[state]]), violation(Violation::OutOfPlace));
    let end = Message::ManifestEnd { entries: 0, total_size: 0, digest: [0; 32] };
    assert_eq!(refusal_of(&[&[end]]), violation(Violation::OutOfPlace));
}

#[test]
fn what_only_the_other_side_may_say_is_refused() {
    let digest = [0; 32];
    for message in [
        Message::TransferEnd { digest },
        Message::Prefix { file: 0, offset: 0, digest },
        Message::DoneAck,
        data(0, 1),
    ] {
        assert_eq!(refusal_by_sender(&[&[message]]), violation(Violation::OutOfPlace));
    }
    for message in [Message::Accept { digest }, start(0, 0, 1), Message::Done { digest }, Message::DoneAck] {
        assert_eq!(refusal_of(&[&[message]]), violation(Violation::OutOfPlace));
    }
}

#[test]
fn a_refusal_is_told_to_the_other_side() {
    let told = Some(TransferError::Aborted { reason: AbortReason::Protocol, file: None });
    let mut pair = Pair::new(vec![file("x", content(4 * CHUNK_LEN, 1))]);
    hold_back_sender(&mut pair);
    pair.forge_from_sender(&[data(5, 5)]);
    pair.run();
    pair.sender.is_puppet = false;
    pair.run();
    assert_eq!(pair.receiver.error, violation(Violation::Order));
    let mut other = Pair::connected(vec![file("x", content(4 * CHUNK_LEN, 1))]);
    other.forge_from_receiver(&[start(0, 0, 1)]);
    other.run();
    assert_eq!((other.sender.error, other.receiver.error), (violation(Violation::OutOfPlace), told));
}

#[test]
fn a_side_that_leaves_before_the_end_has_not_succeeded() {
    assert_eq!(refusal_of(&[&[Message::Bye]]), Some(TransferError::PeerLeft));
    assert_eq!(refusal_by_sender(&[&[Message::Bye]]), Some(TransferError::PeerLeft));
}

#[test]
fn a_prefix_that_nobody_asked_for_is_refused() {
    let prefix = Message::Prefix { file: 0, offset: CHUNK, digest: sha256(&[]) };
    assert_eq!(refusal_of(&[&[prefix]]), violation(Violation::OutOfPlace));
}
