//! A thread that waits for the disk, so that the one that writes does not have to.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

/// Threads that wait for the disk at the same time when a job has several files: waits of one batch overlap, and the
/// file system commits its journal once for many.
const WAITERS: usize = 8;

/// Files from which on one sync of the whole file system costs less than one sync each.
#[cfg(target_os = "linux")]
const WRITE_OUT_COUNT: usize = 16;

/// Jobs that wait behind the one being done: none, as each holds the file descriptors of its files.
const QUEUE_LEN: usize = 0;

/// Files that must reach the disk, with something (`T`) to know them by.
#[derive(Debug)]
pub(super) struct Job<T> {
    /// What to sync.
    pub(super) files: Vec<Arc<File>>,
    /// Handed back when that is done.
    pub(super) tag: T,
}

/// A finished job: the first error among its files, if any.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) tag: T,
    pub(super) result: io::Result<()>,
}

/// Syncs jobs in the order they were given. Dropping it waits for those it has.
#[derive(Debug)]
pub(super) struct Flusher<T> {
    jobs: Option<SyncSender<Job<T>>>,
    done: Receiver<Done<T>>,
    thread: Option<JoinHandle<()>>,
    outstanding: usize,
}

/// How files are brought to the disk: [`sync_all`], or a disk whose power fails.
pub(super) type Sync = fn(&[Arc<File>]) -> io::Result<()>;

impl<T: Send + 'static> Flusher<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(sync: Sync) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE_LEN);
        let (results, done) = channel();
        let body = move || run(&queue, &results, sync);
        let thread = std::thread::Builder::new().name("flush".into()).spawn(body)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread), outstanding: 0 })
    }

    /// Gives a job, waiting until the one before it is done.
    pub(super) fn submit(&mut self, job: Job<T>) {
        let Some(jobs) = &self.jobs else { return };
        if jobs.send(job).is_ok() {
            self.outstanding += 1;
        }
    }

    /// Gives a job if the thread waits for one, and says whether it did; else the disk is behind anyway.
    pub(super) fn try_submit(&mut self, job: Job<T>) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        match jobs.try_send(job) {
            Ok(()) => self.outstanding += 1,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return false,
        }
        true
    }

    /// Whether every job given has been collected.
    pub(super) fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// The next finished job, if there is one.
    pub(super) fn poll(&mut self) -> Option<Done<T>> {
        let done = self.done.try_recv().ok()?;
        self.outstanding -= 1;
        Some(done)
    }

    /// Waits for the next finished job; `None` when none is outstanding.
    pub(super) fn wait(&mut self) -> Option<Done<T>> {
        if self.outstanding == 0 {
            return None;
        }
        let done = self.done.recv().ok()?;
        self.outstanding -= 1;
        Some(done)
    }
}

impl<T> Drop for Flusher<T> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It panics no more than the files' sync does, and a result nobody reads is lost anyway.
            let _ = thread.join();
        }
    }
}

/// Syncs `files` to the disk, several at a time.
///
/// # Errors
/// The first error met.
pub(super) fn sync_all(files: &[Arc<File>]) -> io::Result<()> {
    if let [file] = files {
        return file.sync_all();
    }
    write_out(files);
    let share = files.len().div_ceil(WAITERS).max(1);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = files
            .chunks(share)
            .map(|chunk| scope.spawn(|| chunk.iter().try_for_each(|f| f.sync_all())))
            .collect();
        let results = waiters.into_iter().map(|waiter| waiter.join().unwrap_or_else(|_| Err(lost_waiter())));
        // All of them are joined before the first error counts.
        results.fold(Ok(()), io::Result::and)
    })
}

/// Has the file system write out everything at once where it can, which leaves the files' own syncs little to wait for.
/// Whether it worked only those tell.
fn write_out(files: &[Arc<File>]) {
    #[cfg(target_os = "linux")]
    if let Some(file) = files.first().filter(|_| files.len() >= WRITE_OUT_COUNT) {
        let _ = rustix::fs::syncfs(file);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = files;
}

fn lost_waiter() -> io::Error {
    io::Error::other("a thread that waited for the disk ended early")
}

fn run<T>(queue: &Receiver<Job<T>>, results: &Sender<Done<T>>, sync: Sync) {
    while let Ok(Job { files, tag }) = queue.recv() {
        let result = sync(&files);
        drop(files);
        if results.send(Done { tag, result }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn files(count: usize) -> Vec<Arc<File>> {
        let file = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"x").unwrap();
            Arc::new(file)
        };
        std::iter::repeat_with(file).take(count).collect()
    }

    #[test]
    fn jobs_come_back_in_order_whatever_their_size() {
        let mut flusher = Flusher::start(sync_all).unwrap();
        for (tag, count) in [0, 1, 7, 64, 1].into_iter().enumerate() {
            flusher.submit(Job { files: files(count), tag });
        }
        let tags: Vec<usize> = std::iter::from_fn(|| flusher.wait()).map(|done| done.tag).collect();
        assert_eq!(tags, [0, 1, 2, 3, 4]);
        assert!(flusher.poll().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn one_file_that_cannot_be_synced_fails_its_job() {
        let mut flusher = Flusher::start(sync_all).unwrap();
        let mut batch = files(20);
        // A pipe has no disk to reach: fsync(2) answers EINVAL.
        let (reader, _writer) = io::pipe().unwrap();
        batch.insert(10, Arc::new(File::from(std::os::fd::OwnedFd::from(reader))));
        flusher.submit(Job { files: batch, tag: () });
        assert!(flusher.wait().unwrap().result.is_err());
    }

    #[test]
    fn waiting_without_a_job_returns_at_once() {
        assert!(Flusher::<()>::start(sync_all).unwrap().wait().is_none());
    }
}
