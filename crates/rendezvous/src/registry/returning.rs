//! Senders that come back to their doors: on another socket, and perhaps at another instance.
//!
//! A door outlives its sender's socket only when the sender has named a slot to come back by. Nothing is extended by
//! that: not the door's time, and not what may be tried at it.

use std::time::{Duration, Instant};

use wire::code::Nameplate;
use wire::signaling::{CloseReason, Door, ServerMessage, Slot};

use super::doors::{DOORLESS, MOST_SOFT_DROPS, RETURN_WAIT, whole_seconds};
use super::mailbox::{DoorName, DoorState, Mailbox, MailboxId, Stage};
use super::sockets::{ConnectionId, Place};
use super::timers::{DoorKind, Timer};
use super::{Action, Fault, Registry, Shared};
use crate::client_ip::ClientKey;

/// A session without its sockets: what another instance needs to go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable {
    /// The typed door, if it is open.
    pub(crate) typed: Option<(Nameplate, PortableDoor)>,
    /// The link door, if it is open.
    pub(crate) link: Option<(Slot, PortableDoor)>,
    /// How often a typed door may still be opened.
    pub(crate) reopenings: u32,
}

/// One open door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortableDoor {
    /// How long it stays open.
    pub(crate) left: Duration,
    /// How many receivers came and left without proving anything.
    pub(crate) soft_drops: u32,
    /// The number of the last attempt.
    pub(crate) attempts: u32,
}

impl Registry {
    /// Whether the doors of this mailbox wait for a sender whose socket broke.
    pub(super) fn is_returnable(&self, id: MailboxId) -> bool {
        self.mailboxes
            .get(&id)
            .is_some_and(|mailbox| mailbox.return_slot.is_some() && mailbox.confirmed.is_none())
    }

    /// Whether the sender that comes back by this has its doors here.
    pub(crate) fn has_session(&self, return_slot: Slot) -> bool {
        self.return_slots.get(&return_slot).is_some_and(|id| self.is_returnable(*id))
    }

    /// A sender's socket broke. Who stood in its doors has to go, as after any attempt that was not proved; the doors
    /// stay for as long as they would have.
    pub(super) fn vacate(&mut self, id: MailboxId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        mailbox.sender = None;
        let is_doorless = !mailbox.has_door();
        for kind in [DoorKind::Typed, DoorKind::Link] {
            self.empty_door(id, kind, now);
        }
        if is_doorless {
            self.timers.arm(now + DOORLESS, Timer::Doorless(id));
        }
        self.share_session(id, now);
    }

    fn empty_door(&mut self, id: MailboxId, kind: DoorKind, now: Instant) {
        let door = Door::from(kind);
        let Some(state) = self.mailboxes.get_mut(&id).and_then(|mailbox| mailbox.door_mut(door)) else {
            return;
        };
        let Some(attempt) = &mut state.attempt else { return };
        let (number, receiver) = (attempt.number, attempt.receiver);
        if !attempt.is_paired() {
            // The sender never knew of this one, which may as well wait.
            attempt.stage = Stage::Held { until: now + RETURN_WAIT };
            return self.timers.arm(now + RETURN_WAIT, Timer::Attempt(id, kind, number));
        }
        state.attempt = None;
        state.soft_drops += 1;
        let is_exhausted = door == Door::Typed && state.soft_drops >= MOST_SOFT_DROPS;
        let is_expired = state.expires_at <= now;
        self.dismiss(receiver, (door, number), CloseReason::Gone);
        if is_exhausted {
            self.close_door(id, door, CloseReason::Exhausted, now);
        } else if is_expired {
            self.close_door(id, door, CloseReason::Expired, now);
        }
    }

    /// A receiver waited for a sender that did not come back: it hears what everybody hears.
    pub(super) fn turn_away(&mut self, id: MailboxId, door: Door, now: Instant) {
        let Some(state) = self.mailboxes.get_mut(&id).and_then(|mailbox| mailbox.door_mut(door)) else {
            return;
        };
        let Some(attempt) = state.attempt.take() else { return };
        let is_expired = state.expires_at <= now;
        self.actions.push_back(Action::Charge { client: attempt.client, fault: Fault::FailedClaim });
        if let Some(receiver) = attempt.receiver {
            self.place(receiver, Place::Refused);
            self.handle_refusal(receiver, CloseReason::NoSuchCode, None, now);
        }
        if is_expired {
            self.close_door(id, door, CloseReason::Expired, now);
        }
    }

    /// A sender comes back to its doors, which are in this registry.
    pub(super) fn reopen(&mut self, from: ConnectionId, return_slot: Slot, now: Instant) {
        let found = self.return_slots.get(&return_slot).copied().filter(|id| self.is_returnable(*id));
        let Some(id) = found else {
            return self.handle_refusal(from, CloseReason::NoSuchCode, None, now);
        };
        let older = self.mailboxes.get(&id).and_then(|mailbox| mailbox.sender);
        if let Some(older) = older {
            self.vacate(id, now);
            self.place(older, Place::Lobby);
            self.handle_refusal(older, CloseReason::Replaced, None, now);
        }
        self.attach(id, from, now);
    }

    /// A sender comes back to doors that were at another instance.
    pub(crate) fn adopt(
        &mut self,
        (from, client): (ConnectionId, ClientKey),
        return_slot: Slot,
        session: Portable,
        now: Instant,
    ) {
        self.hand_over(return_slot);
        let id = MailboxId(self.last_mailbox + 1);
        self.last_mailbox = id.0;
        let mut mailbox = Mailbox::new(client, from);
        mailbox.return_slot = Some(return_slot);
        mailbox.reopenings = session.reopenings;
        if let Some((nameplate, door)) = session.typed {
            self.nameplates.take(nameplate, id);
            mailbox.restore(Door::Typed, DoorName::Nameplate(nameplate), door, now);
            self.timers.arm(now + door.left, Timer::Door(id, DoorKind::Typed));
        }
        if let Some((slot, door)) = session.link {
            self.link_slots.insert(slot, id);
            mailbox.restore(Door::Link, DoorName::Slot(slot), door, now);
            self.timers.arm(now + door.left, Timer::Door(id, DoorKind::Link));
        }
        if !mailbox.has_door() {
            self.timers.arm(now + DOORLESS, Timer::Doorless(id));
        }
        self.return_slots.insert(return_slot, id);
        self.mailboxes.insert(id, mailbox);
        *self.mailboxes_by_client.entry(client).or_default() += 1;
        self.attach(id, from, now);
    }

    /// Another instance has this session now: it is forgotten here, and nothing of it is free.
    pub(crate) fn handle_moved(&mut self, return_slot: Slot, now: Instant) {
        let Some(id) = self.return_slots.get(&return_slot).copied() else { return };
        let older = self.mailboxes.get(&id).and_then(|mailbox| mailbox.sender);
        let standing = [Door::Typed, Door::Link].map(|door| {
            let attempt = self.mailboxes.get_mut(&id)?.door_mut(door)?.attempt.take()?;
            Some((door, attempt.number, attempt.receiver))
        });
        for (door, number, receiver) in standing.into_iter().flatten() {
            self.dismiss(receiver, (door, number), CloseReason::GoingAway);
        }
        if let Some(older) = older {
            self.place(older, Place::Lobby);
            self.handle_refusal(older, CloseReason::Replaced, None, now);
        }
        self.hand_over(return_slot);
    }

    /// All sessions whose senders may come back, and all names of doors.
    pub(crate) fn shared(&self, now: Instant) -> (Vec<(Slot, Portable)>, Vec<DoorName>) {
        let sessions = self.return_slots.iter().filter_map(|(slot, id)| {
            self.mailboxes
                .get(id)
                .filter(|mailbox| mailbox.confirmed.is_none())
                .map(|mailbox| (*slot, mailbox.portable(now)))
        });
        let names =
            self.mailboxes.values().filter(|mailbox| mailbox.confirmed.is_none()).flat_map(|mailbox| {
                [Door::Typed, Door::Link]
                    .into_iter()
                    .filter_map(|door| mailbox.door(door).map(|state| state.name))
            });
        (sessions.collect(), names.collect())
    }

    /// Tells the other instances how a session stands.
    pub(super) fn share_session(&mut self, id: MailboxId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get(&id) else { return };
        let Some(return_slot) = mailbox.return_slot else { return };
        let session = mailbox.confirmed.is_none().then(|| mailbox.portable(now));
        self.actions.push_back(Action::Share(Shared::Session { return_slot, session }));
    }

    fn hand_over(&mut self, return_slot: Slot) {
        let Some(id) = self.return_slots.remove(&return_slot) else { return };
        let Some(mut mailbox) = self.mailboxes.remove(&id) else { return };
        for door in [Door::Typed, Door::Link] {
            let Some(state) = mailbox.close(door) else { continue };
            self.timers.disarm_door(id, door, &state);
            match state.name {
                DoorName::Nameplate(nameplate) => self.nameplates.hand_over(nameplate, id),
                DoorName::Slot(slot) => {
                    self.link_slots.remove(&slot);
                }
            }
        }
        self.uncount(mailbox.client);
    }

    /// Gives a mailbox its sender, and lets in who waited for it.
    fn attach(&mut self, id: MailboxId, from: ConnectionId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        mailbox.sender = Some(from);
        let left = |state: &DoorState| state.expires_at.saturating_duration_since(now);
        let (typed, link) = (mailbox.door(Door::Typed), mailbox.door(Door::Link));
        let nameplate = typed.and_then(|state| match state.name {
            DoorName::Nameplate(nameplate) => Some(nameplate),
            DoorName::Slot(_) => None,
        });
        let ttl = typed.or(link).map_or(Duration::ZERO, left);
        let waiting = [DoorKind::Typed, DoorKind::Link].map(|kind| {
            let attempt = mailbox.door(kind.into())?.attempt.as_ref()?;
            (!attempt.is_paired()).then_some((kind, attempt.number))
        });
        self.place(from, Place::Sender(id));
        self.deliver(from, ServerMessage::Created { nameplate, ttl: whole_seconds(ttl) });
        for (kind, number) in waiting.into_iter().flatten() {
            self.pair(id, kind, number, now);
        }
        self.share_session(id, now);
    }
}

impl Mailbox {
    /// What another instance would need.
    fn portable(&self, now: Instant) -> Portable {
        let door = |door: Door| {
            let state = self.door(door)?;
            let left = state.expires_at.saturating_duration_since(now);
            let attempts = self.attempts(door);
            Some((state.name, PortableDoor { left, soft_drops: state.soft_drops, attempts }))
        };
        let typed = door(Door::Typed).and_then(|(name, door)| match name {
            DoorName::Nameplate(nameplate) => Some((nameplate, door)),
            DoorName::Slot(_) => None,
        });
        let link = door(Door::Link).and_then(|(name, door)| match name {
            DoorName::Slot(slot) => Some((slot, door)),
            DoorName::Nameplate(_) => None,
        });
        Portable { typed, link, reopenings: self.reopenings }
    }

    /// Opens a door as it was elsewhere.
    fn restore(&mut self, door: Door, name: DoorName, was: PortableDoor, now: Instant) {
        self.open(door, name, now, was.left);
        if let Some(state) = self.door_mut(door) {
            state.soft_drops = was.soft_drops;
        }
        self.set_attempts(door, was.attempts);
    }
}
