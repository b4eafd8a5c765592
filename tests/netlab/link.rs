//! Two machines with a long wire between them, emulated by this process: kernels with `netem` are not everywhere.
//!
//! ```text
//! near 10.84.0.1 ── eth0, a TUN device ── threads of this process ── eth0, a TUN device ── far 10.84.0.2
//! ```
//!
//! Each direction is a thread that takes packets from one device, asks a [`Passage`] what becomes of them and puts them
//! into the other device when it is time.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::may_mount_and_connect;
use super::namespace::Namespace;
use super::wire::{Fate, Passage, Wire};

/// Longest packet, in bytes, as on Ethernet.
const MTU: u16 = 1_500;

/// Packets that are taken or delivered before the other is looked at.
const TURN: usize = 32;

/// How long a thread sleeps at most before it looks whether it is to end.
const NAP: Duration = Duration::from_millis(100);

/// Two machines and the wire, gone with this value and the last process inside.
pub(crate) struct Link {
    /// One machine.
    pub(crate) near: Namespace,
    /// The other.
    pub(crate) far: Namespace,
    /// What went from the near to the far machine.
    pub(crate) outwards: Arc<Counts>,
    /// What went back.
    pub(crate) homewards: Arc<Counts>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of packets so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bytes that came out.
    pub(crate) arrived_bytes: AtomicU64,
    /// Packets lost on their way.
    pub(crate) lost: AtomicU64,
    /// Packets that the queue had no room for.
    pub(crate) overflowed: AtomicU64,
    /// How much later than it should one came out, at worst, in microseconds.
    latest: AtomicU64,
}

impl Link {
    /// Address of the near machine.
    pub(crate) const NEAR: &str = "10.84.0.1";
    /// Address of the far machine.
    pub(crate) const FAR: &str = "10.84.0.2";

    /// A link over `wire`, which takes root; see [`super::Netlab::new`]. The same `seed` loses the same packets.
    pub(crate) fn new(wire: Wire, seed: u64) -> Option<Self> {
        if !may_mount_and_connect() {
            return None;
        }
        let [(near, near_device), (far, far_device)] = [Self::NEAR, Self::FAR].map(machine);
        let (outwards, homewards) = (Arc::<Counts>::default(), Arc::<Counts>::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, counts: &Arc<Counts>, chances| {
            let direction = Direction {
                from: Arc::clone(from),
                to: Arc::clone(to),
                passage: Passage::new(wire, chances),
                begun: Instant::now(),
                on_the_way: VecDeque::new(),
                spare: Vec::new(),
                counts: Arc::clone(counts),
            };
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || direction.run(&is_over))
        };
        let threads = vec![
            start(&near_device, &far_device, &outwards, seed),
            start(&far_device, &near_device, &homewards, !seed),
        ];
        Some(Self { near, far, outwards, homewards, is_over, threads })
    }
}

impl Link {
    /// How much later than it should a packet came out, at worst: more than a millisecond or two says that this machine is too
    /// busy to emulate the wire.
    pub(crate) fn lateness(&self) -> Duration {
        let latest = [&self.outwards, &self.homewards].map(|counts| counts.latest.load(Ordering::Relaxed));
        Duration::from_micros(latest.into_iter().max().unwrap_or(0))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has told so.
            let _ = thread.join();
        }
    }
}

/// A machine at one end.
fn machine(address: &str) -> (Namespace, Arc<SyncDevice>) {
    let space = Namespace::new();
    let device =
        space.inside(|| DeviceBuilder::new().name("eth0").mtu(MTU).enable(false).build_sync()).unwrap();
    device.set_nonblocking(true).unwrap();
    space.run("ip", &["link", "set", "eth0", "txqueuelen", "10000", "up"]);
    space.address(&format!("{address}/24"));
    (space, Arc::new(device))
}

/// One way between the two devices.
struct Direction {
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    passage: Passage,
    begun: Instant,
    on_the_way: VecDeque<(Duration, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    counts: Arc<Counts>,
}

impl Direction {
    fn run(mut self, is_over: &AtomicBool) {
        hurry();
        while !is_over.load(Ordering::Relaxed) {
            let is_busy = self.take_some() | self.deliver_some();
            if !is_busy {
                self.sleep();
            }
        }
    }

    /// Takes what the machine at the beginning has sent; `false` when that was nothing.
    fn take_some(&mut self) -> bool {
        for taken in 0..TURN {
            let mut packet = self.spare.pop().unwrap_or_default();
            packet.resize(usize::from(MTU), 0);
            let len = match self.from.recv(&mut packet) {
                Ok(len) => len,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    self.spare.push(packet);
                    return taken > 0;
                }
            };
            packet.truncate(len);
            match self.passage.take(self.begun.elapsed(), len as u64) {
                Fate::Arrives(at) => self.on_the_way.push_back((at, packet)),
                Fate::Lost => count(&self.counts.lost, 1),
                Fate::Overflows => count(&self.counts.overflowed, 1),
            }
        }
        true
    }

    /// Gives the machine at the end what is due; `true` when there may be more.
    fn deliver_some(&mut self) -> bool {
        for _ in 0..TURN {
            let now = self.begun.elapsed();
            let Some((_, packet)) = self.on_the_way.pop_front_if(|(due, _)| {
                let late = now.checked_sub(*due);
                let micros = late.map(|late| u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
                self.counts.latest.fetch_max(micros.unwrap_or(0), Ordering::Relaxed);
                late.is_some()
            }) else {
                return false;
            };
            // A device whose machine is going away takes nothing any more.
            if self.to.send(&packet).is_ok() {
                count(&self.counts.arrived_bytes, packet.len() as u64);
            }
            self.spare.push(packet);
        }
        true
    }

    /// Until something is sent or due.
    fn sleep(&self) {
        let next = self.on_the_way.front().map(|(due, _)| due.saturating_sub(self.begun.elapsed()));
        let nap = Timespec::try_from(next.unwrap_or(NAP).min(NAP)).unwrap();
        let _ = poll(&mut [PollFd::new(&*self.from, PollFlags::IN)], Some(&nap));
    }
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Has this thread woken to the microsecond and before any other, as far as the system allows that: what is late here was not
/// late on the wire.
fn hurry() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let id = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut chrt = Command::new("chrt");
    let _ = chrt.args(["--rr", "--pid", "10", &id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
