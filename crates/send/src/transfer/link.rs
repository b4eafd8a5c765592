//! The connection of one side over the whole session: up, perhaps moving from one path to another, or broken and being
//! mended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::message::{AbortReason, DeclineReason, Message};
use wire::signaling::ReportedPath;

use super::Error;
use super::path::{Heard, Moved, Way};
use super::pipe::{Draft, Opened};
use super::pulse::Beat;
use crate::connect::{Channel, ConnectError, Rejoin};
use crate::policy::Relay;
use crate::report::Event;
use crate::transport::Path;

/// The channel of the generation that is open, or the search for the next.
pub(super) struct Link(State);

enum State {
    Up {
        way: Box<Way>,
        rejoin: Box<Rejoin>,
    },
    Down {
        search: Search,
        rejoin: Box<Rejoin>,
        /// Why this side gives up, once it does.
        farewell: Option<AbortReason>,
    },
    /// Between two states, or at the end.
    Closed,
}

type Search = Pin<Box<dyn Future<Output = (Box<Rejoin>, Result<Channel, ConnectError>)> + Send>>;

/// What happens to a connection.
pub(super) enum Wake {
    /// A record arrived.
    Opened(Opened),
    /// The pulse beats.
    Ping(Message<'static>),
    /// The sender goes over to another path: SWITCH to this generation is the last that it says where it is, and what follows
    /// goes to this queue.
    Leave(u32, mpsc::Sender<Draft>),
    /// The connection takes another path, and nothing is missing.
    Moved(Path),
    /// The connection takes another path; what was on its way is lost, and both sides say where to go on. The sender says
    /// SWITCH to this generation first.
    Restart(Path, Option<u32>),
    /// The path is gone.
    Lost,
    /// There is another, with a generation of its own.
    Back(Path),
    /// There will be no other, or what came was altered.
    Failed(Error),
}

impl Link {
    /// A link that is up.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn up(channel: Channel, rejoin: Rejoin) -> io::Result<Self> {
        let rejoin = Box::new(rejoin);
        Ok(Self(State::Up { way: Box::new(Way::start(channel, rejoin.role())?), rejoin }))
    }

    /// Waits for what happens next; for records only if they are wanted. Cancelling it loses nothing.
    pub(super) async fn wake(&mut self, wants_records: bool) -> Wake {
        match &mut self.0 {
            State::Up { way, .. } => way.wake(wants_records).await,
            State::Down { search, .. } => {
                let (rejoin, outcome) = search.await;
                self.0 = State::Closed;
                match outcome {
                    Ok(channel) => {
                        let path = channel.lane.transport.path;
                        match Way::start(channel, rejoin.role()) {
                            Ok(way) => {
                                self.0 = State::Up { way: Box::new(way), rejoin };
                                Wake::Back(path)
                            }
                            Err(error) => Wake::Failed(Error::Thread(error)),
                        }
                    }
                    Err(ConnectError::Aborted(reason)) => Wake::Failed(Error::given_up(reason)),
                    Err(error) => {
                        tracing::info!(%error, "not reconnected");
                        Wake::Failed(Error::Lost)
                    }
                }
            }
            State::Closed => std::future::pending().await,
        }
    }

    /// Gives the path up and looks for another; `false` when that is being done already.
    pub(super) fn break_down(&mut self) -> bool {
        match std::mem::replace(&mut self.0, State::Closed) {
            State::Up { way, mut rejoin } => {
                way.hang_up();
                let leaving = rejoin.clone();
                let search = Box::pin(async move {
                    let outcome = rejoin.again().await;
                    (rejoin, outcome)
                });
                self.0 = State::Down { search, rejoin: leaving, farewell: None };
                true
            }
            other @ (State::Down { .. } | State::Closed) => {
                self.0 = other;
                false
            }
        }
    }

    /// Where records to be sealed go, while the link is up.
    pub(super) fn drafts(&self) -> Option<mpsc::Sender<Draft>> {
        if let State::Up { way, .. } = &self.0 { Some(way.drafts().clone()) } else { None }
    }

    /// The time to the peer and back over the path that is used, if there is one and that was measured.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        if let State::Up { way, .. } = &self.0 { way.round_trip() } else { None }
    }

    /// Whether there is a channel.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.0, State::Up { .. })
    }

    /// Queues a message; waits while the path is busy. Without a channel only that this side gives up is worth keeping, for
    /// [`Link::close`] to say.
    pub(super) async fn send(&mut self, message: &Message<'_>) {
        match &mut self.0 {
            State::Up { way, .. } => {
                let _ = way.drafts().send(Draft::of(message)).await;
            }
            State::Down { farewell, .. } => *farewell = reason(message).or(*farewell),
            State::Closed => {}
        }
    }

    /// Queues a message if there is room: a full queue is traffic enough.
    pub(super) fn try_send(&self, message: &Message<'_>) {
        if let State::Up { way, .. } = &self.0 {
            let _ = way.drafts().try_send(Draft::of(message));
        }
    }

    /// This side was busy and could not listen.
    pub(super) fn handle_heard(&mut self) {
        if let State::Up { way, .. } = &mut self.0 {
            way.handle_heard();
        }
    }

    /// What there is to tell about a path that is used from here on.
    pub(super) fn connected(&self, path: Path) -> Event {
        let relay =
            if let State::Up { rejoin, .. } = &self.0 { rejoin.reach().policy.relay } else { Relay::Allowed };
        super::connected(path, relay)
    }

    /// Tells the rendezvous how the session ended, while there is a channel.
    pub(super) async fn report(&mut self, ok: bool) {
        if let State::Up { way, .. } = &mut self.0 {
            let reported = match way.path() {
                Path::LocalNetwork => ReportedPath::LocalNetwork,
                Path::Direct => ReportedPath::Direct,
                Path::Relayed => ReportedPath::Turn,
                Path::Relay => ReportedPath::Relay,
            };
            way.report(reported, ok).await;
        }
    }

    /// Sends what is queued and closes, within `patience`. Without a channel, tells the other side where both would have met
    /// that this one gives up, if it does.
    pub(super) async fn close(&mut self, patience: Duration) {
        match std::mem::replace(&mut self.0, State::Closed) {
            State::Up { way, .. } => {
                let _ = timeout(patience, way.close()).await;
            }
            State::Down { search, rejoin, farewell: Some(reason) } => {
                // Two at the meeting point would replace each other.
                drop(search);
                Box::pin(rejoin.leave(reason)).await;
            }
            State::Down { farewell: None, .. } | State::Closed => {}
        }
    }
}

/// Why a side gives up that says this: in the words that there are where no channel is open.
fn reason(message: &Message<'_>) -> Option<AbortReason> {
    if let Message::Abort { reason, .. } = message {
        Some(*reason)
    } else if let Message::Decline { reason } = message {
        Some(if *reason == DeclineReason::NoSpace { AbortReason::DiskFull } else { AbortReason::Cancelled })
    } else {
        None
    }
}

impl From<Moved> for Wake {
    fn from(moved: Moved) -> Self {
        match moved {
            Moved::Leave(next, drafts) => Self::Leave(next, drafts),
            Moved::Arrived(path) => Self::Moved(path),
            Moved::Restart(path, mark) => Self::Restart(path, mark),
            Moved::Lost => Self::Lost,
        }
    }
}

impl Way {
    async fn wake(&mut self, wants_records: bool) -> Wake {
        loop {
            if let Some(moved) = self.poll_move() {
                return moved.into();
            }
            match self.next(wants_records).await {
                Heard::Record(Ok(opened)) => match self.take(opened) {
                    Ok(Some(opened)) => return Wake::Opened(opened),
                    Ok(None) => {}
                    Err(error) => return Wake::Failed(error),
                },
                Heard::Record(Err(Error::Lost)) | Heard::Beat(Beat::Silence) => self.handle_lost(),
                Heard::Lane(None) => return Wake::Lost,
                Heard::Record(Err(error)) => return Wake::Failed(error),
                Heard::Beat(Beat::Ping(ping)) => return Wake::Ping(ping),
                Heard::Beat(Beat::Quiet) => {}
                Heard::Lane(Some(lane)) => {
                    if let Err(error) = self.add(*lane) {
                        return Wake::Failed(Error::Thread(error));
                    }
                }
            }
        }
    }
}
