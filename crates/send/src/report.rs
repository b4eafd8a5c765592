//! What happened, in domain terms, and whom to ask: the only way the logic of a command talks to a person.
//!
//! Commands emit [`Event`]s through a [`Reporter`] and put questions through [`Ask`]; how either looks is decided by
//! whoever implements them. Sizes are bytes. Text in events may come from the peer or the server and is unescaped:
//! whoever shows it escapes it.

mod finding;
mod offer;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wire::code::Code;

pub use wire::doors::AttemptFailure;

pub use finding::{Check, Fact, Finding, Verdict};
pub use offer::{Caution, EntryKind, Offer, TopLevel};

/// Receives what happens during a command. Calls return at once and may come from any thread.
pub trait Reporter: Send + Sync {
    /// Takes note of one event. Cheap enough to call for every chunk: whoever draws, draws less often.
    fn report(&self, event: Event);
}

/// Puts questions to a person. Dropping a returned future withdraws its question.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Asks for the code or link to receive with. The answer is what was typed, not yet parsed.
    ///
    /// # Errors
    /// [`AskError::Closed`] when the input ended before a line was read.
    async fn code(&self) -> Result<Secret, AskError>;

    /// Asks whether to receive what is offered.
    ///
    /// # Errors
    /// [`AskError::NoTerminal`] when nobody can be asked and nobody has agreed beforehand;
    /// [`AskError::Closed`] when the input ended before an answer.
    async fn consent(&self, offer: &Offer) -> Result<Consent, AskError>;

    /// Asks which of several senders that use the same code is meant; the answer is an index into `senders`.
    ///
    /// # Errors
    /// As [`Ask::consent`].
    async fn which(&self, senders: &[String]) -> Result<usize, AskError>;
}

/// What a receiver decides about an [`Offer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Receive it.
    Accept,
    /// Tell the sender no.
    Decline,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Standard input is not a terminal, so nobody can be asked.
    #[error("there is no terminal to ask at")]
    NoTerminal,
    /// The input ended first.
    #[error("the input ended before an answer")]
    Closed,
    /// The input cannot be read.
    #[error("the answer cannot be read")]
    Read(#[source] std::io::Error),
}

/// Text that lets whoever knows it receive: a typed code as it was typed, or a link. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, secret included: to parse it, or for the eyes of the user.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Something worth telling while a command runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// The sources are read and ready to be sent.
    Offering(Summary),
    /// A rendezvous accepts connections here (`send serve`).
    Listening {
        /// Where it is bound.
        address: SocketAddr,
    },
    /// A code or link is open; the receiver needs it.
    CodeReady(Invitation),
    /// Someone claimed the code and is proving that they know all of it.
    PeerKnocked,
    /// An attempt ended without a session. What follows, if the command goes on, is another [`Event::CodeReady`].
    AttemptFailed(AttemptFailure),
    /// Both sides proved that they know the code; everything from here on is sealed.
    Paired,
    /// Data can flow, for the first time or over another path than before.
    Connected {
        /// How it flows.
        path: Path,
        /// Why it flows through a server, if it does.
        detour: Option<Detour>,
        /// What the peer calls itself, if it says so.
        peer: Option<Arc<str>>,
    },
    /// The receiver is being asked whether to accept (on the sender's side).
    AwaitingConsent,
    /// What the sender offers (on the receiver's side), before the receiver is asked.
    Offered(Offer),
    /// Data moved.
    Progress(Progress),
    /// The connection broke; both sides try to meet again.
    Reconnecting(Interruption),
    /// What an earlier attempt left here is being read, for the sender to say whether it is its own.
    Checking {
        /// Bytes read.
        done: u64,
        /// Bytes there are.
        total: u64,
    },
    /// The transfer goes on where it broke off.
    Resumed {
        /// Which entry goes on.
        name: Arc<str>,
        /// How much of it was there already.
        offset: u64,
        /// How large it is.
        size: u64,
    },
    /// A file stands under its final name, complete and verified.
    Saved {
        /// Where.
        path: PathBuf,
        /// How large it is.
        size: u64,
    },
    /// Something the user should know that does not stop the command.
    Warning(Warning),
    /// Everything arrived and was verified by the receiver.
    Finished(Finished),
    /// What one check of `send doctor` found.
    Found(Finding),
    /// `send doctor` is done, and files can be sent and received as this machine is set up.
    Diagnosed {
        /// How many findings were warnings.
        warnings: usize,
    },
}

/// What is being sent, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The name, when a single file or directory is sent.
    pub name: Option<Arc<str>>,
    /// How many files, counting those in directories.
    pub file_count: u64,
    /// Their sizes added up.
    pub total_size: u64,
}

/// Everything a receiver needs, and how long it holds.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What to read aloud; `None` when only the link is open.
    pub code: Option<Code>,
    /// What to scan or open; `None` when no page can be reached.
    pub link: Option<Secret>,
    /// What a receiver has to be told besides the code, if anything: the server's address as text.
    pub server: Option<String>,
    /// How long an unclaimed code stays open.
    pub ttl: Duration,
    /// How many more codes follow if this one is spent by a wrong guess.
    pub codes_left: u8,
    /// Why there is a new code; `None` for the first.
    pub reissued: Option<AttemptFailure>,
}

/// How the data travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Between two processes of one machine.
    SameMachine,
    /// Without leaving the local network.
    LocalNetwork,
    /// From peer to peer through the routers between them.
    Direct,
    /// Through a TURN server.
    Turn,
    /// Through the rendezvous.
    Relay,
}

/// Why data travels through a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detour {
    /// The user wants it.
    Chosen,
    /// No direct path has been found yet.
    NoneFound,
}

/// How far the transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The entry that moves right now.
    pub name: Arc<str>,
    /// Its place among the files, from 0.
    pub index: u64,
    /// How many files there are.
    pub file_count: u64,
    /// How much of everything is done, what was there before included.
    pub done: u64,
    /// How much everything is.
    pub total: u64,
}

/// How far a transfer had come when its connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// What does not have to move again, in bytes; at the sender, what it has sent.
    pub kept: u64,
    /// How much everything is, in bytes.
    pub total: u64,
}

/// Which end of the transfer this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It sends.
    Send,
    /// It receives.
    Receive,
}

/// What a finished transfer amounted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which end this is.
    pub direction: Direction,
    /// What was moved.
    pub what: Summary,
    /// How many bytes crossed the network, without what was there before.
    pub moved: u64,
    /// From the first byte to the last confirmation.
    pub elapsed: Duration,
    /// Where it stands on this machine: the file, or the directory of several. `None` at the sender.
    pub place: Option<PathBuf>,
}

/// Something the user should know that does not stop the command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A link stood on the command line, where other users of this machine can read it.
    SecretOnCommandLine,
    /// Symbolic links among the sources were left out.
    SymlinksSkipped {
        /// How many.
        count: usize,
    },
    /// A source that is neither file nor directory (a device, a socket, a pipe) was left out.
    SpecialFileSkipped(PathBuf),
    /// A source goes under another name: its own is not portable, or another source has it.
    SentAs {
        /// Where it is.
        from: String,
        /// The name it is sent under.
        to: String,
    },
    /// A name was taken, so the file goes to another.
    Renamed {
        /// The name it was sent under.
        from: String,
        /// The name it has here.
        to: String,
    },
    /// What was here of a file is not how the sender's begins: it comes from its first byte.
    StartsOver {
        /// The path it is sent under.
        name: String,
    },
    /// The server asks to wait; the command waits and goes on.
    ServerBusy {
        /// For how long.
        retry_after: Duration,
    },
    /// The server is under attack: this machine works for a moment before it is served.
    ServerGuarded,
    /// The connection to the server broke while a code is shown; the command reconnects, and the code still holds.
    ServerAway,
    /// The server is reached again, and has kept the code.
    ServerBack,
    /// No other machine can reach this one: it has no address on a network.
    NoNetwork,
    /// The sender cannot be found without an address: announcing on the local network does not work here.
    DiscoveryUnavailable,
    /// The wanted port is in use; another one was taken.
    PortTaken {
        /// The wanted one.
        wanted: u16,
        /// The one in use now.
        used: u16,
    },
    /// The server is reached without TLS: whoever can interfere with the network can change the page it serves.
    PlainHttp {
        /// Its address as text.
        server: String,
    },
    /// Used codes cannot be remembered on this machine, so the same code could be tried twice.
    CodesNotRemembered,
    /// The connection broke after everything was received, and before the sender heard of it: the command waits for it.
    SenderUnaware,
    /// Permissions or times of a received file could not be set.
    AttributesNotKept(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_an_invitation_shows_neither_code_nor_link() {
        let invitation = Invitation {
            code: "48-2093".parse().ok(),
            link: Some(Secret::new("https://drop.example.org/#topsecret")),
            server: None,
            ttl: Duration::from_mins(5),
            codes_left: 2,
            reissued: None,
        };
        let debug = format!("{:?}", Event::CodeReady(invitation));
        assert!(!debug.contains("2093") && !debug.contains("topsecret"), "{debug}");
    }
}
