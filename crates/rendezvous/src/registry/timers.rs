//! What is due, and when.

use std::collections::BTreeSet;
use std::time::Instant;

use wire::signaling::Door;

use super::ConnectionId;
use super::mailbox::{DoorState, MailboxId, Stage};

/// All that is to happen later.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

/// What may be due. A timer that finds nothing to do any more does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A door reached the end of its life.
    Door(MailboxId, DoorKind),
    /// An attempt begins, or was not confirmed in time.
    Attempt(MailboxId, DoorKind, u32),
    /// A sender without doors asked for no other.
    Doorless(MailboxId),
    /// A claim is to be refused.
    Refusal(ConnectionId),
}

/// [`Door`] without the meeting, with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DoorKind {
    Typed,
    Link,
}

impl Timers {
    /// Has something happen at `due`.
    pub(super) fn arm(&mut self, due: Instant, timer: Timer) {
        self.0.insert((due, timer));
    }

    /// Forgets what was to happen at `due`.
    pub(super) fn disarm(&mut self, due: Instant, timer: Timer) {
        self.0.remove(&(due, timer));
    }

    /// Forgets what was to happen at a door that is no more, or is confirmed. Without this, a session that took a second
    /// would be remembered for as long as its code was good.
    pub(super) fn disarm_door(&mut self, id: MailboxId, door: Door, state: &DoorState) {
        let Some(kind) = DoorKind::of(door) else { return };
        self.disarm(state.expires_at, Timer::Door(id, kind));
        if let Some(attempt) = &state.attempt
            && let Stage::Held { until: due } | Stage::Paired { confirm_by: due } = attempt.stage
        {
            self.disarm(due, Timer::Attempt(id, kind, attempt.number));
        }
    }

    /// When the next is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Takes out the next that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let is_due = self.next_due().is_some_and(|due| due <= now);
        if is_due { self.0.pop_first().map(|(_, timer)| timer) } else { None }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl DoorKind {
    /// The kind of a door; a meeting is none.
    pub(super) fn of(door: Door) -> Option<Self> {
        match door {
            Door::Typed => Some(Self::Typed),
            Door::Link => Some(Self::Link),
            Door::Meeting => None,
        }
    }
}

impl From<DoorKind> for Door {
    fn from(kind: DoorKind) -> Self {
        match kind {
            DoorKind::Typed => Self::Typed,
            DoorKind::Link => Self::Link,
        }
    }
}
