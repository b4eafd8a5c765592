//! What holds for all inputs: parsers survive them, encodings come back, machines take whatever is said to them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod common;

use std::sync::Arc;

use common::{encode, nameplate, open_generation, seal, seed, sessions, shake, typed};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::code::{Code, Mode, Password};
use wire::handshake::{self, HandshakeError};
use wire::link::ShareLink;
use wire::manifest::{Entry, EntryKind, Manifest, ManifestBuilder, Purpose};
use wire::message::{AbortReason, Batch, CHUNK_LEN, DeclineReason, Message, decode};
use wire::record::{HEADER_LEN, Opener, RecordError, TAG_LEN};
use wire::safe_path::SafePath;
use wire::signal::{CheckedDescription, Meeting, Signal, halves, is_usable_candidate};
use wire::signaling::{Body, ClientMessage, Role, ServerMessage};
use wire::transfer::receiver::Held;
use wire::transfer::{Receiver, Sender};

fn digest() -> impl Strategy<Value = [u8; 32]> {
    prop_oneof![Just([0xd1; 32]), any::<[u8; 32]>()]
}

/// A number near the edges that matter, or any.
fn number() -> impl Strategy<Value = u64> {
    let chunk = CHUNK_LEN as u64;
    prop_oneof![0..5_u64, Just(chunk), Just(2 * chunk), Just(200_000), Just(u64::MAX), any::<u64>()]
}

fn index() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..7_u32, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn bytes(most: usize) -> impl Strategy<Value = std::borrow::Cow<'static, [u8]>> {
    vec(any::<u8>(), 1..most).prop_map(Into::into)
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![Just(Purpose::Files), Just(Purpose::Text)]
}

fn batch() -> impl Strategy<Value = Message<'static>> {
    vec((index(), 0..100_u32, digest()), 1..20).prop_map(|items| {
        let len = items.iter().map(|(_, len, _)| *len as usize).sum();
        Message::Batch(Batch { items, bytes: vec![7; len].into() })
    })
}

/// Every message, with fields that make sense often enough.
fn message() -> impl Strategy<Value = Message<'static>> {
    let of_manifest = prop_oneof![
        (purpose(), bytes(99)).prop_map(|(purpose, entries)| Message::ManifestPart { purpose, entries }),
        (index(), number(), digest()).prop_map(|(entries, total_size, digest)| Message::ManifestEnd {
            entries,
            total_size,
            digest
        }),
        digest().prop_map(|digest| Message::Accept { digest }),
        Just(Message::Decline { reason: DeclineReason::NoSpace }),
        (option::of(digest()), any::<bool>(), index())
            .prop_map(|(manifest, accepted, next)| Message::State { manifest, accepted, next }),
    ];
    let of_files = prop_oneof![
        (index(), number()).prop_map(|(file, offset)| Message::Resume { file, offset }),
        (index(), number(), digest()).prop_map(|(file, offset, digest)| Message::Prefix {
            file,
            offset,
            digest
        }),
        (index(), number(), index(), number()).prop_map(|(first, offset, until, credit)| Message::Start {
            first,
            offset,
            until,
            credit
        }),
        (index(), number(), bytes(300)).prop_map(|(file, offset, bytes)| Message::Data {
            file,
            offset,
            bytes
        }),
        batch(),
        (index(), number(), digest()).prop_map(|(file, len, digest)| Message::FileEnd { file, len, digest }),
    ];
    let of_the_end = prop_oneof![
        digest().prop_map(|digest| Message::TransferEnd { digest }),
        digest().prop_map(|digest| Message::Done { digest }),
        Just(Message::DoneAck),
        number().prop_map(|total| Message::Credit { total }),
        number().prop_map(|token| Message::Ping { token }),
        number().prop_map(|token| Message::Pong { token }),
        Just(Message::Bye),
        index().prop_map(|next| Message::Switch { next }),
        (1..9_u8, option::of(0..9_u32))
            .prop_map(|(code, file)| Message::Abort { reason: AbortReason::from_code(code), file }),
    ];
    prop_oneof![of_manifest, of_files, of_the_end]
}

/// Something that happens to a machine.
#[derive(Clone, Debug)]
enum Event {
    Messages(Vec<Message<'static>>),
    Garbage(Vec<u8>),
    Generation,
    /// The driver does what a driver may do at any time.
    Driver(u8, u32, u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => vec(message(), 1..4).prop_map(Event::Messages),
        1 => vec(any::<u8>(), 0..40).prop_map(Event::Garbage),
        1 => Just(Event::Generation),
        4 => (0..5_u8, index(), number()).prop_map(|(what, file, offset)| Event::Driver(what, file, offset)),
    ]
}

fn offered() -> Arc<Manifest> {
    let entry =
        |path: &str, kind| Entry { path: SafePath::parse(path).unwrap(), kind, mode: 0o644, mtime: 0 };
    let entries = vec![
        entry("a", EntryKind::File { size: 200_000 }),
        entry("b", EntryKind::File { size: 0 }),
        entry("d", EntryKind::Directory),
        entry("e", EntryKind::File { size: 131_072 }),
        entry("f", EntryKind::File { size: 50 }),
    ];
    Arc::new(Manifest::new(Purpose::Files, &entries).unwrap())
}

/// The messages of a fuzzed record, their manifest digests made those of the real one half of the time.
#[expect(clippy::wildcard_enum_match_arm, reason = "most messages stay as they are")]
fn plaintext_of(event: &Event, offered: &Manifest) -> Vec<u8> {
    let real = *offered.digest();
    let repair = |digest: &[u8; 32]| if *digest == [0xd1; 32] { real } else { *digest };
    let repaired = |message: &Message<'static>| match message {
        Message::Accept { digest } => Message::Accept { digest: repair(digest) },
        Message::Done { digest } => Message::Done { digest: repair(digest) },
        Message::TransferEnd { digest } => Message::TransferEnd { digest: repair(digest) },
        Message::State { manifest, accepted, next } => {
            Message::State { manifest: manifest.as_ref().map(repair), accepted: *accepted, next: *next }
        }
        other => other.clone(),
    };
    match event {
        Event::Messages(messages) => encode(&messages.iter().map(repaired).collect::<Vec<_>>()),
        Event::Garbage(bytes) => bytes.clone(),
        Event::Generation | Event::Driver(..) => Vec::new(),
    }
}

fn opened(opener: &mut Opener, record: &[u8]) -> Result<Vec<u8>, RecordError> {
    opener.open(&mut record.to_vec()).map(|plaintext| plaintext.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_parser_panics(bytes in vec(any::<u8>(), 0..700), kind in 0..9_u8, text in ".{0,80}") {
        let text = format!("{text}{}", String::from_utf8_lossy(&bytes));
        let _ = text.parse::<Code>();
        let _ = text.parse::<ShareLink>();
        let _ = format!("https://a.example/#{text}").parse::<ShareLink>();
        let _ = (ClientMessage::parse(&text), ServerMessage::parse(&text));
        let _ = (SafePath::parse(&text), SafePath::from_bytes(&bytes));
        let _ = (CheckedDescription::parse(&text), is_usable_candidate(&text));
        prop_assert!(decode(&bytes).count() <= bytes.len());
        let _ = ManifestBuilder::new(Purpose::Files).push_part(&bytes);

        let body = [&[kind], bytes.as_slice()].concat();
        let (password, at) = (typed("2093"), nameplate(48));
        let _ = handshake::Sender::new(&password, &at, seed(1)).receive_hello(&body);
        let _ = handshake::Receiver::new(&password, &at, seed(2)).0.receive_hello(&body);
        let ends = sessions(1);
        let _ = Meeting::new(ends.0.secret.clone(), Role::Sender, seed(3)).0.receive(&body);
        let mut keys = open_generation(&ends, 1).unwrap();
        prop_assert!(opened(&mut keys.0.1, &body).is_err());
        prop_assert!(halves(ends.0.signal_keys).1.open(&body).is_err());
    }

    #[test]
    fn no_changed_body_panics_or_is_accepted(which in 0..4_usize, at in any::<prop::sample::Index>(), xor in 1..=255_u8) {
        let (password, place) = (typed("2093"), nameplate(48));
        let change = |number: usize, mut body: Vec<u8>| {
            if number == which {
                let at = at.index(body.len());
                body[at] ^= xor;
            }
            body
        };
        let (receiver, body) = handshake::Receiver::new(&password, &place, seed(1));
        let sender = handshake::Sender::new(&password, &place, seed(2));
        let outcome = (|| {
            let (sender, body) = sender.receive_hello(&change(0, body))?;
            let (receiver, body) = receiver.receive_hello(&change(1, body))?;
            let (_, body) = sender.receive_confirm(&change(2, body))?;
            receiver.receive_confirm(&change(3, body))
        })();
        prop_assert!(outcome.is_err());
    }

    #[test]
    fn messages_survive_their_encoding(messages in vec(message(), 1..6)) {
        let plaintext = encode(&messages);
        let decoded: Result<Vec<_>, _> = decode(&plaintext).map(|each| each.map(|(message, _)| message)).collect();
        prop_assert_eq!(decoded, Ok(messages));
    }

    #[test]
    fn what_decodes_is_encoded_to_the_same_bytes(number in 0..22_u8, body in vec(0..4_u8, 0..60)) {
        let plaintext = [&[number], u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat();
        for (message, _) in decode(&plaintext).flatten() {
            // Unknown reasons, and the digest of a manifest that is not known, are all that is forgotten.
            let forgets = matches!(
                message,
                Message::Abort { .. } | Message::Decline { .. } | Message::State { manifest: None, .. }
            );
            prop_assert!(forgets || encode(&[message]) == plaintext);
        }
    }

    #[test]
    fn bodies_survive_the_way_through_the_rendezvous(bytes in vec(any::<u8>(), 0..500)) {
        prop_assert_eq!(Body::from_bytes(&bytes).to_bytes(), Ok(bytes));
    }

    #[test]
    fn codes_and_links_survive_their_text(digits in 0..20_usize, words in 0..12_usize, entropy in any::<[u8; 16]>()) {
        let plate = wire::code::Nameplate::new(48).unwrap();
        for password in [Password::from_digits(digits, entropy), Password::from_words(words, entropy)] {
            prop_assert_eq!(password.mode(), Mode::Typed);
            let code = Code::new(plate, password).unwrap();
            prop_assert_eq!(code.expose().parse::<Code>(), Ok(code));
        }
        let link = ShareLink::new("https://drop.example.org", entropy).unwrap();
        prop_assert_eq!(link.expose().parse::<ShareLink>(), Ok(link));
    }

    #[test]
    fn one_direction_never_opens_the_other(plaintext in vec(any::<u8>(), 1..200), number in 1..100_u32) {
        let ends = sessions(u64::from(number % 5));
        let (mut at_sender, mut at_receiver) = open_generation(&ends, number).unwrap();
        let s2r = seal(&mut at_sender.0, &plaintext);
        let r2s = seal(&mut at_receiver.0, &plaintext);
        prop_assert_ne!(&s2r, &r2s);
        prop_assert_eq!(opened(&mut at_sender.1, &s2r), Err(RecordError::Open));
        prop_assert_eq!(opened(&mut at_receiver.1, &r2s), Err(RecordError::Open));
        prop_assert_eq!(opened(&mut at_receiver.1, &s2r), Ok(plaintext.clone()));
        prop_assert_eq!(opened(&mut at_sender.1, &r2s), Ok(plaintext));
    }

    #[test]
    fn records_of_every_length_open(len in 1..66_048_usize, times in 1..4) {
        let (mut at_sender, mut at_receiver) = open_generation(&sessions(1), 1).unwrap();
        for _ in 0..times {
            let mut record = seal(&mut at_sender.0, &vec![7; len]);
            prop_assert_eq!(record.len(), HEADER_LEN + len + TAG_LEN);
            prop_assert_eq!(at_receiver.1.open(&mut record).map(|text| text.len()), Ok(len));
        }
    }

    #[test]
    fn signals_open_in_order_with_gaps_and_never_again(kept in vec(any::<bool>(), 1..20)) {
        let ends = sessions(1);
        let (mut sealer, mut opener) = (halves(ends.0.signal_keys).0, halves(ends.1.signal_keys).1);
        for (highest, keep) in (0..).zip(kept) {
            let signal = Signal::Generations { highest };
            let body = sealer.seal(&signal);
            if keep {
                prop_assert_eq!(opener.open(&body), Ok(signal));
                prop_assert!(opener.open(&body).is_err());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_wrong_claim_fails_exactly_once_at_the_proof(guesses in vec(0..10_000_u32, 1..6)) {
        let at = nameplate(48);
        let failures = guesses.iter().zip(0..).map(|(guess, number)| {
            shake((&typed("2093"), &at), (&typed(&format!("{guess:04}")), &at), number).map(|_| ())
        });
        for (outcome, guess) in failures.zip(&guesses) {
            let expected = if *guess == 2_093 { Ok(()) } else { Err(HandshakeError::WrongPassword) };
            prop_assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn equal_passwords_at_other_places_never_meet(one in 10..1_000_000_u32, other in 10..1_000_000_u32) {
        prop_assume!(one != other);
        let password = typed("2093");
        let outcome = shake((&password, &nameplate(one)), (&password, &nameplate(other)), 1);
        prop_assert_eq!(outcome.map(|_| ()), Err(HandshakeError::WrongPassword));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_sender_takes_whatever_is_said_to_it(events in vec(event(), 0..40)) {
        let manifest = offered();
        let mut sender = Sender::new(Arc::clone(&manifest));
        sender.handle_generation();
        let mut was_done = false;
        for event in &events {
            match event {
                Event::Messages(_) | Event::Garbage(_) => {
                    let _ = sender.handle_record(&plaintext_of(event, &manifest));
                }
                Event::Generation => sender.handle_generation(),
                Event::Driver(0, ..) => sender.handle_stream_end(),
                Event::Driver(1, file, _) if *file > 100 => sender.handle_abort(AbortReason::Cancelled, Some(*file)),
                Event::Driver(_, file, offset) => sender.handle_prefix(*file, *offset, [1; 32]),
            }
            let outputs = core::iter::from_fn(|| sender.poll_output()).take(1_000).count();
            prop_assert!(outputs < 300, "{outputs} outputs after {event:?}");
            prop_assert!(!was_done || sender.is_done(), "success was taken back by {event:?}");
            was_done = sender.is_done();
        }
    }

    #[test]
    fn a_receiver_takes_whatever_is_said_to_it(knows in any::<bool>(), events in vec(event(), 0..40)) {
        let manifest = offered();
        let mut receiver = Receiver::new();
        receiver.handle_generation();
        if knows {
            let parts = manifest.parts().map(|part| Message::ManifestPart { purpose: Purpose::Files, entries: part.into() });
            let mut messages: Vec<_> = parts.collect();
            messages.push(Message::ManifestEnd { entries: 5, total_size: manifest.total_size(), digest: *manifest.digest() });
            prop_assert_eq!(receiver.handle_record(&encode(&messages), 300), Ok(()));
        }
        let mut was_done = false;
        for event in &events {
            match event {
                Event::Messages(_) | Event::Garbage(_) => {
                    let plaintext = plaintext_of(event, &manifest);
                    let _ = receiver.handle_record(&plaintext, plaintext.len() + 18);
                }
                Event::Generation => receiver.handle_generation(),
                Event::Driver(0, ..) => receiver.handle_finished(),
                Event::Driver(1, file, _) if *file > 100 => receiver.handle_decline(DeclineReason::User),
                Event::Driver(2, file, _) if *file > 100 => receiver.handle_abort(AbortReason::Cancelled, None),
                Event::Driver(3, _, len) => receiver.handle_written(usize::try_from(*len).unwrap()),
                Event::Driver(_, file, offset) => {
                    let held = |entry| Held { file: entry, offset: *offset, digest: (offset % 3 != 0).then_some([0xd1; 32]) };
                    receiver.handle_accept(vec![held(*file), held(*file), held(file.saturating_add(3)), held(0)]);
                }
            }
            let outputs = core::iter::from_fn(|| receiver.poll_output()).count();
            prop_assert!(outputs < 300, "{outputs} outputs after {event:?}");
            prop_assert!(!was_done || receiver.is_done(), "success was taken back by {event:?}");
            was_done = receiver.is_done();
        }
    }
}
