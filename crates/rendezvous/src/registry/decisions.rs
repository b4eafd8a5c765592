//! What the registry decides, and what it is told: the words between it and its driver.

use wire::code::Nameplate;
use wire::signaling::{CloseReason, Door, ReportedPath, ServerMessage, Slot};

use super::mailbox::DoorName;
use super::returning::Portable;
use super::sockets::ConnectionId;
use crate::client_ip::ClientKey;

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a message.
    Deliver {
        /// To this socket.
        to: ConnectionId,
        /// The message.
        message: ServerMessage,
    },
    /// Close a socket once it was sent what was delivered before. The registry has forgotten it.
    Close {
        /// Which socket.
        connection: ConnectionId,
        /// The reason, which gives the WebSocket close code.
        reason: CloseReason,
    },
    /// Count a fault against a client.
    Charge {
        /// Whose fault.
        client: ClientKey,
        /// What it did.
        fault: Fault,
    },
    /// Count something that happened.
    Count(Tally),
    /// Tell the other instances, if there are any.
    Share(Shared),
}

/// What other instances know of this one's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// A session whose sender may come back is like this now; `None` when it is over.
    Session {
        /// By what the sender comes back.
        return_slot: Slot,
        /// What it would find.
        session: Option<Portable>,
    },
    /// A door is not found by this any more.
    Released(DoorName),
}

/// What was settled with other instances before a message is handled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prepared {
    /// The nameplate that a new typed door gets; without it, one is drawn here.
    pub(crate) nameplate: Option<Nameplate>,
    /// The least number that the attempt may have.
    pub(crate) attempt: u32,
}

/// What is worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Two sides were brought together.
    Paired(Door),
    /// They proved themselves to each other.
    Confirmed(Door),
    /// One of them proved another password.
    WrongCode(Door),
    /// One of them left, or took too long, before it proved anything.
    SoftDrop(Door),
    /// A sender told how its session ended.
    Reported {
        /// How the two were connected.
        path: ReportedPath,
        /// Whether the receiver got everything.
        ok: bool,
    },
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Sessions that nobody has come to.
    pub(crate) waiting: usize,
    /// Sessions with somebody in a door.
    pub(crate) pairing: usize,
    /// Sessions whose two sides have proved themselves.
    pub(crate) confirmed: usize,
    /// Meetings that somebody is at.
    pub(crate) meetings: usize,
}

/// What speaks for somebody guessing codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There was no such code, or the password was wrong.
    FailedClaim,
    /// It came and left without proving anything: half a failed claim.
    SoftDrop,
}
