//! The sender's doors: who comes, who proves what, and what a wrong proof costs (PROTOCOL.md §5.6).
//!
//! The rendezvous counts attempts too, but it cannot be trusted to: what spends a code is decided here, by
//! [`crate::attempts`]. A machine like those of [`crate::transfer`]: it takes what happened through `handle_*` and says
//! what to do through [`Doors::poll_output`]. Times are measured from any one moment of the driver's choice.

mod visitor;

use core::time::Duration;
use std::collections::VecDeque;

use crate::attempts::{Attempts, NextStep, REISSUE_LIMIT};
use crate::code::{Code, Mode, Nameplate, Password};
use crate::handshake::{HandshakeError, Seed, Session};
use crate::keys::link_slot;
use crate::pow::{self, Search};
use crate::signaling::{
    Body, Challenge, Claim, ClientMessage, CloseReason, Door, IceServer, Outcome, SIGNALING_VERSION,
    ServerMessage, Slot, Ticket,
};

use self::visitor::{Heard, Visitor};

/// How long a visitor may take to prove that it knows the password. The rendezvous ends an attempt after 10 s and frees the
/// door; this is for one that does not.
const PROOF_LIMIT: Duration = Duration::from_secs(12);

/// Least time between two attempts at the link door: it has no other limit.
const LINK_ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// How long the rendezvous may take to open a door.
const CREATE_LIMIT: Duration = Duration::from_secs(15);

/// What the sender makes up for a receiver to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// This many decimal digits, [`Password::MIN_DIGITS`] to [`Password::MAX_DIGITS`].
    Digits(usize),
    /// This many words, [`Password::MIN_WORDS`] to [`Password::MAX_WORDS`].
    Words(usize),
    /// Nothing: only the link is open.
    LinkOnly,
}

/// Why an attempt at a door ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// The other side proved another code: a typing mistake or a guess. The code is spent.
    WrongCode,
    /// The other side came and left without proving anything. The code still holds.
    LeftEarly,
    /// Too many came and left without proving anything. The code is spent.
    TooManyLeft,
}

/// Why there is no door any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody came in time.
    Expired,
    /// Every code was spent.
    Exhausted {
        /// How many there were.
        codes: u8,
    },
    /// The rendezvous will not go on.
    Refused {
        /// Why.
        reason: CloseReason,
        /// When it is worth trying again, in seconds.
        retry_after: Option<u32>,
    },
    /// The rendezvous said nothing when it was asked for a door.
    Silent,
    /// The rendezvous opened no typed door, for which it was asked.
    NoNameplate,
    /// The rendezvous no longer has the doors that this side came back to.
    Forgotten,
    /// Somebody knows the password and no version of the protocol that this side knows.
    Incompatible(HandshakeError),
}

impl Closed {
    /// Whether the rendezvous, or another instance of it, may still have the doors: a side that [may
    /// return](Doors::may_return) does.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => reason.is_passing(),
            Self::Silent => true,
            Self::Expired
            | Self::Exhausted { .. }
            | Self::NoNameplate
            | Self::Forgotten
            | Self::Incompatible(_) => false,
        }
    }
}

/// Which visitor, and what the rendezvous gave for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it came in.
    pub door: Door,
    /// Which attempt at that door it is.
    pub attempt: u32,
    /// Servers for finding a path.
    pub ice_servers: Vec<IceServer>,
    /// What this side joins the relay with, if that is offered.
    pub relay: Option<Ticket>,
}

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Tell the rendezvous.
    Say(ClientMessage),
    /// Work for the door: find the counter, then [`Doors::handle_stamp`].
    Search(Box<Search>),
    /// Doors are open (again).
    Open {
        /// What to read aloud, if there is a typed door.
        code: Option<Code>,
        /// Why there is a new one; `None` for the first.
        reissued: Option<AttemptFailure>,
        /// How long they stay open, in seconds.
        ttl: u32,
        /// How many further codes there will be.
        codes_left: u8,
    },
    /// Somebody came.
    Knocked,
    /// Somebody failed. When that cost the code, what follows says so.
    Failed(AttemptFailure),
    /// This door stays closed; another is still open.
    Shut {
        /// Which one.
        door: Door,
        /// What closed it, if it was not its time.
        failure: Option<AttemptFailure>,
    },
    /// Somebody has proved that they know the password, and was answered. This is the last output.
    Met(Box<(Session, Place)>),
    /// No door is left. This is the last output.
    Closed(Closed),
}

/// The open doors of one sender.
#[derive(Debug)]
pub struct Doors {
    typed: Typed,
    code: Option<Code>,
    link: Option<Password>,
    attempts: Attempts,
    typed_visitor: Option<Visitor>,
    link_visitor: Option<Visitor>,
    next_link_attempt: Duration,
    opening: Option<Opening>,
    return_slot: Option<Slot>,
    /// Until when the rendezvous has to answer this side, which came back to its doors.
    returning: Option<Duration>,
    /// Whether the last code was spent, so that only the link is left.
    is_exhausted: bool,
    outputs: VecDeque<Output>,
}

/// A typed door that the rendezvous was asked for.
#[derive(Debug)]
struct Opening {
    /// Why there has to be another; nothing for the first.
    reissued: Option<AttemptFailure>,
    /// Whether the rendezvous has asked for work: it may do that once.
    is_challenged: bool,
    deadline: Duration,
}

impl Doors {
    /// Asks for doors: a typed one as `typed` says, and one for `link`. A private rendezvous wants a `token`. With a
    /// `return_slot`, which nobody else may know, the doors outlive the socket: [`Doors::handle_return`].
    pub fn new(
        typed: Typed,
        link: Option<Password>,
        token: Option<String>,
        return_slot: Option<Slot>,
        now: Duration,
    ) -> Self {
        let create = ClientMessage::Create {
            v: SIGNALING_VERSION,
            typed: typed != Typed::LinkOnly,
            link_slot: link.as_ref().and_then(link_slot),
            token,
            return_slot,
        };
        Self {
            typed,
            code: None,
            link,
            attempts: Attempts::default(),
            typed_visitor: None,
            link_visitor: None,
            next_link_attempt: now,
            opening: Some(Opening { reissued: None, is_challenged: false, deadline: now + CREATE_LIMIT }),
            return_slot,
            returning: None,
            is_exhausted: false,
            outputs: VecDeque::from([Output::Say(create)]),
        }
    }

    /// What to do next; `None` until something happens.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Doors::handle_time`] is due at the latest; `None` when nothing is waited for.
    pub fn deadline(&self) -> Option<Duration> {
        let visitors = self.typed_visitor.iter().chain(&self.link_visitor).map(|visitor| visitor.deadline);
        let answers = self.opening.as_ref().map(|opening| opening.deadline);
        visitors.chain(answers).chain(self.returning).min()
    }

    /// Whether there are doors to come back to when the socket breaks: they were opened under a slot of this side's own.
    pub fn may_return(&self) -> bool {
        self.return_slot.is_some() && (self.code.is_some() || self.link_is_open())
    }

    /// Whether the rendezvous has yet to answer this side, which came back to its doors.
    pub fn is_returning(&self) -> bool {
        self.returning.is_some()
    }

    /// The socket broke, and there is another: this side wants its doors back. Whoever stood in one is gone without a
    /// proof.
    pub fn handle_return(&mut self, now: Duration) {
        let Some(return_slot) = self.return_slot else { return };
        // What could not be said is not said to the next socket.
        self.outputs.retain(|output| !matches!(output, Output::Say(_)));
        let link_slot = self.link.as_ref().and_then(link_slot);
        let reopen = ClientMessage::Reopen { v: SIGNALING_VERSION, return_slot, link_slot };
        self.outputs.push_back(Output::Say(reopen));
        self.returning = Some(now + CREATE_LIMIT);
        for door in [Door::Typed, Door::Link] {
            if self.visitor(door).take().is_some() {
                self.handle_soft(door, now);
            }
        }
    }

    /// The rendezvous said something. `seed` is for what has to be made up because of it: a password, a key exchange.
    pub fn handle_message(&mut self, message: ServerMessage, now: Duration, seed: Seed) {
        match message {
            ServerMessage::Created { nameplate, ttl } if self.returning.is_some() => {
                self.handle_returned((nameplate, ttl), now, seed);
            }
            ServerMessage::Created { nameplate, ttl } => self.handle_created(nameplate, ttl, seed),
            ServerMessage::Paired { door, attempt, ice_servers, relay } => {
                self.admit(Place { door, attempt, ice_servers, relay }, now, seed);
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
            ServerMessage::Refused { reason: CloseReason::NoSuchCode, .. } if self.returning.is_some() => {
                self.end(Closed::Forgotten);
            }
            ServerMessage::Refused { reason, retry_after } => {
                self.end(Closed::Refused { reason, retry_after });
            }
            ServerMessage::Challenge(challenge) => self.handle_challenge(challenge, now),
            ServerMessage::Unknown => {}
        }
    }

    /// The work that the rendezvous asked for is done.
    pub fn handle_stamp(&mut self, counter: u64, now: Duration) {
        if let Some(opening) = self.opening.as_mut().filter(|opening| opening.is_challenged) {
            opening.deadline = now + CREATE_LIMIT;
            self.outputs.push_back(Output::Say(ClientMessage::Stamp { counter }));
        }
    }

    /// Ends what was given its time.
    pub fn handle_time(&mut self, now: Duration) {
        if self.opening.take_if(|opening| opening.deadline <= now).is_some() {
            return self.end(Closed::Silent);
        }
        if self.returning.take_if(|deadline| *deadline <= now).is_some() {
            return self.end(Closed::Silent);
        }
        for door in [Door::Typed, Door::Link] {
            if self.visitor(door).take_if(|visitor| visitor.deadline <= now).is_some() {
                self.handle_soft(door, now);
            }
        }
    }

    /// The rendezvous wants work before it opens a door. More than anybody may ask for is a refusal.
    fn handle_challenge(&mut self, challenge: Challenge, now: Duration) {
        let Some(opening) = &mut self.opening else { return };
        let search = Search::new(challenge).filter(|_| !opening.is_challenged);
        (opening.is_challenged, opening.deadline) = (true, now + pow::SEARCH_LIMIT);
        match search {
            Some(search) => self.outputs.push_back(Output::Search(Box::new(search))),
            None => self.end(Closed::Refused { reason: CloseReason::Busy, retry_after: None }),
        }
    }

    /// The rendezvous opened doors; now there is a code.
    fn handle_created(&mut self, nameplate: Option<Nameplate>, ttl: u32, seed: Seed) {
        let Some(Opening { reissued, .. }) = self.opening.take() else { return };
        self.code = nameplate.and_then(|nameplate| Code::new(nameplate, self.new_password(seed)?));
        if self.code.is_none() && self.typed != Typed::LinkOnly {
            return self.end(Closed::NoNameplate);
        }
        let (code, codes_left) = (self.code.clone(), self.attempts.reissues_left());
        self.outputs.push_back(Output::Open { code, reissued, ttl, codes_left });
    }

    /// The doors are open again: those that the rendezvous still has.
    fn handle_returned(&mut self, (nameplate, ttl): (Option<Nameplate>, u32), now: Duration, seed: Seed) {
        self.returning = None;
        let ours = self.code.as_ref().map(Code::nameplate);
        match (ours, &self.opening, nameplate) {
            // It had opened the door that was asked for when the socket broke.
            (None, Some(_), Some(_)) => self.handle_created(nameplate, ttl, seed),
            (None, Some(_), None) => self.ask_for_door(now),
            (Some(ours), _, theirs) if theirs != Some(ours) => {
                self.handle_closed(Door::Typed, CloseReason::Gone, now);
            }
            _ => {}
        }
    }

    fn new_password(&self, seed: Seed) -> Option<Password> {
        let entropy = *seed.into_bytes().first_chunk().expect("a seed has 32 bytes");
        match self.typed {
            Typed::Digits(count) => Some(Password::from_digits(count, entropy)),
            Typed::Words(count) => Some(Password::from_words(count, entropy)),
            Typed::LinkOnly => None,
        }
    }

    /// Lets a visitor in, if the door is one of ours.
    fn admit(&mut self, place: Place, now: Duration, seed: Seed) {
        let (password, at) = match (place.door, &self.code, &self.link) {
            (Door::Typed, Some(code), _) => (code.password(), Claim::Nameplate(code.nameplate())),
            (Door::Link, _, Some(link)) if now >= self.next_link_attempt => {
                self.next_link_attempt = now + LINK_ATTEMPT_INTERVAL;
                let Some(slot) = link_slot(link) else { return };
                (link, Claim::Slot(slot))
            }
            _ => return,
        };
        let door = place.door;
        *self.visitor(door) = Some(Visitor::new(place, password, &at, seed, now));
        self.outputs.push_back(Output::Knocked);
    }

    /// Takes a visitor's next handshake message. The right proof, and there is a session; a wrong one, and the code is burnt.
    fn listen(&mut self, visitor: Visitor, body: &Body, now: Duration) {
        match visitor.hear(body) {
            Heard::Stays(visitor, answer) => {
                let door = visitor.place.door;
                if let Some(answer) = answer {
                    self.relay(&visitor.place, &answer);
                }
                *self.visitor(door) = Some(visitor);
            }
            Heard::Proved(session, answer, place) => {
                self.relay(&place, &answer);
                self.tell_result(&place, Outcome::Confirmed);
                self.outputs.push_back(Output::Met(Box::new((session, place))));
            }
            Heard::Wrong(place) => {
                self.tell_result(&place, Outcome::WrongCode);
                let step = self.attempts.handle_wrong_password(mode(place.door));
                self.go_on(place.door, step, AttemptFailure::WrongCode, now);
            }
            Heard::Incompatible(error) => self.end(Closed::Incompatible(error)),
        }
    }

    /// Somebody left, or did nothing useful, before proving anything.
    fn handle_soft(&mut self, door: Door, now: Duration) {
        match self.attempts.handle_soft(mode(door)) {
            NextStep::Wait => self.outputs.push_back(Output::Failed(AttemptFailure::LeftEarly)),
            step @ (NextStep::Reissue | NextStep::GiveUp) => {
                self.go_on(door, step, AttemptFailure::TooManyLeft, now);
            }
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
            return self.go_on(door, step, AttemptFailure::TooManyLeft, now);
        }
        self.close(door);
        self.go_on_with_the_rest(door, None);
    }

    /// Closes a door and asks for another, or goes on with the doors that are left.
    fn go_on(&mut self, door: Door, step: NextStep, failure: AttemptFailure, now: Duration) {
        self.close(door);
        self.outputs.push_back(Output::Failed(failure));
        if step == NextStep::Reissue {
            let deadline = now + CREATE_LIMIT;
            self.opening = Some(Opening { reissued: Some(failure), is_challenged: false, deadline });
            // While it comes back, what is still open is not known; the answer says what to ask for.
            if self.returning.is_none() {
                self.ask_for_door(now);
            }
            return;
        }
        self.is_exhausted |= door == Door::Typed;
        self.go_on_with_the_rest(door, Some(failure));
    }

    fn ask_for_door(&mut self, now: Duration) {
        self.outputs.push_back(Output::Say(ClientMessage::OpenDoor));
        if let Some(opening) = &mut self.opening {
            opening.deadline = now + CREATE_LIMIT;
        }
    }

    fn link_is_open(&self) -> bool {
        self.link.is_some() && self.opening.as_ref().is_none_or(|opening| opening.reissued.is_some())
    }

    /// A door is closed for good; without any other it is over.
    fn go_on_with_the_rest(&mut self, door: Door, failure: Option<AttemptFailure>) {
        if self.code.is_some() || self.link.is_some() {
            self.outputs.push_back(Output::Shut { door, failure });
        } else if self.opening.is_none() {
            let exhausted = Closed::Exhausted { codes: 1 + REISSUE_LIMIT };
            self.end(if self.is_exhausted { exhausted } else { Closed::Expired });
        }
    }

    fn end(&mut self, why: Closed) {
        self.outputs.push_back(Output::Closed(why));
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
        self.outputs.push_back(Output::Say(ClientMessage::Relay { door, attempt, body }));
    }

    fn tell_result(&mut self, place: &Place, outcome: Outcome) {
        let Place { door, attempt, .. } = *place;
        self.outputs.push_back(Output::Say(ClientMessage::Result { door, attempt, outcome }));
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
}

fn mode(door: Door) -> Mode {
    match door {
        Door::Typed | Door::Meeting => Mode::Typed,
        Door::Link => Mode::Link,
    }
}

#[cfg(test)]
mod tests;
