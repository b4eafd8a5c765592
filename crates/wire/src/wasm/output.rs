//! What the page has to do, as it hears of it.

use serde::Serialize;

use super::connection::{self, Trouble};
use crate::handshake::HandshakeError;
use crate::message::AbortReason;
use crate::signaling::CloseReason;
use crate::transfer::TransferError;

/// One thing to do, in the order given; becomes JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Output {
    /// The next frame uses the code up.
    Prove,
    /// The rendezvous wants work: let others have their turn, then `Session::search`. All of it may take so many milliseconds.
    Search { limit: u64 },
    /// Ask the user. Sizes in bytes; `words` are what the two sides may compare.
    Ask { files: u32, size: u64, is_stream: bool, is_text: bool, left_out: u32, words: Option<String> },
    /// Only the first `offset` bytes of this file stay; what follows is written behind them.
    Rewind { file: u32, offset: u64 },
    /// Write these bytes of the staging buffer.
    Write { file: u32, start: usize, len: usize },
    /// The file is complete, and is what the sender read; it may have been in the storage before.
    Commit { file: u32, len: u64, sha256: String, is_held: bool },
    /// Everything has arrived: store it, then `Session::finished`.
    Finish,
    /// All writes of a record are said: once they are done, `Session::written`.
    Written { len: usize },
    /// The sender knows that everything is here.
    Done,
    /// There is another connection, and it goes on.
    Back,
    /// It is over.
    Fail { why: &'static str, retry_after: Option<u32> },
    /// What the connection wants.
    #[serde(untagged)]
    Connection(connection::Output),
}

/// A file of the offer.
#[derive(Debug, Serialize)]
pub(super) struct File<'a> {
    pub(super) path: &'a str,
    /// Bytes.
    pub(super) size: u64,
    /// Names path and size together where what is stored is looked for: 32 hexadecimal digits.
    pub(super) key: String,
}

/// Why the rendezvous or the other side ended it.
pub(super) fn closed(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::NoSuchCode => "unknown-code",
        CloseReason::WrongCode => "wrong-code",
        CloseReason::Expired => "expired",
        CloseReason::RateLimited => "too-often",
        CloseReason::Busy | CloseReason::GoingAway | CloseReason::Unavailable => "server-busy",
        CloseReason::UnsupportedVersion | CloseReason::BadMessage => "version",
        CloseReason::Gone
        | CloseReason::Exhausted
        | CloseReason::OtherDoor
        | CloseReason::ConfirmTimeout
        | CloseReason::TokenRequired
        | CloseReason::IdleTimeout
        | CloseReason::SlowReader
        | CloseReason::Replaced
        | CloseReason::Quota
        | CloseReason::Unknown => "left",
    }
}

pub(super) fn handshake(error: HandshakeError) -> &'static str {
    match error {
        HandshakeError::WrongPassword => "wrong-code",
        HandshakeError::NoCommonVersion => "version",
        HandshakeError::Malformed
        | HandshakeError::ModeMismatch
        | HandshakeError::BadPakeMessage
        | HandshakeError::BadCommitment => "unverified",
    }
}

pub(super) fn transfer(error: TransferError) -> &'static str {
    match error {
        TransferError::Manifest(_) => "bad-names",
        TransferError::Aborted { reason, .. } => aborted(reason),
        TransferError::PeerLeft => "left",
        TransferError::Violation(_) | TransferError::Declined(_) => "violation",
    }
}

/// Why the two sides do not come together.
pub(super) fn trouble(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Unverified => "unverified",
        Trouble::NoChannel => "no-channel",
        Trouble::Violation => "violation",
        Trouble::Aborted(reason) => aborted(reason),
        Trouble::Closed(reason, _) => closed(reason),
    }
}

/// Why the sender gave up.
fn aborted(reason: AbortReason) -> &'static str {
    match reason {
        AbortReason::Cancelled => "sender-cancelled",
        AbortReason::SourceChanged | AbortReason::SourceUnreadable => "source",
        AbortReason::Integrity => "damaged",
        AbortReason::Protocol | AbortReason::DiskFull | AbortReason::DiskError | AbortReason::Internal => {
            "sender-failed"
        }
    }
}
