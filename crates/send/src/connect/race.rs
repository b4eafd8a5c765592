//! Every way to the other side at once: WebRTC and the relay of the rendezvous. The first that works carries the transfer, a
//! better one that comes up later is handed on, and where there is none it is looked for again.
//!
//! ```text
//! Runner::first ─► the lane that both sides begin with
//! Runner::go_on ─► Race::next ─► further lanes, each better (at the receiver: each that the sender may go to)
//! ```

mod opening;
mod watch;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::generation::Generation;
use wire::keys::Binding;
use wire::message::AbortReason;
use wire::signal::{DescriptionKind, MAX_CANDIDATES, Signal};
use wire::signaling::{Join, ReportedPath, Role, SIGNALING_VERSION, Ticket};

use self::opening::{hear_first, say_first};
use self::watch::Watch;
use super::channel::{Lane, open_generation};
use super::direct::{Direct, Progress};
use super::signals::Seals;
use super::{ConnectError, Handed, PATH_DEADLINE, Pairing, REPORT_DEADLINE, Rejoin};
use crate::policy::Relay;
use crate::transport::{Path, Transport, relay};

/// How long the sender gives a better path to come up once the relay works: on most networks one does, and the transfer need not
/// begin with a move.
const HEAD_START: Duration = Duration::from_millis(400);

/// Lanes that may wait to be taken.
const QUEUE_LEN: usize = 4;

/// The search that goes on while a transfer runs. Dropping it ends that, and the connection to the rendezvous.
#[derive(Debug)]
pub struct Race {
    lanes: mpsc::Receiver<Lane>,
    reports: mpsc::Sender<Report>,
    /// The task; aborted with this.
    _task: JoinSet<()>,
}

/// How a session ended, and whom to tell when that was said.
type Report = (ReportedPath, bool, oneshot::Sender<()>);

impl Race {
    /// The next lane, if there ever is one; `None` when the other side has given up what there is and begins anew. Cancelling
    /// it loses nothing.
    pub async fn next(&mut self) -> Option<Lane> {
        self.lanes.recv().await
    }

    /// Tells the rendezvous how the session ended, for its operator's statistics, if that can be done quickly.
    pub async fn report(&mut self, path: ReportedPath, ok: bool) {
        let (done, is_done) = oneshot::channel();
        if self.reports.try_send((path, ok, done)).is_ok() {
            let _ = timeout(REPORT_DEADLINE, is_done).await;
        }
    }
}

/// One meeting's search for paths.
pub(super) struct Runner {
    rejoin: Rejoin,
    /// Nothing when the way through the rendezvous broke.
    pairing: Option<Pairing>,
    seals: Seals,
    handed: Handed,
    /// The generation of WebRTC; that of the relay is the next.
    number: u32,
    direct: Option<Direct>,
    /// Candidates that came before the description that they belong to.
    early: Vec<(String, String)>,
    tasks: JoinSet<Done>,
    /// Paths that are being opened, the negotiation aside.
    opening: usize,
    /// Whether both sides try more than one path, so that the sender says which they begin with.
    is_race: bool,
    /// Cancelled when they have begun.
    begun: CancellationToken,
    /// Whether the sender, which they had begun with, begins anew: nobody else calls to the relay again.
    is_left: bool,
    reports: Option<mpsc::Receiver<Report>>,
    /// Why the last path did not come about.
    error: Option<ConnectError>,
}

/// What a task has come to.
enum Done {
    /// A path is open or not; whether the sender has said over it that both begin with it.
    Opened(Result<(Box<Lane>, bool), ConnectError>),
    /// Nothing better has come up in time.
    HeadStart,
    /// There has been time enough.
    Deadline,
    /// It is time to look for a better path again.
    Pause,
    /// Both sides have met again for that, or not.
    Met(Box<Result<Meeting, ConnectError>>),
}

/// What comes of a meeting: the way to the other side, the next generation, and what the rendezvous gave.
pub(super) type Meeting = (Pairing, Seals, u32, Handed);

impl Runner {
    /// Both sides have met, and open the generation `number` over WebRTC or the next over the relay.
    pub(super) fn new(
        rejoin: Rejoin,
        pairing: Pairing,
        seals: Seals,
        (number, handed): (u32, Handed),
    ) -> Self {
        Self {
            rejoin,
            pairing: Some(pairing),
            seals,
            handed,
            number,
            direct: None,
            early: Vec::new(),
            tasks: JoinSet::new(),
            opening: 0,
            is_race: false,
            begun: CancellationToken::new(),
            is_left: false,
            reports: None,
            error: None,
        }
    }

    /// The way to the other side through the rendezvous, if it is still there.
    pub(super) fn into_pairing(self) -> Option<Pairing> {
        self.pairing
    }

    /// Tries every path, and gives the one that both sides begin with.
    pub(super) async fn first(&mut self) -> Result<Lane, ConnectError> {
        self.wake_after(PATH_DEADLINE, Done::Deadline);
        let found = self.find().await;
        if found.is_err() {
            // The other side is still looking; it may as well stop.
            let _ = self.say(&Signal::Abort { reason: AbortReason::Internal.code() }).await;
        }
        let mut lane = found?;
        if self.is_race && self.role() == Role::Sender {
            say_first(&mut lane).await?;
        }
        self.begun.cancel();
        Ok(lane)
    }

    async fn find(&mut self) -> Result<Lane, ConnectError> {
        if self.role() == Role::Sender {
            self.set_out().await?;
        }
        let mut held: Option<Box<Lane>> = None;
        loop {
            match self.step().await? {
                Some(Done::Opened(Ok((lane, is_begun)))) => {
                    let may_begin = match self.role() {
                        Role::Sender => lane.transport.path != Path::Relay || !self.looks_for_better(),
                        Role::Receiver => is_begun || !self.is_race,
                    };
                    if may_begin {
                        return Ok(*lane);
                    }
                    if self.role() == Role::Sender {
                        self.wake_after(HEAD_START, Done::HeadStart);
                        held = Some(lane);
                    } else {
                        // It spoke over this one, but has begun with another, which is still to be heard.
                        self.keep(lane);
                    }
                }
                Some(Done::Opened(Err(error))) => self.error = Some(error),
                Some(Done::HeadStart) => {
                    if let Some(lane) = held.take() {
                        return Ok(*lane);
                    }
                }
                Some(Done::Deadline) => return held.map(|lane| *lane).ok_or(ConnectError::NoPath),
                Some(Done::Pause | Done::Met(_)) | None => {}
            }
            if self.role() == Role::Sender && !self.looks_for_better() && self.opening == 0 {
                let none = || self.error.take().unwrap_or(ConnectError::NoPath);
                return held.map(|lane| *lane).ok_or_else(none);
            }
        }
    }

    /// The sender's first steps.
    async fn set_out(&mut self) -> Result<(), ConnectError> {
        let ticket = self.ticket();
        if let Some(ticket) = &ticket {
            self.say(&Signal::Relay { generation: self.number + 1 }).await?;
            self.join_relay(ticket.clone());
        }
        self.offer(ticket.is_some()).await
    }

    async fn offer(&mut self, has_other: bool) -> Result<(), ConnectError> {
        let (number, servers) = (self.number, self.handed.ice_servers.clone());
        match Direct::offer(number, self.rejoin.reach(), servers).await {
            Ok((direct, signal)) => {
                self.direct = Some(direct);
                self.say(&signal).await
            }
            Err(ConnectError::NoRelay) if has_other => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What there is to join the relay with, if it is offered and may be used.
    fn ticket(&self) -> Option<Ticket> {
        let is_allowed = self.rejoin.reach().policy.relay != Relay::Never;
        self.handed.relay.clone().filter(|_| is_allowed)
    }

    fn looks_for_better(&self) -> bool {
        self.direct.is_some()
    }

    fn role(&self) -> Role {
        self.rejoin.role()
    }

    /// A lane that is open at the receiver and not begun with: it is handed on later.
    fn keep(&mut self, lane: Box<Lane>) {
        self.opening += 1;
        let begun = self.begun.clone();
        self.tasks.spawn(async move {
            begun.cancelled().await;
            Done::Opened(Ok((lane, false)))
        });
    }

    fn wake_after(&mut self, pause: Duration, done: Done) {
        self.tasks.spawn(async move {
            sleep(pause).await;
            done
        });
    }

    async fn say(&mut self, signal: &Signal) -> Result<(), ConnectError> {
        match &mut self.pairing {
            Some(pairing) => self.seals.send(pairing, signal).await,
            None => Err(ConnectError::PeerLeft),
        }
    }

    /// Waits for one thing and does what comes of it. Not to be cancelled.
    async fn step(&mut self) -> Result<Option<Done>, ConnectError> {
        let Self { pairing, seals, direct, tasks, reports, .. } = self;
        tokio::select! {
            Some(done) = tasks.join_next() => {
                // A task that panicked took nothing along but its path.
                let done = done.unwrap_or(Done::Opened(Err(ConnectError::NoPath)));
                if matches!(done, Done::Opened(_)) {
                    self.opening = self.opening.saturating_sub(1);
                }
                if let (Done::Opened(Ok((lane, _))), Role::Sender) = (&done, self.role()) {
                    // Nobody comes there who has not been called.
                    self.is_race |= lane.transport.path == Path::Relay;
                }
                Ok(Some(done))
            }
            progress = maybe(direct.as_mut(), Direct::next) => self.take(progress).await.map(|()| None),
            signal = maybe(pairing.as_mut(), |there| seals.recv(there)) => {
                self.hear(signal?).await.map(|()| None)
            }
            Some((path, ok, done)) = maybe(reports.as_mut(), mpsc::Receiver::recv) => {
                if let Some(there) = &mut self.pairing {
                    there.report(path, ok).await;
                }
                let _ = done.send(());
                Ok(None)
            }
        }
    }

    async fn take(&mut self, progress: Progress) -> Result<(), ConnectError> {
        match progress {
            Progress::Say(signal) => self.say(&signal).await,
            Progress::Open(transport, binding) => {
                self.direct = None;
                let opening = std::future::ready(Ok(transport));
                self.prove(opening, (self.number, binding))
            }
            Progress::Failed(error) => {
                tracing::info!(%error, "no path of WebRTC");
                self.direct = None;
                self.error = Some(error);
                Ok(())
            }
        }
    }

    async fn hear(&mut self, signal: Signal) -> Result<(), ConnectError> {
        match signal {
            Signal::Relay { .. } if self.role() == Role::Receiver && self.begun.is_cancelled() => {
                self.is_left = true;
                Ok(())
            }
            Signal::Relay { generation } if generation == self.number + 1 => {
                let Some(ticket) = self.ticket() else { return Ok(()) };
                if !std::mem::replace(&mut self.is_race, true) && self.role() == Role::Receiver {
                    self.say(&Signal::Relay { generation }).await?;
                    self.join_relay(ticket);
                }
                Ok(())
            }
            Signal::Description { generation, restart: 0, kind, sdp } if generation == self.number => {
                self.hear_description(kind, &sdp).await
            }
            Signal::Candidate { generation, restart: 0, candidate, mid } if generation == self.number => {
                if let Some(direct) = &mut self.direct {
                    direct.handle_candidate(candidate, mid).await;
                } else if self.early.len() < MAX_CANDIDATES {
                    self.early.push((candidate, mid));
                }
                Ok(())
            }
            Signal::Relay { .. }
            | Signal::Description { .. }
            | Signal::Candidate { .. }
            | Signal::EndOfCandidates { .. }
            | Signal::Generations { .. }
            | Signal::Abort { .. }
            | Signal::Unknown => Ok(()),
        }
    }

    async fn hear_description(&mut self, kind: DescriptionKind, sdp: &str) -> Result<(), ConnectError> {
        match (self.role(), kind, &mut self.direct) {
            (Role::Sender, DescriptionKind::Answer, Some(direct)) => direct.handle_answer(sdp).await,
            (Role::Receiver, DescriptionKind::Offer, None) => {
                let servers = self.handed.ice_servers.clone();
                let (mut direct, answer) =
                    match Direct::answer(self.number, sdp, self.rejoin.reach(), servers).await {
                        Err(ConnectError::NoRelay) if self.is_race => return Ok(()),
                        started => started?,
                    };
                self.say(&answer).await?;
                for (candidate, mid) in self.early.drain(..) {
                    direct.handle_candidate(candidate, mid).await;
                }
                self.direct = Some(direct);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Begins to open the generation of the relay.
    fn join_relay(&mut self, ticket: Ticket) {
        let (slot, role, generation) = (self.rejoin.slot(), self.role(), self.number + 1);
        let server = self.rejoin.server().clone();
        let binding = Binding::relay(&slot);
        let join = Join { v: SIGNALING_VERSION, slot, role, generation, ticket };
        let opening = async move {
            let opened = relay::open(&server, &join).await;
            opened.inspect_err(|error| tracing::info!(%error, ?error, "no relay")).map_err(ConnectError::from)
        };
        // Without a generation of this number there is no path, and that is all.
        let _ = self.prove(opening, (generation, binding));
    }

    /// Proves over a path that it leads to the other side, in the background.
    fn prove(
        &mut self,
        opening: impl Future<Output = Result<Transport, ConnectError>> + Send + 'static,
        (number, binding): (u32, Binding),
    ) -> Result<(), ConnectError> {
        let generation = Generation::new(self.rejoin.secret().clone(), number, binding)?;
        let role = self.role();
        let begun = (role == Role::Receiver && self.is_race).then(|| self.begun.clone());
        self.opening += 1;
        self.tasks.spawn(async move {
            let proven = async {
                let transport = opening.await?;
                let lane = Box::new(open_generation(generation, (number, role), transport).await?);
                match begun {
                    Some(begun) => hear_first(lane, &begun).await,
                    None => Ok((lane, false)),
                }
            };
            Done::Opened(timeout(PATH_DEADLINE, proven).await.unwrap_or(Err(ConnectError::NoPath)))
        });
        Ok(())
    }

    /// Looks on in the background, while the two sides use `path`.
    pub(super) fn go_on(mut self, path: Path) -> Race {
        let (lane_queue, lanes) = mpsc::channel(QUEUE_LEN);
        let (reports, report_queue) = mpsc::channel(1);
        self.reports = Some(report_queue);
        let mut task = JoinSet::new();
        task.spawn(Watch::new(self, lane_queue, path).run());
        Race { lanes, reports, _task: task }
    }
}

/// The future of something that may not be there; never, if it is not.
async fn maybe<'a, T, F: Future>(thing: Option<&'a mut T>, wait: impl FnOnce(&'a mut T) -> F) -> F::Output {
    match thing {
        Some(thing) => wait(thing).await,
        None => std::future::pending().await,
    }
}
