//! The connection of one side over the whole session: up, or broken and being mended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wire::message::{AbortReason, DeclineReason, Message};
use wire::signaling::ReportedPath;

use super::Error;
use super::pipe::{Draft, Opened, Pipe};
use super::pulse::{Beat, Pulse};
use crate::connect::{Channel, ConnectError, Pairing, Rejoin};
use crate::transport::Path;

/// The channel of the generation that is open, or the search for the next.
pub(super) struct Link(State);

enum State {
    Up {
        pipe: Pipe,
        pulse: Box<Pulse>,
        pairing: Box<Pairing>,
        path: Path,
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
    Beat(Beat),
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
        let mut link = Self(State::Closed);
        link.open(channel, Box::new(rejoin))?;
        Ok(link)
    }

    fn open(&mut self, channel: Channel, rejoin: Box<Rejoin>) -> io::Result<()> {
        let Channel { sealer, opener, transport, pairing } = channel;
        let path = transport.path;
        let pipe = Pipe::start(sealer, opener, transport)?;
        let pulse = Box::new(Pulse::new(Arc::clone(&pipe.sent_count)));
        self.0 = State::Up { pipe, pulse, pairing: Box::new(pairing), path, rejoin };
        Ok(())
    }

    /// Waits for what happens next; for records only if they are wanted. Cancelling it loses nothing.
    pub(super) async fn wake(&mut self, wants_records: bool) -> Wake {
        match &mut self.0 {
            State::Up { pipe, pulse, pairing, .. } => tokio::select! {
                biased;
                opened = pipe.opened.recv(), if wants_records => match opened.unwrap_or(Err(Error::Lost)) {
                    Ok(opened) => {
                        pulse.handle_heard();
                        Wake::Opened(opened)
                    }
                    Err(Error::Lost) => Wake::Lost,
                    Err(error) => Wake::Failed(error),
                },
                beat = pulse.beat() => Wake::Beat(beat),
                never = pairing.idle() => match never {},
            },
            State::Down { search, .. } => {
                let (rejoin, outcome) = search.await;
                self.0 = State::Closed;
                match outcome {
                    Ok(channel) => {
                        let path = channel.transport.path;
                        match self.open(channel, rejoin) {
                            Ok(()) => Wake::Back(path),
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
            State::Up { pipe, mut rejoin, .. } => {
                pipe.hang_up();
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
    pub(super) fn drafts(&self) -> Option<tokio::sync::mpsc::Sender<Draft>> {
        if let State::Up { pipe, .. } = &self.0 { Some(pipe.drafts.clone()) } else { None }
    }

    /// Whether there is a channel.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.0, State::Up { .. })
    }

    /// Queues a message; waits while the path is busy. Without a channel only that this side gives up is worth keeping, for
    /// [`Link::close`] to say.
    pub(super) async fn send(&mut self, message: &Message<'_>) {
        match &mut self.0 {
            State::Up { pipe, .. } => {
                let _ = pipe.drafts.send(Draft::of(message)).await;
            }
            State::Down { farewell, .. } => *farewell = reason(message).or(*farewell),
            State::Closed => {}
        }
    }

    /// Queues a message if there is room: a full queue is traffic enough.
    pub(super) fn try_send(&self, message: &Message<'_>) {
        if let State::Up { pipe, .. } = &self.0 {
            let _ = pipe.drafts.try_send(Draft::of(message));
        }
    }

    /// This side was busy and could not listen.
    pub(super) fn handle_heard(&mut self) {
        if let State::Up { pulse, .. } = &mut self.0 {
            pulse.handle_heard();
        }
    }

    /// Tells the rendezvous how the session ended, while there is a channel.
    pub(super) async fn report(&mut self, ok: bool) {
        if let State::Up { pairing, path, .. } = &mut self.0 {
            let reported = match path {
                Path::LocalNetwork => ReportedPath::LocalNetwork,
                Path::Direct => ReportedPath::Direct,
                Path::Relayed => ReportedPath::Turn,
            };
            pairing.report(reported, ok).await;
        }
    }

    /// Sends what is queued and closes, within `patience`. Without a channel, tells the other side where both would have met
    /// that this one gives up, if it does.
    pub(super) async fn close(&mut self, patience: Duration) {
        match std::mem::replace(&mut self.0, State::Closed) {
            State::Up { pipe, .. } => {
                let _ = timeout(patience, pipe.close()).await;
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
