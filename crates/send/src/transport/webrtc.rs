//! A WebRTC data channel as a [`Transport`]: the only place that names the `webrtc` crate.
//!
//! A [`Negotiation`] finds a path; when there is one it yields a [`Transport`] and may be dropped. Everything about one
//! connection runs on a thread of its own with a runtime of its own: the pipeline's tasks do not delay its timers, and it
//! does not delay them. Dropping what it serves (the negotiation, or later both directions) ends it in the background.
//!
//! The peer knows what to expect, so there is exactly one channel, agreed on beforehand; descriptions come in checked
//! (`wire::signal`) and candidates trickle (RFC 8838).

use std::error::Error as StdError;
use std::thread;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use wire::signaling::IceServer;

use super::{Transport, TransportError};
use crate::policy::Policy;

mod connection;
pub mod probe;
mod pump;
mod runtime;
mod servers;
mod stun;

/// What a connection is to be made with.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Servers that help to find a path. Those that `webrtc` cannot use (TURN over TCP or TLS) are skipped.
    pub ice_servers: Vec<IceServer>,
    /// Which ways may be tried.
    pub policy: Policy,
    /// Which side of the negotiation this is.
    pub role: Role,
}

impl PeerConfig {
    /// Without servers, over whatever there is.
    pub fn new(role: Role) -> Self {
        Self { ice_servers: Vec::new(), policy: Policy::default(), role }
    }
}

/// Which side of the negotiation this is (RFC 9429).
#[derive(Clone, Debug)]
pub enum Role {
    /// Describes itself first and learns of the peer later: [`Negotiation::set_remote_description`].
    Initiator,
    /// Answers a description that it already has.
    Responder {
        /// What the initiator said about itself, checked.
        remote_description: String,
    },
}

/// A connection on its way. Dropping it before [`NegotiationEvent::Open`] gives up.
#[derive(Debug)]
pub struct Negotiation {
    local_description: String,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<NegotiationEvent>,
}

/// What happens while a path is looked for.
#[derive(Debug)]
pub enum NegotiationEvent {
    /// An address at which the peer may reach this side; to be sent to it.
    LocalCandidate {
        /// The candidate attribute (RFC 8839 §5.1), `candidate:…`.
        candidate: String,
        /// The media section that it belongs to.
        mid: String,
    },
    /// There will be no more candidates.
    EndOfCandidates,
    /// The channel is open. Candidates may still follow and help nobody.
    Open(Transport),
    /// There will be no connection; the last event.
    Failed(NegotiationError),
}

/// Why no connection came about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// This machine could not set out: no socket, no thread, no entropy.
    #[error("this machine cannot open a connection")]
    Setup(#[source] Box<dyn StdError + Send + Sync>),
    /// The peer's description is not one this side can answer.
    #[error("the peer's description makes no sense")]
    Description(#[source] Box<dyn StdError + Send + Sync>),
    /// No pair of addresses let anything through.
    #[error("no path to the peer")]
    NoPath,
    /// The peer went away or broke the rules before the channel opened.
    #[error("the connection ended before it was open")]
    Ended(#[source] TransportError),
}

/// What a negotiation asks of its thread.
#[derive(Debug)]
enum Command {
    RemoteDescription { sdp: String, done: oneshot::Sender<Result<(), NegotiationError>> },
    RemoteCandidate { candidate: String, mid: String },
}

/// The other ends of a [`Negotiation`], on the connection's thread.
#[derive(Debug)]
struct Owner {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NegotiationEvent>,
}

/// Events and commands that may wait. There are as many candidates as this machine has addresses and servers.
const EVENT_QUEUE_LEN: usize = 128;

impl Negotiation {
    /// Opens sockets, describes this side and starts looking for candidates.
    ///
    /// # Errors
    /// [`NegotiationError::Setup`], and as a responder [`NegotiationError::Description`].
    pub async fn start(config: PeerConfig) -> Result<Self, NegotiationError> {
        let (commands, command_queue) = mpsc::channel(EVENT_QUEUE_LEN);
        let (event_queue, events) = mpsc::channel(EVENT_QUEUE_LEN);
        let (ready, is_ready) = oneshot::channel();
        let owner = Owner { commands: command_queue, events: event_queue };
        // One thread, so that each message is handled where its packets arrive, and nothing that the caller does delays
        // an acknowledgement.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(setup)?;
        let body = move || {
            runtime.block_on(connection::run(config, owner, ready));
            // A name that is still being looked up must not keep the thread.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("send-webrtc".to_owned()).spawn(body).map_err(setup)?;
        let local_description = is_ready.await.map_err(setup)??;
        Ok(Self { local_description, commands, events })
    }

    /// What the peer is to be told about this side (SDP), without candidates.
    pub fn local_description(&self) -> &str {
        &self.local_description
    }

    /// Takes the responder's description; checked, and only once.
    ///
    /// # Errors
    /// [`NegotiationError::Description`] when it cannot be applied, [`NegotiationError::Ended`] when there is nothing left
    /// to apply it to.
    pub async fn set_remote_description(&self, sdp: String) -> Result<(), NegotiationError> {
        let ended = |_| NegotiationError::Ended(TransportError::Closed);
        let (done, is_done) = oneshot::channel();
        let command = Command::RemoteDescription { sdp, done };
        self.commands.send(command).await.map_err(|_| NegotiationError::Ended(TransportError::Closed))?;
        is_done.await.map_err(ended)?
    }

    /// Takes an address at which the peer may be reached; also before its description. One that cannot be used (a name
    /// under `.local` that nobody answers for, a protocol that is not UDP, nonsense) is ignored.
    pub async fn add_remote_candidate(&self, candidate: String, mid: String) {
        // Without a connection there is no use for it.
        let _ = self.commands.send(Command::RemoteCandidate { candidate, mid }).await;
    }

    /// Waits for what happens next. Cancelling it loses nothing.
    ///
    /// After [`NegotiationEvent::Open`] and [`NegotiationEvent::Failed`] there is nothing to wait for:
    /// [`NegotiationError::Ended`].
    pub async fn next_event(&mut self) -> NegotiationEvent {
        let ended = || NegotiationEvent::Failed(NegotiationError::Ended(TransportError::Closed));
        self.events.recv().await.unwrap_or_else(ended)
    }
}

fn setup(error: impl StdError + Send + Sync + 'static) -> NegotiationError {
    NegotiationError::Setup(Box::new(error))
}

#[cfg(test)]
mod tests;
