//! What the sending page has to do, as it hears of it.

use serde::Serialize;

use super::super::connection::{self, Trouble};
use crate::doors::{AttemptFailure, Closed};
use crate::handshake::HandshakeError;
use crate::message::{AbortReason, DeclineReason};
use crate::signaling::CloseReason;
use crate::transfer::TransferError;

/// One thing to do, in the order given; becomes JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Output {
    /// Show these and nothing that was shown before: doors are open. The time is in seconds; `closed` says what closed another
    /// that was open before.
    Show {
        code: Option<String>,
        link: Option<String>,
        ttl: u32,
        codes_left: u8,
        closed: Option<&'static str>,
    },
    /// The rendezvous wants work: let others have their turn, then `Sending::search`.
    Search,
    /// The way to the rendezvous broke, and the doors are kept: after a while `Sending::join` over a new socket. The rendezvous
    /// may have said how many seconds it wants until then.
    Away { retry_after: Option<u32> },
    /// The rendezvous is reached again, and the doors are as they were.
    Here,
    /// Somebody is at a door.
    Knocked,
    /// Somebody left a door as it was.
    Visited { why: &'static str },
    /// The other side is reached, and sees what is offered. `words` are what the two sides may compare.
    Offered { words: Option<String> },
    /// The receiver agreed.
    Accepted,
    /// Put these bytes at `Sending::room`, one part behind the other, then `Sending::handleRead`. With them, `done` bytes of
    /// all files are on their way; nothing when they are only compared with what the receiver has.
    Read { parts: Vec<Part>, done: Option<u64> },
    /// The receiver has everything.
    Done,
    /// There is another connection, and it goes on.
    Back,
    /// It is over.
    Fail { why: &'static str, retry_after: Option<u32> },
    /// What the connection wants.
    #[serde(untagged)]
    Connection(connection::Output),
}

/// Bytes of one file.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// Why there is no door any more, and when it is worth trying again, in seconds.
pub(super) fn no_door(why: Closed) -> (&'static str, Option<u32>) {
    match why {
        Closed::Expired => ("expired", None),
        Closed::Exhausted { .. } => ("exhausted", None),
        Closed::Refused { reason: CloseReason::Unknown | CloseReason::IdleTimeout, retry_after } => {
            ("server-gone", retry_after)
        }
        Closed::Refused { reason, retry_after } => (closed(reason), retry_after),
        Closed::Silent | Closed::Forgotten => ("server-gone", None),
        Closed::NoNameplate => ("version", None),
        Closed::Incompatible(error) => (handshake(error), None),
    }
}

pub(super) fn attempt(failure: AttemptFailure) -> &'static str {
    match failure {
        AttemptFailure::WrongCode => "wrong-code",
        AttemptFailure::LeftEarly => "left-early",
        AttemptFailure::TooManyLeft => "too-many-left",
    }
}

/// Why the rendezvous, or the other side of a door, ended it.
pub(super) fn closed(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Expired => "expired",
        CloseReason::RateLimited => "too-often",
        CloseReason::TokenRequired => "token",
        CloseReason::Busy | CloseReason::GoingAway | CloseReason::Unavailable => "server-busy",
        CloseReason::UnsupportedVersion | CloseReason::BadMessage => "version",
        CloseReason::Gone
        | CloseReason::NoSuchCode
        | CloseReason::WrongCode
        | CloseReason::Exhausted
        | CloseReason::OtherDoor
        | CloseReason::ConfirmTimeout
        | CloseReason::IdleTimeout
        | CloseReason::SlowReader
        | CloseReason::Replaced
        | CloseReason::Quota
        | CloseReason::Unknown => "receiver-left",
    }
}

fn handshake(error: HandshakeError) -> &'static str {
    match error {
        HandshakeError::NoCommonVersion => "version",
        HandshakeError::WrongPassword
        | HandshakeError::Malformed
        | HandshakeError::ModeMismatch
        | HandshakeError::BadPakeMessage
        | HandshakeError::BadCommitment => "unverified",
    }
}

pub(super) fn transfer(error: TransferError) -> &'static str {
    match error {
        TransferError::Declined(DeclineReason::User) => "receiver-declined",
        TransferError::Declined(DeclineReason::NoSpace) => "receiver-full",
        TransferError::Aborted { reason, .. } => aborted(reason),
        TransferError::PeerLeft => "receiver-left",
        TransferError::Declined(DeclineReason::Unwanted | DeclineReason::InvalidManifest)
        | TransferError::Violation(_)
        | TransferError::Manifest(_) => "receiver-failed",
    }
}

/// Why the two sides do not come together.
pub(super) fn trouble(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Unverified => "unverified",
        Trouble::NoChannel => "no-channel",
        Trouble::Violation => "receiver-failed",
        Trouble::Aborted(reason) => aborted(reason),
        Trouble::Closed(reason, _) => closed(reason),
    }
}

/// Why the receiver gave up.
fn aborted(reason: AbortReason) -> &'static str {
    match reason {
        AbortReason::Cancelled => "receiver-cancelled",
        AbortReason::DiskFull => "receiver-full",
        AbortReason::DiskError
        | AbortReason::Integrity
        | AbortReason::Protocol
        | AbortReason::SourceChanged
        | AbortReason::SourceUnreadable
        | AbortReason::Internal => "receiver-failed",
    }
}
