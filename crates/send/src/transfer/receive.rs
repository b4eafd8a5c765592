//! The receiver's task: lets the machine check every record, asks the user, and keeps the disk thread busy.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wire::manifest::{EntryKind, Manifest};
use wire::message::{AbortReason, DeclineReason, Message};
use wire::transfer::receiver::Output;
use wire::transfer::{self, DONE_LINGER, SILENCE_LIMIT};

use super::disk::{Disk, Job, Remains, Report, Step};
use super::pipe::{Draft, Opened, Pipe, spawn};
use super::pulse::{Beat, Pulse};
use super::tally::{Tally, summary};
use super::{Error, FAREWELL_DEADLINE, PROGRESS_INTERVAL};
use crate::connect::Channel;
use crate::report::{self, Ask, AskError, Consent, Event, Offer, Reporter, Summary, Warning};
use crate::storage::{OutputDir, SinkError, SinkOptions};

/// Records that wait for the disk. The credit bounds what can be on its way; this only hides that a thread is woken.
const JOB_QUEUE_LEN: usize = 16;

/// What the receiver has decided before it knows what comes.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// The directory everything goes into.
    pub output: PathBuf,
    /// How it is saved.
    pub options: SinkOptions,
    /// Whether the user has agreed beforehand.
    pub agreed: bool,
}

/// What a completed transfer amounted to.
#[derive(Clone, Debug)]
pub struct Received {
    /// What was received.
    pub what: Summary,
    /// Bytes of files that crossed the network.
    pub moved: u64,
    /// From consent to the last byte on disk.
    pub elapsed: Duration,
    /// Where it is: the file, or the directory of several.
    pub place: PathBuf,
}

/// Why a transfer failed, and what it leaves on this machine.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// Files under their final names.
    pub saved_count: u64,
    /// Files that were offered.
    pub file_count: u64,
    /// The partial that is kept, if one is.
    pub partial: Option<PathBuf>,
}

/// Receives through `channel` into a directory, once the user has agreed.
///
/// # Errors
/// [`Failure`]. The sender is told why, as far as it can be reached. Cancelling `cancel` gives [`Error::Interrupted`].
pub async fn receive(
    channel: Channel,
    receiving: Receiving,
    (reporter, ask): (&dyn Reporter, &dyn Ask),
    cancel: &CancellationToken,
) -> Result<Received, Failure> {
    let Channel { sealer, opener, transport, pairing } = channel;
    let started = Pipe::start((sealer, transport.sender), (opener, transport.receiver));
    let pipe = started.map_err(|error| Failure::new(Error::Thread(error)))?;
    let pulse = Pulse::new(Arc::clone(&pipe.sent_count));
    let mut machine = transfer::Receiver::new();
    machine.handle_generation();
    let task = Task { machine, receiving, reporter, ask, pulse, offered: None, saving: None };
    tokio::select! {
        outcome = task.run(pipe, cancel) => outcome,
        never = pairing.idle() => match never {},
    }
}

type Question<'a> = Pin<Box<dyn Future<Output = Result<Consent, AskError>> + Send + 'a>>;

/// The state of the task.
struct Task<'a> {
    machine: transfer::Receiver,
    receiving: Receiving,
    reporter: &'a dyn Reporter,
    ask: &'a dyn Ask,
    pulse: Pulse,
    offered: Option<Offered<'a>>,
    saving: Option<Saving>,
}

/// What there is while the user is being asked.
struct Offered<'a> {
    manifest: Arc<Manifest>,
    output: OutputDir,
    question: Question<'a>,
}

/// What there is once the user has agreed.
struct Saving {
    manifest: Arc<Manifest>,
    tally: Arc<Tally>,
    jobs: mpsc::Sender<Job>,
    next: Option<Job>,
    reports: mpsc::Receiver<Report>,
    remains: oneshot::Receiver<Remains>,
    place: PathBuf,
    /// When everything was in place; the sender has to hear of it within a while.
    complete_since: Option<Instant>,
}

/// What woke the task.
enum Wake {
    Cancelled,
    Opened(Result<Opened, Error>),
    Answered(Result<Consent, AskError>),
    Reported(Report),
    Room(mpsc::OwnedPermit<Job>),
    Beat(Beat),
    Progress,
    NobodyKnows,
}

impl Task<'_> {
    async fn run(mut self, mut pipe: Pipe, cancel: &CancellationToken) -> Result<Received, Failure> {
        let outcome = self.work(&mut pipe, cancel).await;
        // Whether the last words arrive changes nothing about what happened; nobody is there to hear them when the path
        // is lost.
        if !matches!(outcome, Err(Error::Lost)) {
            let _ = timeout(FAREWELL_DEADLINE, self.say_the_rest(&pipe)).await;
            let _ = timeout(FAREWELL_DEADLINE, pipe.close()).await;
        }
        match (outcome, self.saving) {
            (Ok(()), Some(saving)) => Ok(Received {
                what: summary(&saving.manifest),
                moved: saving.tally.moved(),
                elapsed: saving.tally.elapsed(),
                place: saving.place,
            }),
            (Ok(()), None) => Err(Failure::new(Error::Lost)),
            (Err(error), None) => Err(Failure::new(error)),
            (Err(error), Some(saving)) => Err(saving.fail(error, &self.receiving.output).await),
        }
    }

    /// Works until the sender knows that everything is here, or until that no longer matters.
    async fn work(&mut self, pipe: &mut Pipe, cancel: &CancellationToken) -> Result<(), Error> {
        let mut progress = interval(PROGRESS_INTERVAL);
        self.perform(None, pipe).await?;
        while !self.machine.is_done() {
            let mut record = None;
            match self.wait(pipe, cancel, &mut progress).await {
                Wake::Cancelled => {
                    self.machine.handle_abort(AbortReason::Cancelled, None);
                    return Err(Error::Interrupted);
                }
                Wake::Opened(Err(Error::Lost)) | Wake::Beat(Beat::Silence) => return self.handle_lost(),
                Wake::Opened(opened) => record = Some(self.hear(opened?)?),
                Wake::Answered(answer) => self.decide(answer)?,
                Wake::Reported(report) => self.take(report)?,
                Wake::Room(permit) => {
                    if let Some(job) = self.saving.as_mut().and_then(|saving| saving.next.take()) {
                        permit.send(job);
                    }
                    // While the disk was busy nothing was listened to.
                    self.pulse.handle_heard();
                }
                Wake::Beat(Beat::Quiet) => {}
                Wake::Beat(Beat::Ping(ping)) => {
                    // A full queue is traffic enough.
                    let _ = pipe.drafts.try_send(Draft::of(&ping));
                }
                Wake::Progress => self.report_progress(),
                Wake::NobodyKnows => return Ok(()),
            }
            self.perform(record, pipe).await?;
        }
        Ok(())
    }

    /// Waits for whatever comes next. Records are not taken while one waits for the disk.
    async fn wait(&mut self, pipe: &mut Pipe, cancel: &CancellationToken, progress: &mut Interval) -> Wake {
        let question = self.offered.as_mut().map(|offered| &mut offered.question);
        let saving = self.saving.as_mut();
        let is_waiting = saving.as_ref().is_some_and(|saving| saving.next.is_some());
        let complete_since = saving.as_ref().and_then(|saving| saving.complete_since);
        let is_moving = saving.is_some() && complete_since.is_none();
        let jobs = saving.as_ref().filter(|_| is_waiting).map(|saving| saving.jobs.clone());
        let reports = saving.map(|saving| &mut saving.reports);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Wake::Cancelled,
            Some(report) = maybe(reports.map(mpsc::Receiver::recv)) => Wake::Reported(report),
            Ok(permit) = maybe(jobs.map(mpsc::Sender::reserve_owned)) => Wake::Room(permit),
            opened = pipe.opened.recv(), if !is_waiting => Wake::Opened(opened.unwrap_or(Err(Error::Lost))),
            answer = maybe(question) => Wake::Answered(answer),
            beat = self.pulse.beat() => Wake::Beat(beat),
            _ = progress.tick(), if is_moving => Wake::Progress,
            () = maybe(complete_since.map(|since| sleep_until(since + DONE_LINGER))) => Wake::NobodyKnows,
        }
    }

    /// Does what the machine says; `record` is what it was just shown.
    async fn perform(&mut self, record: Option<Opened>, pipe: &Pipe) -> Result<(), Error> {
        let mut steps = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                // A sender that asks again and again, and reads no answer, must not hold this side up.
                Output::Send(pong @ Message::Pong { .. }) => {
                    let _ = pipe.drafts.try_send(Draft::of(&pong));
                }
                Output::Send(message) => {
                    // What a receiver says is little: a path that does not take even that is broken. One that has been
                    // closed is told of by the last that arrived over it, which is still to be read.
                    if timeout(SILENCE_LIMIT, pipe.drafts.send(Draft::of(&message))).await.is_err() {
                        return self.handle_lost();
                    }
                }
                Output::Ask(manifest) => self.consider(manifest)?,
                Output::Write { file, offset, bytes } => steps.push(Step::Write { file, offset, bytes }),
                Output::WriteWhole { file, bytes, digest } => {
                    steps.push(Step::WriteWhole { file, bytes, digest });
                }
                Output::Commit { file, len, digest } => steps.push(Step::Commit { file, len, digest }),
                Output::Finish => steps.push(Step::Finish),
                Output::StartOver { .. } | Output::Done => {}
            }
        }
        if let (Some(saving), Some(record), false) = (&mut self.saving, record, steps.is_empty()) {
            saving.next = Some(Job { record, steps });
        }
        Ok(())
    }

    fn hear(&mut self, opened: Opened) -> Result<Opened, Error> {
        self.pulse.handle_heard();
        self.machine.handle_record(opened.plaintext(), opened.record_len())?;
        Ok(opened)
    }

    /// The path is gone. That is a failure, unless everything is here already.
    fn handle_lost(&self) -> Result<(), Error> {
        if self.machine.is_complete() { Ok(()) } else { Err(Error::Lost) }
    }

    /// Looks at an offer before anyone is asked: whether there is a place and room for it.
    fn consider(&mut self, manifest: Arc<Manifest>) -> Result<(), Error> {
        let opened = OutputDir::open(&self.receiving.output).and_then(|dir| Ok((dir.free_space()?, dir)));
        let (free_space, output) = opened.map_err(|error| self.give_up(error, None))?;
        let offer = offer(&manifest, &self.receiving, free_space);
        self.reporter.report(Event::Offered(offer.clone()));
        if !offer.fits() {
            self.machine.handle_decline(DeclineReason::NoSpace);
            let (needed, free) = (offer.total_size, free_space.unwrap_or(0));
            return Err(Error::NoRoom { destination: offer.destination, needed, free });
        }
        if self.receiving.agreed {
            return self.accept(manifest, output);
        }
        let ask = self.ask;
        let question = Box::pin(async move { ask.consent(&offer).await });
        self.offered = Some(Offered { manifest, output, question });
        Ok(())
    }

    fn decide(&mut self, answer: Result<Consent, AskError>) -> Result<(), Error> {
        let Some(Offered { manifest, output, .. }) = self.offered.take() else { return Ok(()) };
        match answer {
            Ok(Consent::Accept) => self.accept(manifest, output),
            Ok(Consent::Decline) => {
                self.machine.handle_decline(DeclineReason::User);
                Err(Error::Declined)
            }
            Err(error) => {
                self.machine.handle_decline(DeclineReason::User);
                Err(error.into())
            }
        }
    }

    /// Decides where everything goes, starts the disk thread, and tells the sender to begin.
    fn accept(&mut self, manifest: Arc<Manifest>, output: OutputDir) -> Result<(), Error> {
        let root = output.path().to_owned();
        let prepared = output.prepare(Arc::clone(&manifest), self.receiving.options);
        let sink = match prepared {
            Ok(sink) => sink,
            Err(error @ SinkError::Symlink { .. }) => {
                self.machine.handle_decline(DeclineReason::Unwanted);
                return Err(error.into());
            }
            Err(error) => return Err(self.give_up(error, None)),
        };
        let mut place = root.clone();
        for placement in sink.placements() {
            if placement.sent != placement.saved {
                let (from, to) = (placement.sent.clone(), placement.saved.clone());
                self.reporter.report(Event::Warning(Warning::Renamed { from, to }));
            }
            place = root.join(&placement.saved);
        }
        if sink.placements().count() > 1 {
            place = root;
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
        self.saving =
            Some(Saving { manifest, tally, jobs, next: None, reports, remains, place, complete_since: None });
        self.machine.handle_accept(Vec::new());
        Ok(())
    }

    fn take(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Written { record_len } => self.machine.handle_written(record_len),
            Report::Saved { path, size } => {
                let path = self.receiving.output.join(path);
                self.reporter.report(Event::Saved { path, size });
            }
            Report::Finished { unkept_attributes } => {
                self.report_progress();
                if let Some(saving) = &mut self.saving {
                    saving.complete_since = Some(Instant::now());
                    if unkept_attributes > 0 {
                        let warning = Warning::AttributesNotKept(saving.place.clone());
                        self.reporter.report(Event::Warning(warning));
                    }
                }
                self.machine.handle_finished();
            }
            Report::Failed { file, error } => return Err(self.give_up(error, file)),
        }
        Ok(())
    }

    /// Tells the sender that this disk cannot go on.
    fn give_up(&mut self, error: SinkError, file: Option<u32>) -> Error {
        let reason = if matches!(error, SinkError::NoSpace { .. }) {
            AbortReason::DiskFull
        } else if matches!(error, SinkError::DigestMismatch { .. }) {
            AbortReason::Integrity
        } else {
            AbortReason::DiskError
        };
        self.machine.handle_abort(reason, file);
        error.into()
    }

    fn report_progress(&self) {
        if let Some(saving) = &self.saving {
            saving.tally.report(self.reporter);
        }
    }

    /// Sends what the machine still has to say, and goodbye if everything went well.
    async fn say_the_rest(&mut self, pipe: &Pipe) {
        let is_done = self.machine.is_done();
        while let Some(output) = self.machine.poll_output() {
            if let Output::Send(message) = output {
                let _ = pipe.drafts.send(Draft::of(&message)).await;
            }
        }
        if is_done {
            let _ = pipe.drafts.send(Draft::of(&Message::Bye)).await;
        }
    }
}

impl Saving {
    /// Lets the disk thread put away what is worth keeping, and says what that is.
    async fn fail(self, error: Error, output: &Path) -> Failure {
        let Self { manifest, jobs, next, reports, remains, .. } = self;
        drop((jobs, next, reports));
        let remains = timeout(DISK_DEADLINE, remains).await.ok().and_then(Result::ok);
        let saved_count = remains.as_ref().map_or(0, |remains| remains.saved_count);
        let kept = remains.and_then(|remains| remains.kept);
        Failure {
            error,
            saved_count,
            file_count: u64::from(manifest.file_count()),
            partial: kept.map(|kept| output.join(kept.path)),
        }
    }
}

impl Failure {
    fn new(error: Error) -> Self {
        Self { error, saved_count: 0, file_count: 0, partial: None }
    }
}

/// What is offered, as the user is asked about it.
fn offer(manifest: &Manifest, receiving: &Receiving, free_space: Option<u64>) -> Offer {
    let mut offer = Offer::new(receiving.output.clone(), free_space);
    for entry in manifest.entries() {
        let kind = match entry.kind {
            EntryKind::Directory => report::EntryKind::Directory,
            EntryKind::File { .. } | EntryKind::Stream | EntryKind::Symlink { .. } => report::EntryKind::File,
        };
        offer.add(entry.path.as_str(), kind, entry.kind.size(), entry.mode & 0o111 != 0);
    }
    offer
}

/// The future, if there is one; never, if there is none.
async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// How long the disk may take to put away what is worth keeping.
const DISK_DEADLINE: Duration = Duration::from_secs(30);
