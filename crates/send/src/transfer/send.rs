//! The sender's task: asks the machine what to do, keeps the reading thread busy, listens, and goes on after a break of the
//! connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};
use tokio_util::sync::CancellationToken;
use wire::message::{AbortReason, Message};
use wire::transfer::sender::Output;
use wire::transfer::{self, TransferError};

use super::link::{Link, Wake};
use super::pace::{Answers, pace};
use super::pipe::{Opened, spawn};
use super::reading::{Job, Reading, Report};
use super::tally::{Tally, summary};
use super::{Error, PROGRESS_INTERVAL};
use crate::connect::{Channel, Rejoin};
use crate::report::{Event, Reporter, Summary};
use crate::storage::{Source, SourceError};
use crate::transport;

/// Jobs that wait for the reading thread. Small, so that an answer does not wait behind many chunks.
const JOB_QUEUE_LEN: usize = 4;

/// How long the last words may take. Whatever the receiver has granted may lie before them on a slow path: 8 MiB at 1 MB/s.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(10);

/// What a completed transfer amounted to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What was sent.
    pub what: Summary,
    /// Bytes of files that crossed the network.
    pub moved: u64,
    /// From the receiver's consent to its last word.
    pub elapsed: Duration,
}

/// Sends everything in `source` through `channel`, and those that `rejoin` gives when it breaks; returns when the receiver
/// has it all, verified and on disk.
///
/// # Errors
/// [`enum@Error`]. The receiver is told why, as far as it can be reached. Cancelling `cancel` gives [`Error::Interrupted`].
pub async fn send(
    (channel, rejoin): (Channel, Rejoin),
    source: &Source,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Sent, Error> {
    let manifest = Arc::clone(source.manifest());
    let link = Link::up(channel, rejoin).map_err(Error::Thread)?;
    let tally = Arc::new(Tally::new(Arc::clone(&manifest)));
    let (jobs, job_queue) = mpsc::channel(JOB_QUEUE_LEN);
    let (report_queue, reports) = mpsc::channel(JOB_QUEUE_LEN);
    let (answers, pace) = pace();
    let reading =
        Reading::new(Arc::clone(&manifest), source.reader(), report_queue, Arc::clone(&tally), pace);
    spawn("send-read", move || reading.run(job_queue)).map_err(Error::Thread)?;

    let machine = transfer::Sender::new(Arc::clone(&manifest));
    let answers = Some(answers);
    let mut sending = Sending {
        machine,
        link,
        jobs,
        answers,
        next: None,
        crossing: None,
        is_accepted: false,
        tally,
        reporter,
    };
    sending.begin_generation();
    sending.run(reports, cancel).await?;
    Ok(Sent { what: summary(&manifest), moved: sending.tally.moved(), elapsed: sending.tally.elapsed() })
}

/// The state of the task.
struct Sending<'a> {
    machine: transfer::Sender,
    link: Link,
    jobs: mpsc::Sender<Job>,
    /// Until there is something to say that does not wait for the rest of a manifest.
    answers: Option<Answers>,
    next: Option<Job>,
    /// What comes before everything that the machine says next.
    crossing: Option<Job>,
    is_accepted: bool,
    tally: Arc<Tally>,
    reporter: &'a dyn Reporter,
}

impl Sending<'_> {
    /// Works until the receiver has everything, then says goodbye and waits until that is out.
    async fn run(
        &mut self,
        mut reports: mpsc::Receiver<Report>,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let outcome = self.work(&mut reports, cancel).await;
        self.answers = None;
        if self.machine.is_done() {
            self.next = Some(Job::Message(Message::Bye));
        }
        // Whether the last words arrive changes nothing about what happened.
        let deadline = Instant::now() + FAREWELL_DEADLINE;
        let _ = timeout_at(deadline, self.say_the_rest()).await;
        self.link.report(outcome.is_ok()).await;
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.jobs, closed));
        self.link.close(deadline.saturating_duration_since(Instant::now())).await;
        outcome
    }

    async fn work(
        &mut self,
        reports: &mut mpsc::Receiver<Report>,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let mut progress = interval(PROGRESS_INTERVAL);
        while !self.machine.is_done() || self.next.is_some() {
            self.decide();
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.give_up(AbortReason::Cancelled, None);
                    return Err(Error::Interrupted);
                }
                wake = self.link.wake(true) => match wake {
                    Wake::Opened(opened) => self.hear(&opened)?,
                    Wake::Ping(ping) => {
                        let _ = self.jobs.try_send(Job::Message(ping));
                    }
                    Wake::Leave(next, drafts) => self.crossing = Some(Job::Switch { next, drafts }),
                    Wake::Moved(path) => self.reporter.report(self.link.connected(path)),
                    Wake::Restart(path, mark) => self.restart(path, mark),
                    Wake::Lost if self.machine.is_done() => return Ok(()),
                    Wake::Lost => self.lose_link(),
                    Wake::Back(path) => {
                        self.reporter.report(self.link.connected(path));
                        self.begin_generation();
                    }
                    Wake::Failed(error) => {
                        if error.is_violation() {
                            self.give_up(AbortReason::Protocol, None);
                        }
                        return Err(self.judge(error));
                    }
                },
                Some(report) = reports.recv() => self.take(report)?,
                permit = self.jobs.clone().reserve_owned(), if self.next.is_some() => {
                    // The reading thread ends only with this queue.
                    if let (Ok(permit), Some(job)) = (permit, self.next.take()) {
                        permit.send(job);
                    }
                }
                _ = progress.tick(), if self.is_accepted => self.tally.report(self.reporter),
            }
        }
        self.tally.complete();
        self.tally.report(self.reporter);
        Ok(())
    }

    /// What it means that there will be no other connection: a receiver that was sent everything may well have it, also when it
    /// no longer waits to say so.
    fn judge(&self, error: Error) -> Error {
        const LEFT: TransferError = TransferError::Aborted { reason: AbortReason::Cancelled, file: None };
        let is_gone = matches!(error, Error::Lost | Error::Peer(LEFT));
        if is_gone && self.machine.has_sent_all() { Error::Unconfirmed } else { error }
    }

    /// A channel is open: what the reading thread still has to do is for one that is not.
    fn begin_generation(&mut self) {
        self.machine.handle_generation();
        self.next = self.link.drafts().map(Job::Generation);
    }

    /// The path that was left died before everything had arrived: the receiver says where to go on over the other.
    fn restart(&mut self, path: transport::Path, mark: Option<u32>) {
        self.machine.handle_generation();
        // What is queued for the old path goes nowhere; this is where what counts begins.
        self.next = self.link.drafts().map(Job::Generation);
        self.crossing = mark.map(|next| Job::Message(Message::Switch { next }));
        self.reporter.report(self.link.connected(path));
    }

    /// The path is gone; both sides look for another.
    fn lose_link(&mut self) {
        if self.link.break_down() {
            (self.next, self.crossing) = (None, None);
            self.reporter.report(Event::Reconnecting(self.tally.interruption()));
        }
    }

    /// Asks the machine for the next job.
    fn decide(&mut self) {
        self.next = self.next.take().or_else(|| self.crossing.take());
        while self.next.is_none() {
            let Some(output) = self.machine.poll_output() else { return };
            self.next = match output {
                Output::Send(message) => Some(Job::Message(message)),
                Output::SendManifest => Some(Job::Manifest),
                Output::HashPrefix { file, offset } => Some(Job::HashPrefix { file, offset }),
                Output::Read(read) => Some(Job::Read(read)),
                Output::Accepted => {
                    self.is_accepted = true;
                    self.tally.begin();
                    None
                }
                Output::Done => None,
            };
        }
    }

    fn hear(&mut self, opened: &Opened) -> Result<(), Error> {
        let handled = self.machine.handle_record(opened.plaintext());
        if let (Some(answers), Some(token)) = (&mut self.answers, self.machine.last_pong()) {
            answers.handle_pong(token);
        }
        // What is still queued for a receiver that is out would only delay the farewell.
        handled.inspect_err(|_| self.next = None).map_err(Error::from)
    }

    fn take(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Prefix { file, offset, digest } => {
                self.machine.handle_prefix(file, offset, digest);
                Ok(())
            }
            Report::Failed { file, error } => {
                let is_changed = matches!(error, SourceError::Changed { .. });
                let reason =
                    if is_changed { AbortReason::SourceChanged } else { AbortReason::SourceUnreadable };
                self.give_up(reason, Some(file));
                Err(error.into())
            }
        }
    }

    fn give_up(&mut self, reason: AbortReason, file: Option<u32>) {
        self.machine.handle_abort(reason, file);
        self.next = None;
    }

    /// Passes on what the machine still has to say.
    async fn say_the_rest(&mut self) {
        loop {
            if let Some(Job::Message(message)) = self.next.take() {
                if self.link.is_up() {
                    let _ = self.jobs.send(Job::Message(message)).await;
                } else {
                    self.link.send(&message).await;
                }
            }
            self.decide();
            if self.next.is_none() {
                return;
            }
        }
    }
}
