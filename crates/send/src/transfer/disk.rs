//! The receiver's last thread: hashes and writes, and says what is on the disk.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use wire::manifest::Manifest;
use wire::message::Sha256Digest;
use wire::transfer::receiver::Held;

use super::pipe::Opened;
use super::tally::Tally;
use crate::storage::{Kept, Leftovers, Saved, Sink, SinkError};

/// One thing to do with the record in hand.
#[derive(Debug)]
pub(super) enum Step {
    /// Write bytes of the record.
    Write { file: u32, offset: u64, bytes: Range<usize> },
    /// Write a whole file from bytes of the record.
    WriteWhole { file: u32, bytes: Range<usize>, digest: Sha256Digest },
    /// What is here of a file is the sender's.
    GoOn { file: u32, offset: u64 },
    /// What is here of a file is not the sender's.
    StartOver { file: u32 },
    /// Verify a file and put it in place.
    Commit { file: u32, len: u64, digest: Sha256Digest },
    /// Complete the tree.
    Finish,
}

/// What this thread is asked to do, in order.
#[derive(Debug)]
pub(super) enum Job {
    /// Something to do with a record.
    Record {
        /// Where the steps take their bytes from.
        record: Opened,
        /// What to do.
        steps: Vec<Step>,
    },
    /// Say what is here, for a sender that lost the connection.
    Held(oneshot::Sender<Vec<Held>>),
}

/// What this thread has to say.
#[derive(Debug)]
pub(super) enum Report {
    /// Everything of a record of this length is written.
    Written { record_len: usize },
    /// A file has its final name.
    Saved { path: PathBuf, size: u64 },
    /// Everything is verified, synced and in place; this many files did not get their mode or time.
    Finished { unkept_attributes: usize },
    /// The disk failed, or what arrived is wrong; the last word.
    Failed { file: Option<u32>, error: SinkError },
}

/// How this thread leaves the disk.
#[derive(Debug)]
pub(super) struct Remains {
    /// Files under their final names.
    pub(super) saved_count: u64,
    /// The unfinished file that stays.
    pub(super) kept: Option<Kept>,
    /// Whether everything is in place, verified and synced.
    pub(super) is_complete: bool,
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) manifest: Arc<Manifest>,
    pub(super) sink: Sink,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) tally: Arc<Tally>,
    pub(super) saved_count: u64,
}

impl Disk {
    /// Works until everything is in place, something fails, or the jobs end; then says what remains.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Remains {
        while let Some(job) = jobs.blocking_recv() {
            let performed = match job {
                Job::Record { record, steps } => self.perform_all(&record, &steps),
                Job::Held(tell) => self.tell_held(tell),
            };
            match performed {
                Ok(Course::GoOn) => {}
                Ok(Course::Finish) => return self.finish(),
                Err(report) => {
                    self.say(report);
                    break;
                }
            }
        }
        let kept = self.sink.abort(Leftovers::Keep);
        Remains { saved_count: self.saved_count, kept, is_complete: false }
    }

    fn perform_all(&mut self, record: &Opened, steps: &[Step]) -> Result<Course, Report> {
        for step in steps {
            match step {
                Step::Finish => return Ok(Course::Finish),
                Step::Write { file, .. }
                | Step::WriteWhole { file, .. }
                | Step::GoOn { file, .. }
                | Step::StartOver { file }
                | Step::Commit { file, .. } => {
                    let performed = self.perform(step, record.plaintext());
                    performed.map_err(|error| Report::Failed { file: Some(*file), error })?;
                }
            }
        }
        self.say(Report::Written { record_len: record.record_len() });
        let saved = self.sink.poll_saved().map_err(|error| Report::Failed { file: None, error })?;
        self.announce(saved);
        Ok(Course::GoOn)
    }

    fn perform(&mut self, step: &Step, plaintext: &[u8]) -> Result<(), SinkError> {
        match step {
            Step::Write { file, offset, bytes } => {
                let bytes = plaintext.get(bytes.clone()).unwrap_or_default();
                self.sink.write(index(*file), *offset, bytes)?;
                self.tally.add(*file, *offset + bytes.len() as u64, bytes.len() as u64);
            }
            Step::WriteWhole { file, bytes, digest } => {
                let bytes = plaintext.get(bytes.clone()).unwrap_or_default();
                self.sink.write_whole(index(*file), bytes, *digest)?;
                self.tally.add(*file, bytes.len() as u64, bytes.len() as u64);
            }
            Step::GoOn { file, offset } => {
                self.sink.go_on(index(*file), *offset)?;
                let item = self.manifest.entries().get(index(*file));
                self.saved_count += u64::from(item.is_some_and(|item| item.kind.size() == *offset));
            }
            Step::StartOver { file } => self.sink.start_over(index(*file))?,
            Step::Commit { file, len, digest } => self.sink.commit(index(*file), *len, *digest)?,
            Step::Finish => {}
        }
        Ok(())
    }

    fn tell_held(&mut self, tell: oneshot::Sender<Vec<Held>>) -> Result<Course, Report> {
        let held = self.sink.held().map_err(|error| Report::Failed { file: None, error })?;
        // Nobody wants to know when the task has ended.
        let _ = tell.send(held);
        Ok(Course::GoOn)
    }

    /// Completes the tree and syncs it.
    fn finish(mut self) -> Remains {
        let finished = match self.sink.flush() {
            Ok(saved) => {
                self.announce(saved);
                self.sink.finish()
            }
            Err(error) => Err(error),
        };
        let is_complete = finished.is_ok();
        let report = match finished {
            Ok(finished) => Report::Finished { unkept_attributes: finished.unkept_attributes },
            Err(error) => Report::Failed { file: None, error },
        };
        let _ = self.reports.blocking_send(report);
        Remains { saved_count: self.saved_count, kept: None, is_complete }
    }

    fn announce(&mut self, saved: Vec<Saved>) {
        for Saved { entry, path } in saved {
            self.saved_count += 1;
            let size = self.manifest.entries().get(entry).map_or(0, |entry| entry.kind.size());
            self.say(Report::Saved { path, size });
        }
    }

    fn say(&self, report: Report) {
        // The task is gone only when it no longer cares.
        let _ = self.reports.blocking_send(report);
    }
}

/// What follows a job.
enum Course {
    GoOn,
    Finish,
}

fn index(file: u32) -> usize {
    usize::try_from(file).unwrap_or(usize::MAX)
}
