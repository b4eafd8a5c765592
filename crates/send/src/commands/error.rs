//! How a command can fail: what happened, what was kept, what to do.

mod class;
mod hint;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wire::code::{Nameplate, ParseCodeError};
use wire::signaling::CloseReason;

use super::Kept;
use crate::config::ConfigError;
use crate::report::{AskError, Direction};
use crate::units;

/// Why a command failed: what happened and what was kept. [`Error::hint`] says what to do next.
///
/// Texts name paths as they are; whoever shows them escapes them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was typed is not a code. Nothing was sent to anyone.
    #[error(transparent)]
    NotACode(#[from] ParseCodeError),
    /// What was given is not a link.
    #[error("this is not a link to receive with")]
    NotALink(#[source] Box<dyn StdError + Send + Sync>),
    /// A question could not be answered.
    #[error("cannot ask for an answer")]
    Ask(#[from] AskError),
    /// A source cannot be read.
    #[error("cannot read `{}`", path.display())]
    Source {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A source's name cannot be sent to other systems.
    #[error("the name of `{}` cannot be sent", path.display())]
    SourceName {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A source changed while it was being sent.
    #[error("`{}` changed while it was being sent; the receiver kept no half of it", path.display())]
    SourceChanged {
        /// Which one.
        path: PathBuf,
    },
    /// The paths hold nothing that can be sent.
    #[error("there is nothing to send: the paths hold only links and special files")]
    NothingToSend,
    /// The list of files is not one that can be sent.
    #[error("these files cannot be sent together")]
    Unsendable(#[source] Box<dyn StdError + Send + Sync>),

    /// No server could be reached at this address.
    #[error("the server {server} cannot be reached")]
    ServerUnreachable {
        /// Its address.
        server: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server was there and went away before the two sides had met.
    #[error("the connection to the server {server} broke")]
    ServerLost {
        /// Its address.
        server: String,
    },
    /// The server would not serve this command.
    #[error("the server {server} refused: {}", refusal(*reason))]
    ServerRefused {
        /// Its address.
        server: String,
        /// Why.
        reason: CloseReason,
        /// When it is worth trying again.
        retry_after: Option<Duration>,
    },
    /// No server is configured and nobody on the local network announces this code.
    #[error("no sender with a code that begins with {nameplate} was found on this network")]
    NotFound {
        /// The first part of the code.
        nameplate: Nameplate,
    },
    /// A port could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Both sides know each other, but no data gets from one to the other.
    #[error("no network path between the two machines works")]
    NoPath,
    /// Only relays are to be used, and the server has none.
    #[error("the server has no relay, and --relay-only allows no other path")]
    NoRelay,

    /// The receiver's code differs from the sender's (on the receiver's side). The code is spent.
    #[error("the code is wrong, and spent now; nothing was received")]
    WrongCode,
    /// The rendezvous knows no such code.
    #[error("there is no such code: it is wrong, used or expired")]
    NoSuchCode,
    /// The same code was tried from this machine a short while ago.
    #[error("this code was tried from this machine already; each code works once")]
    AlreadyTried,
    /// Nobody came in time (on the sender's side).
    #[error("nobody used the code within {}; nothing was sent", units::duration(*ttl))]
    Expired {
        /// How long it was open.
        ttl: Duration,
    },
    /// Every code was spent by wrong guesses or by visitors who left (on the sender's side).
    #[error(
        "{codes} codes in a row were spent without the right one being used; nothing was sent or disclosed"
    )]
    Exhausted {
        /// How many.
        codes: u8,
    },

    /// The user declined the offer.
    #[error("declined; nothing was received")]
    Declined,
    /// The other side declined the offer.
    #[error("the receiver declined; nothing was sent")]
    DeclinedByPeer,
    /// The other side ended the transfer on purpose.
    #[error("the {} cancelled; {kept}", other(*direction))]
    CancelledByPeer {
        /// Which end this is.
        direction: Direction,
        /// What is left of it here.
        kept: Kept,
    },
    /// The other side went away before anything was transferred.
    #[error("the {} left before the transfer began", other(*direction))]
    PeerLeft {
        /// Which end this is.
        direction: Direction,
    },
    /// The other side went silent during the transfer and did not come back.
    #[error("the connection to the {} broke and did not come back; {kept}", other(*direction))]
    PeerLost {
        /// Which end this is.
        direction: Direction,
        /// What is left of it here.
        kept: Kept,
    },
    /// Everything was sent, and the connection broke for good before the receiver said that it has it.
    #[error("everything was sent, but the connection broke before the receiver confirmed that it has it")]
    Unconfirmed,
    /// The other side ended the transfer because something failed there.
    #[error("the {} could not go on: {problem}; {kept}", other(*direction))]
    PeerFailed {
        /// Which end this is.
        direction: Direction,
        /// What failed there.
        problem: PeerProblem,
        /// What is left of it here.
        kept: Kept,
    },
    /// The user interrupted the command.
    #[error("interrupted; {kept}")]
    Interrupted {
        /// What is left of it here.
        kept: Kept,
    },

    /// The destination has not enough room; nobody was asked yet.
    #[error(
        "not enough room in `{}`: {} needed, {} free; nothing was received",
        destination.display(), units::size(*needed), units::size(*free)
    )]
    NoRoom {
        /// Where.
        destination: PathBuf,
        /// How much is needed, in bytes.
        needed: u64,
        /// How much there is, in bytes.
        free: u64,
    },
    /// The directory to save to cannot be used.
    #[error("cannot save to `{}`", path.display())]
    Output {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A received file cannot be written.
    #[error("cannot write `{}`; {kept}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What is left of it here.
        kept: Kept,
    },
    /// A file that arrived is not the file that was sent.
    #[error("`{name}` did not arrive as it was sent, and was discarded; {kept}")]
    Integrity {
        /// Its name.
        name: String,
        /// What else is left here.
        kept: Kept,
    },
    /// What arrived was altered on its way.
    #[error("the data was altered on its way; {kept}")]
    Tampered {
        /// What is left of it here.
        kept: Kept,
    },
    /// What the sender offers cannot be received safely. Nothing was written.
    #[error("the offer was refused because it is not safe to receive; nothing was received")]
    UnsafeOffer(#[source] Box<dyn StdError + Send + Sync>),
    /// The other side broke the protocol.
    #[error("the {} sent something that makes no sense here; {kept}", other(*direction))]
    Protocol {
        /// Which end this is.
        direction: Direction,
        /// What is left of it here.
        kept: Kept,
        /// What it was.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The two sides have no version of the protocol in common.
    #[error("the {} runs a version of send that is too {age} for this one", other(*direction))]
    Version {
        /// Which end this is.
        direction: Direction,
        /// How its version compares.
        age: Age,
    },
    /// `send doctor` found what keeps files from being sent or received, and has told.
    #[error("as this machine is set up, files cannot be sent and received: {} above", units::count(*problems as u64, "problem"))]
    Unfit {
        /// How many problems.
        problems: usize,
        /// The exit status of a transfer that comes to the first of them.
        exit_code: u8,
    },
    /// The operating system refused something the command cannot do without.
    #[error("the system refused to {doing}")]
    System {
        /// What was being done, as in "refused to …".
        doing: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// What the other side said it failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerProblem {
    /// It has no room left.
    DiskFull,
    /// It cannot write.
    Write,
    /// It cannot read what it sends.
    Read,
    /// What it sends changed meanwhile.
    SourceChanged,
    /// What arrived there is not what was sent.
    Integrity,
    /// It did not understand this side.
    Protocol,
    /// It refused what was offered as unsafe.
    UnsafeOffer,
    /// It did not say.
    Unknown,
}

impl fmt::Display for PeerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "its disk is full",
            Self::Write => "it cannot write to its disk",
            Self::Read => "it cannot read what it sends",
            Self::SourceChanged => "a file changed while it was being sent",
            Self::Integrity => "a file did not arrive as it was sent",
            Self::Protocol => "it did not understand this side",
            Self::UnsafeOffer => "it considers a name unsafe to create",
            Self::Unknown => "it did not say why",
        })
    }
}

/// How the version of the other side compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is older.
    Old,
    /// It is newer.
    New,
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "old",
            Self::New => "new",
        })
    }
}

/// What the other end is called.
fn other(direction: Direction) -> &'static str {
    match direction {
        Direction::Send => "receiver",
        Direction::Receive => "sender",
    }
}

fn refusal(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::RateLimited => "too many attempts from this network",
        CloseReason::Busy => "it is full",
        CloseReason::TokenRequired => "it is private and lets only its own users send",
        CloseReason::UnsupportedVersion => "it does not speak this version of the protocol",
        CloseReason::GoingAway => "it is shutting down",
        CloseReason::Unavailable => "it cannot reach its own database just now",
        CloseReason::IdleTimeout | CloseReason::SlowReader | CloseReason::ConfirmTimeout => {
            "this side was too slow"
        }
        CloseReason::Replaced => "another connection took this one's place",
        CloseReason::Gone
        | CloseReason::NoSuchCode
        | CloseReason::WrongCode
        | CloseReason::Expired
        | CloseReason::Exhausted
        | CloseReason::OtherDoor
        | CloseReason::BadMessage
        | CloseReason::Unknown
        | _ => "it gave no reason that this version understands",
    }
}
