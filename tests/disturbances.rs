//! Transfers that are disturbed at random: whatever happens, what arrives is what was sent, and nothing is left over.
//!
//! A run is decided by its seed: what is sent, what happens to it, how far it has come by then, and how long that lasts. How
//! the processes take it is up to them.

#![expect(clippy::print_stdout, reason = "what is going to happen is told before it does")]

mod blow;
mod page;
mod scene;

use std::fmt;
use std::fs;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Disk, Machine, Rendezvous, Snapshot, content};
use crate::netlab::Netlab;
use blow::{Blow, Dice};
pub(crate) use page::run as run_page;
use scene::{Scene, names};

const MIB: usize = 1024 * 1024;

/// Most times that one transfer is begun again.
const MAX_ATTEMPTS: u64 = 4;

/// The slowest of the networks between the two, in kilobits per second: one that is no faster than networks are makes a
/// transfer that takes long enough to be disturbed, and loses packets.
const SLOWEST: u32 = 200_000;

/// How long packets wait where there are too many, in milliseconds.
const QUEUE: u32 = 50;

/// What the receiver's disk has room for beyond what is sent, in bytes.
const SLACK: usize = 20 * MIB;

/// What is sent: a file, or a tree of that name.
const NAME: &str = "sent";

/// What happened in a run.
pub(crate) struct Story {
    seed: u64,
    size: u64,
    /// Every attempt: what happened to it, and the exit statuses of both sides.
    attempts: Vec<String>,
    took: Duration,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, attempts) = (self.size / MIB as u64, self.attempts.join("; "));
        write!(f, "seed {}, {size} MiB: {attempts}; identical after {:.1?}", self.seed, self.took)
    }
}

/// Runs what each of `seeds` decides, so many at a time, and gives those of which anything else came than what was sent.
pub(crate) fn run_all(seeds: Range<u64>, side_by_side: usize) -> Vec<u64> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            // A thread of its own: what fails in it has said why.
            let running = thread::Builder::new().name(format!("seed {seed}")).spawn(move || run(seed));
            match running.unwrap().join() {
                Ok(Some(story)) => println!("{story}"),
                Ok(None) => {}
                Err(_) => failed.lock().unwrap().push(seed),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap()
}

/// Runs what `seed` decides; fails when anything else comes of it than what was sent. `None` without root.
fn run(seed: u64) -> Option<Story> {
    let since = Instant::now();
    let mut dice = Dice::new(seed);
    let lab = Netlab::new()?;
    lab.alice.cable.narrow(SLOWEST + u32::try_from(dice.below(700_000)).unwrap(), QUEUE);
    let server = Rendezvous::start_on(&lab.server);
    let alice = Machine::with_server(&server).on(&lab.alice);
    let bob = Machine::with_server(&server).on(&lab.bob);
    let size = lay_out(&alice, &mut dice);
    let disk = Disk::new(usize::try_from(size).unwrap() + SLACK)?;
    let mut scene = Scene { seed, lab, server: Some(server), alice, bob, disk };
    let mut attempts = Vec::new();
    for attempt in 1.. {
        let blows = if attempt < MAX_ATTEMPTS { Blow::draw(&mut dice) } else { Vec::new() };
        let (told, is_over) = scene.attempt(size, blows);
        attempts.push(told);
        scene.holds_nothing_half();
        // A receiver that is killed when it has just saved a file has told nobody.
        if is_over || scene.disk.path().join(NAME).is_file() {
            break;
        }
    }
    let (sent, received) = (scene.alice.path(NAME), scene.disk.path().join(NAME));
    assert_eq!(Snapshot::of(&sent), Snapshot::of(&received), "{attempts:?}");
    assert_eq!(names(scene.disk.path()), [NAME], "{attempts:?}: something is left over");
    Some(Story { seed, size, attempts, took: since.elapsed() })
}

/// Makes something to send, and gives its size in bytes.
fn lay_out(machine: &Machine, dice: &mut Dice) -> u64 {
    let len = 60 * MIB + dice.len(200 * MIB);
    if dice.below(2) == 0 {
        machine.write(NAME, &content(len));
        return len as u64;
    }
    fs::create_dir_all(machine.path(NAME).join("b/c")).unwrap();
    let mut size = len as u64;
    for index in 0..30 {
        let small = dice.len(200_000);
        fs::write(machine.path(NAME).join(format!("b/{index}")), content(small)).unwrap();
        size += small as u64;
    }
    fs::write(machine.path(NAME).join("a.bin"), content(len / 2)).unwrap();
    fs::write(machine.path(NAME).join("b/c/z.bin"), content(len - len / 2)).unwrap();
    size
}
