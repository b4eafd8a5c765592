//! What the layers below report, as failures of a command.

use std::io;

use wire::handshake::HandshakeError;
use wire::message::{AbortReason, DeclineReason};
use wire::transfer::TransferError;

use super::{Age, Error, Kept, PeerProblem};
use crate::connect::ConnectError;
use crate::report::Direction;
use crate::storage::{SinkError, SourceError};
use crate::transfer;

/// A meeting that failed, for the user at this end who used `server`.
pub(super) fn meeting(error: ConnectError, direction: Direction, server: &str) -> Error {
    let server = server.to_owned();
    match error {
        ConnectError::Unreachable(source) => Error::ServerUnreachable { server, source: source.into() },
        ConnectError::ServerLost(_) | ConnectError::Forgotten | ConnectError::Unreadable(_) => {
            Error::ServerLost { server }
        }
        ConnectError::Refused { reason, retry_after } => Error::ServerRefused { server, reason, retry_after },
        // A sender knows for how long its code was open, and says so itself.
        ConnectError::NoSuchCode | ConnectError::Expired => Error::NoSuchCode,
        ConnectError::WrongCode => Error::WrongCode,
        ConnectError::Exhausted { codes } => Error::Exhausted { codes },
        ConnectError::PeerLeft => Error::PeerLeft { direction },
        ConnectError::Aborted(reason) => aborted(reason, direction, Kept::default()),
        ConnectError::Handshake(HandshakeError::NoCommonVersion) => {
            Error::Version { direction, age: Age::New }
        }
        ConnectError::NoPath | ConnectError::Transport(_) => Error::NoPath,
        ConnectError::NoRelay => Error::NoRelay,
        ConnectError::Opening(_) => Error::Tampered { kept: Kept::default() },
        ConnectError::Negotiation(source) => {
            Error::System { doing: "open a connection", source: source.into() }
        }
        ConnectError::Entropy(source) => Error::System { doing: "give random bytes", source: source.into() },
        ConnectError::Handshake(_) | ConnectError::Signal(_) | ConnectError::BodyTooLong => {
            Error::Protocol { direction, kept: Kept::default(), source: error.into() }
        }
    }
}

/// A transfer that failed, and what it left here.
pub(super) fn transfer(error: transfer::Error, direction: Direction, kept: Kept) -> Error {
    match error {
        transfer::Error::Peer(error) => peer(error, direction, kept),
        transfer::Error::Lost => Error::PeerLost { direction, kept },
        transfer::Error::Unconfirmed => Error::Unconfirmed,
        transfer::Error::Tampered(_) => Error::Tampered { kept },
        transfer::Error::Source(error) => source(error),
        transfer::Error::Sink(error) => sink(error, kept),
        transfer::Error::Declined => Error::Declined,
        transfer::Error::NoRoom { destination, needed, free } => Error::NoRoom { destination, needed, free },
        transfer::Error::Ask(error) => error.into(),
        transfer::Error::Interrupted => Error::Interrupted { kept },
        transfer::Error::Thread(error) => Error::System { doing: "start a thread", source: error.into() },
    }
}

/// Files that cannot be sent.
pub(super) fn source(error: SourceError) -> Error {
    let unreadable = |path, kind: io::ErrorKind| Error::Source { path, source: kind.into() };
    match error {
        SourceError::Nothing => Error::NothingToSend,
        SourceError::Missing { path } => unreadable(path, io::ErrorKind::NotFound),
        SourceError::Unreadable { path } => unreadable(path, io::ErrorKind::PermissionDenied),
        SourceError::Changed { path } => Error::SourceChanged { path },
        SourceError::Io { path, source, .. } => Error::Source { path, source },
        SourceError::Special { ref path }
        | SourceError::Unnameable { ref path }
        | SourceError::Path { ref path, .. } => {
            Error::SourceName { path: path.clone(), source: error.into() }
        }
        SourceError::TooMany { .. } | SourceError::Manifest { .. } | SourceError::OutOfRange { .. } => {
            Error::Unsendable(error.into())
        }
    }
}

/// A directory or a file that cannot be written, and what is left here.
pub(super) fn sink(error: SinkError, kept: Kept) -> Error {
    let output = |path, kind: io::ErrorKind| Error::Output { path, source: kind.into() };
    match error {
        SinkError::Missing { path } => output(path, io::ErrorKind::NotFound),
        SinkError::NotADirectory { path } => output(path, io::ErrorKind::NotADirectory),
        SinkError::Denied { path, .. } => output(path, io::ErrorKind::PermissionDenied),
        SinkError::ReadOnly { path } => output(path, io::ErrorKind::ReadOnlyFilesystem),
        SinkError::NoSpace { path, .. } => {
            Error::Write { path, source: io::ErrorKind::StorageFull.into(), kept }
        }
        SinkError::DigestMismatch { path } => {
            Error::Integrity { name: path.file_name().unwrap_or_default().to_string_lossy().into(), kept }
        }
        SinkError::Symlink { .. } => Error::UnsafeOffer(error.into()),
        SinkError::Io { path, source, .. } => Error::Write { path, source, kept },
        SinkError::Exists { ref path } | SinkError::Replaced { ref path } => {
            Error::Write { path: path.clone(), source: io::Error::other(error), kept }
        }
        SinkError::TooLong { .. }
        | SinkError::TooShort { .. }
        | SinkError::OutOfOrder { .. }
        | SinkError::UnexpectedEntry { .. }
        | SinkError::Incomplete { .. } => {
            Error::Protocol { direction: Direction::Receive, kept, source: error.into() }
        }
    }
}

fn peer(error: TransferError, direction: Direction, kept: Kept) -> Error {
    match error {
        TransferError::Aborted { reason, .. } => aborted(reason, direction, kept),
        TransferError::PeerLeft => Error::PeerLost { direction, kept },
        TransferError::Declined(DeclineReason::User) => Error::DeclinedByPeer,
        TransferError::Declined(DeclineReason::NoSpace) => failed(PeerProblem::DiskFull, direction, kept),
        TransferError::Declined(DeclineReason::Unwanted | DeclineReason::InvalidManifest) => {
            failed(PeerProblem::UnsafeOffer, direction, kept)
        }
        TransferError::Manifest(_) => Error::UnsafeOffer(error.into()),
        TransferError::Violation(_) | TransferError::Declined(_) | _ => {
            Error::Protocol { direction, kept, source: error.into() }
        }
    }
}

fn aborted(reason: AbortReason, direction: Direction, kept: Kept) -> Error {
    let problem = match reason {
        AbortReason::Cancelled => return Error::CancelledByPeer { direction, kept },
        AbortReason::Protocol => PeerProblem::Protocol,
        AbortReason::SourceChanged => PeerProblem::SourceChanged,
        AbortReason::SourceUnreadable => PeerProblem::Read,
        AbortReason::DiskFull => PeerProblem::DiskFull,
        AbortReason::DiskError => PeerProblem::Write,
        AbortReason::Integrity => PeerProblem::Integrity,
        AbortReason::Internal | _ => PeerProblem::Unknown,
    };
    failed(problem, direction, kept)
}

fn failed(problem: PeerProblem, direction: Direction, kept: Kept) -> Error {
    Error::PeerFailed { direction, problem, kept }
}
