//! The sockets, and where each of them is: they come, go from place to place, and are dismissed.

use std::time::{Duration, Instant};

use wire::signaling::{CloseReason, Door, Role, ServerMessage, Slot};

use super::mailbox::MailboxId;
use super::{Action, Registry};
use crate::client_ip::ClientKey;

/// Names a socket for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) client: ClientKey,
    pub(super) place: Place,
    /// Whether it is another instance's socket that has its place here.
    pub(super) is_remote: bool,
}

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has not said what it wants.
    Lobby,
    /// Its claim failed; it will be told when the delay is over.
    Refused,
    /// It has the doors of this mailbox.
    Sender(MailboxId),
    /// It stands in a door.
    Receiver(MailboxId, Door, u32),
    /// It is at a meeting.
    Meeting(Slot, Role),
    /// It is at a door or a meeting of another instance.
    Elsewhere,
}

impl Registry {
    /// A socket was opened.
    pub(crate) fn handle_connect(&mut self, connection: ConnectionId, client: ClientKey) {
        self.connections.insert(connection, Connection { client, place: Place::Lobby, is_remote: false });
    }

    /// A socket of another instance is to have its place here.
    pub(crate) fn handle_visit(&mut self, connection: ConnectionId, client: ClientKey) {
        self.connections.insert(connection, Connection { client, place: Place::Lobby, is_remote: true });
    }

    /// A socket broke, or went silent: a sender may come back to its doors.
    pub(crate) fn handle_break(&mut self, connection: ConnectionId, now: Instant) {
        let place = self.connections.get(&connection).map(|connection| connection.place);
        if let Some(Place::Sender(mailbox)) = place
            && self.is_returnable(mailbox)
        {
            self.connections.remove(&connection);
            self.vacate(mailbox, now);
        } else {
            self.handle_disconnect(connection, now);
        }
    }

    /// A socket is gone, for good.
    pub(crate) fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        let Some(Connection { place, .. }) = self.connections.remove(&connection) else { return };
        match place {
            Place::Lobby | Place::Refused | Place::Elsewhere => {}
            Place::Sender(mailbox) => self.sender_left(mailbox, now),
            Place::Receiver(mailbox, door, attempt) => self.receiver_left(mailbox, door, attempt, now),
            Place::Meeting(slot, role) => self.leave_meeting(connection, slot, role, now),
        }
    }

    /// The driver will not go on with a socket: it is told, closed and forgotten.
    pub(crate) fn handle_refusal(
        &mut self,
        connection: ConnectionId,
        reason: CloseReason,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        if self.connections.contains_key(&connection) {
            let seconds = retry_after.map(|wait| u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX));
            self.deliver(connection, ServerMessage::Refused { reason, retry_after: seconds });
            self.actions.push_back(Action::Close { connection, reason });
            if may_come_back(reason) {
                self.handle_break(connection, now);
            } else {
                self.handle_disconnect(connection, now);
            }
        }
    }

    /// A socket goes to a place at another instance. Whether it may; if not, it is refused.
    pub(crate) fn handle_departure(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let Some(Connection { place, .. }) = self.connections.get(&connection).copied() else { return false };
        if place == Place::Elsewhere {
            return true;
        }
        if !self.may_meet(place) {
            self.handle_refusal(connection, CloseReason::BadMessage, None, now);
            return false;
        }
        self.leave_place(connection, now);
        self.place(connection, Place::Elsewhere);
        true
    }

    /// Another instance has dismissed a socket that had its place there, and has said so.
    pub(crate) fn handle_dismissal(&mut self, connection: ConnectionId, reason: CloseReason) {
        if self.connections.remove(&connection).is_some() {
            self.actions.push_back(Action::Close { connection, reason });
        }
    }

    /// A socket that had its place at another instance is to have one here.
    pub(crate) fn handle_return(&mut self, connection: ConnectionId) {
        if self.connections.get(&connection).is_some_and(|state| state.place == Place::Elsewhere) {
            self.place(connection, Place::Lobby);
        }
    }

    /// Whether a socket has not said yet what it wants.
    pub(crate) fn is_in_lobby(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|state| state.place == Place::Lobby)
    }

    /// Whether a socket may leave where it is for a meeting.
    pub(crate) fn may_leave(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|state| self.may_meet(state.place))
    }

    /// The server stops: everybody is told.
    pub(crate) fn handle_shutdown(&mut self, now: Instant) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in all {
            self.handle_refusal(connection, CloseReason::GoingAway, None, now);
        }
    }

    pub(super) fn place(&mut self, connection: ConnectionId, place: Place) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.place = place;
        }
    }
}

/// Whether a sender that is dismissed for this reason may come back to its doors. A frame that a breaking connection cut off
/// cannot be told from one that is wrong.
fn may_come_back(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::GoingAway | CloseReason::IdleTimeout | CloseReason::SlowReader | CloseReason::BadMessage
    )
}
