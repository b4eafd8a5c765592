//! What does not arrive, and what the person is told about it.

use std::fs::File;

use serde_json::json;

use super::{
    BOTH, Kind, Way, assert_saved, assert_sent_once, case, has_browsers, own_address, page, port, run, start,
};
use crate::harness::{Machine, Rendezvous, content, text};

#[test]
fn a_wrong_code_is_explained_and_uses_up_one_attempt() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("a.txt", b"a");
    for kind in BOTH {
        let mut sending = alice.start(&["a.txt"]);
        let code = sending.code();
        let (nameplate, password) = code.split_once('-').unwrap();
        let wrong = if password == "0000" { "1111" } else { "0000" };
        let told = run(kind, &[json!({ "address": page(&server), "code": format!("{nameplate}-{wrong}") })]);
        assert_eq!(told[0]["title"], "The code was not right");
        let next = sending.event("code");
        assert_eq!(next["reissued"], "wrong_code");
        assert_ne!(next["code"], json!(code));
    }
}

#[test]
fn declining_and_codes_that_lead_nowhere_are_explained() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("small.txt", b"small");
    for kind in BOTH {
        let mut sending = alice.start(&["small.txt"]);
        let mut declined = case(&mut sending, &page(&server), Way::Link);
        declined["answer"] = json!("decline");
        let told = run(kind, &[declined, json!({ "address": page(&server), "code": "4711-0000" })]);
        for (one, title) in told.iter().zip(["Declined", "This code leads nowhere"]) {
            assert_eq!(one["title"], title, "{kind:?}");
            assert_eq!(one["saved"], json!([]));
        }
        sending.end().failed("declined_by_peer", 3);
    }
}

#[test]
fn an_expired_code_and_a_sender_who_left_look_alike() {
    if !has_browsers() {
        return;
    }
    let (hasty, (patient, bob)) = (Rendezvous::start_set(&["times.code_ttl=1"]), start());
    let alice = Machine::with_server(&hasty);
    for machine in [&alice, &bob] {
        machine.write("a.txt", b"a");
    }
    for kind in BOTH {
        let mut expiring = alice.start(&["a.txt"]);
        let expired = case(&mut expiring, &page(&hasty), Way::Code);
        expiring.end().failed("expired", 4);
        let mut leaving = bob.start(&["a.txt"]);
        let left = case(&mut leaving, &page(&patient), Way::Link);
        drop(leaving);
        for told in run(kind, &[expired, left]) {
            assert_eq!(told["title"], "This code leads nowhere", "{kind:?} {told:#}");
        }
    }
}

#[test]
fn a_size_that_fits_nowhere_is_asked_about_and_allocates_nothing() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    File::create(alice.path("huge")).unwrap().set_len(8 << 40).unwrap();
    for kind in BOTH {
        let mut sending = alice.start(&["huge"]);
        let mut case = case(&mut sending, &page(&server), Way::Link);
        case["answer"] = json!("decline");
        let told = run(kind, &[case]);
        assert_eq!(told[0]["title"], "Declined", "{kind:?}");
        assert!(told[0]["asked"].as_str().unwrap().contains("8.8 TB"), "{}", told[0]["asked"]);
    }
}

#[test]
fn a_full_storage_is_a_choice_and_who_stops_tells_the_sender() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("large.bin", &content(30_000_000));
    for kind in BOTH {
        let mut sending = alice.start(&["large.bin"]);
        let mut case = case(&mut sending, &page(&server), Way::Link);
        case["quota"] = json!(8_000_000);
        case["whenFull"] = json!("stop");
        assert_eq!(run(kind, &[case])[0]["title"], "There is no room left", "{kind:?}");
        let error = sending.end().failed("peer_failed", 1);
        assert!(text(&error["message"]).contains("its disk is full"), "{kind:?} {error}");
    }
}

#[test]
fn who_cancels_while_the_storage_is_full_is_heard_at_once() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("large.bin", &content(30_000_000));
    let mut sending = alice.start(&["large.bin"]);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    case["quota"] = json!(8_000_000);
    case["whenFull"] = json!("cancel");
    assert_eq!(run(Kind::Chromium, &[case])[0]["title"], "Cancelled");
    sending.end().failed("cancelled_by_peer", 3);
}

#[test]
fn who_makes_room_in_a_full_storage_has_lost_nothing() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let bytes = content(30_000_000);
    alice.write("large.bin", &bytes);
    // Files of the origin, and a database.
    for place in [page(&server), insecure] {
        let mut sending = alice.start(&["large.bin"]);
        let mut case = case(&mut sending, &place, Way::Link);
        case["quota"] = json!(8_000_000);
        case["whenFull"] = json!("retry");
        case["more"] = json!(200_000_000);
        let told = run(Kind::Chromium, &[case]);
        assert_saved(&told[0], &[("large.bin", &bytes)]);
        let kept = text(&told[0]["kept"]);
        assert!(kept.starts_with("Kept so far: ") && !kept.contains(": 0 bytes"), "{kept}");
        let sent = sending.end();
        sent.succeeded();
        assert_sent_once(&sent, bytes.len());
    }
}
