//! Decides who talks to whom. Sans-IO: no socket, no clock, no entropy source of its own.
//!
//! The driver calls one of the `handle_*` with the time, then [`Registry::poll_action`] until it is empty, then asks
//! [`Registry::poll_timeout`] when to call [`Registry::handle_timeout`] at the latest.
//!
//! ```text
//! sender ── create ──► mailbox ◄── claim ── receiver        one receiver per door at a time
//!                      typed door, link door
//!                        │ attempt: paired → relay … → result confirmed | wrong_code | dropped
//!                        ▼
//! sender ── meet ───► meeting  ◄── meet ─── receiver        as often as the path between them breaks
//! ```
//!
//! What it never does: look into a body, tell a receiver why there is no such code, list anything.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use wire::signaling::{
    Body, Claim, ClientMessage, CloseReason, Door, IceServer, MAX_BODY_LEN, Outcome, Role, SIGNALING_VERSION,
    ServerMessage, Slot,
};

use self::allowance::Taken;
use self::mailbox::{Attempt, DoorName, Mailbox, MailboxId, Stage};
use self::meetings::{Meetings, Passage};
use self::nameplates::Nameplates;
use crate::client_ip::ClientKey;
use crate::config::{Config, Times};

mod allowance;
mod mailbox;
mod meetings;
mod nameplates;

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
    ice_servers: Vec<IceServer>,
    connections: HashMap<ConnectionId, Connection>,
    mailboxes: HashMap<MailboxId, Mailbox>,
    mailboxes_by_client: HashMap<ClientKey, usize>,
    nameplates: Nameplates,
    link_slots: HashMap<Slot, MailboxId>,
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
            most_mailboxes_per_client: config.limits.sessions_per_client,
            ice_servers: config.ice_servers.clone(),
            connections: HashMap::new(),
            mailboxes: HashMap::new(),
            mailboxes_by_client: HashMap::new(),
            nameplates: Nameplates::new(&config.avoid_nameplates, config.times.nameplate_rest),
            link_slots: HashMap::new(),
            meetings: Meetings::new(config.times.meeting_ttl, config.limits.meetings),
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            entropy,
            last_mailbox: 0,
        }
    }

    /// A socket was opened.
    pub(crate) fn handle_connect(&mut self, connection: ConnectionId, client: ClientKey) {
        self.connections.insert(connection, Connection { client, place: Place::Lobby });
    }

    /// A socket said something. The driver has checked the limits of its client, and the token of a `create`.
    pub(crate) fn handle_message(&mut self, from: ConnectionId, message: ClientMessage, now: Instant) {
        let Some(Connection { client, place }) = self.connections.get(&from).copied() else { return };
        if let ClientMessage::Create { v, .. }
        | ClientMessage::Claim { v, .. }
        | ClientMessage::Meet { v, .. } = &message
            && *v != SIGNALING_VERSION
        {
            return self.handle_refusal(from, CloseReason::UnsupportedVersion, None, now);
        }
        match (message, place) {
            (_, Place::Refused) => {}
            (ClientMessage::Create { typed, link_slot, .. }, Place::Lobby)
                if typed || link_slot.is_some() =>
            {
                self.create((from, client), typed, link_slot, now);
            }
            (ClientMessage::OpenDoor, Place::Sender(mailbox)) => self.open_door(mailbox, from, now),
            (ClientMessage::Claim { at, .. }, Place::Lobby) => self.claim((from, client), at, now),
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
            _ => self.handle_refusal(from, CloseReason::BadMessage, None, now),
        }
    }

    /// A socket is gone.
    pub(crate) fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        let Some(Connection { place, .. }) = self.connections.remove(&connection) else { return };
        match place {
            Place::Lobby | Place::Refused => {}
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
            self.handle_disconnect(connection, now);
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

    fn create(
        &mut self,
        (from, client): (ConnectionId, ClientKey),
        typed: bool,
        link_slot: Option<Slot>,
        now: Instant,
    ) {
        let of_client = self.mailboxes_by_client.get(&client).copied().unwrap_or(0);
        if of_client >= self.most_mailboxes_per_client {
            return self.handle_refusal(from, CloseReason::RateLimited, None, now);
        }
        let slot_is_taken = link_slot.is_some_and(|slot| self.link_slots.contains_key(&slot));
        if self.mailboxes.len() >= self.most_mailboxes || slot_is_taken {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        }
        let id = MailboxId(self.last_mailbox + 1);
        let nameplate = if typed { self.nameplates.allocate(id, &mut self.entropy, now) } else { None };
        if typed && nameplate.is_none() {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        }
        self.last_mailbox = id.0;
        let mut mailbox = Mailbox::new(client, from);
        let ttl = self.times.code_ttl;
        if let Some(nameplate) = nameplate {
            mailbox.reopenings = MOST_REOPENINGS;
            mailbox.open(Door::Typed, DoorName::Nameplate(nameplate), now, ttl);
            self.arm(now + ttl, Timer::Door(id, DoorKind::Typed));
        }
        if let Some(slot) = link_slot {
            self.link_slots.insert(slot, id);
            mailbox.open(Door::Link, DoorName::Slot(slot), now, ttl);
            self.arm(now + ttl, Timer::Door(id, DoorKind::Link));
        }
        self.mailboxes.insert(id, mailbox);
        *self.mailboxes_by_client.entry(client).or_default() += 1;
        self.place(from, Place::Sender(id));
        self.deliver(from, ServerMessage::Created { nameplate, ttl: whole_seconds(ttl) });
    }

    fn open_door(&mut self, id: MailboxId, from: ConnectionId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let may =
            mailbox.confirmed.is_none() && mailbox.door(Door::Typed).is_none() && mailbox.reopenings > 0;
        if !may {
            return self.handle_refusal(from, CloseReason::BadMessage, None, now);
        }
        let Some(nameplate) = self.nameplates.allocate(id, &mut self.entropy, now) else {
            return self.handle_refusal(from, CloseReason::Busy, None, now);
        };
        let ttl = self.times.code_ttl;
        mailbox.reopenings -= 1;
        mailbox.open(Door::Typed, DoorName::Nameplate(nameplate), now, ttl);
        if let Some(link) = mailbox.door_mut(Door::Link) {
            link.expires_at = now + ttl;
            self.timers.insert((now + ttl, Timer::Door(id, DoorKind::Link)));
        }
        self.arm(now + ttl, Timer::Door(id, DoorKind::Typed));
        let created = ServerMessage::Created { nameplate: Some(nameplate), ttl: whole_seconds(ttl) };
        self.deliver(from, created);
    }

    fn claim(&mut self, (from, client): (ConnectionId, ClientKey), at: Claim, now: Instant) {
        let found = match at {
            Claim::Nameplate(nameplate) => self.nameplates.find(nameplate).map(|id| (id, DoorKind::Typed)),
            Claim::Slot(slot) => self.link_slots.get(&slot).map(|id| (*id, DoorKind::Link)),
        };
        let free = found.and_then(|(id, kind)| {
            let mailbox = self.mailboxes.get_mut(&id)?;
            let door = mailbox.door(kind.into())?;
            let is_free = door.attempt.is_none() && door.expires_at > now;
            is_free.then_some((id, kind, mailbox))
        });
        let Some((id, kind, mailbox)) = free else { return self.refuse_claim(from, client, now) };
        let number = mailbox.next_attempt(kind.into());
        let Some(door) = mailbox.door_mut(kind.into()) else { return };
        let until = door.rests_until;
        door.attempt = Some(Attempt {
            number,
            receiver: Some(from),
            client,
            stage: Stage::Held { until },
            to_sender: allowance::Allowance::default(),
            to_receiver: allowance::Allowance::default(),
        });
        self.place(from, Place::Receiver(id, kind.into(), number));
        if until > now {
            self.arm(until, Timer::Attempt(id, kind, number));
        } else {
            self.pair(id, kind, number, now);
        }
    }

    /// Unknown, used, expired, busy: one answer, after one delay, at one price.
    fn refuse_claim(&mut self, from: ConnectionId, client: ClientKey, now: Instant) {
        if let Some(Connection { place: place @ Place::Lobby, .. }) = self.connections.get_mut(&from) {
            *place = Place::Refused;
        }
        self.actions.push_back(Action::Charge { client, fault: Fault::FailedClaim });
        self.arm(now + self.times.refusal_delay, Timer::Refusal(from));
    }

    fn pair(&mut self, id: MailboxId, kind: DoorKind, number: u32, now: Instant) {
        let confirm_by = now + self.times.confirm;
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let sender = mailbox.sender;
        let Some(attempt) = mailbox.attempt_mut(kind.into(), number) else { return };
        attempt.stage = Stage::Paired { confirm_by };
        let both = [sender, attempt.receiver];
        self.arm(confirm_by, Timer::Attempt(id, kind, number));
        self.tell_paired(both, kind.into(), number);
    }

    fn tell_paired(&mut self, both: [Option<ConnectionId>; 2], door: Door, attempt: u32) {
        for to in both.into_iter().flatten() {
            let ice_servers = self.ice_servers.clone();
            self.deliver(to, ServerMessage::Paired { door, attempt, ice_servers });
        }
    }

    fn result(&mut self, id: MailboxId, (door, number): (Door, u32), outcome: Outcome, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let Some(attempt) = mailbox.attempt_mut(door, number) else { return };
        if !matches!(attempt.stage, Stage::Paired { .. }) {
            return;
        }
        match outcome {
            Outcome::Confirmed => {
                attempt.stage = Stage::Confirmed;
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
        let name = self.mailboxes.get(&id).and_then(|mailbox| mailbox.door(door)).map(|door| door.name);
        if let Some(name) = name {
            self.release(id, name, now);
        }
        for other in [Door::Typed, Door::Link] {
            if other != door {
                self.close_door(id, other, CloseReason::OtherDoor, now);
            }
        }
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
            Place::Receiver(..) | Place::Meeting(..) | Place::Refused => Passage::Nowhere,
        };
        match passage {
            Passage::To(to) => self.deliver(to, ServerMessage::Relay { door, attempt, body }),
            Passage::Nowhere => {}
            Passage::Exceeded => self.handle_refusal(from, CloseReason::BadMessage, None, now),
        }
    }

    /// Where a body of a door's attempt goes. Frames of a finished attempt go nowhere, without a word.
    fn pass(&mut self, id: MailboxId, (door, number): (Door, u32), role: Role, len: usize) -> Passage {
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

    /// A sender may leave its mailbox once a door is confirmed. A receiver always: it may have the sender's
    /// confirmation before the sender's `result` is here.
    fn may_meet(&self, place: Place) -> bool {
        match place {
            Place::Lobby | Place::Receiver(..) | Place::Meeting(..) => true,
            Place::Sender(id) => self.mailboxes.get(&id).is_some_and(|mailbox| mailbox.confirmed.is_some()),
            Place::Refused => false,
        }
    }

    fn meet(&mut self, from: ConnectionId, slot: Slot, role: Role, now: Instant) {
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
            Some(Place::Lobby | Place::Refused) | None => {}
        }
        self.place(from, Place::Lobby);
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

    fn sender_left(&mut self, id: MailboxId, now: Instant) {
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

    fn receiver_left(&mut self, id: MailboxId, door: Door, number: u32, now: Instant) {
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
        self.dismiss(attempt.receiver, (door, attempt.number), reason);
        if attempt.is_paired() {
            self.tell_left(sender, door, attempt.number, reason);
        }
        if exhausted {
            self.close_door(id, door, CloseReason::Exhausted, now);
        } else if expired {
            self.close_door(id, door, CloseReason::Expired, now);
        }
    }

    fn attempt_due(&mut self, id: MailboxId, door: Door, number: u32, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let Some(attempt) = mailbox.attempt_mut(door, number) else { return };
        match (attempt.stage, DoorKind::of(door)) {
            (Stage::Held { until }, Some(kind)) if until <= now => self.pair(id, kind, number, now),
            (Stage::Paired { confirm_by }, _) if confirm_by <= now => {
                self.soft_drop(id, door, CloseReason::ConfirmTimeout, now);
            }
            _ => {}
        }
    }

    /// A door with somebody in it closes when that attempt ends, which is soon.
    fn expire_door(&mut self, id: MailboxId, door: Door, now: Instant) {
        let state = self.mailboxes.get(&id).and_then(|mailbox| mailbox.door(door));
        if state.is_some_and(|state| state.expires_at <= now && state.attempt.is_none()) {
            self.close_door(id, door, CloseReason::Expired, now);
        }
    }

    fn doorless_due(&mut self, id: MailboxId, now: Instant) {
        let Some(mailbox) = self.mailboxes.get(&id) else { return };
        if !mailbox.has_door()
            && let Some(sender) = mailbox.sender
        {
            self.handle_refusal(sender, CloseReason::Expired, None, now);
        }
    }

    /// Closes a door, tells the sender, and ends the session when no door is left and none can come.
    fn close_door(&mut self, id: MailboxId, door: Door, reason: CloseReason, now: Instant) {
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        let Some(state) = mailbox.close(door) else { return };
        let (sender, is_pair) = (mailbox.sender, mailbox.confirmed.is_some());
        let has_future = is_pair || mailbox.has_door();
        let may_reopen = mailbox.reopenings > 0 && reason != CloseReason::Expired;
        self.release(id, state.name, now);
        if let Some(attempt) = state.attempt.filter(|_| reason == CloseReason::OtherDoor) {
            self.dismiss(attempt.receiver, (door, attempt.number), CloseReason::NoSuchCode);
        }
        let Some(sender) = sender else { return };
        self.deliver(sender, ServerMessage::DoorClosed { door, reason });
        if !has_future && may_reopen {
            self.arm(now + DOORLESS, Timer::Doorless(id));
        } else if !has_future {
            self.actions.push_back(Action::Close { connection: sender, reason });
            self.handle_disconnect(sender, now);
        }
    }

    fn remove_mailbox(&mut self, id: MailboxId, now: Instant) {
        let Some(mut mailbox) = self.mailboxes.remove(&id) else { return };
        for door in [Door::Typed, Door::Link] {
            if let Some(state) = mailbox.close(door) {
                self.release(id, state.name, now);
            }
        }
        if let Some(count) = self.mailboxes_by_client.get_mut(&mailbox.client) {
            *count -= 1;
            if *count == 0 {
                self.mailboxes_by_client.remove(&mailbox.client);
            }
        }
    }

    fn release(&mut self, id: MailboxId, name: DoorName, now: Instant) {
        match name {
            DoorName::Nameplate(nameplate) => self.nameplates.release(nameplate, id, now),
            DoorName::Slot(slot) => {
                if self.link_slots.get(&slot) == Some(&id) {
                    self.link_slots.remove(&slot);
                }
            }
        }
    }

    /// Tells a receiver that its attempt is over, and closes its socket.
    fn dismiss(&mut self, receiver: Option<ConnectionId>, (door, attempt): (Door, u32), reason: CloseReason) {
        if let Some(connection) = receiver {
            self.tell_left(receiver, door, attempt, reason);
            self.actions.push_back(Action::Close { connection, reason });
            self.connections.remove(&connection);
        }
    }

    fn tell_left(&mut self, to: Option<ConnectionId>, door: Door, attempt: u32, reason: CloseReason) {
        if let Some(to) = to {
            self.deliver(to, ServerMessage::Left { door, attempt, reason });
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

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// How often a sender may ask for another nameplate on one socket (PROTOCOL.md §4).
const MOST_REOPENINGS: u32 = 2;

/// How many receivers may come to a typed door and leave without a proof (PROTOCOL.md §4).
const MOST_SOFT_DROPS: u32 = 3;

/// The longest a claimer may hold a door, whatever is configured (PROTOCOL.md §4).
const LONGEST_CONFIRM: Duration = Duration::from_mins(1);

/// How long a sender whose last door closed has to ask for another: its client does so at once.
const DOORLESS: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
