//! The sender's first thread: reads and hashes, straight into the buffers that are sealed and sent.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use wire::manifest::Manifest;
use wire::message::{Batch, DATA_PREFIX_LEN, Message, Sha256Digest, data_prefix};
use wire::transfer::sender::Read;

use super::pipe::Draft;
use super::tally::Tally;
use crate::storage::{Hasher, SourceError, SourceReader};

/// What this thread is asked to do, in order.
#[derive(Debug)]
pub(super) enum Job {
    /// Pass on a message.
    Message(Message<'static>),
    /// Pass on the whole manifest.
    Manifest,
    /// Hash the beginning of a file.
    HashPrefix { file: u32, offset: u64 },
    /// Read and pass on one record's worth of file.
    Read(Read),
}

/// What this thread has to say.
#[derive(Debug)]
pub(super) enum Report {
    /// The digest that was asked for.
    Prefix { file: u32, offset: u64, digest: Sha256Digest },
    /// A file cannot be sent. Nothing is read after that; messages are still passed on.
    Failed { file: u32, error: SourceError },
}

/// Beginnings whose hash state is kept, so that going on behind one does not read it again.
const MAX_KEPT_PREFIXES: usize = 64;

/// The thread's state.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) manifest: Arc<Manifest>,
    pub(super) reader: SourceReader,
    pub(super) drafts: mpsc::Sender<Draft>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) tally: Arc<Tally>,
    /// The file that is being read, and its hash so far.
    pub(super) current: Option<(u32, u64, Hasher)>,
    pub(super) prefixes: VecDeque<(u32, u64, Hasher)>,
}

/// A job could not be done: the queue behind this thread is gone, or a file failed and was reported.
struct Gone;

impl Reading {
    /// Works until the jobs end. After a file failed only messages are passed on, so that the other side is told.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut has_failed = false;
        while let Some(job) = jobs.blocking_recv() {
            let is_wanted = !has_failed || matches!(job, Job::Message(_));
            if is_wanted && self.perform(job).is_err() {
                has_failed = true;
            }
        }
    }

    fn perform(&mut self, job: Job) -> Result<(), Gone> {
        match job {
            Job::Message(message) => self.pass_on(Draft::of(&message)),
            Job::Manifest => self.pass_on_manifest(),
            Job::HashPrefix { file, offset } => {
                let hasher = match self.reader.hash_prefix(index(file), offset) {
                    Ok(hasher) => hasher,
                    Err(error) => return Err(self.fail(file, error)),
                };
                let digest = hasher.clone().finish();
                if self.prefixes.len() == MAX_KEPT_PREFIXES {
                    self.prefixes.pop_front();
                }
                self.prefixes.push_back((file, offset, hasher));
                self.say(Report::Prefix { file, offset, digest })
            }
            Job::Read(Read::Chunk { file, offset, len, ends }) => self.read_chunk(file, offset, len, ends),
            Job::Read(Read::Batch { files }) => self.read_batch(&files),
        }
    }

    fn pass_on_manifest(&mut self) -> Result<(), Gone> {
        let manifest = Arc::clone(&self.manifest);
        let purpose = manifest.purpose();
        for part in manifest.parts() {
            self.pass_on(Draft::of(&Message::ManifestPart { purpose, entries: part.into() }))?;
        }
        let entries = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
        let (total_size, digest) = (manifest.total_size(), *manifest.digest());
        self.pass_on(Draft::of(&Message::ManifestEnd { entries, total_size, digest }))
    }

    fn read_chunk(&mut self, file: u32, offset: u64, len: usize, ends: bool) -> Result<(), Gone> {
        let mut hasher = self.hasher_at(file, offset)?;
        let mut draft = Draft::new();
        draft.grow(DATA_PREFIX_LEN).copy_from_slice(&data_prefix(file, offset, len));
        let chunk = draft.grow(len);
        if let Err(error) = self.reader.read_chunk(index(file), offset, chunk) {
            return Err(self.fail(file, error));
        }
        hasher.update(chunk);
        let end = offset + len as u64;
        if ends {
            draft.push(&Message::FileEnd { file, len: end, digest: hasher.finish() });
        } else {
            self.current = Some((file, end, hasher));
        }
        self.tally.add(file, len as u64);
        self.pass_on(draft)
    }

    fn read_batch(&mut self, files: &[u32]) -> Result<(), Gone> {
        let mut items = Vec::with_capacity(files.len());
        let mut bytes = Vec::new();
        for &file in files {
            let size = self.manifest.entries().get(index(file)).map_or(0, |entry| entry.kind.size());
            let at = bytes.len();
            bytes.resize(at + usize::try_from(size).unwrap_or(0), 0);
            let whole = bytes.get_mut(at..).unwrap_or_default();
            if let Err(error) = self.reader.read_chunk(index(file), 0, whole) {
                return Err(self.fail(file, error));
            }
            items.push((file, u32::try_from(size).unwrap_or(0), Hasher::of(whole)));
            self.tally.add(file, size);
        }
        self.pass_on(Draft::of(&Message::Batch(Batch { items, bytes: bytes.into() })))
    }

    /// The hash of everything before `offset`: of the chunk before, of a proven beginning, or read again.
    fn hasher_at(&mut self, file: u32, offset: u64) -> Result<Hasher, Gone> {
        let here = |(each, at, _): &(u32, u64, Hasher)| (*each, *at) == (file, offset);
        if let Some((_, _, hasher)) = self.current.take_if(|current| here(current)) {
            return Ok(hasher);
        }
        if let Some((_, _, hasher)) = self.prefixes.iter().find(|prefix| here(prefix)) {
            return Ok(hasher.clone());
        }
        match self.reader.hash_prefix(index(file), offset) {
            Ok(hasher) => Ok(hasher),
            Err(error) => Err(self.fail(file, error)),
        }
    }

    fn pass_on(&self, draft: Draft) -> Result<(), Gone> {
        self.drafts.blocking_send(draft).map_err(|_| Gone)
    }

    fn say(&self, report: Report) -> Result<(), Gone> {
        self.reports.blocking_send(report).map_err(|_| Gone)
    }

    /// Reports a file that cannot be sent. The thread goes on for the sake of messages, but reads no more.
    fn fail(&self, file: u32, error: SourceError) -> Gone {
        // The other end is gone only when nobody cares any more.
        let _ = self.reports.blocking_send(Report::Failed { file, error });
        Gone
    }
}

fn index(file: u32) -> usize {
    usize::try_from(file).unwrap_or(usize::MAX)
}
