//! What `send doctor` finds.

use std::borrow::Cow;
use std::time::Duration;

/// What one check found, and what there is to do.
///
/// Texts name paths, addresses and what servers say as they are; whoever shows them escapes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How good that is.
    pub verdict: Verdict,
    /// What was found, as a stable name for programs.
    pub outcome: &'static str,
    /// The same in a sentence or two.
    pub message: String,
    /// What to do about it, where there is something.
    pub advice: Option<Cow<'static, str>>,
    /// Names and values for programs.
    pub facts: Vec<(&'static str, Fact)>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The directory that received files go to.
    Disk,
    /// The directory in which used codes are remembered.
    State,
    /// Finding senders on the local network without a server.
    Multicast,
    /// The way to the rendezvous.
    Server,
    /// This machine's clock beside the server's.
    Clock,
    /// Opening a code and using it.
    Code,
    /// The addresses at which others may reach this machine.
    Addresses,
    /// Whether UDP leaves this network and comes back.
    Udp,
    /// What the router before this machine does to addresses.
    Router,
    /// Whether a TURN server passes on.
    Turn,
    /// Whether the rendezvous' own relay passes on.
    Relay,
    /// A whole transfer from this machine to itself.
    Transfer,
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Neither good nor bad: something that is not there, or that nothing can be said about.
    Note,
    /// Some transfers will not work, or not as well as they might.
    Warning,
    /// None will, as this machine is set up.
    Problem {
        /// The exit status of a command that comes to it.
        exit_code: u8,
    },
}

/// A value for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// A number, in bytes where it is a size.
    Number(i64),
    /// A time.
    Time(Duration),
}

impl Finding {
    /// A finding without advice and facts.
    pub fn new(check: Check, verdict: Verdict, outcome: &'static str, message: impl Into<String>) -> Self {
        Self { check, verdict, outcome, message: message.into(), advice: None, facts: Vec::new() }
    }

    /// As it should be.
    pub fn good(check: Check, outcome: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Good, outcome, message)
    }

    /// Neither good nor bad.
    pub fn note(check: Check, outcome: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Note, outcome, message)
    }

    /// Not as it should be.
    pub fn warning(check: Check, outcome: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, outcome, message)
    }

    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// With a value for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: Fact) -> Self {
        self.facts.push((name, fact));
        self
    }
}
