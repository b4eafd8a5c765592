//! Disks that fill up, go away or are slow: told on both sides, nothing half under a final name, and resumable once mended.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{BIG, BIG_LEN, Disk, Machine, NOTICED, Peer, Rendezvous, Snapshot, content, text};

const MIB: usize = 1024 * 1024;

/// Memory that neither side takes, whatever the other does, in bytes.
const MEMORY_LIMIT: u64 = 200 * MIB as u64;

/// A small file system in an image, whose end can be broken off. Unmounted with this value.
struct Image {
    mounted: Disk,
    /// Where the image lies.
    place: Disk,
}

impl Image {
    /// A file system of `len` bytes in an image for which there is room for `room`: whoever writes more is told so when it
    /// is to be brought to the disk, and not before. `None` as with [`Disk::new`], and where there are no loop devices.
    fn new(len: usize, room: usize) -> Option<Self> {
        let (mounted, place) = (Disk::new(MIB)?, Disk::new(room)?);
        let image = place.path().join("image");
        File::create(&image).unwrap().set_len(len as u64).unwrap();
        let run = |program: &str, arguments: &[&str], at: &Path| {
            let status = Command::new(program).args(arguments).arg(&image).args([at]).output();
            status.is_ok_and(|output| output.status.success())
        };
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-O", "^has_journal"]).arg(&image).status();
        let is_there =
            made.is_ok_and(|status| status.success()) && run("mount", &["-o", "loop"], mounted.path());
        let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
        assert!(is_there || !is_ci, "an image cannot be mounted");
        is_there.then_some(Self { mounted, place })
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// A file in it whose content is on the disk and not in memory.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.mounted.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        path
    }

    /// Breaks off what lies behind `len` bytes: whoever reads it gets an I/O error. Gives what puts it back.
    fn break_off(&self, len: u64) -> Vec<u8> {
        let whole = fs::read(self.image()).unwrap();
        File::options().write(true).open(self.image()).unwrap().set_len(len).unwrap();
        whole
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // The image lies on top of the disk at the same place.
        let _ = Command::new("umount").arg("-l").arg(self.mounted.path()).status();
    }
}

fn begun(alice: &Machine, bob: &Machine, output: &str) -> (Peer, Peer) {
    let mut sending = alice.start(&[BIG]);
    let code = sending.code();
    (sending, bob.start(&["receive", &code, "--yes", "--output", output]))
}

fn under_way(alice: &Machine, bob: &Machine, output: &str) -> (Peer, Peer) {
    let (sending, mut receiving) = begun(alice, bob, output);
    receiving.under_way();
    (sending, receiving)
}

#[test]
fn a_disk_that_fills_up_is_told_of_on_both_sides_and_the_transfer_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new(BIG_LEN + 20 * MIB) else { return };
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let path = alice.write(BIG, &content(BIG_LEN));
    let output = disk.path().to_str().unwrap();
    let (sending, receiving) = under_way(&alice, &bob, output);
    let filler = disk.fill();
    let error = receiving.end_within(NOTICED).failed("write", 6);
    let message = text(&error["message"]);
    assert!(message.contains(BIG) && message.contains("is kept in"), "{message}");
    assert!(text(&error["hint"]).contains("make room"), "{error}");
    let heard = sending.end_within(NOTICED).failed("peer_failed", 1);
    assert!(text(&heard["message"]).contains("disk is full"), "{heard}");
    assert!(!disk.path().join(BIG).exists());

    fs::remove_file(filler).unwrap();
    let mut again = alice.start(&[BIG]);
    let code = again.code();
    let received = bob.start(&["receive", &code, "--yes", "--output", output]).end();
    received.succeeded();
    again.end().succeeded();
    assert_eq!(received.events_of("resumed").len(), 1, "{received:?}");
    assert_eq!(Snapshot::of(&path), Snapshot::of(&disk.path().join(BIG)));
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn a_directory_that_is_removed_under_a_transfer_is_told_of_on_both_sides() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write(BIG, &content(BIG_LEN));
    fs::create_dir(bob.path("in")).unwrap();
    let (sending, receiving) = under_way(&alice, &bob, "in");
    fs::remove_dir_all(bob.path("in")).unwrap();
    let error = receiving.end().failed("write", 6);
    assert!(text(&error["message"]).contains(BIG), "{error}");
    let heard = sending.end().failed("peer_failed", 1);
    assert!(text(&heard["message"]).contains("cannot write"), "{heard}");
    assert_eq!(bob.names(), [""; 0]);
}

#[test]
fn a_file_that_goes_away_while_it_is_sent_is_told_of_on_both_sides_and_the_receiver_keeps_what_it_has() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let whole = content(BIG_LEN);
    let path = alice.write(BIG, &whole);
    let (sending, receiving) = under_way(&alice, &bob, ".");
    receiving.signal(Signal::STOP);
    File::options().write(true).open(&path).unwrap().set_len(1_000).unwrap();
    receiving.signal(Signal::CONT);
    sending.end_within(NOTICED).failed("source_changed", 6);
    let heard = receiving.end_within(NOTICED).failed("peer_failed", 1);
    assert!(text(&heard["message"]).contains("is kept in"), "{heard}");

    alice.write(BIG, &whole);
    let mut again = alice.start(&[BIG]);
    let received = bob.start(&["receive", &again.code(), "--yes"]).end();
    received.succeeded();
    again.end().succeeded();
    assert_eq!(received.events_of("resumed").len(), 1, "{received:?}");
    assert!(bob.read(BIG) == whole);
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_is_told_of_on_both_sides_and_is_gone_on_with_once_it_can() {
    let Some(image) = Image::new(120 * MIB, 121 * MIB) else { return };
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let path = image.write(BIG, &content(64 * MIB));
    let whole = image.break_off(40 * MIB as u64);
    let path = path.to_str().unwrap();
    let mut sending = alice.start(&[path]);
    let refused = bob.start(&["receive", &sending.code(), "--yes"]).end();
    let said = sending.end_within(NOTICED).failed("source", 6);
    assert!(text(&said["message"]).contains(BIG), "{said}");
    assert!(said["causes"].to_string().contains("os error 5"), "{said}");
    assert!(text(&said["hint"]).contains("run the command again"), "{said}");
    let heard = refused.failed("peer_failed", 1);
    let message = text(&heard["message"]);
    assert!(message.contains("it cannot read what it sends"), "{heard}");
    assert!(message.contains("is kept in"), "{heard}");
    assert!(!bob.path(BIG).exists());

    fs::write(image.image(), whole).unwrap();
    let mut again = alice.start(&[path]);
    let received = bob.start(&["receive", &again.code(), "--yes"]).end();
    received.succeeded();
    again.end().succeeded();
    assert_eq!(received.events_of("resumed").len(), 1, "{received:?}");
    assert!(bob.read(BIG) == content(64 * MIB));
}

#[test]
fn a_disk_that_does_not_take_what_it_was_given_is_told_of_and_gone_on_with_once_it_does() {
    let Some(image) = Image::new(BIG_LEN + 60 * MIB, 84 * MIB) else { return };
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let path = alice.write(BIG, &content(BIG_LEN));
    let output = image.mounted.path().to_str().unwrap();
    // That much may be full before there is any progress to tell of.
    let (sending, receiving) = begun(&alice, &bob, output);
    let error = receiving.end_within(NOTICED).failed("write", 6);
    let message = text(&error["message"]);
    assert!(message.contains(BIG) && message.contains("is kept in"), "{error}");
    let heard = sending.end_within(NOTICED).failed("peer_failed", 1);
    assert!(text(&heard["message"]).contains("disk is full"), "{heard}");
    assert!(!image.mounted.path().join(BIG).exists());
    let kept = fs::metadata(image.mounted.path().join(format!(".{BIG}.part"))).unwrap().len();
    assert!(kept < 84 * MIB as u64, "{kept} bytes are said to be where there is room for 84 MiB");

    image.place.grow(BIG_LEN + 80 * MIB);
    let mut again = alice.start(&[BIG]);
    let received = bob.start(&["receive", &again.code(), "--yes", "--output", output]).end();
    received.succeeded();
    again.end().succeeded();
    assert_eq!(received.events_of("resumed").len(), 1, "{received:?}");
    // What is in memory is right in any case.
    let saved = image.mounted.path().join(BIG);
    rustix::fs::fadvise(File::open(&saved).unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    assert_eq!(Snapshot::of(&path), Snapshot::of(&saved));
}

#[test]
fn a_receiver_that_is_stopped_costs_neither_side_memory() {
    let server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    alice.write(BIG, &content(BIG_LEN));
    let (mut sending, mut receiving) = under_way(&alice, &bob, ".");
    receiving.signal(Signal::STOP);
    sending.event("reconnecting");
    receiving.signal(Signal::CONT);
    receiving.event("saved");
    for (peer, name) in [(&sending, "sender"), (&receiving, "receiver")] {
        // One that has ended by now needs none at all.
        let peak = peer.peak_memory().unwrap_or(0);
        println!("peak memory of the {name}: {peak} bytes");
        assert!(peak < MEMORY_LIMIT, "{name}: {peak}");
    }
    receiving.end().succeeded();
    sending.end().succeeded();
}
