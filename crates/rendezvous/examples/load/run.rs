//! The load, and what it shows.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};
use wire::code::Nameplate;
use wire::signaling::{Body, Claim, ClientMessage, Door, Outcome, Role, ServerMessage, Slot};

use super::sockets::Socket;

/// What to put on a server.
#[derive(Debug)]
pub(crate) struct Load {
    /// The program `rendezvous`.
    pub(crate) server: PathBuf,
    /// Sessions whose sender waits.
    pub(crate) waiting: usize,
    /// Sessions whose sides exchange messages.
    pub(crate) pairs: usize,
    /// Sessions that come and go per second meanwhile.
    pub(crate) rate: u32,
    /// How long.
    pub(crate) lasts: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    sessions: usize,
    before: Memory,
    during: Memory,
    after: Memory,
    latencies: Vec<Duration>,
    /// Sessions that came and went.
    pub(crate) passed: usize,
    /// Sessions that were lost, of all.
    pub(crate) lost: usize,
}

/// Memory, in KiB.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// What the server has for itself.
    own: u64,
    /// Pages of its program that it has looked at: the system takes them back when it wants to, and whoever runs the same
    /// program has the same ones. The first sessions look at all there are.
    program: u64,
    kernel: u64,
}

impl Memory {
    /// How much more is resident than `before`, as a part of that.
    fn leftover(self, before: Self) -> f64 {
        self.resident() as f64 / before.resident().max(1) as f64 - 1.0
    }

    fn resident(self) -> u64 {
        self.own + self.program
    }
}

#[derive(Debug, Default)]
struct Tally {
    latencies: Vec<Duration>,
    passed: usize,
    lost: usize,
}

type Shared = Rc<RefCell<Tally>>;

impl Load {
    /// Sockets that are open at once, in the server and here, and a few files.
    pub(crate) fn descriptors(&self) -> usize {
        self.waiting + 2 * self.pairs + 2 * self.rate as usize + 100
    }

    /// Whether a process may have so many files open; if not, how many it may.
    pub(crate) fn check_descriptors(&self) -> Result<(), usize> {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let most = line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
        if self.descriptors() <= most { Ok(()) } else { Err(most) }
    }

    /// Starts the server, loads it, and lets go.
    pub(crate) async fn run(self) -> Report {
        LocalSet::new().run_until(self.run_here()).await
    }

    async fn run_here(self) -> Report {
        let server = Server::start(&self.server);
        // What the first sessions allocate once is part of the start.
        for number in 0..50 {
            passing(server.address, number, &Shared::default()).await;
        }
        sleep(SETTLE).await;
        let (before, tally) = (server.memory(), Shared::default());
        let until = Instant::now();
        let mut standing = JoinSet::new();
        self.stand(&server, &mut standing, &tally).await;
        println!("{} sessions stand after {:.0?}", self.waiting + self.pairs, until.elapsed());
        sleep(SETTLE).await;
        let during = server.memory();
        self.come_and_go(&server, &tally).await;
        // Whoever ended before was lost.
        while let Some(ended) = standing.try_join_next() {
            tally.borrow_mut().lost += usize::from(ended.is_ok());
        }
        standing.shutdown().await;
        let after = server.rest(before).await;
        let Tally { latencies, passed, lost } = tally.take();
        Report { sessions: self.waiting + self.pairs, before, during, after, latencies, passed, lost }
    }

    async fn stand(&self, server: &Server, standing: &mut JoinSet<()>, tally: &Shared) {
        let address = server.address;
        let mut number = 100;
        for first in (0..self.waiting).step_by(AT_ONCE) {
            let mut opening = JoinSet::new();
            for _ in first..self.waiting.min(first + AT_ONCE) {
                number += 1;
                opening.spawn_local(async move { waiting(address, number).await });
            }
            while let Some(opened) = opening.join_next().await {
                match opened.unwrap() {
                    Some(mut socket) => {
                        drop(standing.spawn_local(async move { while socket.next().await.is_some() {} }));
                    }
                    None => tally.borrow_mut().lost += 1,
                }
            }
        }
        for first in (0..self.pairs).step_by(AT_ONCE) {
            let mut opening = JoinSet::new();
            for _ in first..self.pairs.min(first + AT_ONCE) {
                number += 2;
                opening.spawn_local(async move { meeting(address, number).await });
            }
            while let Some(opened) = opening.join_next().await {
                match opened.unwrap() {
                    Some((sender, receiver)) => {
                        let phase = EXCHANGE.mul_f64(f64::from(number % 997) / 997.0);
                        let tally = Rc::clone(tally);
                        number += 1;
                        standing
                            .spawn_local(async move { exchange((sender, receiver), phase, &tally).await });
                    }
                    None => tally.borrow_mut().lost += 1,
                }
            }
        }
    }

    async fn come_and_go(&self, server: &Server, tally: &Shared) {
        let end = Instant::now() + self.lasts;
        if self.rate == 0 {
            return sleep_until(end.into()).await;
        }
        let mut ticks = interval(Duration::from_secs(1) / self.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut passing_by, mut number) = (JoinSet::new(), 50_000);
        while Instant::now() < end {
            ticks.tick().await;
            while passing_by.try_join_next().is_some() {}
            number += 2;
            let (address, tally) = (server.address, Rc::clone(tally));
            passing_by.spawn_local(async move { passing(address, number, &tally).await });
        }
        while passing_by.join_next().await.is_some() {}
    }
}

/// A session whose sender waits.
async fn waiting(server: SocketAddr, number: u32) -> Option<Socket> {
    create(server, number).await.map(|(socket, _)| socket)
}

async fn create(server: SocketAddr, number: u32) -> Option<(Socket, Nameplate)> {
    let mut sender = Socket::connect(server, number).await?;
    sender
        .say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None })
        .await?;
    let ServerMessage::Created { nameplate: Some(nameplate), .. } = sender.hear().await? else { return None };
    Some((sender, nameplate))
}

/// A session whose sides are at their meeting.
async fn meeting(server: SocketAddr, number: u32) -> Option<(Socket, Socket)> {
    let (mut sender, nameplate) = create(server, number).await?;
    let mut receiver = Socket::connect(server, number + 1).await?;
    pair(&mut sender, &mut receiver, nameplate).await?;
    let mut slot = [0; 16];
    slot[..4].copy_from_slice(&number.to_be_bytes());
    let slot = Slot::new(slot);
    receiver.say(ClientMessage::Meet { v: 1, slot, role: Role::Receiver }).await?;
    sender.say(ClientMessage::Meet { v: 1, slot, role: Role::Sender }).await?;
    for socket in [&mut sender, &mut receiver] {
        let ServerMessage::Paired { door: Door::Meeting, .. } = socket.hear().await? else { return None };
    }
    Some((sender, receiver))
}

async fn pair(sender: &mut Socket, receiver: &mut Socket, nameplate: Nameplate) -> Option<()> {
    receiver.say(ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) }).await?;
    for socket in [&mut *sender, receiver] {
        let ServerMessage::Paired { door: Door::Typed, .. } = socket.hear().await? else { return None };
    }
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome: Outcome::Confirmed }).await
}

/// Messages in turn, for as long as it may; returns only when the session is lost.
async fn exchange((mut sender, mut receiver): (Socket, Socket), phase: Duration, tally: &Shared) {
    sleep(phase).await;
    loop {
        if pass(&mut sender, &mut receiver, Door::Meeting, tally).await.is_none()
            || pass(&mut receiver, &mut sender, Door::Meeting, tally).await.is_none()
        {
            return;
        }
        sleep(EXCHANGE).await;
    }
}

/// One message, and how long it took.
async fn pass(from: &mut Socket, to: &mut Socket, door: Door, tally: &Shared) -> Option<()> {
    let since = Instant::now();
    from.say(ClientMessage::Relay { door, attempt: 1, body: Body::from_bytes(&[b'x'; 1500]) }).await?;
    let ServerMessage::Relay { .. } = to.hear().await? else { return None };
    tally.borrow_mut().latencies.push(since.elapsed());
    Some(())
}

/// A session that comes, exchanges what a handshake does, and goes.
async fn passing(server: SocketAddr, number: u32, tally: &Shared) {
    let session = async {
        let (mut sender, nameplate) = create(server, number).await?;
        let mut receiver = Socket::connect(server, number + 1).await?;
        receiver.say(ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) }).await?;
        for socket in [&mut sender, &mut receiver] {
            let ServerMessage::Paired { door: Door::Typed, .. } = socket.hear().await? else { return None };
        }
        pass(&mut receiver, &mut sender, Door::Typed, tally).await?;
        pass(&mut sender, &mut receiver, Door::Typed, tally).await?;
        pass(&mut receiver, &mut sender, Door::Typed, tally).await?;
        sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome: Outcome::Confirmed }).await
    };
    let arrived = session.await.is_some();
    let mut tally = tally.borrow_mut();
    tally.passed += usize::from(arrived);
    tally.lost += usize::from(!arrived);
}

impl Report {
    /// How much the server's memory grew per session, in KiB.
    pub(crate) fn kib_per_session(&self) -> f64 {
        let grown = self.during.resident().saturating_sub(self.before.resident());
        grown as f64 / self.sessions.max(1) as f64
    }

    /// What that many percent of the relayed messages did not exceed.
    pub(crate) fn slowest_of(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * percent / 100).or_else(|| sorted.last()).copied().unwrap_or_default()
    }

    /// How much more memory than at the start the server has when all are gone, as a part of that.
    pub(crate) fn leftover(&self) -> f64 {
        self.after.leftover(self.before)
    }

    /// The same as a part of what the sessions took.
    pub(crate) fn kept(&self) -> f64 {
        let more = |memory: Memory| memory.own.saturating_sub(self.before.own) as f64;
        more(self.after) / more(self.during).max(1.0)
    }

    /// Whether the memory has gone back, but for what the allocator keeps: a record of every run of pages that it ever had,
    /// 2 % of them, for when it has them again.
    pub(crate) fn has_given_back(&self) -> bool {
        self.leftover() <= MOST_LEFT || self.kept() <= MOST_KEPT
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel =
            self.during.kernel.saturating_sub(self.before.kernel) as f64 / self.sessions.max(1) as f64;
        writeln!(
            f,
            "sessions           {} standing, {} came and went, {} lost",
            self.sessions, self.passed, self.lost
        )?;
        let moments = [self.before, self.during, self.after];
        let [own, program] = [moments.map(|memory| memory.own), moments.map(|memory| memory.program)];
        writeln!(
            f,
            "its own memory     {} KiB, {} KiB, {} KiB: before, during, after",
            own[0], own[1], own[2]
        )?;
        writeln!(f, "of its program     {} KiB, {} KiB, {} KiB", program[0], program[1], program[2])?;
        writeln!(
            f,
            "per session        {:.1} KiB, and {kernel:.1} KiB of the kernel's (both ends)",
            self.kib_per_session()
        )?;
        writeln!(
            f,
            "left over          {:+.0} % of what was resident at the start, {:.1} % of what the sessions took",
            self.leftover() * 100.0,
            self.kept() * 100.0
        )?;
        write!(
            f,
            "relayed messages   {}; {:.1?} half of them, {:.1?} 99 %, {:.1?} all",
            self.latencies.len(),
            self.slowest_of(50),
            self.slowest_of(99),
            self.slowest_of(100)
        )
    }
}

/// The server under load, killed with this value.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// On the last processor alone, with limits that do not count.
    fn start(program: &Path) -> Self {
        let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
        let mut command = Command::new("taskset");
        command.args(["-c", &last.to_string()]).arg(program).args(["--listen", "127.0.0.1:0"]);
        for name in ["accepts", "connects", "creates", "creates_hourly", "claims", "meets"] {
            command.args(["--set", &format!("limits.{name}='off'")]);
        }
        for name in ["sockets", "sessions", "meetings"] {
            command.args(["--set", &format!("limits.{name}=1000000")]);
        }
        command.args([
            "--set",
            "limits.sockets_per_client=1000000",
            "--set",
            "limits.connections_per_client=1000000",
        ]);
        command.args(["--set", "limits.sessions_per_client=1000000", "--set", "times.code_ttl=7200"]);
        // What is kept of a session that is over would be here for minutes.
        command.args(["--set", "times.meeting_ttl=1", "--set", "times.nameplate_rest=1"]);
        let mut child = command.env("RUST_LOG", "warn").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }

    /// Its memory once it is nearly as little as `before`, or when that should long be so: it clears up every minute.
    async fn rest(&self, before: Memory) -> Memory {
        let deadline = Instant::now() + CLEARING;
        loop {
            sleep(SETTLE).await;
            let memory = self.memory();
            if memory.leftover(before) <= MOST_LEFT || Instant::now() >= deadline {
                return memory;
            }
        }
    }

    fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let number = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let (own, program) = (number(&status, "RssAnon:"), number(&status, "RssFile:"));
        Memory { own, program, kernel: number(&meminfo, "Slab:") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sessions that are opened at a time.
const AT_ONCE: usize = 100;

/// Between two messages of a session each way.
const EXCHANGE: Duration = Duration::from_secs(10);

/// How much more memory than at the start the server may have when all are gone, as a part of that.
const MOST_LEFT: f64 = 0.2;

/// How much of what thousands of sessions took it may keep.
const MOST_KEPT: f64 = 0.03;

/// When the server should long have cleared up: it does so every minute.
const CLEARING: Duration = Duration::from_secs(130);

/// Until the server has done what it does about those who came or left.
const SETTLE: Duration = Duration::from_secs(3);
