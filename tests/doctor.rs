//! What `send doctor` finds, where something is as it should be and where it is not.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::harness::{Coturn, Disk, Ended, Machine, Peer, Proxy, Rendezvous, local_network, text};
use crate::netlab::{Access, Internet, Namespace, Netlab, SERVER_V4, Side};

/// Two ports for STUN, as an operator has them who wants to be of use.
const STUN: [&str; 4] = ["--stun-listen", "[::]:0", "--stun-listen", "[::]:0"];

/// What `send doctor` said on `machine`.
#[track_caller]
fn examine(machine: &Machine, arguments: &[&str]) -> Ended {
    machine.start(&[&["doctor"], arguments].concat()).end()
}

/// The only finding of one check.
#[track_caller]
fn found(ended: &Ended, check: &str) -> Value {
    let findings = ended.events_of("finding");
    let mut of_check = findings.into_iter().filter(|finding| finding["check"] == check);
    let only = of_check.next().unwrap_or_else(|| panic!("nothing about {check}: {ended:?}"));
    assert_eq!(of_check.next(), None, "{ended:?}");
    only
}

/// Outcome and verdict of a check.
#[track_caller]
fn outcome(ended: &Ended, check: &str) -> (String, String) {
    let finding = found(ended, check);
    assert!(text(&finding["message"]).ends_with('.'), "{finding}");
    let (name, verdict) = (text(&finding["outcome"]), text(&finding["verdict"]));
    if verdict == "warning" || verdict == "problem" {
        assert!(text(&finding["hint"]).len() > 10, "what is there to do? {finding}");
    }
    (name, verdict)
}

fn told(name: &str, verdict: &str) -> (String, String) {
    (name.to_owned(), verdict.to_owned())
}

/// A server on an internet, and one side's machine.
fn side_of(internet: &Internet, access: Access, arguments: &[&str]) -> (Rendezvous, Side, Machine) {
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", arguments);
    let side = internet.connect(1, access);
    let machine =
        Machine::with_server_at(&format!("http://{SERVER_V4}:{}", server.port())).inside(&side.machine);
    (server, side, machine)
}

#[test]
fn where_all_is_well_a_transfer_to_itself_shows_it_and_nothing_stays() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    let temporary = machine.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut command = machine.command(&["doctor", "--json"]);
    let ended = Peer::start({
        command.env("TMPDIR", &temporary);
        command
    })
    .end();
    ended.succeeded();
    for (check, expected) in [
        ("disk", "writable"),
        ("state", "remembered"),
        ("server", "reached"),
        ("clock", "right"),
        ("code", "used"),
        ("relay", "passes_on"),
        ("transfer", "verified"),
    ] {
        assert_eq!(outcome(&ended, check), told(expected, "good"));
    }
    let transfer = found(&ended, "transfer");
    // On a busy machine it may begin with the relay.
    let path = text(&transfer["facts"]["path"]);
    assert!(path == "local_network" || path == "relay", "{transfer}");
    assert_eq!(transfer["facts"]["moved"], 8_388_608);
    assert!(transfer["facts"]["elapsed"].as_f64().unwrap() > 0.0, "{transfer}");
    assert_eq!(found(&ended, "server")["facts"]["server"], server.url());
    // Nobody answers STUN there.
    assert_eq!(outcome(&ended, "udp"), told("not_asked", "note"));
    assert_eq!(outcome(&ended, "turn"), told("not_offered", "note"));
    assert_eq!(ended.events().pop().unwrap()["event"], "diagnosed");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
    assert_eq!(machine.names(), ["temporary"]);
}

#[test]
fn without_a_server_this_machine_is_its_own() {
    let _network = local_network();
    let machine = Machine::without_server();
    let ended = examine(&machine, &["--port", "0"]);
    ended.succeeded();
    let (server, _) = outcome(&ended, "server");
    assert_eq!(server, "own");
    assert_eq!(outcome(&ended, "transfer"), told("verified", "good"));
    assert_eq!(outcome(&ended, "udp"), told("not_asked", "note"));
    assert_eq!(found(&ended, "udp")["hint"], Value::Null, "on one network there is nothing to do");
}

#[test]
fn people_read_a_row_for_each_finding_and_what_to_do_below() {
    let server = Rendezvous::start();
    let ended = Machine::with_server(&server).start_plain(&["doctor"]).end();
    assert_eq!(ended.succeeded().out, "");
    let rows: Vec<&str> = ended.err.lines().collect();
    assert!(rows[0].starts_with("good     Disk       Files can be saved in "), "{ended:?}");
    assert!(rows.iter().any(|row| row.trim_start().starts_with("→ its operator adds one")), "{ended:?}");
    assert!(rows.iter().any(|row| row.starts_with("good     Relay      ")), "{ended:?}");
    assert!(ended.err.contains("\nFiles can be sent and received."), "{ended:?}");
    assert!(!ended.err.contains('\u{1b}'), "{ended:?}");

    let quiet = Machine::with_server(&server).start_plain(&["doctor", "--quiet"]).end();
    assert_eq!((&*quiet.succeeded().out, &*quiet.err), ("", ""));
}

#[test]
fn a_server_that_is_not_there_is_a_problem_and_what_works_without_is_told() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    server.kill();
    let ended = examine(&machine, &[]);
    let error = ended.failed("unfit", 5);
    assert!(text(&error["message"]).contains("1 problem above"), "{error}");
    assert_eq!(outcome(&ended, "server"), told("server_unreachable", "problem"));
    assert_eq!(outcome(&ended, "transfer"), told("without_server", "note"));
    assert!(text(&found(&ended, "transfer")["hint"]).contains("--server"), "{ended:?}");
}

#[test]
fn what_is_no_rendezvous_is_told_from_one_that_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = Machine::with_server_at(&format!("http://{}", listener.local_addr().unwrap()));
    thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.and_then(|mut client| {
                let _ = client.read(&mut [0; 1_024])?;
                client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            });
        }
    });
    let ended = examine(&machine, &[]);
    ended.failed("unfit", 5);
    let finding = found(&ended, "server");
    assert!(text(&finding["message"]).contains("status 404"), "{finding}");
    assert!(text(&finding["hint"]).contains("something else answers there"), "{finding}");
}

#[test]
fn a_private_server_wants_its_token() {
    let server = Rendezvous::start_set(&["token='north'"]);
    let ended = examine(&Machine::with_server(&server), &[]);
    ended.failed("unfit", 5);
    assert_eq!(outcome(&ended, "server"), told("reached", "good"));
    assert_eq!(outcome(&ended, "code"), told("server_refused", "problem"));
    assert!(text(&found(&ended, "code")["hint"]).contains("SEND_TOKEN"), "{ended:?}");
    examine(&Machine::with_server(&server), &["--token", "north"]).succeeded();
}

#[test]
fn a_directory_that_cannot_be_saved_to_is_a_problem() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    let ended = examine(&machine, &["-o", "nowhere"]);
    ended.failed("unfit", 6);
    assert_eq!(outcome(&ended, "disk"), told("output", "problem"));
    assert!(text(&found(&ended, "disk")["hint"]).contains("--output"), "{ended:?}");
    assert_eq!(outcome(&ended, "transfer"), told("verified", "good"), "the rest is looked at all the same");

    let Some(disk) = Disk::new(1_000_000) else { return };
    let path = disk.path().to_str().unwrap();
    let full = examine(&machine, &["-o", path]);
    assert_eq!(outcome(full.succeeded(), "disk"), told("little_room", "warning"));
    assert!(Command::new("mount").args(["-o", "remount,ro", path]).status().unwrap().success());
    let fixed = examine(&machine, &["-o", path]);
    fixed.failed("unfit", 6);
    assert!(text(&found(&fixed, "disk")["message"]).contains("read-only"), "{fixed:?}");
}

#[test]
fn a_place_for_used_codes_that_cannot_be_written_is_warned_of() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    let occupied = machine.write("occupied", b"");
    let mut command = machine.command(&["doctor", "--json"]);
    command.env("XDG_STATE_HOME", occupied);
    let ended = Peer::start(command).end();
    assert_eq!(outcome(ended.succeeded(), "state"), told("not_remembered", "warning"));
    assert_eq!(ended.events().pop().unwrap()["warnings"], 1, "{ended:?}");
}

#[test]
fn a_temporary_directory_that_is_not_there_is_named() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    let mut command = machine.command(&["doctor", "--json"]);
    command.env("TMPDIR", "/nowhere");
    let ended = Peer::start(command).end();
    ended.failed("unfit", 6);
    assert_eq!(outcome(&ended, "transfer"), told("output", "problem"));
    assert!(text(&found(&ended, "transfer")["hint"]).contains("TMPDIR"), "{ended:?}");
}

#[test]
fn who_stops_it_is_left_with_nothing() {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    let temporary = machine.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut command = machine.command(&["doctor", "--json"]);
    command.env("TMPDIR", &temporary);
    let mut peer = Peer::start(command);
    peer.event_that("finding", |finding| finding["check"] == "turn");
    peer.interrupt();
    // It may have been done by then.
    let ended = peer.end();
    assert!(matches!(ended.code, Some(0 | 130)), "{ended:?}");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

/// Passes on to `server`, whose first answer to each client has another time in it.
fn with_another_clock(server: &Rendezvous) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), server.address().to_owned());
    let pass_on = move |mut client: TcpStream| -> io::Result<()> {
        let mut onward = TcpStream::connect(&behind)?;
        let (mut from_client, mut to_server) = (client.try_clone()?, onward.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            onward.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let other = |line: &str| {
            let is_date = line.to_ascii_lowercase().starts_with("date:");
            format!("{}\r\n", if is_date { "date: Sun, 06 Nov 1994 08:49:37 GMT" } else { line })
        };
        client.write_all(head.trim_end().lines().map(other).collect::<String>().as_bytes())?;
        client.write_all(b"\r\n")?;
        io::copy(&mut onward, &mut client)?;
        client.shutdown(Shutdown::Both)
    };
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let pass_on = pass_on.clone();
            thread::spawn(move || pass_on(client));
        }
    });
    format!("http://{address}")
}

#[test]
fn a_clock_that_differs_from_the_servers_is_warned_of() {
    let server = Rendezvous::start();
    let machine = Machine::with_server_at(&with_another_clock(&server));
    let ended = examine(&machine, &[]);
    assert_eq!(outcome(ended.succeeded(), "clock"), told("differs", "warning"));
    let ahead = found(&ended, "clock")["facts"]["ahead"].as_i64().unwrap();
    assert!(ahead > 30 * 365 * 24 * 3_600, "{ahead} s");
}

#[test]
fn a_proxy_on_the_way_is_named() {
    let Some(internet) = Internet::new() else { return };
    let (_server, _side, machine) = side_of(&internet, Access::PortRestricted, &STUN);
    let proxy = Proxy::start(&internet.server, SERVER_V4);
    let examine_by = |way: &str| {
        let mut command = machine.command(&["doctor", "--json"]);
        command.env("ALL_PROXY", way);
        Peer::start(command).end()
    };
    let ended = examine_by(&proxy.url());
    assert_eq!(found(ended.succeeded(), "server")["facts"]["proxy"], proxy.url());
    assert!(proxy.asked_for().len() >= 4, "for each end, at the meeting point and at the relay");

    let nobody = examine_by("http://joe:secret@100.0.0.1:2");
    nobody.failed("unfit", 5);
    let finding = found(&nobody, "server");
    assert!(!nobody.out.contains("secret"), "{nobody:?}");
    assert!(
        text(&finding["message"]).contains("the proxy http://100.0.0.1:2 does not lead there"),
        "{finding}"
    );
    assert!(text(&finding["hint"]).contains("HTTPS_PROXY"), "{finding}");
}

#[test]
fn where_udp_is_blocked_it_says_so_and_that_the_server_is_reached() {
    let Some(internet) = Internet::new() else { return };
    let (_server, _side, machine) = side_of(&internet, Access::UdpBlocked, &STUN);
    let ended = examine(&machine, &[]);
    // Two machines behind this router do reach each other.
    ended.succeeded();
    assert_eq!(outcome(&ended, "server"), told("reached", "good"));
    assert_eq!(outcome(&ended, "udp"), told("blocked", "warning"));
    assert_eq!(found(&ended, "udp")["facts"]["asked"].as_array().unwrap().len(), 2);
    assert!(ended.events_of("finding").iter().all(|finding| finding["check"] != "router"), "{ended:?}");
    let candidates = found(&ended, "addresses")["facts"]["candidates"].to_string();
    assert!(candidates.contains("host 192.168.1.2:") && !candidates.contains("srflx"), "{candidates}");
}

/// What is found about the router: outcome, verdict, and who is let in.
#[track_caller]
fn router(access: Access, flags: &[&str], stun: &[&str]) -> Option<(String, String, String)> {
    let internet = Internet::new()?;
    let (_server, _side, machine) = side_of(&internet, access, stun);
    let ended = examine(&machine, flags);
    ended.succeeded();
    let (name, verdict) = outcome(&ended, "router");
    assert_eq!(outcome(&ended, "udp"), told("answered", "good"));
    let candidates = found(&ended, "addresses")["facts"]["candidates"].to_string();
    let is_translated = name != "none";
    assert_eq!(candidates.contains("srflx 100.0.0.11:"), is_translated, "{candidates}");
    Some((name, verdict, text(&found(&ended, "router")["facts"]["filtering"])))
}

#[test]
fn routers_are_told_by_what_two_ports_of_a_server_see() {
    for (access, expected) in [
        (Access::Ipv4Only, ["none", "good", "address_dependent_at_most"]),
        (Access::FullCone, ["same_for_ports", "good", "address_dependent_at_most"]),
        (Access::AddressRestricted, ["same_for_ports", "good", "address_dependent_at_most"]),
        (Access::PortRestricted, ["same_for_ports", "good", "address_and_port_dependent"]),
        (Access::Symmetric, ["address_and_port_dependent", "warning", "address_and_port_dependent"]),
        (Access::SymmetricRandom, ["address_and_port_dependent", "warning", "address_and_port_dependent"]),
    ] {
        let Some(found) = router(access, &[], &STUN) else { return };
        assert_eq!([found.0, found.1, found.2], expected.map(str::to_owned), "{access:?}");
    }
}

#[test]
fn of_a_server_with_one_port_only_so_much_can_be_told() {
    let Some(found) = router(Access::SymmetricRandom, &[], &STUN[..2]) else { return };
    assert_eq!(found, ("unknown".to_owned(), "note".to_owned(), "unknown".to_owned()));
}

#[test]
fn a_turn_server_that_admits_this_machine_is_told_from_one_that_does_not() {
    let Some(internet) = Internet::new() else { return };
    let url = format!("turn:{SERVER_V4}:3478");
    let arguments = [&STUN[..], &["--turn-url", &url]].concat();
    {
        let (_server, _side, machine) = side_of(&internet, Access::Symmetric, &arguments);
        let silent = examine(&machine, &[]);
        assert_eq!(outcome(silent.succeeded(), "turn"), told("silent", "warning"), "nobody is there yet");
    }
    let _coturn = Coturn::start(&internet.server);
    let side = internet.connect(2, Access::Symmetric);
    let at = |server: &Rendezvous| {
        Machine::with_server_at(&format!("http://{SERVER_V4}:{}", server.port())).inside(&side.machine)
    };
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &arguments);
    let ended = examine(&at(&server), &[]);
    assert_eq!(outcome(ended.succeeded(), "turn"), told("admitted", "good"));
    let candidates = found(&ended, "addresses")["facts"]["candidates"].to_string();
    assert!(candidates.contains(&format!("relay {SERVER_V4}:")), "{candidates}");
    assert_eq!(outcome(&examine(&at(&server), &["--no-relay"]), "turn"), told("forbidden", "note"));
    let only = examine(&at(&server), &["--relay-only"]);
    let path = text(&found(only.succeeded(), "transfer")["facts"]["path"]);
    assert!(path == "turn" || path == "relay", "{only:?}");

    let wrong = [&arguments[..], &["--set", "turn_secret='another secret'"]].concat();
    let stranger = Rendezvous::start_inside_with(&internet.server, "[::]:0", &wrong);
    let refused = examine(&at(&stranger), &[]);
    assert_eq!(outcome(refused.succeeded(), "turn"), told("bad_credential", "warning"));
    assert!(text(&found(&refused, "turn")["hint"]).contains("--turn-secret-file"), "{refused:?}");
}

#[test]
fn who_uses_relays_only_has_a_problem_where_there_is_none() {
    let Some(internet) = Internet::new() else { return };
    {
        let (_server, _side, machine) = side_of(&internet, Access::Open, &STUN);
        let ended = examine(&machine, &["--relay-only"]);
        assert_eq!(outcome(ended.succeeded(), "addresses"), told("hidden", "good"));
        assert_eq!(found(&ended, "transfer")["facts"]["path"], "relay");
    }
    let without = [&STUN[..], &["--no-record-relay"]].concat();
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &without);
    let side = internet.connect(2, Access::Open);
    let url = format!("http://{SERVER_V4}:{}", server.port());
    let ended = examine(&Machine::with_server_at(&url).inside(&side.machine), &["--relay-only"]);
    ended.failed("unfit", 5);
    assert_eq!(outcome(&ended, "relay"), told("not_offered", "note"));
    assert_eq!(outcome(&ended, "addresses"), told("none", "warning"));
    assert_eq!(outcome(&ended, "transfer"), told("no_relay", "problem"));
}

/// What `send doctor` hears of itself on a machine of a laboratory, prepared by `prepare`.
fn heard(prepare: impl Fn(&Namespace)) -> Option<(String, String)> {
    let lab = Netlab::new()?;
    prepare(&lab.alice.space);
    let ended = examine(&Machine::without_server().on(&lab.alice), &[]);
    Some(outcome(ended.succeeded(), "mdns"))
}

#[test]
fn a_machine_that_does_not_hear_itself_is_warned() {
    let Some(open) = heard(|_| ()) else { return };
    assert_eq!(open, told("heard", "good"));
    let closed = heard(|space| {
        let rules = "add table inet own; \
                     add chain inet own in { type filter hook input priority 0; }; \
                     add rule inet own in udp dport 5353 drop";
        assert!(space.command("nft").arg(rules).status().unwrap().success());
    });
    assert_eq!(closed, Some(told("not_heard", "warning")));
}
