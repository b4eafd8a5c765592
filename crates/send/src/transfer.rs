//! The pump: drives the machines of [`wire::transfer`] against a channel and a disk.
//!
//! Each side is a line of threads with bounded queues between them, so that reading, hashing, sealing, carrying, opening
//! and writing happen at the same time, and a task in the middle that decides:
//!
//! ```text
//! sender:   machine ─jobs─► read, hash ─records─► seal ─► transport
//! receiver: transport ─► open ─records─► machine ─jobs─► hash, write
//! ```
//!
//! When the channel breaks, the `Link` of either side looks for the other, the machines keep what they know, and the threads
//! of the disk wait: they go on in the next generation where the receiver's disk stands.
//!
//! A chunk is read from the disk into the buffer in which it is sealed and sent, and written from the buffer in which it
//! was received and opened.

mod breadth;
mod disk;
mod link;
mod offered;
mod pace;
mod path;
mod pipe;
mod pulse;
mod reading;
mod receive;
mod saving;
mod send;
mod tally;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use wire::message::AbortReason;
use wire::record::RecordError;
use wire::transfer::TransferError;

use crate::policy::Relay;
use crate::report::{AskError, Detour, Event, Path};
use crate::storage::{SinkError, SourceError};
use crate::transport::{self, TransportError};

pub use receive::{Failure, Receiving, receive};
pub use send::{Sent, send};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Why a transfer failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side refused, gave up, left, or broke the protocol.
    #[error(transparent)]
    Peer(#[from] TransferError),
    /// The path broke, or the other side has been silent for too long.
    #[error("the connection broke")]
    Lost,
    /// The connection broke after everything was sent, and before the receiver said that it has it.
    #[error("the receiver did not confirm that it has everything")]
    Unconfirmed,
    /// What arrived is not what the other side sealed.
    #[error("a record was altered on its way")]
    Tampered(#[from] RecordError),
    /// What is to be sent cannot be read, or changed meanwhile.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What is received cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The user does not want it.
    #[error("declined")]
    Declined,
    /// There is not enough room; nobody was asked.
    #[error("not enough room")]
    NoRoom {
        /// Where.
        destination: PathBuf,
        /// Bytes that are offered.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The user could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
    /// The system gave no thread.
    #[error("the system gave no thread")]
    Thread(#[source] io::Error),
}

impl Error {
    /// The other side gave up while there was no channel.
    fn given_up(reason: AbortReason) -> Self {
        Self::Peer(TransferError::Aborted { reason, file: None })
    }

    /// Whether the other side did what no peer does, which it is told.
    fn is_violation(&self) -> bool {
        matches!(self, Self::Peer(TransferError::Violation(_)))
    }
}

/// How the data travels now, and why not straight, given what the user allows.
pub fn connected(path: transport::Path, relay: Relay) -> Event {
    let is_direct = path >= transport::Path::Direct;
    let detour = if relay == Relay::Only { Detour::Chosen } else { Detour::NoneFound };
    let path = match path {
        transport::Path::LocalNetwork => Path::LocalNetwork,
        transport::Path::Direct => Path::Direct,
        transport::Path::Relayed => Path::Turn,
        transport::Path::Relay => Path::Relay,
    };
    Event::Connected { path, detour: (!is_direct).then_some(detour), peer: None }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Lost | TransportError::Closed => Self::Lost,
            TransportError::MessageTooLong { .. } | TransportError::Misbehaved => {
                Self::Tampered(RecordError::Length)
            }
        }
    }
}
