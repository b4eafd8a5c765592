//! The sender's first thread: reads and hashes, straight into the buffers that are sealed and sent.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use wire::manifest::Manifest;
use wire::message::{Batch, DATA_PREFIX_LEN, Message, Sha256Digest, data_prefix};
use wire::transfer::sender::Read;

use super::pace::{PACE_LEN, Pace, Waited};
use super::pipe::Draft;
use super::tally::Tally;
use crate::storage::{Hasher, SourceError, SourceReader};

/// What this thread is asked to do, in order.
#[derive(Debug)]
pub(super) enum Job {
    /// From here on everything goes to this queue: that of a new generation.
    Generation(mpsc::Sender<Draft>),
    /// SWITCH to this generation is the last that goes where it went; from here on everything goes to this queue.
    Switch { next: u32, drafts: mpsc::Sender<Draft> },
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

/// The state of a hash that is kept for every so many bytes: what has to be read again when a receiver goes on somewhere
/// behind what was read.
const STATE_INTERVAL: u64 = 1024 * 1024;

/// States that are kept: more than the 64 beginnings that a receiver may ask about at once, and than any credit window
/// has MiB.
const MAX_STATES: usize = 128;

/// The thread's state.
#[derive(Debug)]
pub(super) struct Reading {
    manifest: Arc<Manifest>,
    reader: SourceReader,
    /// `None` while there is nobody to pass anything on to.
    drafts: Option<mpsc::Sender<Draft>>,
    reports: mpsc::Sender<Report>,
    tally: Arc<Tally>,
    pace: Pace,
    /// The file that is being read, and its hash so far.
    current: Option<State>,
    /// Hashes of beginnings, the latest last.
    states: VecDeque<State>,
}

/// The hash of the first bytes of a file.
#[derive(Clone, Debug)]
struct State {
    file: u32,
    offset: u64,
    hasher: Hasher,
}

/// A job could not be done.
enum Gone {
    /// Nobody takes it any more; another generation may follow.
    Pipe,
    /// A file failed and was reported.
    File,
}

impl Reading {
    /// A thread's state before its first generation.
    pub(super) fn new(
        manifest: Arc<Manifest>,
        reader: SourceReader,
        reports: mpsc::Sender<Report>,
        tally: Arc<Tally>,
        pace: Pace,
    ) -> Self {
        Self { manifest, reader, drafts: None, reports, tally, pace, current: None, states: VecDeque::new() }
    }

    /// Works until the jobs end. After a file failed only messages are passed on, so that the other side is told.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut has_failed = false;
        while let Some(job) = jobs.blocking_recv() {
            let is_wanted = match &job {
                Job::Generation(_) | Job::Switch { .. } => true,
                Job::Message(_) => self.drafts.is_some(),
                Job::Manifest | Job::HashPrefix { .. } | Job::Read(_) => self.drafts.is_some() && !has_failed,
            };
            match if is_wanted { self.perform(job) } else { Ok(()) } {
                Ok(()) => {}
                Err(Gone::Pipe) => self.drafts = None,
                Err(Gone::File) => has_failed = true,
            }
        }
    }

    fn perform(&mut self, job: Job) -> Result<(), Gone> {
        match job {
            Job::Generation(drafts) => {
                self.drafts = Some(drafts);
                Ok(())
            }
            Job::Switch { next, drafts } => {
                // When the old path is gone, both sides will notice.
                let _ = self.pass_on(Draft::of(&Message::Switch { next }));
                self.drafts = Some(drafts);
                Ok(())
            }
            Job::Message(message) => self.pass_on(Draft::of(&message)),
            Job::Manifest => self.pass_on_manifest(),
            Job::HashPrefix { file, offset } => {
                let hasher = self.hasher_at(file, offset)?;
                let digest = hasher.clone().finish();
                self.keep(State { file, offset, hasher });
                self.say(Report::Prefix { file, offset, digest })
            }
            Job::Read(Read::Chunk { file, offset, len, ends }) => self.read_chunk(file, offset, len, ends),
            Job::Read(Read::Batch { files }) => self.read_batch(&files),
        }
    }

    fn pass_on_manifest(&mut self) -> Result<(), Gone> {
        let manifest = Arc::clone(&self.manifest);
        let purpose = manifest.purpose();
        let mut on_the_way = 0;
        for part in manifest.parts() {
            on_the_way += part.len();
            self.pass_on(Draft::of(&Message::ManifestPart { purpose, entries: part.into() }))?;
            if on_the_way >= PACE_LEN {
                on_the_way = 0;
                let ping = self.pace.ping();
                self.pass_on(Draft::of(&ping))?;
                match self.pace.wait(|| self.drafts.as_ref().is_some_and(|drafts| !drafts.is_closed())) {
                    Waited::Answered => {}
                    Waited::Lost => return Err(Gone::Pipe),
                    Waited::GivenUp => return Ok(()),
                }
            }
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
            let state = State { file, offset: end, hasher };
            if end.is_multiple_of(STATE_INTERVAL) {
                self.keep(state.clone());
            }
            self.current = Some(state);
        }
        self.tally.add(file, end, len as u64);
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
            self.tally.add(file, size, size);
        }
        self.pass_on(Draft::of(&Message::Batch(Batch { items, bytes: bytes.into() })))
    }

    /// The hash of everything before `offset`, read from the nearest place behind which it is known.
    fn hasher_at(&mut self, file: u32, offset: u64) -> Result<Hasher, Gone> {
        if let Some(state) = self.current.take_if(|state| (state.file, state.offset) == (file, offset)) {
            return Ok(state.hasher);
        }
        let before = |state: &&State| state.file == file && state.offset <= offset;
        let nearest = self.states.iter().filter(before).max_by_key(|state| state.offset);
        let (start, hasher) =
            nearest.map_or_else(Default::default, |state| (state.offset, state.hasher.clone()));
        let hashed = self.reader.hash_on(index(file), start, offset, hasher);
        hashed.map_err(|error| self.fail(file, error))
    }

    /// Keeps the hash of a beginning, at the cost of that kept longest.
    fn keep(&mut self, state: State) {
        if self.states.len() == MAX_STATES {
            self.states.pop_front();
        }
        self.states.push_back(state);
    }

    fn pass_on(&self, draft: Draft) -> Result<(), Gone> {
        let Some(drafts) = &self.drafts else { return Err(Gone::Pipe) };
        drafts.blocking_send(draft).map_err(|_| Gone::Pipe)
    }

    fn say(&self, report: Report) -> Result<(), Gone> {
        self.reports.blocking_send(report).map_err(|_| Gone::Pipe)
    }

    /// Reports a file that cannot be sent. The thread goes on for the sake of messages, but reads no more.
    fn fail(&self, file: u32, error: SourceError) -> Gone {
        // The other end is gone only when nobody cares any more.
        let _ = self.reports.blocking_send(Report::Failed { file, error });
        Gone::File
    }
}

fn index(file: u32) -> usize {
    usize::try_from(file).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use wire::manifest::{Entry, EntryKind, MAX_PART_LEN, Purpose};
    use wire::message::decode;
    use wire::safe_path::SafePath;

    use super::*;
    use crate::storage::{Source, SourceOptions};
    use crate::transfer::pace::pace;

    /// A manifest that takes more than three times what may be on the way.
    fn long_manifest() -> Arc<Manifest> {
        let entry = |index: usize| Entry {
            path: SafePath::parse(&format!("{}/{index:05}", "long".repeat(50))).unwrap(),
            kind: EntryKind::File { size: 1 },
            mode: 0o644,
            mtime: 0,
        };
        let entries: Vec<_> = (0..20_000).map(entry).collect();
        Arc::new(Manifest::new(Purpose::Files, &entries).unwrap())
    }

    /// What the thread passes on of a manifest when `answered` of its questions are answered, and then nobody answers any more:
    /// lengths of what lies between two questions, in bytes.
    fn passed_on(answered: usize) -> Vec<usize> {
        let manifest = long_manifest();
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a"), b"a").unwrap();
        let source = Source::open(&[place.path().join("a")], SourceOptions::default()).unwrap();
        let (reports, _reports) = mpsc::channel(1);
        let (mut answers, pace) = pace();
        let tally = Arc::new(Tally::new(Arc::clone(&manifest)));
        let reading = Reading::new(manifest, source.reader(), reports, tally, pace);
        let (jobs, job_queue) = mpsc::channel(2);
        let (drafts, mut passed) = mpsc::channel(1);
        jobs.blocking_send(Job::Generation(drafts)).unwrap();
        jobs.blocking_send(Job::Manifest).unwrap();
        drop(jobs);
        let thread = thread::spawn(move || reading.run(job_queue));
        let mut lens = vec![0];
        while let Some(draft) = passed.blocking_recv() {
            let plaintext = draft.plaintext();
            if let Message::Ping { token } = decode(plaintext).next().unwrap().unwrap().0 {
                lens.push(0);
                if lens.len() - 1 > answered {
                    break;
                }
                answers.handle_pong(token);
            } else {
                *lens.last_mut().unwrap() += plaintext.len();
            }
        }
        drop(answers);
        // What nobody answered for is not passed on.
        while let Some(draft) = passed.blocking_recv() {
            *lens.last_mut().unwrap() += draft.plaintext().len();
        }
        thread.join().unwrap();
        lens
    }

    #[test]
    fn a_manifest_goes_out_as_fast_as_the_receiver_takes_it() {
        let all = passed_on(usize::MAX);
        assert!(all.len() > 3, "{all:?}");
        assert!(all.iter().all(|len| *len <= PACE_LEN + MAX_PART_LEN), "{all:?}");
        assert_eq!(passed_on(1), [all[0], all[1], 0]);
    }
}
