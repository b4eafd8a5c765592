//! The receiver's task: lets the machine check every record, asks the user, keeps the disk thread busy, and goes on after
//! a break of the connection.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wire::manifest::Manifest;
use wire::message::{AbortReason, DeclineReason, Message};
use wire::transfer::receiver::{Held, Output};
use wire::transfer::{self, DONE_LINGER, SILENCE_LIMIT};

use super::breadth::Breadth;
use super::disk::{Job, Report, Step};
use super::link::{Link, Wake as LinkWake};
use super::offered::Offered;
use super::pipe::Opened;
use super::saving::Saving;
use super::tally::resumed;
use super::{Error, PROGRESS_INTERVAL};
use crate::connect::{Channel, Rejoin};
use crate::report::{Ask, AskError, Consent, Event, Interruption, Reporter, Warning};
use crate::storage::{Checked, SinkError, SinkOptions};
use crate::transport;

/// How long a receiver that fails takes to tell the other side: twice, to say it and to see it gone.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(3);

/// What the receiver has decided before it knows what comes.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// The directory everything goes into.
    pub output: PathBuf,
    /// How it is saved.
    pub options: SinkOptions,
    /// Whether the user has agreed beforehand.
    pub agreed: bool,
    /// Whether what an earlier attempt left does not count.
    pub restart: bool,
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

/// Receives through `channel`, and those that `rejoin` gives when it breaks, into a directory, once the user has agreed.
///
/// [`Event::Finished`] comes as soon as everything is in place. It returns when the sender knows of it too: a sender that lost the
/// connection at the very end is waited for as long as it looks for this side.
///
/// # Errors
/// [`Failure`]. The sender is told why, as far as it can be reached. Cancelling `cancel` gives [`Error::Interrupted`].
pub async fn receive(
    (channel, rejoin): (Channel, Rejoin),
    receiving: Receiving,
    (reporter, ask): (&dyn Reporter, &dyn Ask),
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let link = Link::up(channel, rejoin).map_err(|error| Failure::new(Error::Thread(error)))?;
    let mut machine = transfer::Receiver::new();
    machine.handle_generation();
    let task = Task {
        machine,
        receiving,
        reporter,
        ask,
        link,
        offered: None,
        saving: None,
        breadth: Breadth::default(),
    };
    task.run(cancel).await
}

/// The state of the task.
struct Task<'a> {
    machine: transfer::Receiver,
    receiving: Receiving,
    reporter: &'a dyn Reporter,
    ask: &'a dyn Ask,
    link: Link,
    offered: Option<Offered<'a>>,
    saving: Option<Saving>,
    breadth: Breadth,
}

/// What woke the task.
enum Wake {
    Cancelled,
    Link(LinkWake),
    Answered(Result<Consent, AskError>),
    Checked(Checked),
    Reported(Report),
    Held(Option<Vec<Held>>),
    Room(mpsc::OwnedPermit<Job>),
    Progress,
    NobodyKnows,
}

impl Task<'_> {
    async fn run(mut self, cancel: &CancellationToken) -> Result<(), Failure> {
        let outcome = self.work(cancel).await;
        // Whether the last words arrive changes nothing about what happened.
        let _ = timeout(FAREWELL_DEADLINE, self.say_the_rest()).await;
        self.link.close(FAREWELL_DEADLINE).await;
        match (self.saving, outcome) {
            (Some(saving), outcome) => saving.end(outcome, &self.receiving.output, self.reporter).await,
            (None, Ok(())) => Err(Failure::new(Error::Lost)),
            (None, Err(error)) => Err(Failure::new(error)),
        }
    }

    /// Works until the sender knows that everything is here, or until that no longer matters.
    async fn work(&mut self, cancel: &CancellationToken) -> Result<(), Error> {
        let mut progress = interval(PROGRESS_INTERVAL);
        self.perform(None).await?;
        while !self.machine.is_done() {
            let mut record = None;
            match self.wait(cancel, &mut progress).await {
                Wake::Cancelled => {
                    self.machine.handle_abort(AbortReason::Cancelled, None);
                    return Err(Error::Interrupted);
                }
                Wake::Link(LinkWake::Opened(opened)) => record = Some(self.hear(opened)?),
                Wake::Link(LinkWake::Ping(ping)) => self.link.try_send(&ping),
                Wake::Link(LinkWake::Moved(path)) => self.reporter.report(self.link.connected(path)),
                // Only the sender leaves by itself.
                Wake::Link(LinkWake::Leave(..)) => {}
                Wake::Link(LinkWake::Lost) => self.lose_link(),
                Wake::Link(LinkWake::Back(path) | LinkWake::Restart(path, _)) => self.go_on_over(path),
                Wake::Link(LinkWake::Failed(error)) => {
                    if error.is_violation() {
                        self.machine.handle_abort(AbortReason::Protocol, None);
                    }
                    return Err(error);
                }
                Wake::Answered(answer) => self.decide(answer)?,
                Wake::Checked(checked) => self.accept(checked)?,
                Wake::Reported(report) => self.take(report)?,
                Wake::Held(held) => self.go_on(held),
                Wake::Room(permit) => {
                    if let Some(job) = self.saving.as_mut().and_then(|saving| saving.next.pop_front()) {
                        permit.send(job);
                    }
                    // While the disk was busy nothing was listened to.
                    self.link.handle_heard();
                }
                Wake::Progress => self.report_progress(),
                Wake::NobodyKnows => return Ok(()),
            }
            if self.breadth.look(self.machine.flow(), self.link.round_trip(), Instant::now()) {
                self.machine.widen();
            }
            self.perform(record).await?;
        }
        Ok(())
    }

    /// Waits for whatever comes next. Records are not taken while one waits for the disk.
    async fn wait(&mut self, cancel: &CancellationToken, progress: &mut Interval) -> Wake {
        let saving = self.saving.as_mut();
        let is_waiting = saving.as_ref().is_some_and(|saving| !saving.next.is_empty());
        let complete_since = saving.as_ref().and_then(|saving| saving.complete_since);
        let lingering_since = complete_since.filter(|_| self.link.is_up());
        let (question, checking) = match self.offered.as_mut() {
            Some(offered) => (offered.question.as_mut(), offered.checking.as_mut()),
            None => (None, None),
        };
        let is_moving = checking.is_some() || (saving.is_some() && complete_since.is_none());
        let jobs = saving.as_ref().filter(|_| is_waiting).map(|saving| saving.jobs.clone());
        let (reports, held) = match saving {
            Some(saving) => (Some(&mut saving.reports), saving.held.as_mut()),
            None => (None, None),
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Wake::Cancelled,
            Some(report) = maybe(reports.map(mpsc::Receiver::recv)) => Wake::Reported(report),
            Ok(permit) = maybe(jobs.map(mpsc::Sender::reserve_owned)) => Wake::Room(permit),
            told = maybe(held) => Wake::Held(told.ok()),
            wake = self.link.wake(!is_waiting) => Wake::Link(wake),
            answer = maybe(question) => Wake::Answered(answer),
            checked = maybe(checking) => Wake::Checked(checked),
            _ = progress.tick(), if is_moving => Wake::Progress,
            () = maybe(lingering_since.map(|since| sleep_until(since + DONE_LINGER))) => Wake::NobodyKnows,
        }
    }

    /// Does what the machine says; `record` is what it was just shown.
    async fn perform(&mut self, record: Option<Opened>) -> Result<(), Error> {
        let mut steps = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                // A sender that asks again and again, and reads no answer, must not hold this side up.
                Output::Send(pong @ Message::Pong { .. }) => self.link.try_send(&pong),
                Output::Send(message) => {
                    // What a receiver says is little: a path that does not take even that is broken. One that has been
                    // closed is told of by the last that arrived over it, which is still to be read.
                    if timeout(SILENCE_LIMIT, self.link.send(&message)).await.is_err() {
                        self.lose_link();
                    }
                }
                Output::Ask(manifest) => self.consider(manifest)?,
                Output::Write { file, offset, bytes } => steps.push(Step::Write { file, offset, bytes }),
                Output::WriteWhole { file, bytes, digest } => {
                    steps.push(Step::WriteWhole { file, bytes, digest });
                }
                Output::Commit { file, len, digest } => steps.push(Step::Commit { file, len, digest }),
                Output::GoOn { file, offset } => {
                    self.tell_resumed(file, offset);
                    steps.push(Step::GoOn { file, offset });
                }
                Output::StartOver { file } => {
                    self.tell_start_over(file);
                    steps.push(Step::StartOver { file });
                }
                Output::Finish => steps.push(Step::Finish),
                Output::Done => {}
            }
        }
        if let (Some(saving), Some(record), false) = (&mut self.saving, record, steps.is_empty()) {
            saving.next.push_back(Job::Record { record, steps });
        }
        Ok(())
    }

    fn hear(&mut self, opened: Opened) -> Result<Opened, Error> {
        self.machine.handle_record(opened.plaintext(), opened.record_len())?;
        Ok(opened)
    }

    /// The path is gone; both sides look for another.
    fn lose_link(&mut self) {
        let saving = self.saving.as_ref();
        let nothing = || {
            let total = self.offered.as_ref().map_or(0, |offered| offered.manifest.total_size());
            Interruption { kept: 0, total }
        };
        let interruption = saving.map_or_else(nothing, |saving| saving.tally.interruption());
        if !self.link.break_down() {
            return;
        }
        // Nothing is missing once everything is here; the sender has only not said yet that it knows.
        self.reporter.report(if self.machine.is_complete() {
            Event::Warning(Warning::SenderUnaware)
        } else {
            Event::Reconnecting(interruption)
        });
    }

    /// Asks the disk what is there, if the sender has to be told.
    fn ask_held(&mut self) {
        let is_resuming = self.machine.is_resuming();
        if let Some(saving) = self.saving.as_mut().filter(|_| is_resuming) {
            saving.ask_held();
        }
    }

    /// What was on its way is lost: the sender is told what is here.
    fn go_on_over(&mut self, path: transport::Path) {
        self.reporter.report(self.link.connected(path));
        self.machine.handle_generation();
        self.ask_held();
        // It says DONE again.
        self.saving.iter_mut().for_each(Saving::linger);
    }

    /// Tells the sender what is on the disk, for it to go on behind that. A disk thread that ended has told why.
    fn go_on(&mut self, held: Option<Vec<Held>>) {
        if let Some(saving) = &mut self.saving {
            saving.held = None;
        }
        if let Some(held) = held {
            self.machine.handle_accept(held);
        }
    }

    /// Looks at an offer before anyone is asked: whether there is a place and room for it, and what is here of it.
    fn consider(&mut self, manifest: Arc<Manifest>) -> Result<(), Error> {
        let looked = Offered::of(manifest, &self.receiving);
        let mut offered = looked.map_err(|error| self.give_up(error, None))?;
        let offer = &offered.offer;
        self.reporter.report(Event::Offered(offer.clone()));
        if !offer.fits() {
            self.machine.handle_decline(DeclineReason::NoSpace);
            let (needed, free) = (offer.total_size, offer.free_space.unwrap_or(0));
            return Err(Error::NoRoom { destination: offer.destination.clone(), needed, free });
        }
        if self.receiving.agreed {
            offered.check();
        } else {
            offered.ask(self.ask);
        }
        self.offered = Some(offered);
        self.report_progress();
        Ok(())
    }

    fn decide(&mut self, answer: Result<Consent, AskError>) -> Result<(), Error> {
        let Some(offered) = &mut self.offered else { return Ok(()) };
        offered.question = None;
        match answer {
            Ok(Consent::Accept) => {
                offered.check();
                self.report_progress();
                Ok(())
            }
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
    fn accept(&mut self, mut checked: Checked) -> Result<(), Error> {
        self.report_progress();
        let Some(Offered { manifest, output, .. }) = self.offered.take() else { return Ok(()) };
        let root = output.path().to_owned();
        let held = std::mem::take(&mut checked.held);
        let sink = match output.prepare(Arc::clone(&manifest), self.receiving.options, checked) {
            Ok(sink) => sink,
            Err(error @ SinkError::Symlink { .. }) => {
                self.machine.handle_decline(DeclineReason::Unwanted);
                return Err(error.into());
            }
            Err(error) => return Err(self.give_up(error, None)),
        };
        self.saving = Some(Saving::start(sink, &root, manifest, self.reporter)?);
        self.machine.handle_accept(held);
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
                if let Some(saving) = &mut self.saving {
                    saving.complete_since = Some(Instant::now());
                    if unkept_attributes > 0 {
                        let warning = Warning::AttributesNotKept(saving.place.clone());
                        self.reporter.report(Event::Warning(warning));
                    }
                    saving.tell_finished(self.reporter);
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

    fn tell_resumed(&self, file: u32, offset: u64) {
        let Some(saving) = &self.saving else { return };
        let event = resumed(&saving.manifest, file, offset);
        // A whole file is not gone on with; it is only not sent again.
        if matches!(event, Event::Resumed { size, .. } if 0 < offset && offset < size) {
            saving.tally.go_to(file, offset);
            self.reporter.report(event);
        }
    }

    fn tell_start_over(&self, file: u32) {
        let Some(saving) = &self.saving else { return };
        let item = usize::try_from(file).ok().and_then(|file| saving.manifest.entries().get(file));
        let name = item.map(|item| item.path.as_str().to_owned()).unwrap_or_default();
        self.reporter.report(Event::Warning(Warning::StartsOver { name }));
    }

    fn report_progress(&self) {
        if let Some(saving) = &self.saving {
            saving.tally.report(self.reporter);
        } else if let Some(event) = self.offered.as_ref().filter(|offered| offered.checking.is_some()) {
            event.progress().into_iter().for_each(|event| self.reporter.report(event));
        }
    }

    /// Sends what the machine still has to say, and goodbye if everything went well.
    async fn say_the_rest(&mut self) {
        let is_done = self.machine.is_done();
        while let Some(output) = self.machine.poll_output() {
            if let Output::Send(message) = output {
                self.link.send(&message).await;
            }
        }
        if is_done {
            self.link.send(&Message::Bye).await;
        }
    }
}

impl Failure {
    fn new(error: Error) -> Self {
        Self { error, saved_count: 0, file_count: 0, partial: None }
    }
}

/// The future, if there is one; never, if there is none.
async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
