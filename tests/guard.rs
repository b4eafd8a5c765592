//! A server at which somebody guesses codes, and what those notice who do not.
#![cfg(test)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::harness::{Machine, NOTICED, Rendezvous, content};

/// A server that has everybody work from the first wrong code on, as hard as by default.
pub(crate) fn guarded() -> Rendezvous {
    let server = Rendezvous::start_set(&["limits.guard_failures=0", "metrics_listen='127.0.0.1:0'"]);
    let guess = Machine::with_server(&server).start(&["receive", "999-1234", "--yes"]).end();
    guess.failed("no_such_code", 4);
    server
}

/// The line of the server's numbers that begins with `name`.
fn number(server: &Rendezvous, name: &str) -> String {
    let text = numbers(server);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).trim().to_owned()
}

fn numbers(server: &Rendezvous) -> String {
    let mut stream = TcpStream::connect(server.operator()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until so many transfers were reported as complete, over whatever path: what a page says last arrives a moment after
/// it shows that it is done, and a path that is gone by then cannot be looked up.
#[track_caller]
pub(crate) fn have_completed(server: &Rendezvous, expected: u32) {
    let began = Instant::now();
    loop {
        let numbers = numbers(server);
        let lines =
            numbers.lines().filter_map(|line| line.strip_prefix("rendezvous_transfers_reported_total{"));
        let complete = lines.filter(|line| line.contains("outcome=\"complete\""));
        let count: u32 = complete.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum();
        if count == expected {
            return;
        }
        assert!(began.elapsed() < NOTICED, "{count}, not {expected}:\n{numbers}");
    }
}

#[test]
fn both_sides_work_for_a_moment_are_told_and_what_came_of_it_is_counted() {
    let server = guarded();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.bin", &content(100_000));
    let mut sending = alice.start(&["a.bin"]);
    let code = sending.code();
    assert_eq!(code.split_once('-').unwrap().0.len(), 4, "{code}: a digit more than the three that are free");
    let received = bob.start(&["receive", &code, "--yes"]).end();
    received.succeeded();
    let sent = sending.end();
    sent.succeeded();
    for ended in [&sent, &received] {
        let warnings = ended.events_of("warning");
        assert!(warnings.iter().any(|warning| warning["warning"] == "server_guarded"), "{warnings:?}");
    }
    assert_eq!(number(&server, "rendezvous_challenges_total{result=\"done\"}"), "2");
    let complete = "rendezvous_transfers_reported_total{outcome=\"complete\",path=\"local_network\"}";
    assert_eq!(number(&server, complete), "1");
    assert_eq!(bob.names(), ["a.bin"]);
}
