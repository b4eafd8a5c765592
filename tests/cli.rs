//! What can be typed, and what goes to which stream.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Ended, Machine, NOTICED, Peer, Rendezvous, local_network, text};

/// Runs `send` to its end, which nobody has to come for.
#[track_caller]
fn run(machine: &Machine, arguments: &[&str]) -> Ended {
    machine.start_plain(arguments).end()
}

/// It was not understood: status 2, an explanation on standard error, nothing on standard output.
#[track_caller]
fn is_not_understood(ended: &Ended, words: &str) {
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains("error: ") && ended.err.contains(words), "`{words}` is not in {ended:?}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let machine = Machine::without_server();
    let version = run(&machine, &["--version"]);
    assert_eq!(version.succeeded().out, format!("send {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["--help"][..], &["receive", "--help"], &["serve", "--help"]] {
        let help = run(&machine, arguments);
        assert!(help.succeeded().out.contains("Usage: send"), "{help:?}");
        assert_eq!(help.err, "");
    }
    let help = run(&machine, &["--help"]).out;
    for words in ["send receive 48-2093", "Exit status: 0 done", "SEND_LINK_ONLY", "--server"] {
        assert!(help.contains(words), "`{words}` is not in {help}");
    }
}

#[test]
fn completions_and_the_manual_go_to_standard_output_and_are_what_their_readers_take() {
    let machine = Machine::without_server();
    let script = run(&machine, &["completions", "bash"]).succeeded().out.clone();
    let checked = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    assert!(script.contains("doctor") && script.contains("--relay-only"), "{script}");
    let page = run(&machine, &["man"]).succeeded().out.clone();
    assert!(page.contains(".TH send 1") && page.contains("SEND RECEIVE"), "{page}");
    is_not_understood(&run(&machine, &["completions", "tcl"]), "possible values");
}

#[test]
fn nothing_to_do_is_told_with_the_usage() {
    let ended = run(&Machine::without_server(), &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains("Usage: send"), "{ended:?}");
}

#[test]
fn what_cannot_be_meant_is_told_without_anybody_being_asked() {
    let machine = Machine::without_server();
    machine.write("a.txt", b"content");
    for (arguments, words) in [
        (&["--no-such-flag", "a.txt"][..], "--no-such-flag"),
        (&["--digits", "3", "a.txt"], "4 to 12"),
        (&["--words", "9", "a.txt"], "2 to 8"),
        (&["--digits", "6", "--words", "3", "a.txt"], "exclude each other"),
        (&["--quiet", "--json", "a.txt"], "exclude each other"),
        (&["--server", "ftp://drop.example.org", "a.txt"], "ftp://drop.example.org"),
        (&["-"], "standard input"),
        (&["receive", "48-2093", "-o", "-"], "standard output"),
        (&["receive", "48-2093", "12-3456"], "12-3456"),
        (&["receive", "no code"], "code"),
        (&["receive", "https://drop.example.org/"], "link"),
        (&["--config", "missing.toml", "a.txt"], "missing.toml"),
    ] {
        is_not_understood(&run(&machine, arguments), words);
    }
}

#[test]
fn a_configuration_that_is_not_understood_is_named_with_its_line() {
    let machine = Machine::without_server();
    machine.write("a.txt", b"content");
    machine.write("my.toml", b"no-qr = true\n\nservre = \"drop.example.org\"\n");
    let ended = run(&machine, &["--config", "my.toml", "a.txt"]);
    is_not_understood(&ended, "my.toml, line 3");
    assert!(ended.err.contains("servre"), "{ended:?}");

    let directory = machine.config_dir().join("send");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), "digits = \"many\"").unwrap();
    is_not_understood(&run(&machine, &["a.txt"]), "config.toml, line 1");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_configuration_file() {
    let server = Rendezvous::start();
    let address = server.address().to_owned();
    // Nothing listens there any more, under whatever name.
    server.kill();
    let machine = Machine::without_server();
    machine.write("a.txt", b"content");
    machine.write("my.toml", format!("server = \"http://{address}/file\"").as_bytes());
    let reached = |variable: bool, flag: bool| {
        let mut command = machine.command(&["a.txt", "--json", "--config", "my.toml"]);
        if variable {
            command.env("SEND_SERVER", format!("http://{address}/environment"));
        }
        if flag {
            command.args(["--server", &format!("http://{address}/flag")]);
        }
        let ended = Peer::start(command).end_within(NOTICED);
        text(&ended.failed("server_unreachable", 5)["message"])
    };
    assert!(reached(false, false).contains("/file"));
    assert!(reached(true, false).contains("/environment"));
    assert!(reached(true, true).contains("/flag"));
}

#[test]
fn a_variable_that_is_not_understood_is_named() {
    let machine = Machine::without_server();
    let mut command = machine.command(&["receive", "48-2093"]);
    command.env("SEND_YES", "perhaps");
    is_not_understood(&Peer::start(command).end(), "SEND_YES");
}

#[test]
fn serve_is_a_server_for_others_and_stops_when_told_to() {
    let _network = local_network();
    let office = Machine::without_server();
    let mut serving = office.start(&["serve", "--listen", "127.0.0.1:0"]);
    let url = format!("http://{}", text(&serving.event("listening")["address"]));
    let (alice, bob) = (Machine::with_server_at(&url), Machine::with_server_at(&url));
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    bob.start(&["receive", &code, "--yes"]).end().succeeded();
    sending.end().succeeded();
    assert_eq!(bob.read("a.txt"), b"content");
    serving.signal(Signal::TERM);
    serving.end_within(NOTICED).succeeded();
}

#[test]
fn serve_says_when_its_address_is_taken() {
    let server = Rendezvous::start();
    let serving = Machine::without_server().start(&["serve", "--listen", server.address()]);
    let error = serving.end_within(NOTICED).failed("listen", 1);
    assert!(text(&error["message"]).contains(server.address()), "{error}");
}

#[test]
fn programs_get_every_event_as_json_and_nothing_else() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let received = bob.start(&["receive", &code, "--yes"]).end();
    let sent = sending.end();
    let names = |ended: &Ended| {
        let events = ended.succeeded().events().into_iter().map(|event| text(&event["event"]));
        events.filter(|name| name != "progress").collect::<Vec<_>>()
    };
    let sender = ["sending", "code", "knock", "paired", "path", "awaiting_consent", "finished"];
    assert_eq!(names(&sent), sender);
    assert_eq!(names(&received), ["paired", "path", "offer", "saved", "finished"]);
    assert_eq!((sent.err.as_str(), received.err.as_str()), ("", ""));
    let offer = &received.events_of("offer")[0];
    assert_eq!((&offer["files"], &offer["size"]), (&1.into(), &7.into()), "{offer}");
    assert_eq!(offer["top_level"][0]["name"], "a.txt");
    assert_eq!(offer["destination"], bob.dir().to_str().unwrap());
}

#[test]
fn each_v_tells_more_on_standard_error() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let mut said = Vec::new();
    for verbosity in ["--json", "-v", "-vv", "-vvv"] {
        let mut sending = alice.start(&["a.txt"]);
        let mut command = bob.command(&["receive", &sending.code(), "--yes", verbosity]);
        if verbosity != "--json" {
            command.arg("--json");
        }
        let received = Peer::start(command).end();
        sending.end().succeeded();
        said.push(received.succeeded().err.lines().count());
    }
    assert!(said[0] == 0 && said.is_sorted_by(|less, more| less < more), "{said:?}");
}

#[test]
fn people_without_a_terminal_get_a_line_per_stage_on_standard_error() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write("a.txt", b"content");
    let sending = alice.start_plain(&["a.txt"]);
    sending.says("On a phone");
    let said = format!("{sending:?}");
    let code = said.split_once("send receive ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let received = bob.start_plain(&["receive", &code, "--yes"]).end();
    let sent = sending.end();
    for ended in [&sent, &received] {
        assert_eq!(ended.succeeded().out, "");
        assert!(!ended.err.contains('\u{1b}') && !ended.err.contains('\r'), "{ended:?}");
    }
    assert!(sent.err.contains("Sent and verified by the receiver: a.txt (7 B"), "{sent:?}");
    assert!(received.err.contains("Received and verified: a.txt (7 B"), "{received:?}");
    assert!(sent.err.contains(&format!("send receive {code} --server {}", server.url())), "{sent:?}");
}
