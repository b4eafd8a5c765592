//! How far a transfer is: counted by the threads that move bytes, read by the task that tells the user.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wire::manifest::Manifest;

use crate::report::{Event, Progress, Reporter, Summary};

/// Bytes and files of one transfer.
#[derive(Debug)]
pub(super) struct Tally {
    manifest: Arc<Manifest>,
    moved: AtomicU64,
    entry: AtomicU32,
    started: OnceLock<Instant>,
}

impl Tally {
    /// Nothing has moved yet.
    pub(super) fn new(manifest: Arc<Manifest>) -> Self {
        Self { manifest, moved: AtomicU64::new(0), entry: AtomicU32::new(0), started: OnceLock::new() }
    }

    /// The receiver has agreed: the clock runs.
    pub(super) fn begin(&self) {
        self.started.get_or_init(Instant::now);
    }

    /// `len` more bytes of `entry` have moved.
    pub(super) fn add(&self, entry: u32, len: u64) {
        self.entry.store(entry, Ordering::Relaxed);
        self.moved.fetch_add(len, Ordering::Relaxed);
    }

    /// How many bytes have moved.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
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
            done: self.moved(),
            total: self.manifest.total_size(),
        }));
    }
}

/// What a manifest holds, in one line.
pub(super) fn summary(manifest: &Manifest) -> Summary {
    let top_level = manifest.top_level();
    let name = match top_level.as_slice() {
        [only] => Some(Arc::from(only.name)),
        _ => None,
    };
    Summary { name, file_count: u64::from(manifest.file_count()), total_size: manifest.total_size() }
}
