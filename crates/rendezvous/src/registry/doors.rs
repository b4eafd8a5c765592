//! A sender's doors: how they open, how they are found, and how they close.

use std::time::{Duration, Instant};

use wire::code::Nameplate;
use wire::signaling::{Claim, CloseReason, Door, ServerMessage, Slot};

use super::mailbox::{DoorName, Mailbox, MailboxId};
use super::sockets::{Connection, ConnectionId, Place};
use super::timers::{DoorKind, Timer};
use super::{Action, Prepared, Registry, Shared};
use crate::client_ip::ClientKey;

impl Registry {
    /// Opens the doors of a new session.
    pub(super) fn create(
        &mut self,
        (from, client): (ConnectionId, ClientKey),
        (typed, link_slot, return_slot): (bool, Option<Slot>, Option<Slot>),
        prepared: Prepared,
        now: Instant,
    ) {
        let of_client = self.mailboxes_by_client.get(&client).copied().unwrap_or(0);
        if of_client >= self.most_mailboxes_per_client {
            return self.handle_refusal(from, CloseReason::RateLimited, None, now);
        }
        let slot_is_taken = link_slot.is_some_and(|slot| self.link_slots.contains_key(&slot))
            || return_slot.is_some_and(|slot| self.return_slots.contains_key(&slot));
        if self.mailboxes.len() >= self.most_mailboxes || slot_is_taken {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        }
        let id = MailboxId(self.last_mailbox + 1);
        let nameplate = if typed { self.assign(id, prepared, now) } else { None };
        if typed && nameplate.is_none() {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        }
        self.last_mailbox = id.0;
        let mut mailbox = Mailbox::new(client, from);
        let ttl = self.times.code_ttl;
        if let Some(nameplate) = nameplate {
            mailbox.reopenings = MOST_REOPENINGS;
            mailbox.open(Door::Typed, DoorName::Nameplate(nameplate), now, ttl);
            self.timers.arm(now + ttl, Timer::Door(id, DoorKind::Typed));
        }
        if let Some(slot) = link_slot {
            self.link_slots.insert(slot, id);
            mailbox.open(Door::Link, DoorName::Slot(slot), now, ttl);
            self.timers.arm(now + ttl, Timer::Door(id, DoorKind::Link));
        }
        if let Some(slot) = return_slot {
            self.return_slots.insert(slot, id);
            mailbox.return_slot = Some(slot);
        }
        self.mailboxes.insert(id, mailbox);
        *self.mailboxes_by_client.entry(client).or_default() += 1;
        self.place(from, Place::Sender(id));
        // The other instances know of it already: its names had to be reserved first.
        self.deliver(from, ServerMessage::Created { nameplate, ttl: whole_seconds(ttl) });
    }

    /// Gives a mailbox its nameplate: the one that was reserved, or any.
    fn assign(&mut self, id: MailboxId, prepared: Prepared, now: Instant) -> Option<Nameplate> {
        match prepared.nameplate {
            Some(reserved) => {
                self.nameplates.take(reserved, id);
                Some(reserved)
            }
            None => self.nameplates.allocate(id, &mut self.entropy, now),
        }
    }

    /// A nameplate that could be reserved among all instances.
    pub(crate) fn propose_nameplate(&mut self, least_digits: u32, now: Instant) -> Option<Nameplate> {
        self.nameplates.propose(least_digits, &mut self.entropy, now)
    }

    /// Opens another typed door, and gives the link door its whole life again.
    pub(super) fn open_door(&mut self, id: MailboxId, from: ConnectionId, prepared: Prepared, now: Instant) {
        if !self.may_open_door(from) {
            return self.handle_refusal(from, CloseReason::BadMessage, None, now);
        }
        let assigned = self.assign(id, prepared, now);
        let (Some(nameplate), Some(mailbox)) = (assigned, self.mailboxes.get_mut(&id)) else {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        };
        let ttl = self.times.code_ttl;
        mailbox.reopenings -= 1;
        mailbox.open(Door::Typed, DoorName::Nameplate(nameplate), now, ttl);
        if let Some(link) = mailbox.door_mut(Door::Link) {
            self.timers.disarm(link.expires_at, Timer::Door(id, DoorKind::Link));
            link.expires_at = now + ttl;
            self.timers.arm(now + ttl, Timer::Door(id, DoorKind::Link));
        }
        self.timers.arm(now + ttl, Timer::Door(id, DoorKind::Typed));
        let created = ServerMessage::Created { nameplate: Some(nameplate), ttl: whole_seconds(ttl) };
        self.deliver(from, created);
        self.share_session(id, now);
    }

    /// Whether this socket may ask for another typed door now.
    pub(crate) fn may_open_door(&self, from: ConnectionId) -> bool {
        let Some(Connection { place: Place::Sender(id), .. }) = self.connections.get(&from) else {
            return false;
        };
        self.mailboxes.get(id).is_some_and(|mailbox| {
            mailbox.confirmed.is_none() && mailbox.door(Door::Typed).is_none() && mailbox.reopenings > 0
        })
    }

    /// The number that the next attempt at a door of this registry would have, if one could begin.
    pub(crate) fn next_attempt(&self, at: Claim, now: Instant) -> Option<u32> {
        let (id, kind) = self.find(at)?;
        let mailbox = self.mailboxes.get(&id)?;
        let door = mailbox.door(kind.into())?;
        let is_free = door.attempt.is_none() && door.expires_at > now;
        is_free.then(|| mailbox.attempts(kind.into()).saturating_add(1))
    }

    pub(super) fn find(&self, at: Claim) -> Option<(MailboxId, DoorKind)> {
        match at {
            Claim::Nameplate(nameplate) => self.nameplates.find(nameplate).map(|id| (id, DoorKind::Typed)),
            Claim::Slot(slot) => self.link_slots.get(&slot).map(|id| (*id, DoorKind::Link)),
        }
    }

    /// Ends a session whose sender is gone, except for what a confirmed receiver has of it.
    pub(super) fn sender_left(&mut self, id: MailboxId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        mailbox.sender = None;
        let (confirmed, staying) = (mailbox.confirmed, mailbox.confirmed_receiver());
        let standing = [Door::Typed, Door::Link].map(|door| {
            let attempt = mailbox.door(door).and_then(|state| state.attempt.as_ref());
            attempt.map(|attempt| (door, attempt.number, attempt.receiver))
        });
        for (door, number, receiver) in standing.into_iter().flatten() {
            if confirmed == Some(door) {
                self.tell_left(receiver, door, number, CloseReason::Gone);
            } else {
                self.dismiss(receiver, (door, number), CloseReason::Gone);
            }
        }
        if staying.is_none() {
            self.remove_mailbox(id, now);
        }
    }

    /// A door with somebody in it closes when that attempt ends, which is soon.
    pub(super) fn expire_door(&mut self, id: MailboxId, door: Door, now: Instant) {
        let state = self.mailboxes.get(&id).and_then(|mailbox| mailbox.door(door));
        if state.is_some_and(|state| state.expires_at <= now && state.attempt.is_none()) {
            self.close_door(id, door, CloseReason::Expired, now);
        }
    }

    /// Ends a session whose sender has no door, asked for none, and met nobody.
    pub(super) fn doorless_due(&mut self, id: MailboxId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get(&id) else { return };
        if mailbox.has_door() || mailbox.confirmed.is_some() {
            return;
        }
        match mailbox.sender {
            Some(sender) => self.handle_refusal(sender, CloseReason::Expired, None, now),
            None => self.remove_mailbox(id, now),
        }
    }

    /// Closes a door, tells the sender, and ends the session when no door is left and none can come.
    pub(super) fn close_door(&mut self, id: MailboxId, door: Door, reason: CloseReason, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let Some(state) = mailbox.close(door) else { return };
        self.timers.disarm_door(id, door, &state);
        let (sender, is_pair) = (mailbox.sender, mailbox.confirmed.is_some());
        let has_future = is_pair || mailbox.has_door();
        let may_reopen = mailbox.reopenings > 0 && reason != CloseReason::Expired;
        self.release(id, state.name, now);
        if let Some(attempt) = state.attempt.filter(|_| reason == CloseReason::OtherDoor) {
            self.dismiss(attempt.receiver, (door, attempt.number), CloseReason::NoSuchCode);
        }
        self.share_session(id, now);
        if let Some(sender) = sender {
            self.deliver(sender, ServerMessage::DoorClosed { door, reason });
        }
        if has_future {
            return;
        }
        match sender {
            _ if may_reopen => self.timers.arm(now + DOORLESS, Timer::Doorless(id)),
            Some(sender) => {
                self.actions.push_back(Action::Close { connection: sender, reason });
                self.handle_disconnect(sender, now);
            }
            None => self.remove_mailbox(id, now),
        }
    }

    /// Forgets a session.
    pub(super) fn remove_mailbox(&mut self, id: MailboxId, now: Instant) {
        let Some(mut mailbox) = self.mailboxes.remove(&id) else { return };
        if let Some(return_slot) = mailbox.return_slot {
            self.return_slots.remove(&return_slot);
            self.actions.push_back(Action::Share(Shared::Session { return_slot, session: None }));
        }
        for door in [Door::Typed, Door::Link] {
            if let Some(state) = mailbox.close(door) {
                self.timers.disarm_door(id, door, &state);
                self.release(id, state.name, now);
            }
        }
        self.uncount(mailbox.client);
    }

    /// One session of a client is over.
    pub(super) fn uncount(&mut self, client: ClientKey) {
        if let Some(count) = self.mailboxes_by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.mailboxes_by_client.remove(&client);
            }
        }
    }

    pub(super) fn release(&mut self, id: MailboxId, name: DoorName, now: Instant) {
        let was_own = match name {
            DoorName::Nameplate(nameplate) => self.nameplates.release(nameplate, id, now),
            DoorName::Slot(slot) => {
                let is_own = self.link_slots.get(&slot) == Some(&id);
                if is_own {
                    self.link_slots.remove(&slot);
                }
                is_own
            }
        };
        if was_own {
            self.actions.push_back(Action::Share(Shared::Released(name)));
        }
    }
}

pub(super) fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// How often a sender may ask for another nameplate on one socket (PROTOCOL.md §4).
const MOST_REOPENINGS: u32 = 2;

/// How many receivers may come to a typed door and leave without a proof (PROTOCOL.md §4).
pub(super) const MOST_SOFT_DROPS: u32 = 3;

/// How long a receiver waits in the door of a sender whose socket broke: its client gives up after 15 s.
pub(super) const RETURN_WAIT: Duration = Duration::from_secs(10);

/// How long a sender whose last door closed has to ask for another: its client does so at once.
pub(super) const DOORLESS: Duration = Duration::from_secs(30);
