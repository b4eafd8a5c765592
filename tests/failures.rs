//! What goes wrong is told in a sentence, with an exit status that a script can act on, on both sides.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cutter, Ended, Machine, NOTICED, Peer, Rendezvous, content, local_network, text};

/// A file that takes long enough to be interrupted and takes no room here.
const BIG: &str = "big.bin";

fn write_big(machine: &Machine) {
    File::create(machine.path(BIG)).unwrap().set_len(2 * 1024 * 1024 * 1024).unwrap();
}

/// A server and two machines that use it, the first with a small file `a.txt`.
fn meeting_point() -> (Rendezvous, Machine, Machine) {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    (server, alice, bob)
}

/// The code with another last digit.
fn mistyped(code: &str) -> String {
    let (rest, last) = code.split_at(code.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

/// Two machines in the middle of a transfer of [`BIG`].
fn under_way(alice: &Machine, bob: &Machine) -> (Peer, Peer) {
    write_big(alice);
    let mut sending = alice.start(&[BIG]);
    let code = sending.code();
    let mut receiving = bob.start(&["receive", &code, "--yes"]);
    receiving.under_way();
    (sending, receiving)
}

#[track_caller]
fn has_no_half_file(machine: &Machine) {
    let visible: Vec<_> = machine.names().into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(visible, [""; 0]);
}

/// It notices that its peer is gone, says so, and waits for it to come back, but no longer than its user does.
#[track_caller]
fn interrupt_while_it_reconnects(mut peer: Peer) -> Value {
    let since = Instant::now();
    peer.event("reconnecting");
    assert!(since.elapsed() < NOTICED, "{:?}", since.elapsed());
    peer.signal(Signal::INT);
    peer.end_within(NOTICED).failed("interrupted", 130)
}

/// The unfinished file is where the message says that it is.
#[track_caller]
fn keeps_what_it_says(error: &Value) {
    let message = text(&error["message"]);
    let (_, path) = message.split_once("what arrived is kept in `").unwrap();
    let path = Path::new(path.trim_end_matches('`'));
    assert!(path.metadata().unwrap().len() > 0, "{message}");
}

#[test]
fn after_a_wrong_code_the_receiver_is_told_and_the_sender_shows_a_new_one_that_works() {
    let (_server, alice, bob) = meeting_point();
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let error = bob.start(&["receive", &mistyped(&code), "--yes"]).end().failed("wrong_code", 4);
    assert!(text(&error["hint"]).contains("new code"), "{error}");
    has_no_half_file(&bob);

    let open = sending.event("code");
    assert_eq!((&open["reissued"], &open["codes_left"]), (&"wrong_code".into(), &1.into()), "{open}");
    let new = text(&open["code"]);
    assert_ne!(new, code);
    bob.start(&["receive", &new, "--yes"]).end().succeeded();
    sending.end().succeeded();
}

#[test]
fn a_person_who_sends_sees_the_new_code_and_why_there_is_one() {
    let (_server, alice, bob) = meeting_point();
    let sending = alice.start_at_terminal(&["a.txt"]);
    sending.says("one use");
    let shown = |peer: &Peer| {
        let said = format!("{peer:?}");
        let at = said.rfind("send receive ").unwrap() + "send receive ".len();
        said[at..].split_whitespace().next().unwrap().to_owned()
    };
    let code = shown(&sending);
    bob.start(&["receive", &mistyped(&code), "--yes"]).end().failed("wrong_code", 4);
    sending.says("a new code");
    assert!(format!("{sending:?}").contains("somebody used a wrong code"), "{sending:?}");
    assert_ne!(shown(&sending), code);
}

#[test]
fn after_three_wrong_codes_there_is_no_fourth_and_the_link_still_works() {
    let (_server, alice, bob) = meeting_point();
    let mut sending = alice.start(&["a.txt"]);
    let open = sending.event("code");
    let link = text(&open["link"]);
    let mut code = text(&open["code"]);
    for guess in 1..=3 {
        bob.start(&["receive", &mistyped(&code), "--yes"]).end().failed("wrong_code", 4);
        if guess < 3 {
            code = sending.code();
        }
    }
    let failed = sending.event("attempt_failed");
    assert_eq!(failed["reason"], "wrong_code");
    bob.start(&["receive", &link, "--yes"]).end().succeeded();
    let sent = sending.end();
    sent.succeeded();
    assert_eq!(sent.events_of("code").len(), 3);
}

#[test]
fn a_spent_code_answers_exactly_as_one_that_never_was() {
    const HELD_BACK: Duration = Duration::from_secs(2);
    let server = Rendezvous::start_set(&["times.refusal_delay=2", "limits.failed_claims=100"]);
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let spent = sending.code();
    bob.start(&["receive", &mistyped(&spent), "--yes"]).end().failed("wrong_code", 4);
    sending.event("code");
    let never = "999999-4711";

    let answer = |code: &str, start: fn(&Machine, &[&str]) -> Peer| -> Ended {
        // A machine of its own remembers nothing.
        let carol = Machine::with_server(&server);
        let ended = start(&carol, &["receive", code, "--yes"]).end();
        assert!(ended.lived >= HELD_BACK, "{ended:?}");
        ended
    };
    for start in [Machine::start, Machine::start_plain] {
        let (spent, never) = (answer(&spent, start), answer(never, start));
        assert_eq!(spent.code, Some(4), "{spent:?}");
        assert_eq!((spent.code, spent.out, spent.err), (never.code, never.out, never.err));
    }
    answer(&spent, Machine::start).failed("no_such_code", 4);
}

#[test]
fn a_code_that_was_tried_from_this_machine_is_not_tried_again() {
    let (server, alice, bob) = meeting_point();
    let mut sending = alice.start(&["a.txt"]);
    let wrong = mistyped(&sending.code());
    bob.start(&["receive", &wrong, "--yes"]).end().failed("wrong_code", 4);
    // Nobody has to be asked to know that.
    server.kill();
    bob.start(&["receive", &wrong, "--yes"]).end().failed("already_tried", 4);
    let other_form = wrong.replace('-', " ");
    bob.start(&["receive", &other_form, "--yes"]).end().failed("already_tried", 4);
}

#[test]
fn a_code_that_nobody_used_in_time_expires_on_both_sides() {
    let server = Rendezvous::start_set(&["times.code_ttl=2"]);
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let open = sending.event("code");
    assert_eq!(open["ttl"], 2.0);
    let error = sending.end_within(NOTICED).failed("expired", 4);
    assert_eq!(error["message"], "nobody used the code within 2 s; nothing was sent");
    bob.start(&["receive", &text(&open["code"]), "--yes"]).end().failed("no_such_code", 4);
    bob.start(&["receive", &text(&open["link"]), "--yes"]).end().failed("no_such_code", 4);
}

#[test]
fn a_server_that_is_down_is_named_within_seconds_on_both_sides() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let url = server.url();
    server.kill();
    for peer in [alice.start(&["a.txt"]), bob.start(&["receive", "48-2093", "--yes"])] {
        let error = peer.end_within(NOTICED).failed("server_unreachable", 5);
        assert!(text(&error["message"]).contains(&url), "{error}");
        assert!(error["hint"].is_string(), "{error}");
    }
}

#[test]
fn a_server_that_stays_away_while_a_sender_waits_is_told_of_when_the_code_would_be_over() {
    let server = Rendezvous::start_set(&["times.code_ttl=4"]);
    let alice = Machine::with_server(&server);
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    sending.code();
    let url = server.url();
    server.kill();
    let ended = sending.end_within(NOTICED);
    assert_eq!(ended.out.matches("server_away").count(), 1, "it says once that it tries");
    let error = ended.failed("server_lost", 5);
    assert!(text(&error["message"]).contains(&url), "{error}");
}

#[test]
fn a_server_that_was_restarted_while_a_sender_waits_has_no_code_for_it_any_more() {
    let (server, alice, _) = meeting_point();
    let mut sending = alice.start(&["a.txt"]);
    sending.code();
    let server = server.restart();
    let error = sending.end_within(NOTICED).failed("server_lost", 5);
    assert!(text(&error["message"]).contains(&server.url()), "{error}");
}

#[test]
fn a_sender_whose_connection_to_the_server_breaks_keeps_its_code() {
    let server = Rendezvous::start();
    // The first message of the server is that there is a code; the second would be that somebody came.
    let wire = Cutter::before(server.address(), r#""type":"paired""#, 1);
    let (alice, bob) = (Machine::with_server_at(&wire.url()), Machine::with_server(&server));
    let path = alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    // This one was let in when the connection broke, and proved nothing; the code holds for it, too.
    assert_ne!(bob.start(&["receive", &code, "--yes"]).end().code, Some(0));
    assert!(wire.has_cut());
    bob.start(&["receive", &code, "--yes"]).end().succeeded();
    let sent = sending.end();
    assert!(sent.out.contains("server_back"), "{}", sent.out);
    sent.succeeded();
    assert_eq!(std::fs::read(path).unwrap(), bob.read("a.txt"));
}

#[test]
fn a_transfer_that_is_under_way_does_not_need_the_server() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let path = alice.write("a.bin", &content(40_000_000));
    let mut sending = alice.start(&["a.bin"]);
    let code = sending.code();
    let mut receiving = bob.start_at_terminal(&["receive", &code]);
    receiving.says("[Y/n]");
    server.kill();
    receiving.types("");
    receiving.end().succeeded();
    sending.end().succeeded();
    assert_eq!(std::fs::read(path).unwrap(), bob.read("a.bin"));
}

/// What says a handshake message or a signal.
const RELAY: &str = r#""type":"relay""#;

#[test]
fn a_receiver_whose_server_breaks_before_it_heard_that_its_code_is_right_hears_it_again() {
    let server = Rendezvous::start();
    // The sender's hello is the first message, its confirmation the second.
    let wire = Cutter::before(server.address(), RELAY, 2);
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server_at(&wire.url()));
    let path = alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let received = bob.start(&["receive", &sending.code(), "--yes"]).end();
    assert!(wire.has_cut());
    received.succeeded();
    sending.end().succeeded();
    assert_eq!(std::fs::read(path).unwrap(), bob.read("a.txt"));
}

#[test]
fn a_server_that_breaks_before_there_is_a_path_is_met_at_again() {
    let server = Rendezvous::start();
    // The receiver's hello and its proof are the first two messages.
    let wire = Cutter::before(server.address(), RELAY, 3);
    let (alice, bob) = (Machine::with_server_at(&wire.url()), Machine::with_server(&server));
    let path = alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let received = bob.start(&["receive", &sending.code(), "--yes"]).end();
    assert!(wire.has_cut());
    received.succeeded();
    sending.end().succeeded();
    assert_eq!(std::fs::read(path).unwrap(), bob.read("a.txt"));
}

#[test]
fn without_a_server_a_sender_that_is_not_there_is_not_found_within_seconds() {
    let _network = local_network();
    let bob = Machine::without_server();
    let error = bob.start(&["receive", "999999-4711", "--yes"]).end_within(NOTICED).failed("not_found", 5);
    assert!(text(&error["message"]).contains("999999") && !error.to_string().contains("4711"), "{error}");
}

#[test]
fn a_receiver_that_leaves_before_it_agrees_is_noticed_by_the_sender() {
    let (_server, alice, bob) = meeting_point();
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(130)), (Signal::KILL, None)] {
        let mut sending = alice.start(&["a.txt"]);
        let receiving = bob.start_at_terminal(&["receive", &sending.code()]);
        receiving.says("[Y/n]");
        receiving.signal(signal);
        match code {
            Some(_) => sending.end_within(NOTICED).failed("cancelled_by_peer", 3),
            None => interrupt_while_it_reconnects(sending),
        };
        let received = receiving.end();
        assert_eq!(received.code, code.or(Some(-Signal::KILL.as_raw())), "{received:?}");
        has_no_half_file(&bob);
    }
}

#[test]
fn a_sender_that_leaves_before_the_receiver_agrees_is_noticed_by_the_receiver() {
    let (_server, alice, bob) = meeting_point();
    for (signal, code) in [(Signal::INT, 3), (Signal::TERM, 3), (Signal::KILL, 130)] {
        let mut sending = alice.start(&["a.txt"]);
        let receiving = bob.start_at_terminal(&["receive", &sending.code()]);
        receiving.says("[Y/n]");
        sending.signal(signal);
        if signal == Signal::KILL {
            receiving.says("Connection lost.");
            receiving.signal(Signal::INT);
        }
        let received = receiving.end_within(NOTICED);
        assert_eq!(received.code, Some(code), "{received:?}");
        assert!(signal == Signal::KILL || received.err.contains("error: the "), "{received:?}");
        has_no_half_file(&bob);
        sending.end();
    }
}

#[test]
fn a_receiver_that_leaves_in_the_middle_is_noticed_and_keeps_no_half_file() {
    let (_server, alice, bob) = meeting_point();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (sending, receiving) = under_way(&alice, &bob);
        receiving.signal(signal);
        let since = Instant::now();
        if signal == Signal::KILL {
            interrupt_while_it_reconnects(sending);
        } else {
            sending.end_within(NOTICED).failed("cancelled_by_peer", 3);
        }
        println!("{signal:?} of the receiver: noticed after {:.1?}", since.elapsed());
        if signal == Signal::KILL {
            assert_eq!(receiving.end().code, Some(-signal.as_raw()));
        } else {
            let error = receiving.end_within(NOTICED).failed("interrupted", 130);
            keeps_what_it_says(&error);
        }
        has_no_half_file(&bob);
    }
}

#[test]
fn a_sender_that_leaves_in_the_middle_is_noticed_and_leaves_no_half_file() {
    let (_server, alice, bob) = meeting_point();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (sending, receiving) = under_way(&alice, &bob);
        sending.signal(signal);
        let since = Instant::now();
        let error = if signal == Signal::KILL {
            interrupt_while_it_reconnects(receiving)
        } else {
            receiving.end_within(NOTICED).failed("cancelled_by_peer", 3)
        };
        keeps_what_it_says(&error);
        println!("{signal:?} of the sender: noticed after {:.1?}", since.elapsed());
        if signal == Signal::KILL {
            assert_eq!(sending.end().code, Some(-signal.as_raw()));
        } else {
            sending.end_within(NOTICED).failed("interrupted", 130);
        }
        has_no_half_file(&bob);
    }
}

/// Stops `other` until `peer` has noticed, lets it go on, and interrupts `peer` as soon as both look for each other.
#[track_caller]
fn interrupt_while_apart(mut peer: Peer, other: &mut Peer) -> Value {
    other.signal(Signal::STOP);
    peer.event("reconnecting");
    other.signal(Signal::CONT);
    other.event("reconnecting");
    peer.signal(Signal::INT);
    peer.end_within(NOTICED).failed("interrupted", 130)
}

#[test]
fn a_receiver_that_is_interrupted_while_the_two_are_apart_tells_the_sender() {
    let (_server, alice, bob) = meeting_point();
    let (mut sending, receiving) = under_way(&alice, &bob);
    let error = interrupt_while_apart(receiving, &mut sending);
    keeps_what_it_says(&error);
    sending.end_within(NOTICED).failed("cancelled_by_peer", 3);
}

#[test]
fn a_sender_that_is_interrupted_while_the_two_are_apart_tells_the_receiver() {
    let (_server, alice, bob) = meeting_point();
    let (sending, mut receiving) = under_way(&alice, &bob);
    interrupt_while_apart(sending, &mut receiving);
    let error = receiving.end_within(NOTICED).failed("cancelled_by_peer", 3);
    keeps_what_it_says(&error);
}

#[test]
fn whoever_waits_may_be_interrupted() {
    let (_server, alice, bob) = meeting_point();
    let mut sending = alice.start(&["a.txt"]);
    sending.code();
    sending.signal(Signal::INT);
    sending.end_within(NOTICED).failed("interrupted", 130);

    let asked = bob.start_at_terminal(&["receive"]);
    asked.says("Code: ");
    asked.signal(Signal::INT);
    assert_eq!(asked.end_within(NOTICED).code, Some(130));
}

#[test]
fn a_file_that_is_not_there_is_named_before_any_code_is_shown() {
    let (_server, alice, _) = meeting_point();
    let sent = alice.start(&["a.txt", "b.txt"]).end();
    let error = sent.failed("source", 6);
    assert!(text(&error["message"]).contains("b.txt"), "{error}");
    assert_eq!(sent.events_of("code"), [Value::Null; 0]);
}

#[test]
fn a_directory_that_cannot_be_saved_to_is_told_before_the_code_is_used() {
    let (_server, alice, bob) = meeting_point();
    bob.write("file", b"no directory");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    for output in ["missing", "file", "file/below"] {
        let error = bob.start(&["receive", &code, "--yes", "--output", output]).end().failed("output", 6);
        assert!(text(&error["message"]).contains(output), "{error}");
        assert!(text(&error["hint"]).contains("--output"), "{error}");
    }
    bob.start(&["receive", &code, "--yes"]).end().succeeded();
    sending.end().succeeded();
}

#[test]
fn a_file_that_is_cut_short_while_it_is_sent_is_told_of_on_both_sides() {
    let (_server, alice, bob) = meeting_point();
    let (sending, receiving) = under_way(&alice, &bob);
    // While the receiver takes nothing, the sender cannot have read to the end.
    receiving.signal(Signal::STOP);
    File::options().write(true).open(alice.path(BIG)).unwrap().set_len(1_000).unwrap();
    receiving.signal(Signal::CONT);
    let said = sending.end_within(NOTICED).failed("source_changed", 6);
    assert!(text(&said["message"]).contains(BIG), "{said}");
    let heard = receiving.end_within(NOTICED).failed("peer_failed", 1);
    assert!(text(&heard["message"]).contains("changed"), "{heard}");
    has_no_half_file(&bob);
}
