//! From a rendezvous to a sealed channel: doors, handshake, negotiation, the first generation.
//!
//! ```text
//! Doors::meet (sender) ─┐
//!                       ├─► Met: a session, and a way to signal ─► open ─► Channel
//! claim (receiver) ─────┘                                              │
//!                                               path broken ◄───────────┘
//!                                          Rejoin::again ─► Channel, under the next generation
//! ```
//!
//! Every wait here has a deadline, and dropping a future gives up cleanly.

mod channel;
mod claim;
mod direct;
mod doors;
mod race;
mod rejoin;
mod search;
mod signals;

use std::time::Duration;

use thiserror::Error;
use url::Url;
use wire::generation::OpeningError;
use wire::handshake::{HandshakeError, Session};
use wire::message::AbortReason;
use wire::signal::SignalError;
use wire::signaling::{
    Body, ClientMessage, CloseReason, Door, IceServer, MAX_BODY_LEN, ParseFrameError, ReportedPath,
    ServerMessage, Ticket,
};

use crate::entropy::EntropyError;
use crate::policy::{Policy, Relay};
use crate::signaling::{self, Connection, SignalingError};
use crate::transport::TransportError;
use crate::transport::webrtc::{self, NegotiationError, PeerConfig};

pub use channel::{Channel, Lane, open};
pub use claim::{Step, claim};
pub use doors::{Doors, TypedDoor, Visit};
pub use race::Race;
pub use rejoin::Rejoin;

/// How long either side waits for the other's next handshake message.
///
/// The rendezvous ends an attempt 10 s after pairing; this is that and the way there.
const STEP_DEADLINE: Duration = Duration::from_secs(15);

/// How long telling the rendezvous how it ended may take.
const REPORT_DEADLINE: Duration = Duration::from_secs(1);

/// How long two sides look for a path to each other.
const PATH_DEADLINE: Duration = Duration::from_secs(30);

/// Two sides that have proved to each other that they know the password.
#[derive(Debug)]
pub struct Met {
    /// What they share.
    pub session: Session,
    /// Where they met.
    pub server: Url,
    /// How they talk until there is a channel; nothing when that broke since, and they have to meet again.
    pub pairing: Option<Pairing>,
    /// What the rendezvous gave for finding a path.
    pub handed: Handed,
}

/// What a rendezvous gives with a pairing.
#[derive(Clone, Debug, Default)]
pub struct Handed {
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// What its relay is joined with, if it offers that.
    pub relay: Option<Ticket>,
}

/// How this side is to look for the other.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// STUN servers of its own choice, beside those that the rendezvous hands out.
    pub stun: Vec<IceServer>,
    /// Which ways may be tried.
    pub policy: Policy,
}

impl Reach {
    /// What a negotiation works with, given what the rendezvous handed out.
    fn peer_config(
        &self,
        mut ice_servers: Vec<IceServer>,
        role: webrtc::Role,
    ) -> Result<PeerConfig, ConnectError> {
        let is_relay = |server: &IceServer| server.urls.iter().any(|url| url.starts_with("turn:"));
        if self.policy.relay == Relay::Only && !ice_servers.iter().any(is_relay) {
            return Err(ConnectError::NoRelay);
        }
        ice_servers.extend(self.stun.iter().cloned());
        Ok(PeerConfig { ice_servers, policy: self.policy.clone(), role })
    }
}

/// One pairing at one door: bodies go to the other side and come from it through the rendezvous.
#[derive(Debug)]
pub struct Pairing {
    connection: Connection,
    door: Door,
    attempt: u32,
}

impl Pairing {
    /// Sends a body to the other side.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        let body = Body::from_bytes(bytes);
        if body.len() > MAX_BODY_LEN {
            return Err(ConnectError::BodyTooLong);
        }
        let message = ClientMessage::Relay { door: self.door, attempt: self.attempt, body };
        Ok(self.connection.send(&message).await?)
    }

    /// The next body of the other side. Cancelling it loses nothing.
    async fn recv(&mut self) -> Result<Vec<u8>, ConnectError> {
        loop {
            match self.connection.recv().await? {
                ServerMessage::Relay { door, attempt, body } if self.is_here(door, attempt) => {
                    return Ok(body.to_bytes()?);
                }
                ServerMessage::Left { door, attempt, reason } if self.is_here(door, attempt) => {
                    return Err(left(reason));
                }
                ServerMessage::Refused { reason, retry_after } => return Err(refused(reason, retry_after)),
                ServerMessage::Created { .. }
                | ServerMessage::Paired { .. }
                | ServerMessage::Relay { .. }
                | ServerMessage::Left { .. }
                | ServerMessage::DoorClosed { .. }
                | ServerMessage::Challenge(_)
                | ServerMessage::Unknown => {}
            }
        }
    }

    fn is_here(&self, door: Door, attempt: u32) -> bool {
        self.door == door && self.attempt == attempt
    }

    /// Tells the rendezvous how the session ended, for its operator's statistics, if that can be done quickly.
    pub async fn report(&mut self, path: ReportedPath, ok: bool) {
        let report = ClientMessage::Report { path, ok };
        let _ = tokio::time::timeout(REPORT_DEADLINE, self.connection.send(&report)).await;
    }
}

/// Why two sides did not come together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The rendezvous cannot be reached.
    #[error("the server cannot be reached")]
    Unreachable(#[from] signaling::ConnectError),
    /// The rendezvous went away.
    #[error("the connection to the server broke")]
    ServerLost(#[from] SignalingError),
    /// The rendezvous will not go on.
    #[error("the server refused")]
    Refused {
        /// Why.
        reason: CloseReason,
        /// When it is worth trying again.
        retry_after: Option<Duration>,
    },
    /// The rendezvous knows no such code.
    #[error("there is no such code")]
    NoSuchCode,
    /// This side's password is not the other's.
    #[error("the code is wrong")]
    WrongCode,
    /// The rendezvous does not have the doors any more to which this side came back.
    #[error("the server no longer has the code")]
    Forgotten,
    /// Nobody came in time.
    #[error("nobody came in time")]
    Expired,
    /// Every code was spent.
    #[error("every code was spent")]
    Exhausted {
        /// How many there were.
        codes: u8,
    },
    /// The other side left, or says nothing.
    #[error("the other side left")]
    PeerLeft,
    /// The other side gave up and said why.
    #[error("the other side gave up")]
    Aborted(AbortReason),
    /// The handshake failed for another reason than the password.
    #[error("the other side could not be verified")]
    Handshake(#[source] HandshakeError),
    /// A signal of the other side does not open or makes no sense.
    #[error("the other side could not be understood")]
    Signal(#[from] SignalError),
    /// No path between the two machines was found in time.
    #[error("no path to the other side")]
    NoPath,
    /// This side uses relays only, and the rendezvous has none.
    #[error("the server has no relay")]
    NoRelay,
    /// This machine could not take part in finding a path.
    #[error("no connection could be set up")]
    Negotiation(#[source] NegotiationError),
    /// The path broke before it carried anything.
    #[error("the path broke")]
    Transport(#[from] TransportError),
    /// The path leads to somebody else.
    #[error("the path does not lead to the other side")]
    Opening(#[from] OpeningError),
    /// A body that is not base64url.
    #[error("the server passed on something unreadable")]
    Unreadable(#[from] ParseFrameError),
    /// This machine has so many addresses that they do not fit a message.
    #[error("what there is to say does not fit a message")]
    BodyTooLong,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl ConnectError {
    /// Whether the way through the rendezvous broke, so that two sides that are still there may meet again.
    fn is_parting(&self) -> bool {
        matches!(self, Self::ServerLost(_) | Self::PeerLeft)
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        if error == HandshakeError::WrongPassword { Self::WrongCode } else { Self::Handshake(error) }
    }
}

impl From<NegotiationError> for ConnectError {
    fn from(error: NegotiationError) -> Self {
        if matches!(error, NegotiationError::NoPath) { Self::NoPath } else { Self::Negotiation(error) }
    }
}

fn refused(reason: CloseReason, retry_after: Option<u32>) -> ConnectError {
    if reason == CloseReason::NoSuchCode {
        ConnectError::NoSuchCode
    } else if reason == CloseReason::Expired {
        ConnectError::Expired
    } else {
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
        ConnectError::Refused { reason, retry_after }
    }
}

fn left(reason: CloseReason) -> ConnectError {
    if reason == CloseReason::WrongCode {
        ConnectError::WrongCode
    } else if reason == CloseReason::Expired {
        ConnectError::Expired
    } else {
        ConnectError::PeerLeft
    }
}
