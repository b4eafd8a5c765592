//! What is sent arrives, in every way there is to send it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Ended, Machine, Peer, Rendezvous, Snapshot, content, local_network, mixed_tree, text};

const MIB: usize = 1024 * 1024;

/// Sends `paths` from `sender` to `receiver` by the code; both succeed.
#[track_caller]
fn transfer(sender: &Machine, paths: &[&str], receiver: &Machine, options: &[&str]) -> (Ended, Ended) {
    let mut sending = sender.start(paths);
    let code = sending.code();
    let receiving = receiver.start(&[&["receive", &code, "--yes"], options].concat());
    done(sending, receiving)
}

#[track_caller]
fn done(sending: Peer, receiving: Peer) -> (Ended, Ended) {
    let received = receiving.end();
    received.succeeded();
    let sent = sending.end();
    sent.succeeded();
    (sent, received)
}

/// Sends one file of `len` bytes and compares what arrives.
#[track_caller]
fn file_arrives(len: usize, sender: &Machine, receiver: &Machine) {
    let name = format!("{len}.bin");
    let path = sender.write(&name, &content(len));
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    File::open(&path).unwrap().set_modified(modified).unwrap();
    let (sent, received) = transfer(sender, &[&name], receiver, &[]);
    assert_eq!(Snapshot::of(&path), Snapshot::of(&receiver.path(&name)), "{len}");
    for (ended, direction) in [(&sent, "send"), (&received, "receive")] {
        let finished = &ended.events_of("finished")[0];
        assert_eq!(finished["direction"], direction);
        assert_eq!((&finished["size"], &finished["moved"]), (&len.into(), &len.into()), "{finished}");
    }
    let saved = &received.events_of("saved")[0];
    assert_eq!(Path::new(&text(&saved["path"])), receiver.path(&name));
}

/// Sends a tree and compares what arrives.
#[track_caller]
fn tree_arrives(sender: &Machine, receiver: &Machine) {
    mixed_tree(&sender.path("tree"));
    transfer(sender, &["tree"], receiver, &[]);
    let sent = Snapshot::of(&sender.path("tree"));
    assert_eq!(sent.file_count(), 200);
    assert_eq!(sent, Snapshot::of(&receiver.path("tree")));
    assert_eq!(receiver.names(), ["tree"]);
}

fn machines(server: &Rendezvous) -> (Machine, Machine) {
    (Machine::with_server(server), Machine::with_server(server))
}

#[test]
fn files_of_every_awkward_size_arrive_through_a_server() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    for len in [0, 1, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1] {
        file_arrives(len, &alice, &bob);
    }
}

#[test]
fn a_large_file_arrives_through_a_server() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    file_arrives(300 * MIB, &alice, &bob);
}

#[test]
fn a_tree_arrives_through_a_server() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    tree_arrives(&alice, &bob);
}

#[test]
fn files_of_awkward_sizes_arrive_without_any_server() {
    let _network = local_network();
    let (alice, bob) = (Machine::without_server(), Machine::without_server());
    for len in [0, 65_536, 65_537] {
        file_arrives(len, &alice, &bob);
    }
}

#[test]
fn a_large_file_arrives_without_any_server() {
    let _network = local_network();
    file_arrives(300 * MIB, &Machine::without_server(), &Machine::without_server());
}

#[test]
fn a_tree_arrives_without_any_server() {
    let _network = local_network();
    tree_arrives(&Machine::without_server(), &Machine::without_server());
}

#[test]
fn several_paths_arrive_together() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    mixed_tree(&alice.path("tree"));
    alice.write("one.txt", b"one");
    alice.write("none.txt", b"");
    let (_, received) = transfer(&alice, &["one.txt", "tree", "none.txt"], &bob, &[]);
    assert_eq!(bob.names(), ["none.txt", "one.txt", "tree"]);
    for name in bob.names() {
        assert_eq!(Snapshot::of(&alice.path(&name)), Snapshot::of(&bob.path(&name)));
    }
    let finished = &received.events_of("finished")[0];
    assert_eq!((&finished["files"], &finished["name"]), (&202.into(), &serde_json::Value::Null));
}

#[test]
fn a_name_that_other_systems_cannot_have_is_changed_and_the_sender_is_told() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a\"b.txt", b"quoted");
    let (sent, _) = transfer(&alice, &["a\"b.txt"], &bob, &[]);
    assert_eq!(bob.names(), ["a_b.txt"]);
    assert_eq!(sent.events_of("warning")[0]["warning"], "sent_as");
}

#[test]
fn output_names_the_directory_to_save_to() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"content");
    std::fs::create_dir(bob.path("in")).unwrap();
    transfer(&alice, &["a.txt"], &bob, &["--output", "in"]);
    assert_eq!(bob.read("in/a.txt"), b"content");
    assert_eq!(bob.names(), ["in"]);
}

#[test]
fn a_link_receives_as_argument_on_standard_input_and_in_the_environment() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::without_server());
    alice.write("a.txt", b"by link");
    let ways: [fn(&Machine, &str) -> Peer; 4] = [
        |machine, link| machine.start(&["receive", link, "--yes"]),
        |machine, link| machine.start(&[link, "--yes"]),
        |machine, link| {
            let mut receiving = machine.start(&["receive", "-", "--yes"]);
            receiving.types(link);
            receiving
        },
        |machine, link| {
            let mut command = machine.command(&["receive", "--json", "--yes"]);
            command.env("SEND_CODE", link);
            Peer::start(command)
        },
    ];
    for (index, receive) in ways.into_iter().enumerate() {
        let mut sending = alice.start(&["a.txt"]);
        let link = text(&sending.event("code")["link"]);
        assert!(link.starts_with(&format!("{}/#", server.url())), "{link}");
        let (_, received) = done(sending, receive(&bob, &link));
        let warns = received.events_of("warning").iter().any(|w| w["warning"] == "secret_on_command_line");
        assert_eq!(warns, index < 2, "{received:?}");
    }
    assert_eq!(bob.names(), ["a (1).txt", "a (2).txt", "a (3).txt", "a.txt"]);
}

#[test]
fn a_link_receives_without_any_server() {
    let _network = local_network();
    let (alice, bob) = (Machine::without_server(), Machine::without_server());
    alice.write("a.txt", b"by link");
    let mut sending = alice.start(&["a.txt", "--link-only"]);
    let open = sending.event("code");
    done(sending, bob.start(&["receive", &text(&open["link"]), "--yes"]));
    assert_eq!(bob.read("a.txt"), b"by link");
}

#[test]
fn a_sender_that_shows_only_a_link_has_no_code() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"link only");
    let mut sending = alice.start(&["--link-only", "a.txt"]);
    let open = sending.event("code");
    assert!(open["code"].is_null(), "{open}");
    done(sending, bob.start(&["receive", &text(&open["link"]), "--yes"]));
    assert_eq!(bob.read("a.txt"), b"link only");
}

#[test]
fn codes_of_words_and_of_more_digits_work() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"content");
    let password = |code: &str| code.split_once('-').unwrap().1.to_owned();

    let mut of_words = alice.start(&["a.txt", "--words", "3"]);
    let words = of_words.code();
    assert_eq!(password(&words).split('-').filter(|word| word.len() > 1).count(), 3, "{words}");
    done(of_words, bob.start(&["receive", &words, "--yes"]));

    let mut of_digits = alice.start(&["a.txt", "--digits", "6"]);
    let digits = of_digits.code();
    assert_eq!(password(&digits).bytes().filter(u8::is_ascii_digit).count(), 6, "{digits}");
    done(of_digits, bob.start(&["receive", &digits, "--yes"]));
    assert_eq!(bob.names(), ["a (1).txt", "a.txt"]);
}

#[test]
fn the_everyday_code_is_six_digits() {
    let _network = local_network();
    let alice = Machine::without_server();
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let (nameplate, password) = code.split_once('-').unwrap();
    assert_eq!((nameplate.len(), password.len()), (2, 4), "{code}");
    assert!((nameplate.to_owned() + password).bytes().all(|byte| byte.is_ascii_digit()), "{code}");
}

#[test]
fn a_code_may_be_typed_in_any_form_at_the_prompt() {
    let _network = local_network();
    let (alice, bob) = (Machine::without_server(), Machine::without_server());
    alice.write("a.txt", b"content");
    for separator in ["-", " ", ""] {
        let mut sending = alice.start(&["a.txt"]);
        let code = sending.code();
        let mut receiving = bob.start(&["receive", "--yes"]);
        receiving.types(&format!("  {}\t", code.replace('-', separator)));
        done(sending, receiving);
    }
    assert_eq!(bob.names().len(), 3);
}

#[test]
fn a_file_that_exists_stays_and_the_new_one_stands_beside_it() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.tar.gz", b"new");
    bob.write("a.tar.gz", b"old");
    let (_, received) = transfer(&alice, &["a.tar.gz"], &bob, &[]);
    assert_eq!(bob.read("a.tar.gz"), b"old");
    let saved = text(&received.events_of("saved")[0]["path"]);
    assert!(saved.contains("(1)") && Path::new(&saved).parent() == Some(&bob.dir()), "{saved}");
    assert_eq!(std::fs::read(saved).unwrap(), b"new");
    assert_eq!(bob.names().len(), 2);
}

#[test]
fn overwrite_replaces_a_file_that_exists() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"new");
    bob.write("a.txt", b"a much longer old one");
    transfer(&alice, &["a.txt"], &bob, &["--overwrite"]);
    assert_eq!(bob.read("a.txt"), b"new");
    assert_eq!(bob.names(), ["a.txt"]);
}

#[test]
fn a_receiver_who_agrees_at_the_terminal_gets_the_file() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("holiday.mp4", &content(1_200_000));
    let mut sending = alice.start(&["holiday.mp4"]);
    let code = sending.code();
    let mut receiving = bob.start_at_terminal(&["receive"]);
    receiving.says("Code: ");
    receiving.types(&code);
    receiving.says("Receive `holiday.mp4` (1.2 MB)");
    sending.event("awaiting_consent");
    receiving.types("y");
    let (_, received) = done(sending, receiving);
    assert_eq!(received.out, "");
    assert_eq!(bob.read("holiday.mp4"), content(1_200_000));
}

#[test]
fn a_receiver_who_declines_gets_nothing_and_the_sender_is_told() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"unwanted");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let mut receiving = bob.start_at_terminal(&["receive", &code]);
    receiving.says("[Y/n]");
    receiving.types("n");
    sending.end().failed("declined_by_peer", 3);
    let received = receiving.end();
    assert_eq!(received.code, Some(1), "{received:?}");
    assert!(received.err.contains("error: declined; nothing was received"), "{received:?}");
    assert_eq!(bob.names(), [""; 0]);
}

#[test]
fn without_a_terminal_nothing_is_received_unless_yes_is_said_beforehand() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"content");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let error = bob.start(&["receive", &code]).end().failed("nobody_to_ask", 2);
    assert!(text(&error["hint"]).contains("--yes"), "{error}");
    let sent = sending.end();
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert_eq!(bob.names(), [""; 0]);
}

#[test]
fn quiet_prints_the_code_alone_and_the_paths_of_saved_files_alone() {
    let server = Rendezvous::start();
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"content");
    let sending = alice.start_plain(&["--quiet", "a.txt"]);
    let code = sending.first_line();
    let receiving = bob.start_plain(&["receive", &code, "--quiet", "--yes"]);
    let (sent, received) = done(sending, receiving);
    assert_eq!(sent.out, format!("{code}\n"));
    assert_eq!(received.out, format!("{}\n", bob.path("a.txt").display()));
    assert_eq!((sent.err.as_str(), received.err.as_str()), ("", ""));
}

#[test]
fn a_private_server_lets_only_those_send_who_have_its_token() {
    let server = Rendezvous::start_set(&["token='open sesame'"]);
    let (alice, bob) = machines(&server);
    alice.write("a.txt", b"content");
    let refused = alice.start(&["a.txt"]).end().failed("server_refused", 5);
    let hint = text(&refused["hint"]);
    assert!(hint.contains("SEND_TOKEN"), "{hint}");
    transfer(&alice, &["a.txt", "--token", "open sesame"], &bob, &[]);
    assert_eq!(bob.read("a.txt"), b"content");
}

/// Of a million files, the names took 190 MB more while they were kept as they came and sent faster than they are read.
const MANY: usize = 200_000;

/// Memory that neither side takes for them, in bytes.
const MANY_LIMIT: u64 = 45 * MIB as u64;

#[test]
fn a_tree_of_very_many_files_costs_neither_side_memory() {
    let server = Rendezvous::start();
    let alice = Machine::with_server(&server);
    let bob = Machine::with_quick_disk(&server);
    for directory in 0..MANY / 1_000 {
        let directory = alice.path(format!("tree/directory-of-a-thousand-{directory}"));
        std::fs::create_dir_all(&directory).unwrap();
        for file in 0..1_000 {
            File::create(directory.join(format!("file-{file}"))).unwrap();
        }
    }
    let mut sending = alice.start(&["tree"]);
    let mut receiving = bob.start(&["receive", &sending.code(), "--yes"]);
    // Both know all of it by now, and nearly all of it has yet to come.
    receiving.event("progress");
    for (peer, name) in [(&sending, "sender"), (&receiving, "receiver")] {
        let peak = peer.peak_memory().expect("it is at work");
        assert!(peak < MANY_LIMIT, "the {name} takes {peak} bytes");
    }
    let (sent, received) = done(sending, receiving);
    assert_eq!(sent.events_of("finished")[0]["files"], MANY);
    assert_eq!(received.events_of("finished")[0]["files"], MANY);
}
