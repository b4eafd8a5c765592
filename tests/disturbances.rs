//! Transfers that are disturbed at random: whatever happens, what arrives is what was sent, and nothing is left over.
//!
//! A run is decided by its seed: what is sent, what happens to it, how far it has come by then, and how long that lasts. How
//! the processes take it is up to them.

#![expect(clippy::print_stdout, reason = "what is going to happen is told before it does")]

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Disk, Ended, Machine, NOTICED, Peer, Rendezvous, Snapshot, content};
use crate::netlab::{Cut, Netlab, stay_away};

const MIB: usize = 1024 * 1024;

/// What happens to a transfer under way. What else may happen to one has its place here and in [`Scene::disturb`]: an end of
/// the browser for instance, once a page receives in these runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    KillReceiver,
    KillSender,
    KillServer,
    InterruptReceiver,
    InterruptSender,
    StopReceiver,
    StopSender,
    KillServerWhileReceiverIsStopped,
    CutReceiver,
    CutSender,
    CutServer,
    UnplugReceiver,
    UnplugSender,
    Part,
    KillServerWhileSenderIsCut,
    NarrowReceiver,
    FillDisk,
}

use Disturbance as D;

const DISTURBANCES: [D; 17] = [
    D::KillReceiver,
    D::KillSender,
    D::KillServer,
    D::InterruptReceiver,
    D::InterruptSender,
    D::StopReceiver,
    D::StopSender,
    D::KillServerWhileReceiverIsStopped,
    D::CutReceiver,
    D::CutSender,
    D::CutServer,
    D::UnplugReceiver,
    D::UnplugSender,
    D::Part,
    D::KillServerWhileSenderIsCut,
    D::NarrowReceiver,
    D::FillDisk,
];

impl Disturbance {
    /// Whether one of the two sides ends by it, so that the user has to begin again. Anything else they get over by
    /// themselves.
    fn is_fatal(self) -> bool {
        let fatal = [D::KillReceiver, D::KillSender, D::InterruptReceiver, D::InterruptSender, D::FillDisk];
        fatal.contains(&self)
    }
}

/// Most times that one transfer is begun again.
const MAX_ATTEMPTS: u64 = 4;

/// Longest time that something stays away, in milliseconds: twice the silence after which a connection is given up.
const LONGEST_AWAY: u64 = 12_000;

/// The slowest of the networks between the two, in kilobits per second: one that is no faster than networks are makes a
/// transfer that takes long enough to be disturbed, and loses packets.
const SLOWEST: u32 = 200_000;

/// How long packets wait where there are too many, in milliseconds.
const QUEUE: u32 = 50;

/// What the receiver's disk has room for beyond what is sent, in bytes.
const SLACK: usize = 20 * MIB;

/// What is sent: a file, or a tree of that name.
const NAME: &str = "sent";

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give alike numbers, nor any seed nothing but zeros.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        dice
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn len(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }
}

/// One disturbance: what, when, and for how long if it passes.
#[derive(Clone, Copy)]
struct Blow {
    disturbance: Disturbance,
    /// How much has arrived by then.
    percent: u64,
    lasts: Duration,
}

impl Blow {
    /// One or two in the order in which they come.
    fn draw(dice: &mut Dice) -> Vec<Self> {
        let mut one = || Self {
            disturbance: DISTURBANCES[dice.len(DISTURBANCES.len())],
            percent: dice.below(95),
            lasts: Duration::from_millis(dice.below(LONGEST_AWAY)),
        };
        let (first, second) = (one(), one());
        let mut blows = vec![first, second];
        blows.truncate(1 + dice.len(2));
        blows.sort_by_key(|blow| blow.percent);
        blows
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} % for {:.1?}", self.disturbance, self.percent, self.lasts)
    }
}

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

/// Where a run takes place.
struct Scene {
    seed: u64,
    lab: Netlab,
    server: Option<Rendezvous>,
    alice: Machine,
    bob: Machine,
    /// Where Bob has everything saved.
    disk: Disk,
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

impl Scene {
    /// Sends with a new code, and disturbs it. Tells what happened, and whether everything arrived.
    fn attempt(&mut self, size: u64, blows: Vec<Blow>) -> (String, bool) {
        let mut sending = self.alice.start(&[NAME]);
        let code = sending.code();
        let output = self.disk.path().to_str().unwrap();
        let receiving = self.bob.start(&["receive", &code, "--yes", "--output", output]);
        let (mut told, mut fallen) = (Vec::new(), Vec::new());
        for blow in blows {
            if !receiving.progresses_to(size / 100 * blow.percent) {
                break;
            }
            println!("seed {}: {blow}", self.seed);
            self.disturb(blow, &sending, &receiving);
            told.push(blow.to_string());
            fallen.push(blow.disturbance);
            if blow.disturbance.is_fatal() {
                break;
            }
        }
        let is_over = end(sending, receiving, &fallen, &mut told);
        (told.join(", "), is_over)
    }

    /// Does it, and undoes it if it is one that passes.
    fn disturb(&mut self, Blow { disturbance, lasts, .. }: Blow, sending: &Peer, receiving: &Peer) {
        match disturbance {
            D::KillReceiver => receiving.signal_if_there(Signal::KILL),
            D::KillSender => sending.signal_if_there(Signal::KILL),
            D::InterruptReceiver => receiving.signal_if_there(Signal::INT),
            D::InterruptSender => sending.signal_if_there(Signal::INT),
            D::KillServer => self.restart_server(),
            D::StopReceiver => stop(receiving, || stay_away(lasts)),
            D::StopSender => stop(sending, || stay_away(lasts)),
            D::KillServerWhileReceiverIsStopped => stop(receiving, || {
                self.restart_server();
                stay_away(lasts);
            }),
            D::CutReceiver => self.lab.bob.cable.without(Cut::Silent, || stay_away(lasts)),
            D::CutSender => self.lab.alice.cable.without(Cut::Silent, || stay_away(lasts)),
            D::CutServer => self.lab.server.cable.without(Cut::Silent, || stay_away(lasts)),
            D::UnplugReceiver => self.lab.bob.cable.without(Cut::Unplugged, || stay_away(lasts)),
            D::UnplugSender => self.lab.alice.cable.without(Cut::Unplugged, || stay_away(lasts)),
            D::Part => self.lab.bob.cable.without(Cut::Apart, || stay_away(lasts)),
            D::KillServerWhileSenderIsCut => {
                self.lab.alice.cable.cut(Cut::Silent);
                self.restart_server();
                stay_away(lasts);
                self.lab.alice.cable.restore(Cut::Silent);
            }
            D::NarrowReceiver => {
                self.lab.bob.cable.narrow(50_000, 6 * QUEUE);
                stay_away(lasts);
                self.lab.bob.cable.widen();
            }
            D::FillDisk => {
                let filler = self.disk.fill();
                // There is room again once the receiver has given up, or has everything already.
                assert!(receiving.ends_by_itself(), "the disk is full: {receiving:?}");
                fs::remove_file(filler).unwrap();
            }
        }
    }

    /// Kills it without a goodbye. Another one at the same address knows nothing.
    fn restart_server(&mut self) {
        self.server = self.server.take().map(Rendezvous::restart);
    }

    /// What has its final name is whole, whatever became of the rest.
    fn holds_nothing_half(&self) {
        let mut waiting = vec![self.disk.path().to_owned()];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(
                    names(&path).iter().filter(|name| !name.starts_with('.')).map(|name| path.join(name)),
                );
            } else {
                let sent = self.alice.path(path.strip_prefix(self.disk.path()).unwrap());
                assert!(
                    fs::read(&path).unwrap() == fs::read(sent).unwrap(),
                    "{}: half a file",
                    path.display()
                );
            }
        }
    }
}

/// Stops a process until `meanwhile` is over.
fn stop(peer: &Peer, meanwhile: impl FnOnce()) {
    peer.signal_if_there(Signal::STOP);
    meanwhile();
    peer.signal_if_there(Signal::CONT);
}

/// Names in a directory, hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Waits for both ends, which are added to `told`; whether either says that everything arrived. A side whose peer is gone for good waits until
/// its user stops it, which happens here when the peer has ended.
fn end(sending: Peer, receiving: Peer, fallen: &[Disturbance], told: &mut Vec<String>) -> bool {
    let received = receiving.end_unless(|| sending.has_ended_badly());
    let since = Instant::now();
    // A receiver that has everything is reachable for 30 s: a sender that was away for longer never learns of it.
    let sent = sending.end_unless(|| received.code != Some(0) || since.elapsed() > NOTICED);
    let status = |ended: &Ended| ended.code.unwrap_or(i32::MIN);
    told.push(format!("sender {}, receiver {}", status(&sent), status(&received)));
    if !fallen.iter().any(|disturbance| disturbance.is_fatal()) {
        assert_eq!((status(&sent), status(&received)), (0, 0), "{told:?}: {sent:?} {received:?}");
    }
    let full = fallen.contains(&D::FillDisk);
    assert!(is_honest(&sent, full.then_some(1)), "{told:?}: {sent:?} {received:?}");
    assert!(is_honest(&received, full.then_some(6)), "{told:?}: {sent:?} {received:?}");
    // A receiver may be killed between the moment it has everything and has said so, and its own end.
    sent.code == Some(0) || received.code == Some(0)
}

/// Whether it did what was asked, was ended, was told that the other side was, or failed as the disk lets it.
fn is_honest(ended: &Ended, failure: Option<i32>) -> bool {
    let killed = -Signal::KILL.as_raw();
    ended.code.is_some_and(|code| [0, 3, 130, killed].contains(&code) || Some(code) == failure)
}
