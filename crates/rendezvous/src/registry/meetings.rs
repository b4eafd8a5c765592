//! Where both sides of a confirmed session meet again: symmetric, unguessable, and it works for slots that this
//! server has never heard of, so a restart of the server costs nothing.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use wire::signaling::{Role, Slot};

use super::ConnectionId;
use super::allowance::{Allowance, Refilling, Taken};
use crate::config::Limits;
use crate::shrink::Shrink;

/// All meetings, those included that both sides left a short while ago.
#[derive(Debug)]
pub(super) struct Meetings {
    by_slot: HashMap<Slot, Meeting>,
    empty: VecDeque<(Instant, Slot)>,
    ttl: Duration,
    most: usize,
    /// What one side may send in five seconds.
    full: Allowance,
}

#[derive(Debug)]
struct Meeting {
    sender: Seat,
    receiver: Seat,
    pairing: u32,
    emptied_at: Option<Instant>,
}

#[derive(Debug)]
struct Seat {
    connection: Option<ConnectionId>,
    allowance: Refilling,
}

/// What came of joining a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// The older socket of the same role, which has to go.
    pub(super) replaced: Option<ConnectionId>,
    /// The other side and the number of this pairing, when it is here.
    pub(super) paired: Option<(ConnectionId, u32)>,
}

/// What becomes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It goes there.
    To(ConnectionId),
    /// It belongs to a finished pairing, or nobody is there.
    Nowhere,
    /// The sender of it has used up its allowance.
    Exceeded,
}

impl Meetings {
    /// As many as `limits` says, each kept for `ttl` after its last socket left.
    pub(super) fn new(ttl: Duration, limits: &Limits) -> Self {
        let (most, full) = (limits.meetings, Allowance::new(limits));
        Self { by_slot: HashMap::new(), empty: VecDeque::new(), ttl, most, full }
    }

    /// Gives back what is not needed any more.
    pub(super) fn shrink(&mut self, now: Instant) {
        self.forget(now);
        self.by_slot.shrink_if_sparse();
        self.empty.shrink_if_sparse();
    }

    /// Seats `connection`; the newer of two sockets of one role stays. `None` when all meetings are in use.
    pub(super) fn join(
        &mut self,
        slot: Slot,
        role: Role,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<Joined> {
        self.forget(now);
        if !self.by_slot.contains_key(&slot) && self.by_slot.len() >= self.most && !self.forget_oldest() {
            return None;
        }
        let meeting = self.by_slot.entry(slot).or_insert_with(|| Meeting::new(self.full, now));
        meeting.emptied_at = None;
        let (mine, other) = meeting.seats(role);
        let replaced = mine.connection.replace(connection);
        let other = other.connection;
        if other.is_some() {
            meeting.pairing += 1;
        }
        Some(Joined { replaced, paired: other.map(|other| (other, meeting.pairing)) })
    }

    /// How many somebody is at.
    pub(super) fn in_use(&self) -> usize {
        self.by_slot.values().filter(|meeting| meeting.emptied_at.is_none()).count()
    }

    /// Frees the seat, and tells whom that concerns and which pairing it ended.
    pub(super) fn leave(
        &mut self,
        slot: Slot,
        role: Role,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<(ConnectionId, u32)> {
        let meeting = self.by_slot.get_mut(&slot)?;
        let (mine, other) = meeting.seats(role);
        if mine.connection != Some(connection) {
            return None;
        }
        mine.connection = None;
        let other = other.connection;
        if other.is_none() {
            meeting.emptied_at = Some(now);
            self.empty.push_back((now, slot));
        }
        other.map(|other| (other, meeting.pairing))
    }

    /// The meetings at which somebody is.
    pub(super) fn occupied(&self) -> Vec<Slot> {
        let occupied = self.by_slot.iter().filter(|(_, meeting)| meeting.emptied_at.is_none());
        occupied.map(|(slot, _)| *slot).collect()
    }

    /// Who is at a meeting.
    pub(super) fn present(&self, slot: Slot) -> Vec<ConnectionId> {
        let meeting = self.by_slot.get(&slot);
        meeting
            .iter()
            .flat_map(|meeting| [meeting.sender.connection, meeting.receiver.connection])
            .flatten()
            .collect()
    }

    /// Where a body of `len` bytes goes that `role` sent for pairing number `attempt`.
    pub(super) fn pass(
        &mut self,
        (slot, role): (Slot, Role),
        attempt: u32,
        len: usize,
        now: Instant,
    ) -> Passage {
        let Some(meeting) = self.by_slot.get_mut(&slot) else { return Passage::Nowhere };
        let (current, full) = (meeting.pairing, self.full);
        let (mine, other) = meeting.seats(role);
        match other.connection {
            Some(_) if mine.allowance.take(len, full, now) == Taken::Exceeded => Passage::Exceeded,
            Some(other) if attempt == current => Passage::To(other),
            _ => Passage::Nowhere,
        }
    }

    /// Drops what has been empty for long enough. The queue may hold meetings that filled again since.
    fn forget(&mut self, now: Instant) {
        while let Some((emptied_at, _)) = self.empty.front()
            && now.saturating_duration_since(*emptied_at) >= self.ttl
        {
            self.forget_front();
        }
    }

    /// Makes room at the cost of the meeting that has been empty longest: all it loses is the number of its pairing.
    fn forget_oldest(&mut self) -> bool {
        let full = self.by_slot.len();
        while self.by_slot.len() == full && !self.empty.is_empty() {
            self.forget_front();
        }
        self.by_slot.len() < full
    }

    fn forget_front(&mut self) {
        let Some((emptied_at, slot)) = self.empty.pop_front() else { return };
        if self.by_slot.get(&slot).is_some_and(|meeting| meeting.emptied_at == Some(emptied_at)) {
            self.by_slot.remove(&slot);
        }
    }
}

impl Meeting {
    fn new(full: Allowance, now: Instant) -> Self {
        let seat = || Seat { connection: None, allowance: Refilling::new(full, now) };
        Self { sender: seat(), receiver: seat(), pairing: 0, emptied_at: None }
    }

    /// The seat of `role`, and the other one.
    fn seats(&mut self, role: Role) -> (&mut Seat, &mut Seat) {
        match role {
            Role::Sender => (&mut self.sender, &mut self.receiver),
            Role::Receiver => (&mut self.receiver, &mut self.sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(10);
    const ALICE: ConnectionId = ConnectionId(1);
    const BOB: ConnectionId = ConnectionId(2);

    fn limits(meetings: usize) -> Limits {
        Limits { meetings, ..Limits::default() }
    }

    fn slot(byte: u8) -> Slot {
        Slot::new([byte; 16])
    }

    #[test]
    fn an_empty_meeting_keeps_its_numbering_for_ten_minutes() {
        let mut meetings = Meetings::new(TTL, &limits(10));
        let start = Instant::now();
        let mut pair = |now| {
            meetings.join(slot(1), Role::Sender, ALICE, now);
            let joined = meetings.join(slot(1), Role::Receiver, BOB, now).unwrap();
            assert_eq!(meetings.leave(slot(1), Role::Sender, ALICE, now).map(|left| left.0), Some(BOB));
            assert_eq!(meetings.leave(slot(1), Role::Receiver, BOB, now), None);
            joined.paired
        };
        assert_eq!(pair(start), Some((ALICE, 1)));
        let almost = (start + TTL).checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(pair(almost), Some((ALICE, 2)));
        assert_eq!(pair(almost + TTL), Some((ALICE, 1)), "forgotten");
    }

    #[test]
    fn empty_meetings_make_room_and_used_ones_do_not() {
        let mut meetings = Meetings::new(TTL, &limits(2));
        let now = Instant::now();
        assert!(meetings.join(slot(1), Role::Sender, ALICE, now).is_some());
        assert!(meetings.join(slot(2), Role::Sender, BOB, now).is_some());
        assert_eq!(meetings.join(slot(3), Role::Sender, ALICE, now), None);
        meetings.leave(slot(1), Role::Sender, ALICE, now);
        assert!(meetings.join(slot(3), Role::Sender, ALICE, now).is_some());
        assert_eq!(meetings.by_slot.len(), 2);
    }

    #[test]
    fn leaving_and_coming_back_again_and_again_grows_nothing() {
        let mut meetings = Meetings::new(TTL, &limits(2));
        let start = Instant::now();
        for minute in 0..1000 {
            let now = start + Duration::from_secs(60 * minute);
            meetings.join(slot(1), Role::Sender, ALICE, now);
            meetings.leave(slot(1), Role::Sender, ALICE, now);
        }
        assert!(meetings.empty.len() <= 11, "{}", meetings.empty.len());
        assert_eq!(meetings.by_slot.len(), 1);
    }
}
