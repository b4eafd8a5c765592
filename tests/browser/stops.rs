//! Somebody stops a transfer in its middle, and the other side is told.

use std::fs::File;
use std::thread;

use serde_json::json;
use wire::transfer::SILENCE_LIMIT;

use super::{BOTH, Kind, Way, assert_saved, assert_sent_once, case, has_browsers, page, run, start};
use crate::harness::{Machine, Peer, content};

/// So many bytes are there when the sender is stopped.
const MIDDLE: u64 = 100_000_000;

/// A file that takes a browser some seconds, in bytes.
const MODERATE_LEN: usize = 200_000_000;

/// A transfer that is far from over when somebody stops it.
fn offer_endless(machine: &Machine) -> Peer {
    // Holes read as zeros.
    File::create(machine.path("large.bin")).unwrap().set_len(3_000_000_000).unwrap();
    machine.start(&["large.bin"])
}

#[test]
fn a_person_who_cancels_is_told_so_and_so_is_the_sender() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    for kind in BOTH {
        let mut sending = offer_endless(&alice);
        let mut case = case(&mut sending, &page(&server), Way::Code);
        case["answer"] = json!("cancel");
        let told = &run(kind, &[case])[0];
        assert_eq!((&told["title"], &told["saved"]), (&json!("Cancelled"), &json!([])), "{kind:?}");
        sending.end().failed("cancelled_by_peer", 3);
    }
}

#[test]
fn a_person_who_pauses_is_waited_for_and_nothing_comes_meanwhile() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(MODERATE_LEN);
    alice.write("large.bin", &bytes);
    for kind in BOTH {
        let mut sending = alice.start(&["large.bin"]);
        let mut case = case(&mut sending, &page(&server), Way::Link);
        // Longer than a side waits for one of which it hears nothing.
        case["halt"] = json!(SILENCE_LIMIT.as_millis() + 2_000);
        let told = &run(kind, &[case])[0];
        assert_saved(told, &[("large.bin", &bytes)]);
        let amounts = told["halted"].as_array().unwrap();
        assert_eq!(amounts[0], amounts[1], "{kind:?}");
        let sent = sending.end();
        sent.succeeded();
        assert_sent_once(&sent, bytes.len());
        assert_eq!(sent.events_of("reconnecting").len(), 0, "{kind:?}: {sent:?}");
    }
}

#[test]
fn a_sender_who_is_stopped_tells_the_page() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    for kind in BOTH {
        let mut sending = offer_endless(&alice);
        let cases = [case(&mut sending, &page(&server), Way::Link)];
        let told = thread::scope(|scope| {
            let receiving = scope.spawn(|| run(kind, &cases));
            // While a browser still warms up, what is on the way may take longer than a sender's farewell.
            sending.event_that("progress", |event| event["done"].as_u64() > Some(MIDDLE));
            sending.interrupt();
            receiving.join().unwrap()
        });
        let told = &told[0];
        assert_eq!(
            (&told["title"], &told["saved"]),
            (&json!("The sender has stopped it"), &json!([])),
            "{kind:?}"
        );
        sending.end().failed("interrupted", 130);
    }
}

#[test]
fn a_person_who_cancels_while_the_two_are_apart_is_heard_when_they_meet() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let mut sending = offer_endless(&alice);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    case["pauses"] = json!([sending.id()]);
    case["answer"] = json!("leave");
    let told = thread::scope(|scope| {
        let receiving = scope.spawn(|| run(Kind::Chromium, &[case]));
        sending.end().failed("cancelled_by_peer", 3);
        receiving.join().unwrap()
    });
    assert_eq!(told[0]["title"], "Cancelled");
}
