//! A connection that breaks in the middle, and the page goes on by itself.

use std::thread;

use serde_json::json;

use super::*;
use crate::harness::{Cutter, content};

#[test]
fn a_page_finds_its_sender_again_and_goes_on_wherever_it_keeps_the_file() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let bytes = content(40 << 20);
    alice.write("video.mp4", &bytes);
    // Files of the origin, a database, and the browser whose channel stays with the page.
    let places =
        [(Kind::Chromium, page(&server)), (Kind::Chromium, insecure), (Kind::Firefox, page(&server))];
    for (kind, page) in places {
        let mut sending = alice.start(&["video.mp4"]);
        let mut case = case(&mut sending, &page, Way::Link);
        case["pauses"] = json!([sending.id()]);
        let told = run(kind, &[case]);
        assert_saved(&told[0], &[("video.mp4", &bytes)]);
        let sent = sending.end();
        sent.succeeded();
        assert_eq!(sent.events_of("code").len(), 1, "without a new code: {sent:?}");
        assert_sent_once(&sent, bytes.len());
    }
}

#[test]
fn a_page_whose_server_breaks_once_its_code_was_right_meets_the_sender_there_again() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("a.txt", b"content");
    // The sender's hello is the first message, its confirmation the second, and its description the third.
    for (kind, nth) in [(Kind::Chromium, 2), (Kind::Firefox, 3)] {
        let wire = Cutter::before(server.address(), r#""type":"relay""#, nth);
        let mut sending = alice.start(&["a.txt"]);
        let told = run(kind, &[case(&mut sending, &format!("{}/", wire.url()), Way::Code)]);
        assert!(wire.has_cut());
        assert_saved(&told[0], &[("a.txt", b"content")]);
        sending.end().succeeded();
    }
}

#[test]
fn a_page_whose_server_breaks_before_anything_was_proved_claims_again() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    alice.write("a.txt", b"content");
    // That somebody is in the door, and the sender's hello.
    for (kind, word) in [(Kind::Chromium, r#""type":"paired""#), (Kind::Firefox, r#""type":"relay""#)] {
        let wire = Cutter::before(server.address(), word, 1);
        let mut sending = alice.start(&["a.txt"]);
        let told = run(kind, &[case(&mut sending, &format!("{}/", wire.url()), Way::Code)]);
        assert!(wire.has_cut());
        assert_saved(&told[0], &[("a.txt", b"content")]);
        let sent = sending.end();
        assert_eq!(sent.events_of("code").len(), 1, "with the same code: {sent:?}");
        sent.succeeded();
    }
}

/// Memory that a sender does not take, whatever the other side does, in bytes; its file is larger.
const MEMORY_LIMIT: u64 = 120 << 20;

#[test]
fn a_tab_that_stands_still_costs_the_sender_no_memory_and_goes_on() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(160 << 20);
    alice.write("video.mp4", &bytes);
    let mut sending = alice.start(&["video.mp4"]);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    // Longer than the sender waits for a sign of life.
    case["freeze"] = json!(9_000);
    let told = thread::scope(|scope| {
        let receiving = scope.spawn(|| run(Kind::Chromium, &[case]));
        sending.event("reconnecting");
        let peak = sending.peak_memory().expect("the sender is there");
        assert!(peak < MEMORY_LIMIT, "the sender takes {peak} bytes");
        receiving.join().unwrap()
    });
    assert_saved(&told[0], &[("video.mp4", &bytes)]);
    let sent = sending.end();
    sent.succeeded();
    assert_sent_once(&sent, bytes.len());
}
