//! One sender's doors, and who stands in them.

use std::time::{Duration, Instant};

use wire::code::Nameplate;
use wire::signaling::{Door, Slot};

use super::ConnectionId;
use super::allowance::Allowance;
use crate::client_ip::ClientKey;

/// Names a mailbox for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MailboxId(pub(super) u64);

/// A session from its creation until both sides went to their meeting, or left.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Who created it.
    pub(super) client: ClientKey,
    /// The sender's socket, until it left or moved to a meeting.
    pub(super) sender: Option<ConnectionId>,
    /// The door that was confirmed: from then on this is a pair and nothing else.
    pub(super) confirmed: Option<Door>,
    /// How often a typed door may still be opened.
    pub(super) reopenings: u32,
    /// By what the sender comes back when its socket broke.
    pub(super) return_slot: Option<Slot>,
    typed: DoorSlot,
    link: DoorSlot,
}

/// The place for a door. Its attempts are numbered through, so that no frame of an old door fits a new one.
#[derive(Debug, Default)]
struct DoorSlot {
    state: Option<DoorState>,
    attempts: u32,
}

/// An open door, or the confirmed one.
#[derive(Debug)]
pub(super) struct DoorState {
    /// How it is found.
    pub(super) name: DoorName,
    /// When it closes, unless confirmed.
    pub(super) expires_at: Instant,
    /// How many receivers came and left without proving anything.
    pub(super) soft_drops: u32,
    /// The next attempt does not begin before.
    pub(super) rests_until: Instant,
    /// The receiver that stands in it.
    pub(super) attempt: Option<Attempt>,
}

/// What a receiver names to find a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorName {
    /// Of a typed door.
    Nameplate(Nameplate),
    /// Of a link door.
    Slot(Slot),
}

/// One receiver's time in a door.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Counted from 1 per kind of door.
    pub(super) number: u32,
    /// Its socket, until it left or moved to a meeting.
    pub(super) receiver: Option<ConnectionId>,
    /// Whom a failure is charged to.
    pub(super) client: ClientKey,
    /// How far it is.
    pub(super) stage: Stage,
    /// What the sender may still be sent.
    pub(super) to_sender: Allowance,
    /// What the receiver may still be sent.
    pub(super) to_receiver: Allowance,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The door rests; the sender does not know of the receiver yet.
    Held {
        /// When both are told.
        until: Instant,
    },
    /// Both were told.
    Paired {
        /// When the receiver must have proved that it knows the password.
        confirm_by: Instant,
    },
    /// The sender said so.
    Confirmed,
}

impl Mailbox {
    /// A mailbox without doors.
    pub(super) fn new(client: ClientKey, sender: ConnectionId) -> Self {
        Self {
            client,
            sender: Some(sender),
            confirmed: None,
            reopenings: 0,
            return_slot: None,
            typed: DoorSlot::default(),
            link: DoorSlot::default(),
        }
    }

    /// Opens a door.
    pub(super) fn open(&mut self, door: Door, name: DoorName, now: Instant, ttl: Duration) {
        if let Some(slot) = self.slot_mut(door) {
            slot.state = Some(DoorState {
                name,
                expires_at: now + ttl,
                soft_drops: 0,
                rests_until: now,
                attempt: None,
            });
        }
    }

    /// The door, if it is open or confirmed.
    pub(super) fn door(&self, door: Door) -> Option<&DoorState> {
        match door {
            Door::Typed => self.typed.state.as_ref(),
            Door::Link => self.link.state.as_ref(),
            Door::Meeting => None,
        }
    }

    /// The door, if it is open or confirmed.
    pub(super) fn door_mut(&mut self, door: Door) -> Option<&mut DoorState> {
        self.slot_mut(door)?.state.as_mut()
    }

    /// Takes the door out.
    pub(super) fn close(&mut self, door: Door) -> Option<DoorState> {
        self.slot_mut(door)?.state.take()
    }

    /// The attempt of this number, while it lasts.
    pub(super) fn attempt_mut(&mut self, door: Door, number: u32) -> Option<&mut Attempt> {
        self.door_mut(door)?.attempt.as_mut().filter(|attempt| attempt.number == number)
    }

    /// How many attempts there were at a door, over all that stood in its place.
    pub(super) fn attempts(&self, door: Door) -> u32 {
        match door {
            Door::Typed => self.typed.attempts,
            Door::Link => self.link.attempts,
            Door::Meeting => 0,
        }
    }

    /// Attempts at a door that there were elsewhere.
    pub(super) fn set_attempts(&mut self, door: Door, attempts: u32) {
        if let Some(slot) = self.slot_mut(door) {
            slot.attempts = attempts;
        }
    }

    /// The number of the next attempt at a door, at least `least`.
    pub(super) fn next_attempt(&mut self, door: Door, least: u32) -> u32 {
        self.slot_mut(door).map_or(0, |slot| {
            slot.attempts = slot.attempts.saturating_add(1).max(least);
            slot.attempts
        })
    }

    /// Whether a receiver could still come, or is here.
    pub(super) fn has_door(&self) -> bool {
        self.typed.state.is_some() || self.link.state.is_some()
    }

    /// Whether somebody stands in a door.
    pub(super) fn has_visitor(&self) -> bool {
        [&self.typed, &self.link]
            .iter()
            .any(|slot| slot.state.as_ref().is_some_and(|door| door.attempt.is_some()))
    }

    /// The receiver of the confirmed door, while it is here.
    pub(super) fn confirmed_receiver(&self) -> Option<ConnectionId> {
        self.door(self.confirmed?)?.attempt.as_ref()?.receiver
    }

    fn slot_mut(&mut self, door: Door) -> Option<&mut DoorSlot> {
        match door {
            Door::Typed => Some(&mut self.typed),
            Door::Link => Some(&mut self.link),
            Door::Meeting => None,
        }
    }
}

impl Attempt {
    /// Whether the sender knows of it.
    pub(super) fn is_paired(&self) -> bool {
        !matches!(self.stage, Stage::Held { .. })
    }
}
