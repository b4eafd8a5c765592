//! What a command does, and how it can fail.

mod failure;
pub mod receive;
pub mod send;
pub mod serve;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wire::code::{Nameplate, ParseCodeError};
use wire::signaling::CloseReason;

use crate::config::ConfigError;
use crate::report::{AskError, Direction};
use crate::signaling;
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
    /// The operating system refused something the command cannot do without.
    #[error("the system refused to {doing}")]
    System {
        /// What was being done, as in "refused to …".
        doing: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// What `future` gives, unless `cancel` is cancelled first: then it is dropped, which tells the other side by leaving.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Interrupted { kept: Kept::default() }),
        outcome = future => outcome,
    }
}

/// What is left on this machine after a failure. Shown as the clause that follows a semicolon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many files arrived and stand under their final names. Always 0 at the sender.
    pub saved: u64,
    /// How many were to arrive. 0 at the sender, or before that is known.
    pub file_count: u64,
    /// The unfinished file that waits for another attempt, if one is kept.
    pub partial: Option<PathBuf>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partial = self.partial.as_ref().map(|path| path.display());
        match (self.saved, partial) {
            (0, None) if self.file_count == 0 => f.write_str("nothing on this machine was changed"),
            (0, None) => f.write_str("nothing was saved"),
            (0, Some(partial)) => write!(f, "what arrived is kept in `{partial}`"),
            (saved, None) => write!(f, "{saved} of {} files were saved", self.file_count),
            (saved, Some(partial)) => {
                write!(
                    f,
                    "{saved} of {} files were saved, part of another is kept in `{partial}`",
                    self.file_count
                )
            }
        }
    }
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
            Self::Version { age: Age::Old, .. } => "the other side needs a newer send",
            Self::Version { age: Age::New, .. } => "update send on this machine",
        };
        Some(Cow::Borrowed(text))
    }

    /// The exit status of the process.
    ///
    /// 1 failed · 2 usage · 3 refused or cancelled by the other side · 4 wrong or expired code · 5 no path to the peer or
    /// the server · 6 local file or disk error · 7 integrity failure · 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        self.class().1
    }

    /// A stable name for programs, such as `no_such_code`.
    pub fn name(&self) -> &'static str {
        self.class().0
    }

    fn class(&self) -> (&'static str, u8) {
        match self {
            Self::Config(_) => ("config", 2),
            Self::NotACode(_) => ("not_a_code", 2),
            Self::NotALink(_) => ("not_a_link", 2),
            Self::Ask(_) => ("nobody_to_ask", 2),
            Self::Source { .. } => ("source", 6),
            Self::SourceName { .. } => ("source_name", 6),
            Self::SourceChanged { .. } => ("source_changed", 6),
            Self::NothingToSend => ("nothing_to_send", 6),
            Self::Unsendable(_) => ("unsendable", 6),
            Self::ServerUnreachable { .. } => ("server_unreachable", 5),
            Self::ServerLost { .. } => ("server_lost", 5),
            Self::ServerRefused { .. } => ("server_refused", 5),
            Self::NotFound { .. } => ("not_found", 5),
            Self::Listen { .. } => ("listen", 1),
            Self::NoPath => ("no_path", 5),
            Self::NoRelay => ("no_relay", 5),
            Self::WrongCode => ("wrong_code", 4),
            Self::NoSuchCode => ("no_such_code", 4),
            Self::AlreadyTried => ("already_tried", 4),
            Self::Expired { .. } => ("expired", 4),
            Self::Exhausted { .. } => ("exhausted", 4),
            Self::Declined => ("declined", 1),
            Self::DeclinedByPeer => ("declined_by_peer", 3),
            Self::CancelledByPeer { .. } => ("cancelled_by_peer", 3),
            Self::PeerLeft { .. } => ("peer_left", 3),
            Self::PeerLost { .. } => ("peer_lost", 5),
            Self::Unconfirmed => ("unconfirmed", 5),
            Self::PeerFailed { problem: PeerProblem::Integrity, .. } => ("peer_failed", 7),
            Self::PeerFailed { .. } => ("peer_failed", 1),
            Self::Interrupted { .. } => ("interrupted", 130),
            Self::NoRoom { .. } => ("no_room", 6),
            Self::Output { .. } => ("output", 6),
            Self::Write { .. } => ("write", 6),
            Self::Integrity { .. } => ("integrity", 7),
            Self::Tampered { .. } => ("tampered", 7),
            Self::UnsafeOffer(_) => ("unsafe_offer", 1),
            Self::Protocol { .. } => ("protocol", 1),
            Self::Version { .. } => ("version", 1),
            Self::System { .. } => ("system", 1),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use super::*;

    fn every_error() -> Vec<Error> {
        let cause = || Box::<dyn StdError + Send + Sync>::from("the cause");
        let io = |kind| io::Error::new(kind, "the cause");
        let server = || "https://drop.example.org".to_owned();
        let path = || PathBuf::from("holiday.mp4");
        let kept = Kept::default;
        let direction = Direction::Receive;
        let reason = CloseReason::RateLimited;
        vec![
            Error::Config(ConfigError::Unreadable { path: path(), source: io(ErrorKind::NotFound) }),
            Error::NotACode(ParseCodeError::NotACode),
            Error::NotALink(cause()),
            Error::Ask(AskError::NoTerminal),
            Error::Source { path: path(), source: io(ErrorKind::NotFound) },
            Error::SourceName { path: path(), source: cause() },
            Error::SourceChanged { path: path() },
            Error::NothingToSend,
            Error::Unsendable(cause()),
            Error::ServerUnreachable { server: server(), source: cause() },
            Error::ServerLost { server: server() },
            Error::ServerRefused { server: server(), reason, retry_after: Some(Duration::from_secs(7)) },
            Error::NotFound { nameplate: Nameplate::new(48).unwrap() },
            Error::Listen { address: ([127, 0, 0, 1], 80).into(), source: io(ErrorKind::AddrInUse) },
            Error::NoPath,
            Error::NoRelay,
            Error::WrongCode,
            Error::NoSuchCode,
            Error::AlreadyTried,
            Error::Expired { ttl: Duration::from_mins(5) },
            Error::Exhausted { codes: 3 },
            Error::Declined,
            Error::DeclinedByPeer,
            Error::CancelledByPeer { direction, kept: kept() },
            Error::PeerLeft { direction },
            Error::PeerLost { direction, kept: kept() },
            Error::Unconfirmed,
            Error::PeerFailed { direction, problem: PeerProblem::DiskFull, kept: kept() },
            Error::Interrupted { kept: kept() },
            Error::NoRoom { destination: path(), needed: 2_000_000, free: 1_000_000 },
            Error::Output { path: path(), source: io(ErrorKind::PermissionDenied) },
            Error::Write { path: path(), source: io(ErrorKind::StorageFull), kept: kept() },
            Error::Integrity { name: "holiday.mp4".to_owned(), kept: kept() },
            Error::Tampered { kept: kept() },
            Error::UnsafeOffer(cause()),
            Error::Protocol { direction, kept: kept(), source: cause() },
            Error::Version { direction, age: Age::New },
            Error::System { doing: "give a socket", source: cause() },
        ]
    }

    #[test]
    fn every_error_reads_like_a_sentence_for_a_person() {
        for error in every_error() {
            let text = error.to_string();
            let hint = error.hint().unwrap_or_default();
            for told in [text.as_str(), &hint] {
                assert!(!told.ends_with('.') && !told.contains('\n'), "{told}");
                for jargon in ["channel", " closed", "Error", "None", "Some(", "failed to", "caused by", "{"]
                {
                    assert!(!told.contains(jargon), "`{jargon}` in: {told}");
                }
            }
            assert!(!text.contains("the cause"), "the cause is told by source(): {text}");
            assert!(!text.starts_with(char::is_uppercase), "{text}");
        }
    }

    #[test]
    fn every_failure_a_user_can_do_something_about_has_a_hint() {
        let silent: Vec<_> =
            every_error().iter().filter(|error| error.hint().is_none()).map(Error::name).collect();
        assert_eq!(silent, ["config", "declined", "cancelled_by_peer", "system"]);
    }

    #[test]
    fn exit_codes_sort_failures_by_what_a_script_can_do() {
        let mut by_code = BTreeMap::<u8, Vec<&str>>::new();
        for error in every_error() {
            by_code.entry(error.exit_code()).or_default().push(error.name());
        }
        let of = |code| by_code.get(&code).map(|names| names.join(" ")).unwrap_or_default();
        assert_eq!(of(1), "listen declined peer_failed unsafe_offer protocol version system");
        assert_eq!(of(2), "config not_a_code not_a_link nobody_to_ask");
        assert_eq!(of(3), "declined_by_peer cancelled_by_peer peer_left");
        assert_eq!(of(4), "wrong_code no_such_code already_tried expired exhausted");
        assert_eq!(
            of(5),
            "server_unreachable server_lost server_refused not_found no_path no_relay peer_lost unconfirmed"
        );
        assert_eq!(
            of(6),
            "source source_name source_changed nothing_to_send unsendable no_room output write"
        );
        assert_eq!(of(7), "integrity tampered");
        assert_eq!(of(130), "interrupted");
        assert!(!by_code.contains_key(&0), "no failure looks like success");
    }

    #[test]
    fn what_was_kept_is_told_exactly() {
        let kept = |saved, file_count, partial: Option<&str>| {
            Kept { saved, file_count, partial: partial.map(PathBuf::from) }.to_string()
        };
        assert_eq!(kept(0, 0, None), "nothing on this machine was changed");
        assert_eq!(kept(0, 5, None), "nothing was saved");
        assert_eq!(kept(3, 5, None), "3 of 5 files were saved");
        assert_eq!(kept(0, 1, Some(".a.part")), "what arrived is kept in `.a.part`");
        assert_eq!(
            kept(3, 5, Some(".a.part")),
            "3 of 5 files were saved, part of another is kept in `.a.part`"
        );
    }

    #[test]
    fn a_busy_server_says_when_to_come_back() {
        let server = "https://drop.example.org".to_owned();
        let refused = |seconds| Error::ServerRefused {
            server: server.clone(),
            reason: CloseReason::RateLimited,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let text = refused(90).to_string();
        assert_eq!(text, "the server https://drop.example.org refused: too many attempts from this network");
        assert_eq!(refused(90).hint().as_deref(), Some("try again in 1 min 30 s"));
        let absurd = refused(u32::MAX.into());
        assert_eq!(absurd.hint().as_deref(), Some("try again tomorrow, or use another server"));
    }

    #[test]
    fn unknown_used_and_expired_codes_are_not_told_apart() {
        let text = Error::NoSuchCode.to_string();
        assert!(["wrong", "used", "expired"].iter().all(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn each_side_is_told_about_the_other() {
        let lost = |direction| Error::PeerLeft { direction }.to_string();
        assert_eq!(lost(Direction::Send), "the receiver left before the transfer began");
        assert_eq!(lost(Direction::Receive), "the sender left before the transfer began");
    }
}
