//! The sender's doors: who comes, who proves what, and what a wrong proof costs (PROTOCOL.md §5.6).
//!
//! The rendezvous counts attempts too, but it cannot be trusted to: what spends a code is decided here, by
//! [`crate::attempts`].

use core::time::Duration;
use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;

use super::output;
use crate::attempts::{Attempts, NextStep};
use crate::code::{Code, Mode, Nameplate, Password};
use crate::handshake::{AwaitingConfirm, HandshakeError, Seed, Sender, Session};
use crate::keys::link_slot;
use crate::link::ShareLink;
use crate::signaling::{
    Body, Claim, ClientMessage, CloseReason, Door, IceServer, Outcome, SIGNALING_VERSION, ServerMessage,
};

/// How long a visitor may take to prove that it knows the password. The rendezvous ends an attempt after 10 s and frees the
/// door; this is for one that does not.
const PROOF_DEADLINE: Duration = Duration::from_secs(12);

/// Least time between two attempts at the link door: it has no other limit.
const LINK_ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// How long the rendezvous may take to open a door.
const CREATE_DEADLINE: Duration = Duration::from_secs(15);

/// What comes of it, in this order.
#[derive(Debug)]
pub(super) enum Event {
    /// Tell the rendezvous.
    Say(ClientMessage),
    /// Which doors are open now, and if another was before, what closed it. The time is in seconds.
    Open { code: Option<Code>, is_link_open: bool, ttl: u32, codes_left: u8, closed: Option<&'static str> },
    /// Somebody came.
    Knocked,
    /// Somebody failed and the door stays as it is.
    Visited(&'static str),
    /// Somebody has proved that they know the password.
    Met(Box<Met>),
    /// No door is left, or the rendezvous will not go on.
    Closed { why: &'static str, retry_after: Option<u32> },
}

/// A session, and where its two sides met.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) session: Session,
    pub(super) place: Place,
}

/// Which visitor, and what the rendezvous gave for it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) door: Door,
    pub(super) attempt: u32,
    pub(super) ice_servers: Vec<IceServer>,
}

/// The open doors of one sender.
#[derive(Debug)]
pub(super) struct Doors {
    rng: ChaCha20Rng,
    code: Option<Code>,
    link: Option<Password>,
    attempts: Attempts,
    typed_visitor: Option<Visitor>,
    link_visitor: Option<Visitor>,
    next_link_attempt: Duration,
    opening: Option<Opening>,
    /// How long a door stays open, in seconds.
    ttl: u32,
    /// Whether the last code was spent, so that only the link is left.
    is_exhausted: bool,
    events: VecDeque<Event>,
}

/// A typed door that the rendezvous was asked for.
#[derive(Debug)]
struct Opening {
    /// Why there has to be another; nothing for the first.
    reissued: Option<&'static str>,
    deadline: Duration,
}

/// Somebody in a door.
#[derive(Debug)]
struct Visitor {
    place: Place,
    stage: Stage,
    deadline: Duration,
}

#[derive(Debug)]
enum Stage {
    Hello(Box<Sender>),
    Proof(Box<AwaitingConfirm>),
    /// It said hello in a way that makes no sense, and will not be answered. It counts when it has left: until then the
    /// rendezvous opens no other door.
    Spoilt,
}

impl Doors {
    /// Asks for a typed door, and for that of `link`.
    pub(super) fn request(link: Option<&ShareLink>, rng: ChaCha20Rng, now: Duration) -> Self {
        let link = link.map(|link| link.password().clone());
        let link_slot = link.as_ref().and_then(link_slot);
        let create = ClientMessage::Create { v: SIGNALING_VERSION, typed: true, link_slot, token: None };
        Self {
            rng,
            code: None,
            link,
            attempts: Attempts::default(),
            typed_visitor: None,
            link_visitor: None,
            next_link_attempt: now,
            opening: Some(Opening { reissued: None, deadline: now + CREATE_DEADLINE }),
            ttl: 0,
            is_exhausted: false,
            events: VecDeque::from([Event::Say(create)]),
        }
    }

    pub(super) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The rendezvous said something.
    pub(super) fn handle(&mut self, message: ServerMessage, now: Duration) {
        match message {
            ServerMessage::Created { nameplate, ttl } => self.handle_created(nameplate, ttl),
            ServerMessage::Paired { door, attempt, ice_servers } => {
                self.admit(Place { door, attempt, ice_servers }, now);
            }
            ServerMessage::Relay { door, attempt, body } => {
                if let Some(visitor) = self.take_visitor(door, attempt) {
                    self.listen(visitor, &body, now);
                }
            }
            ServerMessage::Left { door, attempt, .. } => {
                if self.take_visitor(door, attempt).is_some() {
                    self.handle_soft(door, now);
                }
            }
            ServerMessage::DoorClosed { door, reason } => self.handle_closed(door, reason, now),
            ServerMessage::Refused { reason, retry_after } => {
                let is_unclear = matches!(reason, CloseReason::Unknown | CloseReason::IdleTimeout);
                let why = if is_unclear { "server-gone" } else { output::closed(reason) };
                self.events.push_back(Event::Closed { why, retry_after });
            }
            ServerMessage::Unknown => {}
        }
    }

    /// Ends attempts that were given their time.
    pub(super) fn handle_time(&mut self, now: Duration) {
        if self.opening.as_ref().is_some_and(|opening| opening.deadline <= now) {
            self.events.push_back(Event::Closed { why: "server-gone", retry_after: None });
        }
        for door in [Door::Typed, Door::Link] {
            if self.visitor(door).take_if(|visitor| visitor.deadline <= now).is_some() {
                self.handle_soft(door, now);
            }
        }
    }

    fn handle_created(&mut self, nameplate: Option<Nameplate>, ttl: u32) {
        let Some(Opening { reissued, .. }) = self.opening.take() else { return };
        let password = Password::from_digits(Password::MIN_DIGITS, self.entropy());
        self.code = nameplate.and_then(|nameplate| Code::new(nameplate, password));
        self.ttl = ttl;
        if self.code.is_some() {
            self.show(reissued);
        } else {
            self.events.push_back(Event::Closed { why: "version", retry_after: None });
        }
    }

    /// Tells which doors are open.
    fn show(&mut self, closed: Option<&'static str>) {
        self.events.push_back(Event::Open {
            code: self.code.clone(),
            is_link_open: self.link.is_some(),
            ttl: self.ttl,
            codes_left: self.attempts.reissues_left(),
            closed,
        });
    }

    /// A visitor gets fresh entropy and its time, if the door is one of ours.
    fn admit(&mut self, place: Place, now: Duration) {
        let seed = Seed::new(self.entropy());
        let (password, at) = match (place.door, &self.code, &self.link) {
            (Door::Typed, Some(code), _) => (code.password(), Claim::Nameplate(code.nameplate())),
            (Door::Link, _, Some(link)) if now >= self.next_link_attempt => {
                self.next_link_attempt = now + LINK_ATTEMPT_INTERVAL;
                let Some(slot) = link_slot(link) else { return };
                (link, Claim::Slot(slot))
            }
            _ => return,
        };
        let stage = Stage::Hello(Box::new(Sender::new(password, &at, seed)));
        let door = place.door;
        *self.visitor(door) = Some(Visitor { place, stage, deadline: now + PROOF_DEADLINE });
        self.events.push_back(Event::Knocked);
    }

    /// Takes a visitor's next handshake message.
    fn listen(&mut self, visitor: Visitor, body: &Body, now: Duration) {
        let Visitor { place, stage, deadline } = visitor;
        let bytes = body.to_bytes().unwrap_or_default();
        let next = match stage {
            Stage::Hello(sender) => match sender.receive_hello(&bytes) {
                Ok((waiting, answer)) => {
                    self.relay(&place, &answer);
                    Stage::Proof(Box::new(waiting))
                }
                Err(_) => Stage::Spoilt,
            },
            Stage::Spoilt => Stage::Spoilt,
            Stage::Proof(waiting) => return self.judge(*waiting, &bytes, place, now),
        };
        let door = place.door;
        *self.visitor(door) = Some(Visitor { place, stage: next, deadline });
    }

    /// Takes a visitor's proof: right, and there is a session; wrong, and the code is burnt.
    fn judge(&mut self, waiting: AwaitingConfirm, proof: &[u8], place: Place, now: Duration) {
        match waiting.receive_confirm(proof) {
            Ok((session, answer)) => {
                self.relay(&place, &answer);
                self.tell_result(&place, Outcome::Confirmed);
                self.events.push_back(Event::Met(Box::new(Met { session, place })));
            }
            Err(error @ HandshakeError::NoCommonVersion) => {
                self.events.push_back(Event::Closed { why: output::handshake(error), retry_after: None });
            }
            Err(_) => {
                self.tell_result(&place, Outcome::WrongCode);
                let step = self.attempts.handle_wrong_password(mode(place.door));
                self.go_on(place.door, step, "wrong-code", now);
            }
        }
    }

    /// Somebody left, or did nothing useful, before proving anything.
    fn handle_soft(&mut self, door: Door, now: Duration) {
        match self.attempts.handle_soft(mode(door)) {
            NextStep::Wait => self.events.push_back(Event::Visited("left-early")),
            step @ (NextStep::Reissue | NextStep::GiveUp) => self.go_on(door, step, "too-many-left", now),
        }
    }

    /// The rendezvous closed a door.
    fn handle_closed(&mut self, door: Door, reason: CloseReason, now: Duration) {
        let is_open = match door {
            Door::Typed => self.code.is_some(),
            Door::Link => self.link.is_some(),
            Door::Meeting => false,
        };
        if !is_open {
            return;
        }
        *self.visitor(door) = None;
        if reason == CloseReason::Exhausted && door == Door::Typed {
            let step = self.attempts.handle_door_closed();
            return self.go_on(door, step, "too-many-left", now);
        }
        self.close(door);
        self.go_on_with_the_rest(None);
    }

    /// Closes a door and asks for another, or goes on with the doors that are left.
    fn go_on(&mut self, door: Door, step: NextStep, why: &'static str, now: Duration) {
        self.close(door);
        self.events.push_back(Event::Visited(why));
        if step == NextStep::Reissue {
            self.events.push_back(Event::Say(ClientMessage::OpenDoor));
            self.opening = Some(Opening { reissued: Some(why), deadline: now + CREATE_DEADLINE });
            return;
        }
        self.is_exhausted |= door == Door::Typed;
        self.go_on_with_the_rest(Some(why));
    }

    /// A door is closed for good. Those that are still open are shown; without any it is over.
    fn go_on_with_the_rest(&mut self, closed: Option<&'static str>) {
        if self.code.is_some() || self.link.is_some() {
            self.show(closed);
        } else if self.opening.is_none() {
            let why = if self.is_exhausted { "exhausted" } else { "expired" };
            self.events.push_back(Event::Closed { why, retry_after: None });
        }
    }

    fn close(&mut self, door: Door) {
        match door {
            Door::Typed => self.code = None,
            Door::Link => self.link = None,
            Door::Meeting => {}
        }
    }

    fn relay(&mut self, place: &Place, bytes: &[u8]) {
        let Place { door, attempt, .. } = *place;
        let body = Body::from_bytes(bytes);
        self.events.push_back(Event::Say(ClientMessage::Relay { door, attempt, body }));
    }

    fn tell_result(&mut self, place: &Place, outcome: Outcome) {
        let Place { door, attempt, .. } = *place;
        self.events.push_back(Event::Say(ClientMessage::Result { door, attempt, outcome }));
    }

    fn visitor(&mut self, door: Door) -> &mut Option<Visitor> {
        match door {
            Door::Typed | Door::Meeting => &mut self.typed_visitor,
            Door::Link => &mut self.link_visitor,
        }
    }

    fn take_visitor(&mut self, door: Door, attempt: u32) -> Option<Visitor> {
        self.visitor(door).take_if(|visitor| (visitor.place.door, visitor.place.attempt) == (door, attempt))
    }

    fn entropy<const LEN: usize>(&mut self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

fn mode(door: Door) -> Mode {
    match door {
        Door::Typed | Door::Meeting => Mode::Typed,
        Door::Link => Mode::Link,
    }
}
