//! One receiver after the other in a door: from its claim to a proof, or to none.

use std::time::{Duration, Instant};

use wire::signaling::{Claim, CloseReason, Door, Outcome, Role, ServerMessage};

use super::allowance::Taken;
use super::doors::{MOST_SOFT_DROPS, RETURN_WAIT};
use super::mailbox::{Attempt, MailboxId, Stage};
use super::meetings::Passage;
use super::sockets::{Connection, ConnectionId, Place};
use super::timers::{DoorKind, Timer};
use super::{Action, Fault, Prepared, Registry, Tally};
use crate::client_ip::ClientKey;

impl Registry {
    /// Puts a receiver into a door, if there is one and it is free.
    pub(super) fn claim(
        &mut self,
        (from, client): (ConnectionId, ClientKey),
        at: Claim,
        prepared: Prepared,
        now: Instant,
    ) {
        let free = self.find(at).and_then(|(id, kind)| {
            let mailbox = self.mailboxes.get_mut(&id)?;
            let door = mailbox.door(kind.into())?;
            let is_free = door.attempt.is_none() && door.expires_at > now;
            is_free.then_some((id, kind, mailbox))
        });
        let Some((id, kind, mailbox)) = free else { return self.refuse_claim(from, client, now) };
        let number = mailbox.next_attempt(kind.into(), prepared.attempt);
        let is_vacant = mailbox.sender.is_none();
        let Some(door) = mailbox.door_mut(kind.into()) else { return };
        // A sender whose socket broke has a moment to come back before its receiver is turned away.
        let until = if is_vacant { now + RETURN_WAIT } else { door.rests_until };
        door.attempt = Some(Attempt {
            number,
            receiver: Some(from),
            client,
            stage: Stage::Held { until },
            to_sender: self.relayed,
            to_receiver: self.relayed,
        });
        self.place(from, Place::Receiver(id, kind.into(), number));
        if until > now {
            self.timers.arm(until, Timer::Attempt(id, kind, number));
        } else {
            self.pair(id, kind, number, now);
        }
    }

    /// Unknown, used, expired, busy: one answer, after one delay, at one price.
    pub(super) fn refuse_claim(&mut self, from: ConnectionId, client: ClientKey, now: Instant) {
        if let Some(Connection { place: place @ Place::Lobby, .. }) = self.connections.get_mut(&from) {
            *place = Place::Refused;
        }
        self.actions.push_back(Action::Charge { client, fault: Fault::FailedClaim });
        // The instance that this socket is at waits instead, from when the claim came.
        let is_here = self.connections.get(&from).is_some_and(|connection| !connection.is_remote);
        let delay = if is_here { self.times.refusal_delay } else { Duration::ZERO };
        self.timers.arm(now + delay, Timer::Refusal(from));
    }

    pub(super) fn pair(&mut self, id: MailboxId, kind: DoorKind, number: u32, now: Instant) {
        let confirm_by = now + self.times.confirm;
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let sender = mailbox.sender;
        let Some(attempt) = mailbox.attempt_mut(kind.into(), number) else { return };
        attempt.stage = Stage::Paired { confirm_by };
        let both = [sender, attempt.receiver];
        self.timers.arm(confirm_by, Timer::Attempt(id, kind, number));
        self.tell_paired(both, kind.into(), number);
    }

    /// Hears from the sender how an attempt ended.
    pub(super) fn result(
        &mut self,
        id: MailboxId,
        (door, number): (Door, u32),
        outcome: Outcome,
        now: Instant,
    ) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let Some(attempt) = mailbox.attempt_mut(door, number) else { return };
        if !matches!(attempt.stage, Stage::Paired { .. }) {
            return;
        }
        let event = match outcome {
            Outcome::Confirmed => Tally::Confirmed(door),
            Outcome::WrongCode => Tally::WrongCode(door),
        };
        self.actions.push_back(Action::Count(event));
        match outcome {
            Outcome::Confirmed => {
                mailbox.confirmed = Some(door);
                self.confirmed(id, door, now);
            }
            Outcome::WrongCode => {
                let (receiver, client) = (attempt.receiver, attempt.client);
                self.actions.push_back(Action::Charge { client, fault: Fault::FailedClaim });
                self.dismiss(receiver, (door, number), CloseReason::WrongCode);
                self.close_door(id, door, CloseReason::WrongCode, now);
            }
        }
    }

    /// The pair stays, its door is not found any more, and the other door closes.
    fn confirmed(&mut self, id: MailboxId, door: Door, now: Instant) {
        if let Some(state) = self.mailboxes.get_mut(&id).and_then(|mailbox| mailbox.door_mut(door)) {
            self.timers.disarm_door(id, door, state);
            if let Some(attempt) = &mut state.attempt {
                attempt.stage = Stage::Confirmed;
            }
            let name = state.name;
            self.release(id, name, now);
        }
        self.share_session(id, now);
        for other in [Door::Typed, Door::Link] {
            if other != door {
                self.close_door(id, other, CloseReason::OtherDoor, now);
            }
        }
    }

    /// Where a body of a door's attempt goes. Frames of a finished attempt go nowhere, without a word.
    pub(super) fn pass(
        &mut self,
        id: MailboxId,
        (door, number): (Door, u32),
        role: Role,
        len: usize,
    ) -> Passage {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return Passage::Nowhere };
        let sender = mailbox.sender;
        let Some(attempt) = mailbox.attempt_mut(door, number).filter(|attempt| attempt.is_paired()) else {
            return Passage::Nowhere;
        };
        let (allowance, to) = match role {
            Role::Sender => (&mut attempt.to_receiver, attempt.receiver),
            Role::Receiver => (&mut attempt.to_sender, sender),
        };
        match allowance.take(len) {
            Taken::Passes => to.map_or(Passage::Nowhere, Passage::To),
            Taken::Exceeded => Passage::Exceeded,
        }
    }

    /// Ends an attempt whose receiver is gone.
    pub(super) fn receiver_left(&mut self, id: MailboxId, door: Door, number: u32, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let sender = mailbox.sender;
        let Some(attempt) = mailbox.attempt_mut(door, number) else { return };
        attempt.receiver = None;
        if attempt.stage != Stage::Confirmed {
            return self.soft_drop(id, door, CloseReason::Gone, now);
        }
        self.tell_left(sender, door, number, CloseReason::Gone);
        if sender.is_none() {
            self.remove_mailbox(id, now);
        }
    }

    /// An attempt ended without a proof. That costs the receiver half a failed claim, and the door in the end.
    fn soft_drop(&mut self, id: MailboxId, door: Door, reason: CloseReason, now: Instant) {
        let rests_until = now + self.times.link_pause;
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let sender = mailbox.sender;
        let Some(state) = mailbox.door_mut(door) else { return };
        let Some(attempt) = state.attempt.take() else { return };
        state.soft_drops += 1;
        if door == Door::Link {
            state.rests_until = rests_until;
        }
        let exhausted = door == Door::Typed && state.soft_drops >= MOST_SOFT_DROPS;
        let expired = state.expires_at <= now;
        let client = attempt.client;
        self.actions.push_back(Action::Charge { client, fault: Fault::SoftDrop });
        self.actions.push_back(Action::Count(Tally::SoftDrop(door)));
        self.dismiss(attempt.receiver, (door, attempt.number), reason);
        if attempt.is_paired() {
            self.tell_left(sender, door, attempt.number, reason);
        }
        if exhausted {
            self.close_door(id, door, CloseReason::Exhausted, now);
        } else if expired {
            self.close_door(id, door, CloseReason::Expired, now);
        } else {
            self.share_session(id, now);
        }
    }

    /// Begins an attempt that was held back, or ends one that was not confirmed in time.
    pub(super) fn attempt_due(&mut self, id: MailboxId, door: Door, number: u32, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let is_vacant = mailbox.sender.is_none();
        let Some(attempt) = mailbox.attempt_mut(door, number) else { return };
        match (attempt.stage, DoorKind::of(door)) {
            (Stage::Held { until }, Some(_)) if until <= now && is_vacant => self.turn_away(id, door, now),
            (Stage::Held { until }, Some(kind)) if until <= now => self.pair(id, kind, number, now),
            (Stage::Paired { confirm_by }, _) if confirm_by <= now => {
                self.soft_drop(id, door, CloseReason::ConfirmTimeout, now);
            }
            _ => {}
        }
    }

    /// Tells a receiver that its attempt is over, and closes its socket.
    pub(super) fn dismiss(
        &mut self,
        receiver: Option<ConnectionId>,
        (door, attempt): (Door, u32),
        reason: CloseReason,
    ) {
        if let Some(connection) = receiver {
            self.tell_left(receiver, door, attempt, reason);
            self.actions.push_back(Action::Close { connection, reason });
            self.connections.remove(&connection);
        }
    }

    pub(super) fn tell_left(
        &mut self,
        to: Option<ConnectionId>,
        door: Door,
        attempt: u32,
        reason: CloseReason,
    ) {
        if let Some(to) = to {
            self.deliver(to, ServerMessage::Left { door, attempt, reason });
        }
    }
}
