//! What to do next after a failure.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use wire::signaling::CloseReason;

use super::{Age, Error};
use crate::report::AskError;
use crate::signaling;
use crate::units;

impl Error {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let text = match self {
            Self::Config(_) | Self::Declined | Self::CancelledByPeer { .. } | Self::System { .. } => {
                return None;
            }
            Self::NotACode(_) => "a code looks like 48-2093; the sender's screen shows it",
            Self::NotALink(_) => "copy the whole link from the sender's screen, with everything after the #",
            Self::Ask(AskError::NoTerminal) => "to receive without being asked, add --yes",
            Self::Ask(_) => {
                "run the command again at a terminal, or give the code in SEND_CODE and add --yes"
            }
            Self::Unsendable(_) => "rename or leave out what stands in the way",
            Self::Source { source, .. } => source_hint(source.kind()),
            Self::SourceName { .. } => "rename it and send it again",
            Self::SourceChanged { .. } => "send it again when nothing writes to it",
            Self::NothingToSend => "add --symlinks to send links as links",
            Self::ServerUnreachable { source, .. } => unreachable_hint(&**source),
            Self::ServerLost { .. } | Self::PeerLeft { .. } => {
                "run the command again on both sides, with a new code"
            }
            Self::ServerRefused { reason, retry_after, .. } => {
                return Some(refusal_hint(*reason, *retry_after));
            }
            Self::NotFound { .. } => {
                "check the code and that the sender still waits on this network; else use --server on both sides"
            }
            Self::Listen { .. } => "choose another port with --port, or with --listen for `send serve`",
            Self::NoPath => {
                "connect both machines to one network, or use a server with STUN and TURN (rendezvous --stun-listen, --turn-url)"
            }
            Self::NoRelay => "use a server that has one (rendezvous --turn-url), or leave --relay-only out",
            Self::WrongCode => "ask the sender for the new code on their screen, and compare every digit",
            Self::NoSuchCode => "ask the sender for the code on their screen now",
            Self::AlreadyTried => "ask the sender for a new code; a code that worked is never needed twice",
            Self::Expired { .. } => "run the command again for a new code when the other side is ready",
            Self::Exhausted { .. } => {
                "if nobody mistyped, somebody is guessing: try --link-only, or --words 3 for a longer code"
            }
            Self::DeclinedByPeer => "talk to the receiver, then run the command again",
            Self::PeerLost { .. } | Self::Interrupted { .. } => {
                "to try again, run the command again on both sides"
            }
            Self::Unconfirmed => {
                "ask the receiver: if it says `Received and verified`, all is there; else run the command again on both sides"
            }
            Self::PeerFailed { .. } => "when that is settled, run the command again on both sides",
            Self::NoRoom { .. } => "make room, or save elsewhere with --output DIR",
            Self::Output { .. } => "name a directory you may write to with --output DIR",
            Self::Write { source, .. } => write_hint(source.kind()),
            Self::Integrity { .. } => {
                "send it again; if it happens twice, check the memory and disks of both machines"
            }
            Self::Tampered { .. } => "try another network; nothing that was altered has been saved",
            Self::UnsafeOffer(_) => "if you trust the sender, ask them to rename it and send it again",
            Self::Protocol { .. } => "update send on both sides and try again",
            Self::Unfit { .. } => "do what is said there, then run `send doctor` again",
            Self::Version { age: Age::Old, .. } => "the other side needs a newer send",
            Self::Version { age: Age::New, .. } => "update send on this machine",
        };
        Some(Cow::Borrowed(text))
    }
}

/// The longest wait that is passed on as the server states it: its longest block is an hour.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

fn unreachable_hint(source: &(dyn StdError + Send + Sync + 'static)) -> &'static str {
    if matches!(source.downcast_ref(), Some(signaling::ConnectError::Proxy(_))) {
        "check HTTPS_PROXY or ALL_PROXY (http://user:password@host:port, socks5h://…), or name the server in NO_PROXY"
    } else {
        "check the address and your connection; without --server, both machines must be on one network"
    }
}

fn refusal_hint(reason: CloseReason, retry_after: Option<Duration>) -> Cow<'static, str> {
    match (reason, retry_after) {
        (CloseReason::TokenRequired, _) => {
            Cow::Borrowed("set SEND_TOKEN to the token its operator gave you, or use another server")
        }
        (CloseReason::UnsupportedVersion, _) => {
            Cow::Borrowed("update send, or ask the server's operator to update it")
        }
        (_, Some(wait)) if wait <= LONGEST_WAIT => {
            Cow::Owned(format!("try again in {}", units::duration(wait)))
        }
        (_, Some(_)) => Cow::Borrowed("try again tomorrow, or use another server"),
        (_, None) => Cow::Borrowed("try again in a minute, or use another server"),
    }
}

fn write_hint(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::StorageFull {
        "make room, or save elsewhere with --output DIR, and run the command again on both sides"
    } else {
        "check the disk and its permissions, then run the command again on both sides"
    }
}

fn source_hint(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::NotFound {
        "check the spelling; to receive with a code, use `send receive`"
    } else if kind == ErrorKind::PermissionDenied {
        "check its permissions"
    } else {
        "check the disk it is on, then run the command again on both sides: what arrived is not sent again"
    }
}
