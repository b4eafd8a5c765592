//! A connection that breaks in the middle costs the bytes in flight: both sides meet again by themselves, without a new code.

#![expect(clippy::print_stdout, reason = "what a break costs is worth seeing")]

use std::time::Duration;

use rustix::process::Signal;

use crate::disturbances::run_all;
use crate::harness::{BIG, BIG_LEN, Machine, Rendezvous, content, local_network};
use crate::interruption::{Interruption, Recovery, Survived, number, outlive};
use crate::netlab::{Cut, Netlab};

/// A file that is sent in a moment, in bytes.
const SMALL_LEN: usize = 2 * 1024 * 1024;

/// A transfer under way between two machines that use `server`.
fn through(server: &Rendezvous) -> Interruption {
    Interruption::prepare(Machine::with_server(server), Machine::with_server(server))
}

#[test]
fn a_receiver_that_is_stopped_for_a_while_goes_on() {
    let server = Rendezvous::start();
    let mut transfer = through(&server);
    transfer.receiving.signal(Signal::STOP);
    let lost = transfer.sending.event("reconnecting");
    assert!(number(&lost["kept"]) > 0 && number(&lost["size"]) == BIG_LEN as u64, "{lost}");
    transfer.receiving.signal(Signal::CONT);
    let received = transfer.both_succeed(1).received;
    let resumed = received.events_of("resumed");
    assert_eq!(resumed.len(), 1, "{received:?}");
    assert!(number(&resumed[0]["offset"]) > 0, "{received:?}");
}

#[test]
fn a_sender_that_is_stopped_for_a_while_goes_on() {
    let server = Rendezvous::start();
    let mut transfer = through(&server);
    transfer.sending.signal(Signal::STOP);
    transfer.receiving.event("reconnecting");
    transfer.sending.signal(Signal::CONT);
    transfer.both_succeed(1);
}

#[test]
fn a_process_that_is_stopped_for_a_moment_loses_nothing() {
    let server = Rendezvous::start();
    let transfer = through(&server);
    for peer in [&transfer.receiving, &transfer.sending, &transfer.receiving] {
        peer.signal(Signal::STOP);
        peer.signal(Signal::CONT);
    }
    let Survived { sent, received, .. } = transfer.both_succeed(0);
    assert!(sent.events_of("reconnecting").is_empty() && received.events_of("reconnecting").is_empty());
}

#[test]
fn a_server_that_was_restarted_in_between_is_no_hindrance() {
    let mut server = Rendezvous::start();
    let mut transfer = through(&server);
    transfer.receiving.signal(Signal::STOP);
    server = server.restart();
    transfer.sending.event("reconnecting");
    // Again, while one side waits there for the other.
    server = server.restart();
    transfer.receiving.signal(Signal::CONT);
    transfer.both_succeed(1);
    server.kill();
}

#[test]
fn without_a_server_both_sides_meet_again_at_the_sender() {
    let _network = local_network();
    let mut transfer = Interruption::prepare(Machine::without_server(), Machine::without_server());
    transfer.receiving.signal(Signal::STOP);
    transfer.sending.event("reconnecting");
    transfer.receiving.signal(Signal::CONT);
    transfer.both_succeed(1);
}

#[test]
fn a_person_is_told_what_is_kept_and_that_it_goes_on() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write(BIG, &content(BIG_LEN));
    let mut sending = alice.start(&[BIG]);
    let code = sending.code();
    let receiving = bob.start_plain(&["receive", &code, "--yes"]);
    // More than may be on the way: some of it is on Bob's disk.
    assert!(sending.progresses_to(60_000_000), "{sending:?}");
    sending.signal(Signal::STOP);
    receiving.says("Connection lost. ");
    receiving.says(" of 629 MB kept. Reconnecting…");
    sending.signal(Signal::CONT);
    receiving.says("goes on where it broke off");
    receiving.end().succeeded();
    sending.end().succeeded();
}

/// A cable is cut in the middle of a transfer. Without root nothing is.
fn cut(cut: Cut, lasted: Duration) -> Option<Recovery> {
    let recovery = outlive(&Netlab::new()?, cut, lasted);
    println!("{recovery}");
    Some(recovery)
}

#[test]
fn a_network_that_is_silent_for_five_seconds_costs_no_more_than_what_was_in_flight() {
    cut(Cut::Silent, Duration::from_secs(5));
}

#[test]
fn a_network_that_is_silent_for_twenty_seconds_costs_no_more_than_what_was_in_flight() {
    cut(Cut::Silent, Duration::from_secs(20));
}

#[test]
fn two_sides_that_lose_each_other_for_twenty_seconds_and_not_the_server_go_on() {
    let Some(recovery) = cut(Cut::Apart, Duration::from_secs(20)) else { return };
    // By then they have looked for a path for some 12 s, and do so until 30 s are over: what they look for now is found now.
    assert!(recovery.resumed_after < Duration::from_secs(10), "{recovery}");
}

#[test]
fn a_cable_that_is_pulled_out_for_five_seconds_costs_no_more_than_what_was_in_flight() {
    cut(Cut::Unplugged, Duration::from_secs(5));
}

#[test]
fn a_cable_that_is_pulled_out_for_twenty_seconds_costs_no_more_than_what_was_in_flight() {
    cut(Cut::Unplugged, Duration::from_secs(20));
}

#[test]
fn a_sender_that_did_not_hear_that_everything_arrived_learns_it_when_the_network_is_back() {
    let Some(lab) = Netlab::new() else { return };
    let server = Rendezvous::start_on(&lab.server);
    let alice = Machine::with_server(&server).on(&lab.alice);
    let bob = Machine::with_server(&server).on(&lab.bob);
    alice.write("a.bin", &content(SMALL_LEN));
    lab.bob.cable.narrow(50_000, 400);
    let mut sending = alice.start(&["a.bin"]);
    let mut receiving = bob.start(&["receive", &sending.code(), "--yes"]);
    receiving.event("path");
    // Bob's last word waits behind acknowledgements, and is lost with the cable.
    lab.bob.cable.narrow_upload(64, 300);
    receiving.event("saved");
    lab.bob.cable.cut(Cut::Silent);
    sending.event("reconnecting");
    lab.bob.cable.widen();
    lab.bob.cable.restore(Cut::Silent);
    receiving.end().succeeded();
    let sent = sending.end();
    let finished = &sent.succeeded().events_of("finished")[0];
    assert_eq!(number(&finished["moved"]), SMALL_LEN as u64, "nothing is sent again");
    assert_eq!(bob.read("a.bin"), content(SMALL_LEN));
}

#[test]
fn transfers_that_are_disturbed_at_random_arrive_as_they_were_sent() {
    let failed = run_all(1_000..1_015, 3);
    assert!(failed.is_empty(), "not the ones of these seeds: {failed:?}");
}
