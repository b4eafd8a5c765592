//! Decides who talks to whom. Sans-IO: no socket, no clock, no entropy source of its own.
//!
//! The driver calls one of the `handle_*` with the time, then [`Registry::poll_action`] until it is empty, then asks
//! [`Registry::poll_timeout`] when to call [`Registry::handle_timeout`] at the latest.
//!
//! ```text
//! sender ── create ──► mailbox ◄── claim ── receiver        one receiver per door at a time
//!        ── reopen ──► typed door, link door
//!                        │ attempt: paired → relay … → result confirmed | wrong_code | dropped
//!                        ▼
//! sender ── meet ───► meeting  ◄── meet ─── receiver        as often as the path between them breaks
//! ```
//!
//! Every mailbox and every meeting is in one registry only. What other instances have to know of a mailbox comes out as
//! [`Action::Share`], and what was settled with them before a message goes in with it as [`Prepared`]; a socket whose place
//! is at another instance is [`Place::Elsewhere`].
//!
//! What it never does: look into a body, tell a receiver why there is no such code, list anything.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use wire::code::Nameplate;
use wire::signaling::{
    Body, ClientMessage, CloseReason, Door, IceServer, MAX_BODY_LEN, ReportedPath, Role, SIGNALING_VERSION,
    ServerMessage, Slot,
};

use self::allowance::Allowance;
pub(crate) use self::mailbox::DoorName;
use self::mailbox::{Mailbox, MailboxId};
use self::meetings::{Meetings, Passage};
use self::nameplates::Nameplates;
use crate::client_ip::ClientKey;
use crate::config::{Config, Times};
use crate::shrink::Shrink;

mod allowance;
mod doors;
mod mailbox;
mod meetings;
mod nameplates;
mod returning;

pub(crate) use self::returning::{Portable, PortableDoor};

/// Names a socket for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

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

/// Where numbers come from that nobody should foresee.
pub(crate) type Entropy = Box<dyn FnMut() -> u64 + Send>;

/// All sessions of one server.
pub(crate) struct Registry {
    times: Times,
    most_mailboxes: usize,
    most_mailboxes_per_client: usize,
    relayed: Allowance,
    ice_servers: Vec<IceServer>,
    connections: HashMap<ConnectionId, Connection>,
    mailboxes: HashMap<MailboxId, Mailbox>,
    mailboxes_by_client: HashMap<ClientKey, usize>,
    nameplates: Nameplates,
    link_slots: HashMap<Slot, MailboxId>,
    return_slots: HashMap<Slot, MailboxId>,
    meetings: Meetings,
    timers: BTreeSet<(Instant, Timer)>,
    actions: VecDeque<Action>,
    entropy: Entropy,
    last_mailbox: u64,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    client: ClientKey,
    place: Place,
    /// Whether it is another instance's socket that has its place here.
    is_remote: bool,
}

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
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

/// What may be due. A timer that finds nothing to do any more does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
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
enum DoorKind {
    Typed,
    Link,
}

impl Registry {
    /// A registry without sessions.
    pub(crate) fn new(config: &Config, entropy: Entropy) -> Self {
        Self {
            times: Times { confirm: config.times.confirm.min(LONGEST_CONFIRM), ..config.times.clone() },
            most_mailboxes: config.limits.sessions,
            // Who knows the token of a private rendezvous is nobody to be protected from.
            most_mailboxes_per_client: match config.token {
                Some(_) => usize::MAX,
                None => config.limits.sessions_per_client,
            },
            relayed: Allowance::new(&config.limits),
            ice_servers: config.ice_servers.clone(),
            connections: HashMap::new(),
            mailboxes: HashMap::new(),
            mailboxes_by_client: HashMap::new(),
            nameplates: Nameplates::new(&config.avoid_nameplates, config.times.nameplate_rest),
            link_slots: HashMap::new(),
            return_slots: HashMap::new(),
            meetings: Meetings::new(config.times.meeting_ttl, &config.limits),
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            entropy,
            last_mailbox: 0,
        }
    }

    /// A socket was opened.
    pub(crate) fn handle_connect(&mut self, connection: ConnectionId, client: ClientKey) {
        self.connections.insert(connection, Connection { client, place: Place::Lobby, is_remote: false });
    }

    /// A socket of another instance is to have its place here.
    pub(crate) fn handle_visit(&mut self, connection: ConnectionId, client: ClientKey) {
        self.connections.insert(connection, Connection { client, place: Place::Lobby, is_remote: true });
    }

    /// A socket said something. The driver has checked the limits of its client, and the token of a `create`.
    #[cfg(test)]
    pub(crate) fn handle_message(&mut self, from: ConnectionId, message: ClientMessage, now: Instant) {
        self.handle_prepared(from, message, Prepared::default(), now);
    }

    /// A socket said something, about which other instances were asked where there are any. The driver has checked the
    /// limits of its client, and the token of a `create`.
    pub(crate) fn handle_prepared(
        &mut self,
        from: ConnectionId,
        message: ClientMessage,
        prepared: Prepared,
        now: Instant,
    ) {
        let Some(Connection { client, place, .. }) = self.connections.get(&from).copied() else { return };
        if version_of(&message).is_some_and(|v| v != SIGNALING_VERSION) {
            return self.handle_refusal(from, CloseReason::UnsupportedVersion, None, now);
        }
        match (message, place) {
            (_, Place::Refused) => {}
            (ClientMessage::Create { typed, link_slot, return_slot, .. }, Place::Lobby)
                if typed || link_slot.is_some() =>
            {
                self.create((from, client), (typed, link_slot, return_slot), prepared, now);
            }
            (ClientMessage::Reopen { return_slot, .. }, Place::Lobby) => self.reopen(from, return_slot, now),
            (ClientMessage::OpenDoor, Place::Sender(mailbox)) => self.open_door(mailbox, from, prepared, now),
            (ClientMessage::Claim { at, .. }, Place::Lobby) => self.claim((from, client), at, prepared, now),
            // A sender that claims, its own door perhaps, learns no more than anybody else.
            (ClientMessage::Claim { .. }, Place::Sender(_)) => self.refuse_claim(from, client, now),
            (ClientMessage::Meet { slot, role, .. }, place) if self.may_meet(place) => {
                self.meet(from, slot, role, now);
            }
            (ClientMessage::Relay { door, attempt, body }, place) if body.len() <= MAX_BODY_LEN => {
                self.relay((from, place), (door, attempt), body, now);
            }
            (ClientMessage::Result { door, attempt, outcome }, Place::Sender(mailbox)) => {
                self.result(mailbox, (door, attempt), outcome, now);
            }
            // Who is alone says nothing about how two were connected.
            (ClientMessage::Report { path, ok }, Place::Sender(_) | Place::Meeting(_, Role::Sender))
                if self.may_meet(place) =>
            {
                self.actions.push_back(Action::Count(Tally::Reported { path, ok }));
            }
            _ => self.handle_refusal(from, CloseReason::BadMessage, None, now),
        }
    }

    /// From now on nameplates are a digit longer than they need be, or not.
    pub(crate) fn lengthen_nameplates(&mut self, is_longer: bool) {
        self.nameplates.lengthen(is_longer);
    }

    /// Gives back what is not needed any more.
    pub(crate) fn shrink(&mut self, now: Instant) {
        self.connections.shrink_if_sparse();
        self.mailboxes.shrink_if_sparse();
        self.mailboxes_by_client.shrink_if_sparse();
        self.link_slots.shrink_if_sparse();
        self.return_slots.shrink_if_sparse();
        self.actions.shrink_if_sparse();
        self.nameplates.shrink(now);
        self.meetings.shrink(now);
    }

    /// How many there are of what. Takes a look at every session.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census { meetings: self.meetings.in_use(), ..Census::default() };
        for mailbox in self.mailboxes.values() {
            let count = match (mailbox.confirmed, mailbox.has_visitor()) {
                (Some(_), _) => &mut census.confirmed,
                (None, true) => &mut census.pairing,
                (None, false) => &mut census.waiting,
            };
            *count += 1;
        }
        census
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

    /// The server stops: everybody is told.
    pub(crate) fn handle_shutdown(&mut self, now: Instant) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in all {
            self.handle_refusal(connection, CloseReason::GoingAway, None, now);
        }
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, timer)) = self.timers.first().copied()
            && due <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Door(mailbox, kind) => self.expire_door(mailbox, kind.into(), now),
                Timer::Attempt(mailbox, kind, number) => self.attempt_due(mailbox, kind.into(), number, now),
                Timer::Doorless(mailbox) => self.doorless_due(mailbox, now),
                Timer::Refusal(connection) => {
                    self.handle_refusal(connection, CloseReason::NoSuchCode, None, now);
                }
            }
        }
    }

    /// When [`Registry::handle_timeout`] is to be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// The next thing to do, in order.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn tell_paired(&mut self, both: [Option<ConnectionId>; 2], door: Door, attempt: u32) {
        for to in both.into_iter().flatten() {
            let ice_servers = self.ice_servers.clone();
            self.deliver(to, ServerMessage::Paired { door, attempt, ice_servers, relay: None });
        }
        self.actions.push_back(Action::Count(Tally::Paired(door)));
    }

    fn relay(
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
    fn may_meet(&self, place: Place) -> bool {
        match place {
            Place::Lobby | Place::Receiver(..) | Place::Meeting(..) | Place::Elsewhere => true,
            Place::Sender(id) => self.mailboxes.get(&id).is_some_and(|mailbox| mailbox.confirmed.is_some()),
            Place::Refused => false,
        }
    }

    /// Somebody goes from where it is to a meeting.
    fn leave_place(&mut self, from: ConnectionId, now: Instant) {
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

    fn meet(&mut self, from: ConnectionId, slot: Slot, role: Role, now: Instant) {
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
    fn move_out(&mut self, id: MailboxId, leave: impl FnOnce(&mut Mailbox), now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        leave(mailbox);
        if mailbox.sender.is_none() && mailbox.confirmed_receiver().is_none() {
            self.remove_mailbox(id, now);
        }
    }

    fn leave_meeting(&mut self, connection: ConnectionId, slot: Slot, role: Role, now: Instant) {
        if let Some((other, attempt)) = self.meetings.leave(slot, role, connection, now) {
            let reason = CloseReason::Gone;
            self.deliver(other, ServerMessage::Left { door: Door::Meeting, attempt, reason });
        }
    }

    fn deliver(&mut self, to: ConnectionId, message: ServerMessage) {
        self.actions.push_back(Action::Deliver { to, message });
    }

    fn place(&mut self, connection: ConnectionId, place: Place) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.place = place;
        }
    }

    fn arm(&mut self, due: Instant, timer: Timer) {
        self.timers.insert((due, timer));
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

/// The version that an opening message carries.
fn version_of(message: &ClientMessage) -> Option<u16> {
    match message {
        ClientMessage::Create { v, .. }
        | ClientMessage::Reopen { v, .. }
        | ClientMessage::Claim { v, .. }
        | ClientMessage::Meet { v, .. } => Some(*v),
        ClientMessage::OpenDoor
        | ClientMessage::Relay { .. }
        | ClientMessage::Result { .. }
        | ClientMessage::Stamp { .. }
        | ClientMessage::Report { .. } => None,
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("connections", &self.connections.len())
            .field("mailboxes", &self.mailboxes.len())
            .finish_non_exhaustive()
    }
}

impl DoorKind {
    fn of(door: Door) -> Option<Self> {
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

/// The longest a claimer may hold a door, whatever is configured (PROTOCOL.md §4).
const LONGEST_CONFIRM: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
