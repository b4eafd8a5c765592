//! One transfer between two real processes, without a server, watched while it runs.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::measured::Cost;
use super::process::Process;
use crate::harness::Machine;

/// In which anything happens, in the worst case.
const PATIENCE: Duration = Duration::from_mins(10);

/// Between the code and the receiver's start: as long as somebody takes who types it. A sender has announced itself twice by then,
/// a second apart, and answers questions on the local network again, which it does once a second at most (RFC 6762 §6).
const TYPING: Duration = Duration::from_millis(2_500);

/// How often it is looked whether bytes have reached the receiver's directory.
const LOOK: Duration = Duration::from_millis(1);

/// What one transfer amounted to; times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From consent to the last confirmation, as the sender says.
    pub(crate) elapsed: f64,
    /// From starting the sender to its code.
    pub(crate) code_after: f64,
    /// From starting the receiver to the first byte in its directory; of a tree to the first file with bytes.
    pub(crate) first_byte_after: f64,
    /// From the last byte there to the end of the receiver.
    pub(crate) receiver_lingers: f64,
    /// From the last byte there to the end of the sender.
    pub(crate) sender_lingers: f64,
    /// The receiver's whole command.
    pub(crate) whole: f64,
    /// What the sender cost.
    pub(crate) sender: Cost,
    /// What the receiver cost.
    pub(crate) receiver: Cost,
}

/// Sends `payload`, a file or a directory of `size` bytes, from one process to another and compares what arrived.
pub(crate) fn run(payload: &Path, size: u64) -> Result<Run> {
    let (alice, bob) = (Machine::without_server(), Machine::without_server());
    let path = payload.to_str().context("no name")?;
    let sending = Process::start(alice.command(&[path, "--json"]))?;
    let code = sending.event("code", PATIENCE)?;
    let code_after = (code.at - sending.started).as_secs_f64();
    let code = code.event["code"].as_str().context("no code")?;
    thread::sleep(TYPING);
    let arrival = Arrival::watch(bob.dir(), size);
    let receiving = Process::start(bob.command(&["receive", code, "--yes", "--json"]))?;
    let started = receiving.started;
    // Both at once, so that each is gone when it is.
    let sending = thread::spawn(move || sending.end(PATIENCE));
    let received = receiving.end(PATIENCE)?;
    let sent = sending.join().ok().context("a thread panicked")??;
    let (first, last) = arrival.end();
    let arrived = bob.path(payload.file_name().unwrap_or_default());
    ensure!(same(payload, &arrived)?, "what arrived differs from what was sent");
    let since_last = |end: Instant| end.saturating_duration_since(last.unwrap_or(end)).as_secs_f64();
    Ok(Run {
        elapsed: sent.finished.number("elapsed"),
        code_after,
        first_byte_after: first.map_or(0.0, |first| (first - started).as_secs_f64()),
        receiver_lingers: since_last(received.at),
        sender_lingers: since_last(sent.at),
        whole: (received.at - started).as_secs_f64(),
        sender: sent.cost,
        receiver: received.cost,
    })
}

/// Looks at a directory until the first and the last byte of what is received are there.
struct Arrival {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(Option<Instant>, Option<Instant>)>,
}

impl Arrival {
    fn watch(directory: PathBuf, size: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let (mut first, mut last) = (None, None);
            while !stop.load(Ordering::Relaxed) && last.is_none() {
                let len = len_in(&directory);
                let now = Instant::now();
                if len > 0 {
                    first.get_or_insert(now);
                }
                last = (len >= size && size > 0).then_some(now);
                thread::sleep(LOOK);
            }
            (first, last)
        });
        Self { is_over, thread }
    }

    fn end(self) -> (Option<Instant>, Option<Instant>) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Bytes in the files of a directory. Records beside them do not count, nor do files further below, of which there may be many.
fn len_in(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let entries = entries.filter_map(Result::ok);
    let received = entries.filter(|entry| entry.path().extension().is_none_or(|name| name != "json"));
    let metadata = received.filter_map(|entry| entry.metadata().ok());
    metadata.map(|metadata| if metadata.is_file() { metadata.len() } else { 0 }).sum()
}

/// A file of random bytes.
pub(crate) fn make_file(path: &Path, size: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let len = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        getrandom::fill(&mut chunk[..len])?;
        file.write_all(&chunk[..len])?;
        left -= len as u64;
    }
    Ok(file.sync_all()?)
}

/// A directory of `count` files of random bytes, a hundred in each directory of it.
pub(crate) fn make_tree(path: &Path, count: u32, size: u64) -> Result<()> {
    for number in 0..count {
        let directory = path.join(format!("{:03}", number / 100));
        fs::create_dir_all(&directory)?;
        make_file(&directory.join(format!("{number:05}.bin")), size)?;
    }
    Ok(())
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    if one.is_dir() {
        let mut entries = fs::read_dir(one)?;
        return entries.try_fold(true, |so_far, entry| {
            let entry = entry?;
            Ok(so_far && same(&entry.path(), &other.join(entry.file_name()))?)
        });
    }
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let len = one.read(&mut a)?;
        if len == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(&mut b[..len]).is_err() || a[..len] != b[..len] {
            return Ok(false);
        }
    }
}
