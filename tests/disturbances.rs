//! Transfers that are disturbed at random: whatever happens, what arrives is what was sent, and nothing is left over.
//!
//! A run is decided by its seed: what is sent, what happens to it, and how far it has come by then. How the processes take it
//! is up to them.

#![expect(clippy::print_stdout, reason = "what is going to happen is told before it does")]

use std::fmt;
use std::fs;
use std::time::Instant;

use rustix::process::Signal;

use crate::harness::{Machine, NOTICED, Peer, Rendezvous, Snapshot, content};

const MIB: usize = 1024 * 1024;

/// What happens to a transfer under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    KillReceiver,
    KillSender,
    InterruptReceiver,
    InterruptSender,
    StopReceiver,
    StopSender,
    RestartServer,
    RestartServerWhileReceiverIsStopped,
}

const DISTURBANCES: [Disturbance; 8] = [
    Disturbance::KillReceiver,
    Disturbance::KillSender,
    Disturbance::InterruptReceiver,
    Disturbance::InterruptSender,
    Disturbance::StopReceiver,
    Disturbance::StopSender,
    Disturbance::RestartServer,
    Disturbance::RestartServerWhileReceiverIsStopped,
];

/// Most times that one transfer is begun again.
const MAX_ATTEMPTS: u64 = 4;

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

/// What happened in a run.
pub(crate) struct Story {
    seed: u64,
    /// The disturbances, each with how many per cent had arrived.
    told: Vec<(String, u64)>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}:", self.seed)?;
        for (disturbance, percent) in &self.told {
            write!(f, " {disturbance} at {percent} %,")?;
        }
        f.write_str(" identical")
    }
}

/// Runs what `seed` decides; fails when anything else comes of it than what was sent.
pub(crate) fn run(seed: u64) -> Story {
    let mut dice = Dice::new(seed);
    let mut server = Rendezvous::start();
    let (alice, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let size = lay_out(&alice, &mut dice);
    let mut story = Story { seed, told: Vec::new() };
    for attempt in 1.. {
        let mut sending = alice.start(&[NAME]);
        let code = sending.code();
        let mut receiving = bob.start(&["receive", &code, "--yes"]);
        let disturbance = DISTURBANCES[dice.len(DISTURBANCES.len())];
        let percent = dice.below(95);
        if attempt < MAX_ATTEMPTS && receiving.progresses_to(size / 100 * percent) {
            story.told.push((format!("{disturbance:?}"), percent));
            println!("seed {seed}: {disturbance:?} at {percent} %");
            server = disturb(disturbance, server, &mut sending, &mut receiving);
        }
        if end(sending, receiving) {
            break;
        }
    }
    assert_eq!(Snapshot::of(&alice.path(NAME)), Snapshot::of(&bob.path(NAME)), "{story}");
    assert_eq!(bob.names(), [NAME], "{story}: something is left over");
    story
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

fn disturb(
    disturbance: Disturbance,
    server: Rendezvous,
    sending: &mut Peer,
    receiving: &mut Peer,
) -> Rendezvous {
    let stop = |stopped: &mut Peer, other: &mut Peer| {
        stopped.signal(Signal::STOP);
        other.reconnects();
        stopped.signal(Signal::CONT);
    };
    match disturbance {
        Disturbance::KillReceiver => receiving.signal(Signal::KILL),
        Disturbance::KillSender => sending.signal(Signal::KILL),
        Disturbance::InterruptReceiver => receiving.signal(Signal::INT),
        Disturbance::InterruptSender => sending.signal(Signal::INT),
        Disturbance::StopReceiver => stop(receiving, sending),
        Disturbance::StopSender => stop(sending, receiving),
        Disturbance::RestartServer => return server.restart(),
        Disturbance::RestartServerWhileReceiverIsStopped => {
            receiving.signal(Signal::STOP);
            sending.reconnects();
            let server = server.restart();
            receiving.signal(Signal::CONT);
            return server;
        }
    }
    server
}

/// Waits for both ends; whether everything arrived. A side whose peer is gone for good waits until its user stops it, which
/// happens here when the peer has ended.
fn end(sending: Peer, receiving: Peer) -> bool {
    let received = receiving.end_unless(|| sending.has_ended_badly());
    let since = Instant::now();
    // A receiver that has everything is reachable for 30 s: a sender that was away for longer never learns of it.
    let sent = sending.end_unless(|| received.code != Some(0) || since.elapsed() > NOTICED);
    for ended in [&sent, &received] {
        let is_honest = matches!(ended.code, Some(0 | 3 | 5 | 130)) || ended.code == Some(-9);
        assert!(is_honest, "{ended:?}");
    }
    if sent.code == Some(0) {
        assert_eq!(received.code, Some(0), "the sender believes what is not so: {received:?}");
    }
    received.code == Some(0)
}
