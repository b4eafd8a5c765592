//! The transfer: two state machines that decide, and drivers that read, write, ask and send (PROTOCOL.md §8).
//!
//! A machine takes what happened through `handle_*` and says what to do through `poll_output`, which the driver calls
//! after each until it gives nothing: a new generation drops what was not polled. It holds no bytes of files: a chunk
//! goes from the disk into a record and from a record onto the disk without passing through here. After an error the
//! machine is finished; what `poll_output` still gives (an ABORT, for instance) is worth sending. They know nothing of a move
//! to another generation while both are alive: that is a [`Crossing`]'s, which stands before either.
//!
//! ```text
//! sender:   Offering ─ACCEPT─► Serving ─last START served─► Ending ─DONE─► Done
//! receiver: Listening ─MANIFEST_END─► Asking ─handle_accept─► Receiving ─TRANSFER_END─► Ending ─DONE_ACK─► Done
//! ```

mod course;
pub mod crossing;
pub mod receiver;
pub mod sender;

use core::time::Duration;

use thiserror::Error;

use crate::manifest::ManifestError;
use crate::message::{AbortReason, DeclineReason};

pub use crossing::Crossing;
pub use receiver::{Flow, Receiver};
pub use sender::Sender;

/// A side that has sent nothing for this long sends PING.
pub const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Without any record for this long, the path is lost.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(6);

/// How long the receiver waits for DONE_ACK behind a DONE, as long as there is a connection.
pub const DONE_LINGER: Duration = Duration::from_secs(30);

/// What the receiver lets the sender be ahead of its disk to begin with, in bytes of records.
///
/// Covers 640 Mbit/s at 100 ms.
pub const CREDIT_WINDOW: u64 = 8 * 1024 * 1024;

/// As [`CREDIT_WINDOW`], in a page: browsers give no back-pressure, so this is what may wait in its memory. Chromium has 5 MiB on
/// their way at most.
pub const PAGE_CREDIT_WINDOW: u64 = 4 * 1024 * 1024;

/// As [`CREDIT_WINDOW`] at most, where the path is longer or carries more: 2.5 Gbit/s at 100 ms.
pub const MAX_CREDIT_WINDOW: u64 = 32 * 1024 * 1024;

/// RESUMEs that may wait for their PREFIX.
pub const MAX_RESUMES: usize = 64;

/// How a transfer failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferError {
    /// The other side broke the protocol; nothing more of it is believed.
    #[error("the other side broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// The offered manifest breaks the rules for names and sizes.
    #[error("the offered files break the rules")]
    Manifest(#[from] ManifestError),
    /// The other side gave up.
    #[error("the other side gave up")]
    Aborted {
        /// Why.
        reason: AbortReason,
        /// The entry that is to blame, if one is.
        file: Option<u32>,
    },
    /// The receiver does not want it.
    #[error("the receiver declined")]
    Declined(DeclineReason),
    /// The other side left before everything was done.
    #[error("the other side left")]
    PeerLeft,
}

/// Which rule the other side broke.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A plaintext that is not whole messages.
    #[error("an unreadable message")]
    Unreadable,
    /// A message that has no place in this state, or comes from the wrong side.
    #[error("a message out of place")]
    OutOfPlace,
    /// A digest of another manifest.
    #[error("another manifest")]
    OtherManifest,
    /// A file number or offset that does not exist, is not aligned, was not proven, or is out of order.
    #[error("an impossible range")]
    Range,
    /// Bytes other than the next ones.
    #[error("bytes out of order")]
    Order,
    /// More bytes than were declared.
    #[error("more bytes than declared")]
    TooLong,
    /// A file that ended before its declared size.
    #[error("fewer bytes than declared")]
    TooShort,
    /// More bytes than were granted.
    #[error("more bytes than granted")]
    Credit,
    /// More questions than anyone needs to ask.
    #[error("too many requests")]
    Flood,
}
