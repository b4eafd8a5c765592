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

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use wire::signaling::{
    ClientMessage, CloseReason, IceServer, MAX_BODY_LEN, Role, SIGNALING_VERSION, ServerMessage, Slot,
};

use self::allowance::Allowance;
use self::mailbox::{Mailbox, MailboxId};
use self::meetings::Meetings;
use self::nameplates::Nameplates;
use self::sockets::{Connection, Place};
use self::timers::{Timer, Timers};
use crate::client_ip::ClientKey;
use crate::config::{Config, Times};
use crate::shrink::Shrink;

mod allowance;
mod attempts;
mod decisions;
mod doors;
mod mailbox;
mod meetings;
mod moves;
mod nameplates;
mod returning;
mod sockets;
mod timers;

pub(crate) use self::decisions::{Action, Census, Fault, Prepared, Shared, Tally};
pub(crate) use self::mailbox::DoorName;
pub(crate) use self::returning::{Portable, PortableDoor};
pub(crate) use self::sockets::ConnectionId;

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
    timers: Timers,
    actions: VecDeque<Action>,
    entropy: Entropy,
    last_mailbox: u64,
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
            timers: Timers::default(),
            actions: VecDeque::new(),
            entropy,
            last_mailbox: 0,
        }
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

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
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
        self.timers.next_due()
    }

    /// The next thing to do, in order.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn deliver(&mut self, to: ConnectionId, message: ServerMessage) {
        self.actions.push_back(Action::Deliver { to, message });
    }
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

/// The longest a claimer may hold a door, whatever is configured (PROTOCOL.md §4).
const LONGEST_CONFIRM: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
