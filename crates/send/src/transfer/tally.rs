//! How far a transfer is: counted by the threads that move bytes, read by the task that tells the user.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wire::manifest::Manifest;

use crate::report::{Event, Interruption, Progress, Reporter, Summary};

/// Entries from one whose beginning is known to the next; there may be a million.
const START_INTERVAL: usize = 16;

/// Bytes and files of one transfer. Everything before the byte that moved last is done, here or in an earlier attempt.
#[derive(Debug)]
pub(super) struct Tally {
    manifest: Arc<Manifest>,
    /// Where every so many entries begin, were all of them one file, in bytes.
    starts: Vec<u64>,
    position: AtomicU64,
    moved: AtomicU64,
    entry: AtomicU32,
    started: OnceLock<Instant>,
}

impl Tally {
    /// Nothing has moved yet.
    pub(super) fn new(manifest: Arc<Manifest>) -> Self {
        let mut starts = Vec::with_capacity(manifest.entries().len() / START_INTERVAL + 1);
        let mut start = 0_u64;
        for (index, kind) in manifest.entries().kinds_from(0).enumerate() {
            if index.is_multiple_of(START_INTERVAL) {
                starts.push(start);
            }
            start = start.saturating_add(kind.size());
        }
        Self {
            manifest,
            starts,
            position: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            entry: AtomicU32::new(0),
            started: OnceLock::new(),
        }
    }

    /// The receiver has agreed: the clock runs.
    pub(super) fn begin(&self) {
        self.started.get_or_init(Instant::now);
    }

    /// `len` more bytes of `entry` have moved, the last of which is before `end`.
    pub(super) fn add(&self, entry: u32, end: u64, len: u64) {
        self.moved.fetch_add(len, Ordering::Relaxed);
        self.go_to(entry, end);
    }

    /// `entry` goes on at byte `offset`.
    pub(super) fn go_to(&self, entry: u32, offset: u64) {
        let start = self.start_of(usize::try_from(entry).unwrap_or(usize::MAX));
        self.entry.store(entry, Ordering::Relaxed);
        self.position.store(start.saturating_add(offset), Ordering::Relaxed);
    }

    /// Where `entry` begins, were all of them one file, in bytes.
    fn start_of(&self, entry: usize) -> u64 {
        let known = self.starts.get(entry / START_INTERVAL).copied().unwrap_or(0);
        let first = entry - entry % START_INTERVAL;
        let between = self.manifest.entries().kinds_from(first).take(entry % START_INTERVAL);
        between.fold(known, |start, kind| start.saturating_add(kind.size()))
    }

    /// Everything is done.
    pub(super) fn complete(&self) {
        self.position.store(self.manifest.total_size(), Ordering::Relaxed);
    }

    /// How many bytes have moved, those that did so twice twice.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// What is kept of it when the connection breaks.
    pub(super) fn interruption(&self) -> Interruption {
        Interruption { kept: self.position.load(Ordering::Relaxed), total: self.manifest.total_size() }
    }

    /// How long it has taken since the receiver agreed.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// Tells how far it is.
    pub(super) fn report(&self, reporter: &dyn Reporter) {
        let index = self.entry.load(Ordering::Relaxed);
        let entries = self.manifest.entries();
        let name = usize::try_from(index).ok().and_then(|index| entries.get(index));
        reporter.report(Event::Progress(Progress {
            name: name.map_or_else(|| Arc::from(""), |entry| Arc::from(entry.path.as_str())),
            index: u64::from(index),
            file_count: u64::from(self.manifest.file_count()),
            done: self.position.load(Ordering::Relaxed),
            total: self.manifest.total_size(),
        }));
    }
}

/// That `entry` goes on behind its first `offset` bytes.
pub(super) fn resumed(manifest: &Manifest, entry: u32, offset: u64) -> Event {
    let item = usize::try_from(entry).ok().and_then(|entry| manifest.entries().get(entry));
    let size = item.as_ref().map_or(0, |item| item.kind.size());
    Event::Resumed {
        name: item.map_or_else(|| Arc::from(""), |item| Arc::from(item.path.as_str())),
        offset,
        size,
    }
}

/// What a manifest holds, in one line.
pub(super) fn summary(manifest: &Manifest) -> Summary {
    let name = manifest.only_name().map(Arc::from);
    Summary { name, file_count: u64::from(manifest.file_count()), total_size: manifest.total_size() }
}
