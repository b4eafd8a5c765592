//! What a receiving task has once the user has agreed: the disk thread, what it is asked, and what it says.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use wire::manifest::Manifest;
use wire::transfer::receiver::Held;

use super::Error;
use super::disk::{Disk, Job, Remains, Report};
use super::pipe::spawn;
use super::receive::Failure;
use super::tally::{Tally, summary};
use crate::report::{Direction, Event, Finished, Reporter, Warning};
use crate::storage::Sink;

/// Records that wait for the disk. The credit bounds what can be on its way; this only hides that a thread is woken.
const JOB_QUEUE_LEN: usize = 16;

/// How long the disk may take to put away what is worth keeping.
const DISK_DEADLINE: Duration = Duration::from_secs(30);

/// The disk thread and how far it is.
pub(super) struct Saving {
    pub(super) manifest: Arc<Manifest>,
    pub(super) tally: Arc<Tally>,
    pub(super) jobs: mpsc::Sender<Job>,
    /// What there is no room for in the queue: a record at most, and a question.
    pub(super) next: VecDeque<Job>,
    pub(super) reports: mpsc::Receiver<Report>,
    remains: oneshot::Receiver<Remains>,
    /// What is on the disk, when it was asked for after a break.
    pub(super) held: Option<oneshot::Receiver<Vec<Held>>>,
    pub(super) place: PathBuf,
    /// When the sender was told that everything is in place; it has a while to say that it knows.
    pub(super) complete_since: Option<Instant>,
}

impl Saving {
    /// Starts the thread, and tells where things go if that is not where they were sent.
    pub(super) fn start(
        sink: Sink,
        root: &Path,
        manifest: Arc<Manifest>,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let mut place = root.to_owned();
        for placement in sink.placements() {
            if placement.sent != placement.saved {
                let (from, to) = (placement.sent.clone(), placement.saved.clone());
                reporter.report(Event::Warning(Warning::Renamed { from, to }));
            }
            place = root.join(&placement.saved);
        }
        if sink.placements().count() > 1 {
            root.clone_into(&mut place);
        }
        let (jobs, job_queue) = mpsc::channel(JOB_QUEUE_LEN);
        let (report_queue, reports) = mpsc::channel(JOB_QUEUE_LEN);
        let (tell_remains, remains) = oneshot::channel();
        let tally = Arc::new(Tally::new(Arc::clone(&manifest)));
        tally.begin();
        let disk = Disk {
            manifest: Arc::clone(&manifest),
            sink,
            reports: report_queue,
            tally: Arc::clone(&tally),
            saved_count: 0,
        };
        spawn("send-write", move || {
            // Nobody listens when the task was dropped.
            let _ = tell_remains.send(disk.run(job_queue));
        })
        .map_err(Error::Thread)?;
        let (next, held, complete_since) = (VecDeque::new(), None, None);
        Ok(Self { manifest, tally, jobs, next, reports, remains, held, place, complete_since })
    }

    /// Asks the disk, behind everything that it still has to do, what is there.
    pub(super) fn ask_held(&mut self) {
        let (tell, held) = oneshot::channel();
        self.next.push_back(Job::Held(tell));
        self.held = Some(held);
    }

    /// Everything is in place: tells so, in numbers.
    pub(super) fn tell_finished(&self, reporter: &dyn Reporter) {
        let Self { manifest, tally, place, .. } = self;
        tally.complete();
        tally.report(reporter);
        reporter.report(Event::Finished(Finished {
            direction: Direction::Receive,
            what: summary(manifest),
            moved: tally.moved(),
            elapsed: tally.elapsed(),
            place: Some(place.clone()),
        }));
    }

    /// The sender is told again that everything is in place, and has as long as before to say that it knows.
    pub(super) fn linger(&mut self) {
        self.complete_since = self.complete_since.map(|_| Instant::now());
    }

    /// Lets the disk thread end, and says what came of it. What was complete and verified is received, whatever the other side
    /// said then or this side's user wanted: nothing of it can be taken back.
    pub(super) async fn end(
        mut self,
        outcome: Result<(), Error>,
        output: &Path,
        reporter: &dyn Reporter,
    ) -> Result<(), Failure> {
        let Err(error) = outcome else { return Ok(()) };
        // Its queues are what the thread waits for.
        let (closed, _) = mpsc::channel(1);
        (self.jobs, self.next) = (closed, VecDeque::new());
        self.reports.close();
        let remains = timeout(DISK_DEADLINE, &mut self.remains).await.ok().and_then(Result::ok);
        if remains.as_ref().is_some_and(|remains| remains.is_complete) {
            // Unless that was told already.
            if self.complete_since.is_none() {
                self.tell_finished(reporter);
            }
            return Ok(());
        }
        let Self { manifest, .. } = self;
        let saved_count = remains.as_ref().map_or(0, |remains| remains.saved_count);
        let kept = remains.and_then(|remains| remains.kept);
        Err(Failure {
            error,
            saved_count,
            file_count: u64::from(manifest.file_count()),
            partial: kept.map(|kept| output.join(kept.path)),
        })
    }
}
