//! What is passed on between two sides, and how they go from their door to where they meet again.

use std::time::Instant;

use wire::signaling::{Body, CloseReason, Door, Role, ServerMessage, Slot};

use super::mailbox::{Mailbox, MailboxId};
use super::meetings::Passage;
use super::sockets::{ConnectionId, Place};
use super::{Action, Registry, Tally};

impl Registry {
    /// The slots of all meetings at which somebody is.
    pub(crate) fn meeting_slots(&self) -> Vec<Slot> {
        self.meetings.occupied()
    }

    /// Another instance has taken this meeting over: those who are here are to go there.
    pub(crate) fn handle_meeting_moved(&mut self, slot: Slot, now: Instant) {
        for connection in self.meetings.present(slot) {
            self.handle_refusal(connection, CloseReason::GoingAway, None, now);
        }
    }

    pub(super) fn tell_paired(&mut self, both: [Option<ConnectionId>; 2], door: Door, attempt: u32) {
        for to in both.into_iter().flatten() {
            let ice_servers = self.ice_servers.clone();
            self.deliver(to, ServerMessage::Paired { door, attempt, ice_servers, relay: None });
        }
        self.actions.push_back(Action::Count(Tally::Paired(door)));
    }

    pub(super) fn relay(
        &mut self,
        (from, place): (ConnectionId, Place),
        (door, attempt): (Door, u32),
        body: Body,
        now: Instant,
    ) {
        let passage = match place {
            Place::Sender(id) => self.pass(id, (door, attempt), Role::Sender, body.len()),
            Place::Receiver(id, own, _) if own == door => {
                self.pass(id, (door, attempt), Role::Receiver, body.len())
            }
            Place::Meeting(slot, role) if door == Door::Meeting => {
                self.meetings.pass((slot, role), attempt, body.len(), now)
            }
            Place::Lobby => Passage::Exceeded,
            Place::Receiver(..) | Place::Meeting(..) | Place::Refused | Place::Elsewhere => Passage::Nowhere,
        };
        match passage {
            Passage::To(to) => self.deliver(to, ServerMessage::Relay { door, attempt, body }),
            Passage::Nowhere => {}
            Passage::Exceeded => self.handle_refusal(from, CloseReason::BadMessage, None, now),
        }
    }

    /// A sender may leave its mailbox once a door is confirmed. A receiver always: it may have the sender's
    /// confirmation before the sender's `result` is here.
    pub(super) fn may_meet(&self, place: Place) -> bool {
        match place {
            Place::Lobby | Place::Receiver(..) | Place::Meeting(..) | Place::Elsewhere => true,
            Place::Sender(id) => self.mailboxes.get(&id).is_some_and(|mailbox| mailbox.confirmed.is_some()),
            Place::Refused => false,
        }
    }

    /// Somebody goes from where it is to a meeting.
    pub(super) fn leave_place(&mut self, from: ConnectionId, now: Instant) {
        match self.connections.get(&from).map(|connection| connection.place) {
            Some(Place::Meeting(old_slot, old_role)) => self.leave_meeting(from, old_slot, old_role, now),
            Some(Place::Sender(id)) => self.move_out(id, |mailbox| mailbox.sender = None, now),
            Some(Place::Receiver(id, door, number)) => {
                let leave = |mailbox: &mut Mailbox| {
                    if let Some(attempt) = mailbox.attempt_mut(door, number) {
                        attempt.receiver = None;
                    }
                };
                self.move_out(id, leave, now);
            }
            Some(Place::Lobby | Place::Refused | Place::Elsewhere) | None => {}
        }
        self.place(from, Place::Lobby);
    }

    pub(super) fn meet(&mut self, from: ConnectionId, slot: Slot, role: Role, now: Instant) {
        self.leave_place(from, now);
        let Some(joined) = self.meetings.join(slot, role, from, now) else {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        };
        self.place(from, Place::Meeting(slot, role));
        if let Some(older) = joined.replaced {
            self.handle_refusal(older, CloseReason::Replaced, None, now);
        }
        if let Some((other, pairing)) = joined.paired {
            self.tell_paired([Some(other), Some(from)], Door::Meeting, pairing);
        }
    }

    /// Somebody goes on to a meeting. The one who stays is not told: it will follow.
    pub(super) fn move_out(&mut self, id: MailboxId, leave: impl FnOnce(&mut Mailbox), now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        leave(mailbox);
        if mailbox.sender.is_none() && mailbox.confirmed_receiver().is_none() {
            self.remove_mailbox(id, now);
        }
    }

    pub(super) fn leave_meeting(&mut self, connection: ConnectionId, slot: Slot, role: Role, now: Instant) {
        if let Some((other, attempt)) = self.meetings.leave(slot, role, connection, now) {
            let reason = CloseReason::Gone;
            self.deliver(other, ServerMessage::Left { door: Door::Meeting, attempt, reason });
        }
    }
}
