//! A connection that breaks in the middle costs the bytes in flight: both sides meet again by themselves, without a new code.

#![expect(clippy::print_stdout, reason = "what a break costs is worth seeing")]

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Ended, Lab, Machine, NOTICED, Peer, Rendezvous, Snapshot, content};

const MIB: usize = 1024 * 1024;

/// A file that takes long enough to be interrupted.
const BIG: &str = "big.bin";
const BIG_LEN: u64 = 300 * MIB as u64;

/// What one break may cost: the credit window, and a MiB.
const COST: u64 = 9 * MIB as u64;

fn start(alice: &Machine, bob: &Machine) -> (Peer, Peer) {
    alice.write(BIG, &content(300 * MIB));
    let mut sending = alice.start(&[BIG]);
    let code = sending.code();
    let mut receiving = bob.start(&["receive", &code, "--yes"]);
    receiving.under_way();
    (sending, receiving)
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// Both succeed, with one code, and what was sent twice is no more than `breaks` breaks may cost.
#[track_caller]
fn both_succeed(
    (sending, receiving): (Peer, Peer),
    alice: &Machine,
    bob: &Machine,
    breaks: u64,
) -> (Ended, Ended) {
    let received = receiving.end();
    received.succeeded();
    let sent = sending.end();
    sent.succeeded();
    assert_eq!(Snapshot::of(&alice.path(BIG)), Snapshot::of(&bob.path(BIG)));
    assert_eq!(bob.names(), [BIG], "nothing is left over");
    assert_eq!(sent.events_of("code").len(), 1, "{sent:?}");
    let again = number(&sent.events_of("finished")[0]["moved"]) - BIG_LEN;
    println!("sent again: {again} bytes after {breaks} breaks");
    assert!(again <= breaks * COST, "{again} bytes were sent again");
    (sent, received)
}

#[test]
fn a_receiver_that_is_stopped_for_a_while_goes_on() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let (mut sending, receiving) = start(&alice, &bob);
    receiving.signal(Signal::STOP);
    let lost = sending.event("reconnecting");
    assert!(number(&lost["kept"]) > 0 && number(&lost["size"]) == BIG_LEN, "{lost}");
    receiving.signal(Signal::CONT);
    let (_, received) = both_succeed((sending, receiving), &alice, &bob, 1);
    let resumed = received.events_of("resumed");
    assert_eq!(resumed.len(), 1, "{received:?}");
    assert!(number(&resumed[0]["offset"]) > 0, "{received:?}");
}

#[test]
fn a_sender_that_is_stopped_for_a_while_goes_on() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let (sending, mut receiving) = start(&alice, &bob);
    sending.signal(Signal::STOP);
    receiving.event("reconnecting");
    sending.signal(Signal::CONT);
    both_succeed((sending, receiving), &alice, &bob, 1);
}

#[test]
fn a_process_that_is_stopped_for_a_moment_loses_nothing() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let (sending, receiving) = start(&alice, &bob);
    for peer in [&receiving, &sending, &receiving] {
        peer.signal(Signal::STOP);
        peer.signal(Signal::CONT);
    }
    let (sent, received) = both_succeed((sending, receiving), &alice, &bob, 0);
    assert!(sent.events_of("reconnecting").is_empty() && received.events_of("reconnecting").is_empty());
}

#[test]
fn a_server_that_was_restarted_in_between_is_no_hindrance() {
    let mut server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let (mut sending, receiving) = start(&alice, &bob);
    receiving.signal(Signal::STOP);
    server = server.restart();
    sending.event("reconnecting");
    // Again, while one side waits there for the other.
    server = server.restart();
    receiving.signal(Signal::CONT);
    both_succeed((sending, receiving), &alice, &bob, 1);
    server.kill();
}

#[test]
fn without_a_server_both_sides_meet_again_at_the_sender() {
    let _network = crate::harness::local_network();
    let (alice, bob) = (Machine::without_server(), Machine::without_server());
    let (mut sending, receiving) = start(&alice, &bob);
    receiving.signal(Signal::STOP);
    sending.event("reconnecting");
    receiving.signal(Signal::CONT);
    both_succeed((sending, receiving), &alice, &bob, 1);
}

#[test]
fn a_person_is_told_what_is_kept_and_that_it_goes_on() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write(BIG, &content(300 * MIB));
    let mut sending = alice.start(&[BIG]);
    let code = sending.code();
    let receiving = bob.start_plain(&["receive", &code, "--yes"]);
    sending.under_way();
    sending.signal(Signal::STOP);
    receiving.says("Connection lost. ");
    receiving.says(" of 315 MB kept. Reconnecting…");
    sending.signal(Signal::CONT);
    receiving.says("goes on where it broke off");
    receiving.end().succeeded();
    sending.end().succeeded();
}

#[test]
fn a_cable_that_is_pulled_out_and_put_in_again_costs_no_more_than_what_was_in_flight() {
    let Some(lab) = Lab::new() else { return };
    let server = Rendezvous::start_in(lab.hub(), crate::harness::HUB);
    let alice = Machine::with_server(&server).inside(lab.alice());
    let bob = Machine::with_server(&server).inside(lab.bob());
    let (mut sending, mut receiving) = start(&alice, &bob);
    lab.cut();
    for peer in [&mut sending, &mut receiving] {
        let since = Instant::now();
        peer.event("reconnecting");
        assert!(since.elapsed() < NOTICED, "noticed after {:.1?}", since.elapsed());
    }
    lab.mend();
    let since = Instant::now();
    for peer in [&mut sending, &mut receiving] {
        peer.event("path");
    }
    println!("connected {:.1?} after the network was back", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(50), "{:.1?}", since.elapsed());
    both_succeed((sending, receiving), &alice, &bob, 1);
}
