//! Two machines with a long wire between them, emulated by this process: kernels with `netem` are not everywhere.
//!
//! ```text
//! near 10.84.0.1 ── eth0, a TUN device ── threads of this process ── eth0, a TUN device ── far 10.84.0.2
//! ```
//!
//! Each direction is a thread that takes packets from one device, asks a [`Passage`] what becomes of them and puts them
//! into the other device when it is time. As with the network cards of real machines, a kernel hands over what it sends at
//! once as one long packet, and gets those that arrive together as one: the wire sees each on its own.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use super::may_mount_and_connect;
use super::namespace::Namespace;
use super::wire::{Fate, Passage, Wire};

/// Longest packet, in bytes, as on Ethernet.
const MTU: u16 = 1_500;

/// Packets of the kernel's that are taken before it is looked whether some are due.
const TURN: usize = 4;

/// The longest packet that a kernel cuts into those for the wire, in bytes, and what it says of it.
const LONGEST: usize = VIRTIO_NET_HDR_LEN + 65_535;

/// What comes within this time is looked at together, as network cards do it that would drown in interrupts otherwise.
const TICK: Duration = Duration::from_micros(100);

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
                buffers: Buffers::new(),
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
    let device = space
        .inside(|| DeviceBuilder::new().name("eth0").mtu(MTU).offload(true).enable(false).build_sync())
        .unwrap();
    device.set_nonblocking(true).unwrap();
    space.run("ip", &["link", "set", "eth0", "txqueuelen", "10000", "up"]);
    space.address(&format!("{address}/24"));
    (space, Arc::new(device))
}

/// A packet with room in front for what the kernel is told of it.
type Packet = Vec<u8>;

/// One way between the two devices.
struct Direction {
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    passage: Passage,
    begun: Instant,
    on_the_way: VecDeque<(Duration, Packet)>,
    buffers: Buffers,
    counts: Arc<Counts>,
}

/// Memory that is used again.
struct Buffers {
    /// One long packet of the kernel's.
    long: Vec<u8>,
    /// What it is cut into, with their lengths.
    cut: Vec<Packet>,
    lens: Vec<usize>,
    /// What is put together again.
    due: Vec<Packet>,
    joining: GROTable,
    spare: Vec<Packet>,
}

impl Buffers {
    fn new() -> Self {
        Self {
            long: vec![0; LONGEST],
            cut: vec![vec![0; VIRTIO_NET_HDR_LEN + usize::from(MTU)]; IDEAL_BATCH_SIZE],
            lens: vec![0; IDEAL_BATCH_SIZE],
            due: Vec::with_capacity(IDEAL_BATCH_SIZE),
            joining: GROTable::default(),
            spare: Vec::new(),
        }
    }

    /// Takes the packet out that was cut at `place` and has `len` bytes.
    fn take(&mut self, place: usize, len: usize) -> Packet {
        // Others are put together in it later, which takes room; memory that nobody writes to costs nothing.
        let mut other = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(VIRTIO_NET_HDR_LEN + LONGEST));
        other.resize(VIRTIO_NET_HDR_LEN + usize::from(MTU), 0);
        let mut packet = std::mem::replace(&mut self.cut[place], other);
        packet.truncate(VIRTIO_NET_HDR_LEN + len);
        packet
    }
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
            let Buffers { long, cut, lens, .. } = &mut self.buffers;
            let packets = match self.from.recv_multiple(long, cut, lens, VIRTIO_NET_HDR_LEN) {
                Ok(packets) => packets,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    return taken > 0;
                }
            };
            let now = self.begun.elapsed();
            for place in 0..packets {
                let len = self.buffers.lens[place];
                match self.passage.take(now, len as u64) {
                    Fate::Arrives(at) => self.on_the_way.push_back((at, self.buffers.take(place, len))),
                    Fate::Lost => count(&self.counts.lost, 1),
                    Fate::Overflows => count(&self.counts.overflowed, 1),
                }
            }
        }
        true
    }

    /// Gives the machine at the end what is due; `true` when there may be more.
    fn deliver_some(&mut self) -> bool {
        let now = self.begun.elapsed();
        let Buffers { due, joining, spare, .. } = &mut self.buffers;
        while due.len() < IDEAL_BATCH_SIZE
            && let Some((at, packet)) = self.on_the_way.pop_front_if(|(at, _)| *at <= now)
        {
            let late = u64::try_from(now.saturating_sub(at).as_micros()).unwrap_or(u64::MAX);
            self.counts.latest.fetch_max(late, Ordering::Relaxed);
            due.push(packet);
        }
        let bytes = due.iter().map(|packet| (packet.len() - VIRTIO_NET_HDR_LEN) as u64).sum();
        // A device whose machine is going away takes nothing any more.
        if !due.is_empty() && self.to.send_multiple(joining, due, VIRTIO_NET_HDR_LEN).is_ok() {
            count(&self.counts.arrived_bytes, bytes);
        }
        let is_more = due.len() == IDEAL_BATCH_SIZE;
        spare.append(due);
        is_more
    }

    /// A tick; while nothing is on its way, until something is sent.
    fn sleep(&self) {
        if self.on_the_way.is_empty() {
            let nap = Timespec::try_from(NAP).unwrap();
            let _ = poll(&mut [PollFd::new(&*self.from, PollFlags::IN)], Some(&nap));
        } else {
            thread::sleep(TICK);
        }
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
