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
//! A chunk is read from the disk into the buffer in which it is sealed and sent, and written from the buffer in which it
//! was received and opened.

mod disk;
mod pipe;
mod pulse;
mod reading;
mod receive;
mod send;
mod tally;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use wire::record::RecordError;
use wire::transfer::TransferError;

use crate::report::AskError;
use crate::storage::{SinkError, SourceError};
use crate::transport::TransportError;

pub use receive::{Failure, Received, Receiving, receive};
pub use send::{Sent, send};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long a side that fails takes to tell the other.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(3);

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
