//! Hostile inputs, each of which became a test: guesses, replays, mutilated bodies and records, early ends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeSet;

use common::pair::{Pair, content, file};
use common::{nameplate, open_generation, seal, seed, sessions, shake, typed};
use curve25519_dalek::constants::EIGHT_TORSION;
use wire::attempts::{Attempts, NextStep};
use wire::code::{Code, Mode, ParseCodeError, Password};
use wire::generation::Generation;
use wire::handshake::{HandshakeError, Receiver, Sender};
use wire::keys::Binding;
use wire::message::{AbortReason, CHUNK_LEN, Message, decode};
use wire::record::{MAX_PLAINTEXT_LEN, RecordError};
use wire::signal::{Signal, SignalError, halves, is_usable_candidate};
use wire::signaling::{Claim, Slot};
use wire::transfer::TransferError;

const PAKE_LEN: usize = 33;

fn door() -> (Password, Claim) {
    (typed("2093"), nameplate(48))
}

/// Body 01 of an honest receiver.
fn hello_r() -> Vec<u8> {
    let (password, at) = door();
    Receiver::new(&password, &at, seed(1)).1
}

/// What a sender says to this body 01.
fn sender_on(body: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let (password, at) = door();
    Sender::new(&password, &at, seed(2)).receive_hello(body).map(|(_, body)| body)
}

/// What a receiver says to body 02 after `change`.
fn receiver_on(change: impl Fn(&mut Vec<u8>)) -> Result<Vec<u8>, HandshakeError> {
    let (password, at) = door();
    let (receiver, body) = Receiver::new(&password, &at, seed(1));
    let mut body = sender_on(&body).unwrap();
    change(&mut body);
    receiver.receive_hello(&body).map(|(_, body)| body)
}

#[test]
fn a_code_without_a_separator_or_with_a_short_secret_never_becomes_a_password() {
    assert_eq!("4812093".parse::<Code>().err(), Some(ParseCodeError::NeedsDash { digits: 7 }));
    for short in ["48-209", "48-", "48", "48-able", "2093"] {
        assert_eq!(short.parse::<Code>().err(), Some(ParseCodeError::PasswordTooShort), "{short}");
    }
}

#[test]
fn the_secret_is_in_no_body_and_no_debug_text() {
    let secret = "739182645501";
    let (password, at) = (typed(secret), nameplate(48));
    let (receiver, one) = Receiver::new(&password, &at, seed(1));
    let sender = Sender::new(&password, &at, seed(2));
    let mut shown = vec![format!("{receiver:?} {sender:?} {password:?}")];
    let (sender, two) = sender.receive_hello(&one).unwrap();
    let (receiver, three) = receiver.receive_hello(&two).unwrap();
    shown.push(format!("{sender:?} {receiver:?}"));
    let (session_s, four) = sender.receive_confirm(&three).unwrap();
    let session_r = receiver.receive_confirm(&four).unwrap();
    shown.push(format!("{session_s:?} {session_r:?}"));
    shown.push(format!("{:?}", halves(session_s.signal_keys)));
    let code = format!("48-{secret}").parse::<Code>().unwrap();
    shown.push(format!("{code:?} {:?}", format!("48-{secret}9").parse::<Code>()));
    assert!(!shown.concat().contains("7391"), "{shown:?}");
    for body in [one, two, three, four] {
        assert!(!body.windows(4).any(|window| window == b"7391"));
    }
}

#[test]
fn a_wrong_secret_fails_once_and_burns_the_code() {
    let (password, at) = door();
    let guess = typed("2094");
    let (receiver, body) = Receiver::new(&guess, &at, seed(1));
    let (sender, body) = Sender::new(&password, &at, seed(2)).receive_hello(&body).unwrap();
    let (_receiver, proof) = receiver.receive_hello(&body).unwrap();
    // The sender is consumed by the proof: there is nothing left to guess at, and no body 04 to learn from.
    assert_eq!(sender.receive_confirm(&proof).err(), Some(HandshakeError::WrongPassword));
    assert_eq!(Attempts::default().handle_wrong_password(Mode::Typed), NextStep::Reissue);
}

#[test]
fn who_leaves_before_the_proof_learns_nothing_and_three_times_closes_the_door() {
    let (_, at) = door();
    let right = sender_on(&hello_r()).unwrap();
    let wrong = sender_on(&Receiver::new(&typed("2094"), &at, seed(1)).1).unwrap();
    assert_eq!(right, wrong, "body 02 does not depend on what the other side knows");
    let mut attempts = Attempts::default();
    let steps: Vec<_> = (0..4).map(|_| attempts.handle_soft(Mode::Typed)).collect();
    assert_eq!(steps, [NextStep::Wait, NextStep::Wait, NextStep::Reissue, NextStep::Wait]);
}

#[test]
fn pake_messages_that_are_none_are_refused_on_both_sides() {
    let len = hello_r().len();
    let with_pake = |pake: &[u8]| {
        let mut body = hello_r();
        body.splice(len - PAKE_LEN.., pake.iter().copied());
        sender_on(&body).err()
    };
    let own = sender_on(&hello_r()).unwrap();
    let own = &own[own.len() - PAKE_LEN..];
    assert_eq!(with_pake(own), Some(HandshakeError::BadPakeMessage), "its own");
    let good = &hello_r()[len - PAKE_LEN..];
    for short in [&[][..], &good[..32], &[good, &[0]].concat()] {
        assert_eq!(with_pake(short), Some(HandshakeError::Malformed), "{} bytes", short.len());
    }
    for marker in [b'A', b'S', 0, 255] {
        assert_eq!(with_pake(&[&[marker], &good[1..]].concat()), Some(HandshakeError::BadPakeMessage));
    }
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut p_and_one = p;
    p_and_one[0] = 0xee;
    let mut off_the_curve = [0; 32];
    off_the_curve[0] = 2;
    let mut points = vec![p, p_and_one, off_the_curve, [0xff; 32]];
    points.extend(EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()));
    for point in points {
        let refused = with_pake(&[b"B", point.as_slice()].concat());
        assert_eq!(refused, Some(HandshakeError::BadPakeMessage), "{point:02x?}");
        let refused_by_receiver = receiver_on(|body| {
            let at = body.len() - 32;
            body[at..].copy_from_slice(&point);
        });
        assert_eq!(refused_by_receiver.err(), Some(HandshakeError::BadPakeMessage), "{point:02x?}");
    }
}

#[test]
fn a_hello_of_an_earlier_session_confirms_nothing() {
    let (password, at) = door();
    let (earlier, old_hello) = Receiver::new(&password, &at, seed(1));
    let (_, old_answer) = Sender::new(&password, &at, seed(2)).receive_hello(&old_hello).unwrap();
    let (_, old_proof) = earlier.receive_hello(&old_answer).unwrap();
    let (sender, _) = Sender::new(&password, &at, seed(3)).receive_hello(&old_hello).unwrap();
    assert_eq!(sender.receive_confirm(&old_proof).err(), Some(HandshakeError::WrongPassword));
}

#[test]
fn sessions_with_equal_secrets_at_two_nameplates_cannot_be_crossed() {
    let password = typed("2093");
    let crossed = shake((&password, &nameplate(48)), (&password, &nameplate(49)), 1);
    assert_eq!(crossed.err(), Some(HandshakeError::WrongPassword));
}

#[test]
fn a_hello_with_fewer_or_other_versions_and_suites_fails_at_the_proof() {
    let (password, at) = door();
    for (at_byte, insert) in [(5, 2), (8, 2), (12, 1)] {
        let (receiver, mut body) = Receiver::new(&password, &at, seed(1));
        body[at_byte] = insert;
        let (sender, body) = Sender::new(&password, &at, seed(2)).receive_hello(&body).unwrap();
        let (_, proof) = receiver.receive_hello(&body).unwrap();
        assert_eq!(sender.receive_confirm(&proof).err(), Some(HandshakeError::WrongPassword));
    }
}

#[test]
fn typed_codes_and_links_never_meet() {
    let link = Password::from_link([7; 16]);
    let slot = Claim::Slot(Slot::new([8; 16]));
    let (digits, plate) = door();
    let mode = Some(HandshakeError::ModeMismatch);
    assert_eq!(shake((&link, &slot), (&digits, &slot), 1).err(), mode);
    assert_eq!(shake((&digits, &plate), (&link, &plate), 1).err(), mode);
    // A sender that answers in another mode than that of the link.
    let (receiver, _) = Receiver::new(&link, &slot, seed(1));
    let offered_typed = sender_on(&hello_r()).unwrap();
    assert_eq!(receiver.receive_hello(&offered_typed).err(), mode);
}

#[test]
fn a_signal_of_any_shorter_length_is_refused() {
    let ends = sessions(1);
    let body = halves(ends.0.signal_keys).0.seal(&Signal::Relay { generation: 1 });
    let mut opener = halves(ends.1.signal_keys).1;
    for len in 0..body.len() {
        assert_eq!(opener.open(&body[..len]), Err(SignalError::Malformed), "{len} bytes");
    }
    assert!(opener.open(&body).is_ok());
}

#[test]
fn a_signal_changed_in_any_byte_is_refused() {
    let ends = sessions(1);
    let signal =
        Signal::Candidate { generation: 1, restart: 0, candidate: String::new(), mid: String::new() };
    let body = halves(ends.0.signal_keys).0.seal(&signal);
    let mut opener = halves(ends.1.signal_keys).1;
    for at in 0..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 1;
        assert_eq!(opener.open(&changed), Err(SignalError::Malformed), "byte {at}");
    }
    assert!(opener.open(&body).is_ok(), "and what was not changed still opens");
}

#[test]
fn candidates_that_lead_nowhere_or_too_far_are_not_used() {
    let candidate = |address: &str, port: &str| format!("candidate:1 1 udp 1 {address} {port} typ host");
    for (address, port) in [
        ("192.0.2.1", "0"),
        ("192.0.2.1", "65536"),
        ("0.0.0.0", "9"),
        ("::", "9"),
        ("224.0.0.251", "5353"),
        ("ff02::fb", "5353"),
        ("255.255.255.255", "9"),
        ("169.254.169.254", "80"),
        ("::ffff:169.254.169.254", "80"),
        ("fd00:ec2::254", "80"),
        ("metadata.google.internal", "80"),
    ] {
        assert!(!is_usable_candidate(&candidate(address, port)), "{address} {port}");
    }
    for address in ["192.0.2.1", "fe80::1", "6ba7b810-9dad-11d1-80b4-00c04fd430c8.local"] {
        assert!(is_usable_candidate(&candidate(address, "9")), "{address}");
    }
}

#[test]
fn a_record_changed_in_any_byte_does_not_open() {
    let (mut at_sender, mut at_receiver) = open_generation(&sessions(1), 1).unwrap();
    let record = seal(&mut at_sender.0, &[7; 100]);
    for at in 0..record.len() {
        for bit in 0..8 {
            let mut changed = record.clone();
            changed[at] ^= 1 << bit;
            assert_eq!(at_receiver.1.open(&mut changed), Err(RecordError::Open), "bit {bit} of byte {at}");
        }
    }
    let mut unchanged = record;
    assert!(at_receiver.1.open(&mut unchanged).is_ok());
}

#[test]
fn an_opening_record_changed_in_any_byte_is_refused() {
    let ends = sessions(1);
    let binding = Binding::webrtc(&[1; 32], &[2; 32]);
    let end = |session: &wire::handshake::Session| {
        Generation::new(session.secret.clone(), 1, binding.clone()).unwrap()
    };
    let (_, from_r) = end(&ends.1).receiver(seed(1));
    for at in 0..from_r.len() {
        let mut changed = from_r.clone();
        changed[at] ^= 1;
        assert!(end(&ends.0).sender(&changed, seed(2)).is_err(), "byte {at} of the receiver's");
        let (receiver, _) = end(&ends.1).receiver(seed(1));
        let (_, _, mut from_s) = end(&ends.0).sender(&from_r, seed(2)).unwrap();
        from_s[at] ^= 1;
        assert!(receiver.receive(&from_s).is_err(), "byte {at} of the sender's");
    }
    let (receiver, own) = end(&ends.1).receiver(seed(1));
    assert!(receiver.receive(&own).is_err(), "reflected");
}

#[test]
fn a_record_out_of_its_place_ends_the_transfer_without_harm() {
    type Fault = fn(&mut Pair);
    let faults: [(&str, Fault); 5] = [
        ("lost", |pair| drop(pair.s2r.pop_front())),
        ("repeated", |pair| {
            let first = pair.s2r[0].clone();
            pair.s2r.push_front(first);
        }),
        ("swapped", |pair| pair.s2r.swap(0, 1)),
        ("reflected", |pair| {
            let first = pair.r2s.front().or_else(|| pair.s2r.back()).cloned().unwrap();
            pair.s2r.push_front(first);
        }),
        ("cut short", |pair| pair.s2r[0].truncate(40)),
    ];
    for (name, fault) in faults {
        for moment in 0..12 {
            let entries = vec![file("x", content(9 * CHUNK_LEN, 1)), file("y", content(CHUNK_LEN, 2))];
            let mut pair = Pair::connected(entries);
            pair.run_until_delivered(moment);
            pair.speak();
            if pair.s2r.len() < 2 {
                continue;
            }
            fault(&mut pair);
            pair.run();
            assert!(!pair.receiver.machine.is_complete(), "{name} after {moment} records");
            assert!(!pair.sender.machine.is_done(), "{name} after {moment} records");
            pair.connect();
            pair.run();
            pair.assert_success();
        }
    }
}

#[test]
fn a_transport_that_closes_early_is_never_success() {
    let entries = || vec![file("x", content(2 * CHUNK_LEN, 1)), file("y", content(20_000, 2))];
    let mut whole = Pair::connected(entries());
    whole.run();
    let mut successes = 0;
    for moment in 0..whole.delivered {
        let mut pair = Pair::connected(entries());
        pair.run_until_delivered(moment);
        pair.cut();
        assert!(!pair.receiver.machine.is_done(), "after {moment} records");
        if pair.sender.machine.is_done() {
            successes += 1;
            pair.assert_arrived();
        }
    }
    assert!(successes < 3, "only the last records make no difference to the sender");
}

#[test]
fn a_file_that_is_not_what_its_end_says_is_told_to_the_sender() {
    let mut pair = Pair::connected(vec![file("x", content(CHUNK_LEN, 1))]);
    while pair.sender.accepted == 0 && pair.receiver.manifest.is_none() {
        assert!(pair.step());
    }
    pair.sender.is_puppet = true;
    let digest = [9; 32];
    pair.forge_from_sender(&[
        Message::Data { file: 0, offset: 0, bytes: vec![1; CHUNK_LEN].into() },
        Message::FileEnd { file: 0, len: CHUNK_LEN as u64, digest },
    ]);
    pair.run();
    assert!(pair.receiver.committed.is_empty());
    assert!(!pair.receiver.machine.is_complete());
    let told = pair.last_told_to_sender();
    assert_eq!(told, common::encode(&[Message::Abort { reason: AbortReason::Integrity, file: Some(0) }]));
}

#[test]
fn no_key_and_counter_meet_twice_in_a_hundred_generations() {
    // A record is a function of key, counter, generation and text: equal texts under one key and counter would be equal.
    let ends = sessions(1);
    let (mut seen, mut streams) = (BTreeSet::new(), BTreeSet::new());
    for number in 1..=100 {
        let (mut at_sender, mut at_receiver) = open_generation(&ends, number).unwrap();
        for _ in 0..20 {
            for sealer in [&mut at_sender.0, &mut at_receiver.0] {
                let record = seal(sealer, &[0; 64]);
                // The text is zeros, so what stands behind the header is the key stream itself.
                assert!(streams.insert(record[2..66].to_vec()), "a key stream twice");
                assert!(seen.insert(record));
            }
        }
    }
    assert_eq!(seen.len(), 100 * 20 * 2);
}

#[test]
fn the_same_generation_opened_again_has_other_keys() {
    let ends = sessions(1);
    let binding = Binding::relay(&ends.0.secret.resume_slot());
    let mut records = BTreeSet::new();
    for entropy in 0..10 {
        let end = |session: &wire::handshake::Session| {
            Generation::new(session.secret.clone(), 1, binding.clone()).unwrap()
        };
        let (_, from_r) = end(&ends.1).receiver(seed(7));
        let (mut sealer, _, _) = end(&ends.0).sender(&from_r, seed(100 + entropy)).unwrap();
        assert!(records.insert(seal(&mut sealer, &[0; 64])), "one side's fresh nonce is enough");
    }
}

#[test]
fn messages_of_impossible_length_are_refused_before_anything_is_decrypted() {
    let (mut at_sender, mut at_receiver) = open_generation(&sessions(1), 1).unwrap();
    for len in [0, 1, 17, 18, 18 + MAX_PLAINTEXT_LEN + 1, 1 << 20] {
        assert_eq!(at_receiver.1.open(&mut vec![2; len]), Err(RecordError::Length), "{len} bytes");
        assert_eq!(at_sender.0.seal(&mut vec![2; len]), Err(RecordError::Length), "{len} bytes");
    }
    let chunk = Message::Data { file: 0, offset: 0, bytes: vec![0; CHUNK_LEN + 1].into() };
    assert!(decode(&common::encode(&[chunk])).any(|each| each.is_err()));
    let mut longest = seal(&mut at_sender.0, &vec![7; MAX_PLAINTEXT_LEN]);
    assert!(at_receiver.1.open(&mut longest).is_ok());
}

#[test]
fn a_receiver_that_is_told_of_an_abort_believes_nothing_more() {
    let mut pair = Pair::connected(vec![file("x", content(9, 1))]);
    pair.forge_from_sender(&[Message::Abort { reason: AbortReason::SourceChanged, file: Some(0) }]);
    pair.run();
    let told = TransferError::Aborted { reason: AbortReason::SourceChanged, file: Some(0) };
    assert_eq!(pair.receiver.error, Some(told));
    assert!(pair.receiver.disk.is_empty());
}
