//! A receiver that was ended in the middle goes on where it was, with a new code, and never on what is not the sender's.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{BIG, BIG_LEN, Ended, Machine, NOTICED, Peer, Rendezvous, Snapshot, content, text};

const MIB: usize = 1024 * 1024;

/// A file of which a beginning is laid out by hand.
const FILE: &str = "file.bin";
const FILE_LEN: usize = 24 * MIB;
const PART: &str = ".file.bin.part";
const RECORD: &str = ".file.bin.part.json";
/// How much of it is there, and how much of that is said to be on the disk.
const PART_LEN: usize = 10 * MIB + 5;
const SYNCED_LEN: usize = 8 * MIB;

fn meeting_point() -> (Rendezvous, Machine, Machine) {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    (server, alice, bob)
}

/// Sends and receives with a new code; both succeed.
#[track_caller]
fn transfer(alice: &Machine, path: &str, bob: &Machine, options: &[&str]) -> (Ended, Ended) {
    let mut sending = alice.start(&[path]);
    let code = sending.code();
    let received = bob.start(&[&["receive", &code, "--yes"], options].concat()).end();
    received.succeeded();
    let sent = sending.end();
    sent.succeeded();
    (sent, received)
}

/// Begins a transfer of `path`, kills the receiver in the middle, or when a certain file is saved, and gives what the sender
/// had sent by then.
#[track_caller]
fn kill_receiver_in_the_middle(alice: &Machine, path: &str, bob: &Machine, after: Option<&str>) -> u64 {
    let mut sending = alice.start(&[path]);
    let code = sending.code();
    let mut receiving = bob.start(&["receive", &code, "--yes"]);
    match after {
        Some(saved) => {
            receiving.event_that("saved", |event| text(&event["path"]).ends_with(saved));
            // Of the file after it something is on the disk: a side says so every 8 MiB.
            let done = receiving.done();
            assert!(receiving.progresses_to(done + len(64 * MIB)), "{receiving:?}");
        }
        None => receiving.under_way(),
    }
    receiving.signal(Signal::KILL);
    assert_eq!(receiving.end().code, Some(-Signal::KILL.as_raw()));
    let kept = number(&sending.event("reconnecting")["kept"]);
    sending.signal(Signal::INT);
    sending.end_within(NOTICED).failed("interrupted", 130);
    kept
}

/// Bytes of files that crossed the network.
#[track_caller]
fn moved(ended: &Ended) -> u64 {
    number(&ended.events_of("finished")[0]["moved"])
}

#[track_caller]
fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn len(mib: usize) -> u64 {
    mib as u64
}

/// Leaves a beginning of [`FILE`] on `bob`'s machine as an interrupted transfer does.
fn leave_beginning(alice: &Machine, bob: &Machine) {
    let whole = content(FILE_LEN);
    alice.write(FILE, &whole);
    let _ = fs::remove_file(bob.path(PART));
    bob.write(PART, &whole[..PART_LEN]);
    let record =
        format!("{{\"version\":1,\"path\":\"{FILE}\",\"size\":{FILE_LEN},\"synced_len\":{SYNCED_LEN}}}\n");
    bob.write(RECORD, record.as_bytes());
    for name in [PART, RECORD] {
        fs::set_permissions(bob.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
}

fn flip_bit(path: &Path, offset: usize) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 0x10;
    file.seek(SeekFrom::Start(offset as u64)).unwrap();
    file.write_all(&byte).unwrap();
}

#[test]
fn a_receiver_that_was_killed_goes_on_where_it_was_with_a_new_code() {
    let (_server, alice, bob) = meeting_point();
    let path = alice.write(BIG, &content(BIG_LEN));
    let sent_before = kill_receiver_in_the_middle(&alice, BIG, &bob, None);
    let (sent, received) = transfer(&alice, BIG, &bob, &[]);
    assert_eq!(Snapshot::of(&path), Snapshot::of(&bob.path(BIG)));
    assert_eq!(bob.names(), [BIG], "nothing is left over");

    let resumed = &received.events_of("resumed")[0];
    let offset = number(&resumed["offset"]);
    assert!(offset > 0 && number(&resumed["size"]) == len(BIG_LEN), "{resumed}");
    assert_eq!(moved(&sent), len(BIG_LEN) - offset, "nothing before it is sent again");
    let again = sent_before + moved(&sent) - len(BIG_LEN);
    println!("sent again after kill -9 of the receiver: {again} bytes");
    assert!(again <= len(40 * MIB), "{again} bytes were sent again");
}

#[test]
fn a_beginning_is_gone_on_with_wherever_it_ends() {
    let (_server, alice, bob) = meeting_point();
    leave_beginning(&alice, &bob);
    let (sent, received) = transfer(&alice, FILE, &bob, &[]);
    assert_eq!(bob.read(FILE), content(FILE_LEN));
    assert_eq!(bob.names(), [FILE]);
    assert_eq!(moved(&sent), len(FILE_LEN - 10 * MIB), "{received:?}");
    let checking = received.events_of("checking");
    assert_eq!(checking.last().unwrap()["size"], len(10 * MIB), "{received:?}");
}

#[test]
fn a_person_is_asked_whether_to_go_on() {
    let (_server, alice, bob) = meeting_point();
    leave_beginning(&alice, &bob);
    let mut sending = alice.start(&[FILE]);
    let receiving = bob.start_at_terminal(&["receive", &sending.code()]);
    receiving.says("Resume `file.bin` (10 MB of 25 MB are in ");
    receiving.says("--restart");
    let mut receiving = receiving;
    receiving.types("y");
    let received = receiving.end();
    received.succeeded();
    assert!(received.err.contains("goes on where it broke off, at 41 %"), "{received:?}");
    assert_eq!(moved(sending.end().succeeded()), len(FILE_LEN - 10 * MIB));
    assert_eq!(bob.read(FILE), content(FILE_LEN));
}

#[test]
fn restart_begins_with_the_first_byte() {
    let (_server, alice, bob) = meeting_point();
    leave_beginning(&alice, &bob);
    let (sent, received) = transfer(&alice, FILE, &bob, &["--restart"]);
    assert_eq!(moved(&sent), len(FILE_LEN));
    assert!(received.events_of("resumed").is_empty(), "{received:?}");
    assert_eq!(bob.read(FILE), content(FILE_LEN));
    assert_eq!(bob.names(), [FILE]);
}

#[test]
fn a_beginning_that_was_corrupted_is_never_delivered() {
    let (_server, alice, bob) = meeting_point();
    let part = bob.path(PART);
    let other = || content(PART_LEN + 1)[..PART_LEN].to_vec();
    // What is done to it, and how much of it still counts.
    let harms: [(&str, &dyn Fn(), usize); 9] = [
        ("first bit flipped", &|| flip_bit(&part, 0), 0),
        ("a bit flipped in what is synced", &|| flip_bit(&part, 5 * MIB + 3), 0),
        ("a bit flipped behind what is synced", &|| flip_bit(&part, 9 * MIB), SYNCED_LEN),
        ("a bit flipped behind the last whole chunk", &|| flip_bit(&part, PART_LEN - 1), 10 * MIB),
        ("truncated to less than is said to be synced", &|| truncate(&part, 3 * MIB + 7), 3 * MIB),
        ("truncated to nothing", &|| truncate(&part, 0), 0),
        ("extended by zeros beyond the file", &|| truncate(&part, FILE_LEN + MIB), SYNCED_LEN),
        ("replaced by another file", &|| replace(&part, &other()), 0),
        ("zeros where the power failed", &|| zero_behind(&part, SYNCED_LEN), SYNCED_LEN),
    ];
    for (harm, do_harm, counts) in harms {
        leave_beginning(&alice, &bob);
        do_harm();
        let (sent, received) = transfer(&alice, FILE, &bob, &[]);
        assert!(bob.read(FILE) == content(FILE_LEN), "{harm}: something else was delivered");
        assert_eq!(bob.names(), [FILE], "{harm}");
        assert_eq!(moved(&sent), len(FILE_LEN - counts), "{harm}");
        let warnings = received.events_of("warning");
        let says_so = warnings.iter().any(|warning| warning["warning"] == "starts_over");
        // A beginning of which nothing is left is none.
        assert_eq!(says_so, counts == 0 && harm != "truncated to nothing", "{harm}: {received:?}");
        fs::remove_file(bob.path(FILE)).unwrap();
    }
}

fn truncate(path: &Path, len: usize) {
    File::options().write(true).open(path).unwrap().set_len(len as u64).unwrap();
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn zero_behind(path: &Path, offset: usize) {
    truncate(path, offset);
    truncate(path, PART_LEN);
}

#[test]
fn a_partial_that_others_could_write_or_that_leads_elsewhere_is_not_gone_on_with() {
    let (_server, alice, bob) = meeting_point();
    let (part, precious) = (bob.path(PART), bob.path("precious"));
    let plants: [(&str, &dyn Fn()); 3] = [
        ("a link", &|| {
            fs::rename(&part, &precious).unwrap();
            symlink(&precious, &part).unwrap();
        }),
        ("a second name", &|| fs::hard_link(&part, &precious).unwrap()),
        ("open to everybody", &|| fs::set_permissions(&part, PermissionsExt::from_mode(0o666)).unwrap()),
    ];
    for (plant, do_plant) in plants {
        leave_beginning(&alice, &bob);
        do_plant();
        let before = fs::read(&precious).ok();
        let (sent, _) = transfer(&alice, FILE, &bob, &[]);
        assert_eq!(moved(&sent), len(FILE_LEN), "{plant}");
        assert!(bob.read(FILE) == content(FILE_LEN), "{plant}");
        assert!(fs::read(&precious).ok() == before, "{plant}: it was written to");
        for name in bob.names() {
            fs::remove_file(bob.path(name)).unwrap();
        }
    }
}

#[test]
fn a_file_that_changed_at_the_sender_starts_over_and_says_so() {
    let (_server, alice, bob) = meeting_point();
    leave_beginning(&alice, &bob);
    let changed: Vec<u8> = content(FILE_LEN).into_iter().map(|byte| !byte).collect();
    alice.write(FILE, &changed);
    let mut sending = alice.start(&[FILE]);
    let received = bob.start_plain(&["receive", &sending.code(), "--yes"]).end();
    received.succeeded();
    assert!(
        received.err.contains("what was here of file.bin is not the sender's; it starts over"),
        "{received:?}"
    );
    assert_eq!(moved(sending.end().succeeded()), len(FILE_LEN));
    assert!(bob.read(FILE) == changed);
    assert_eq!(bob.names(), [FILE]);
}

/// A tree whose middle is a large file, so that it can be interrupted when the files before it are complete. They are told
/// of some seconds after they were written when the disk is busy, so it has to be a very large one; it is all holes.
fn write_tree(machine: &Machine) {
    let tree = machine.path("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::create_dir_all(tree.join("z")).unwrap();
    for index in 0..40 {
        fs::write(tree.join(format!("a/{index}.txt")), content(1_000 + index)).unwrap();
    }
    for index in 0..4 {
        fs::write(tree.join(format!("a/b/{index}.bin")), content(5 * MIB + index)).unwrap();
    }
    File::create(tree.join("m.bin")).unwrap().set_len(len(1024 * MIB)).unwrap();
    fs::write(tree.join("z/last.bin"), content(MIB)).unwrap();
}

#[test]
fn in_a_tree_what_is_complete_is_not_sent_again_and_the_rest_goes_on() {
    let (server, alice, _) = meeting_point();
    // Of which the kill does not come too late: a disk that is busy may take longer to save a file than all others to come.
    let bob = Machine::with_quick_disk(&server);
    write_tree(&alice);
    // A directory of that name is here already, so the tree goes beside it, and has to be found there again.
    fs::create_dir(bob.path("tree")).unwrap();
    kill_receiver_in_the_middle(&alice, "tree", &bob, Some("a/b/3.bin"));
    let here = len_below(&bob.path("tree (1)"));
    assert!(here > len(20 * MIB), "{here} bytes are here");
    // What was written and had not got its name yet is no orphan in the end.
    fs::create_dir_all(bob.path("tree (1)/z")).unwrap();
    bob.write("tree (1)/z/.last.bin.part", b"a small file's beginning");
    fs::set_permissions(bob.path("tree (1)/z/.last.bin.part"), PermissionsExt::from_mode(0o600)).unwrap();

    let (sent, received) = transfer(&alice, "tree", &bob, &[]);
    let total = len_below(&alice.path("tree"));
    assert_eq!(Snapshot::of(&alice.path("tree")), Snapshot::of(&bob.path("tree (1)")));
    assert_eq!(bob.names(), ["tree", "tree (1)"]);
    let resumed = received.events_of("resumed");
    assert!(resumed.iter().any(|event| text(&event["name"]) == "tree/m.bin"), "{received:?}");
    // Ends of chunks, and small files that had not got their names.
    let slack = len(MIB);
    assert!(
        moved(&sent) <= total - here + slack,
        "{} bytes were sent, {here} of {total} were here",
        moved(&sent)
    );
}

/// Lengths of all files below a directory, records aside.
fn len_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let len = |path: &Path| path.metadata().unwrap().len();
    let counts = |path: &Path| path.extension().is_none_or(|extension| extension != "json");
    let lens = entries.map(|path| {
        if path.is_dir() {
            len_below(&path)
        } else if counts(&path) {
            len(&path)
        } else {
            0
        }
    });
    lens.sum()
}

#[test]
fn in_a_tree_files_are_taken_for_what_they_hold_and_not_for_their_names_and_sizes() {
    let (server, alice, _) = meeting_point();
    let bob = Machine::with_quick_disk(&server);
    write_tree(&alice);
    kill_receiver_in_the_middle(&alice, "tree", &bob, Some("a/b/3.bin"));
    flip_bit(&bob.path("tree/a/b/1.bin"), 4 * MIB);
    let harmed = bob.read("tree/a/b/1.bin");

    let (_, received) = transfer(&alice, "tree", &bob, &[]);
    let warning = &received.events_of("warning")[0];
    assert_eq!(
        (text(&warning["warning"]), text(&warning["name"])),
        ("starts_over".into(), "tree/a/b/1.bin".into())
    );
    assert_eq!(bob.read("tree/a/b/1.bin"), harmed, "a file that is here is not replaced");
    assert_eq!(bob.read("tree/a/b/1 (1).bin"), content(5 * MIB + 1));
    fs::rename(bob.path("tree/a/b/1 (1).bin"), bob.path("tree/a/b/1.bin")).unwrap();
    for file in ["a/b/1.bin", "m.bin", "z/last.bin", "a/39.txt"] {
        let file = Path::new("tree").join(file);
        assert_eq!(Snapshot::of(&alice.path(&file)), Snapshot::of(&bob.path(&file)), "{file:?}");
    }
}

#[test]
fn a_tree_that_is_received_a_second_time_goes_beside_the_first() {
    let (_server, alice, bob) = meeting_point();
    fs::create_dir(alice.path("tree")).unwrap();
    alice.write("tree/a.txt", b"content");
    alice.write("tree/b.txt", b"more content");
    for _ in 0..2 {
        transfer(&alice, "tree", &bob, &[]);
    }
    assert_eq!(bob.names(), ["tree", "tree (1)"]);
}

#[test]
fn two_receivers_of_one_file_do_not_write_to_one_partial() {
    let (_server, alice, bob) = meeting_point();
    let path = alice.write(BIG, &content(BIG_LEN));
    let start = || -> (Peer, Peer) {
        let mut sending = alice.start(&[BIG]);
        let code = sending.code();
        (sending, bob.start(&["receive", &code, "--yes"]))
    };
    let (first_sending, mut first) = start();
    first.under_way();
    let (second_sending, second) = start();
    let ended = second.end();
    ended.succeeded();
    assert!(ended.events_of("resumed").is_empty(), "{ended:?}");
    first.end().succeeded();
    first_sending.end().succeeded();
    second_sending.end().succeeded();
    let name = format!("big (1).{}", "bin");
    assert_eq!(bob.names(), [name.as_str(), BIG]);
    for received in bob.names() {
        assert_eq!(Snapshot::of(&path), Snapshot::of(&bob.path(received)));
    }
}
