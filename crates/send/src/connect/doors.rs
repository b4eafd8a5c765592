//! The sender's doors: who comes, who proves what, and what a wrong proof costs.
//!
//! The rendezvous counts attempts too, but it cannot be trusted to: what spends a code is decided here, by
//! [`wire::attempts`].

mod visitor;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wire::attempts::{Attempts, NextStep, REISSUE_LIMIT};
use wire::code::{Code, Mode, Nameplate, Password};
use wire::handshake::Session;
use wire::keys::link_slot;
use wire::signaling::{
    Body, Claim, ClientMessage, CloseReason, Door, IceServer, Outcome, SIGNALING_VERSION, ServerMessage,
};

use self::visitor::{Heard, Place, Visitor};
use super::{ConnectError, Met, Pairing, refused};
use crate::config::{Token, Typed};
use crate::entropy;
use crate::report::AttemptFailure;
use crate::signaling::{Connection, SignalingError};

/// How long a visitor may take to prove that it knows the password. The rendezvous ends an attempt after 10 s and frees the
/// door; this is for one that does not.
const PROOF_DEADLINE: Duration = Duration::from_secs(12);

/// Least time between two attempts at the link door: it has no other limit.
const LINK_ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// How long the rendezvous may take to open a door.
const CREATE_DEADLINE: Duration = Duration::from_secs(15);

/// The typed door as the user has to know it.
#[derive(Debug)]
pub struct TypedDoor {
    /// What to read aloud.
    pub code: Code,
    /// Why there is a new one; `None` for the first.
    pub reissued: Option<AttemptFailure>,
}

/// What there is to tell while nobody has proved anything yet.
#[derive(Debug)]
pub enum Visit {
    /// Doors are open (again).
    Open {
        /// The typed door, if there is one.
        typed: Option<TypedDoor>,
        /// How long they stay open.
        ttl: Duration,
        /// How many further codes there will be.
        codes_left: u8,
    },
    /// Somebody came.
    Knocked,
    /// Somebody failed, and the door stays as it is.
    Failed(AttemptFailure),
}

/// The open doors of one sender.
#[derive(Debug)]
pub struct Doors {
    connection: Connection,
    typed: Typed,
    code: Option<Code>,
    link: Option<Password>,
    attempts: Attempts,
    typed_visitor: Option<Visitor>,
    link_visitor: Option<Visitor>,
    next_link_attempt: Instant,
    /// Whether the last code was spent, so that only the link is left.
    is_exhausted: bool,
}

impl Doors {
    /// Asks for doors: a typed one as `typed` says, and one for `link`. A private rendezvous wants a `token`.
    /// [`Doors::meet`] opens them.
    ///
    /// # Errors
    /// [`ConnectError::ServerLost`].
    pub async fn request(
        mut connection: Connection,
        typed: Typed,
        link: Option<Password>,
        token: Option<&Token>,
    ) -> Result<Self, ConnectError> {
        let create = ClientMessage::Create {
            v: SIGNALING_VERSION,
            typed: typed != Typed::LinkOnly,
            link_slot: link.as_ref().and_then(link_slot),
            token: token.map(|token| token.as_str().to_owned()),
        };
        connection.send(&create).await?;
        Ok(Self {
            connection,
            typed,
            code: None,
            link,
            attempts: Attempts::default(),
            typed_visitor: None,
            link_visitor: None,
            next_link_attempt: Instant::now(),
            is_exhausted: false,
        })
    }

    /// Waits until somebody has proved that they know the password of a door. `tell` hears what happens meanwhile.
    ///
    /// # Errors
    /// [`ConnectError::Expired`], [`ConnectError::Exhausted`], or what the rendezvous did.
    pub async fn meet(mut self, mut tell: impl FnMut(Visit)) -> Result<Met, ConnectError> {
        self.opened(None, &mut tell).await?;
        loop {
            let deadline = self.next_deadline();
            let message = tokio::select! {
                message = self.connection.recv() => message?,
                () = sleep_until(deadline) => {
                    self.handle_late_visitors(&mut tell).await?;
                    continue;
                }
            };
            if let Some((session, place)) = self.handle(message, &mut tell).await? {
                let Place { door, attempt, ice_servers } = place;
                let pairing = Pairing { connection: self.connection, door, attempt };
                return Ok(Met { session, pairing, ice_servers });
            }
        }
    }

    /// Waits for the rendezvous to say that doors are open, and makes the code.
    async fn opened(
        &mut self,
        reissued: Option<AttemptFailure>,
        tell: &mut impl FnMut(Visit),
    ) -> Result<(), ConnectError> {
        let created = async {
            loop {
                match self.connection.recv().await? {
                    ServerMessage::Created { nameplate, ttl } => return Ok((nameplate, ttl)),
                    ServerMessage::Refused { reason, retry_after } => {
                        return Err(refused(reason, retry_after));
                    }
                    // The other door may see visitors meanwhile; they try again, or the rendezvous times them out.
                    ServerMessage::Paired { .. }
                    | ServerMessage::Relay { .. }
                    | ServerMessage::Left { .. }
                    | ServerMessage::DoorClosed { .. }
                    | ServerMessage::Unknown => {}
                }
            }
        };
        let (nameplate, ttl) =
            tokio::time::timeout(CREATE_DEADLINE, created).await.map_err(|_| SignalingError::Lost)??;
        self.code = nameplate.map(|nameplate| self.new_code(nameplate)).transpose()?.flatten();
        if self.code.is_none() && self.typed != Typed::LinkOnly {
            return Err(ConnectError::Refused { reason: CloseReason::BadMessage, retry_after: None });
        }
        tell(Visit::Open {
            typed: self.code.clone().map(|code| TypedDoor { code, reissued }),
            ttl: Duration::from_secs(ttl.into()),
            codes_left: self.attempts.reissues_left(),
        });
        Ok(())
    }

    fn new_code(&self, nameplate: Nameplate) -> Result<Option<Code>, ConnectError> {
        let entropy = entropy::bytes()?;
        let password = match self.typed {
            Typed::Digits(count) => Password::from_digits(count, entropy),
            Typed::Words(count) => Password::from_words(count, entropy),
            Typed::LinkOnly => return Ok(None),
        };
        Ok(Code::new(nameplate, password))
    }

    async fn handle(
        &mut self,
        message: ServerMessage,
        tell: &mut impl FnMut(Visit),
    ) -> Result<Option<(Session, Place)>, ConnectError> {
        match message {
            ServerMessage::Paired { door, attempt, ice_servers } => {
                if let Some(visitor) = self.admit(door, attempt, ice_servers)? {
                    *self.visitor(door) = Some(visitor);
                    tell(Visit::Knocked);
                }
            }
            ServerMessage::Relay { door, attempt, body } => {
                if let Some(visitor) = self.take_visitor(door, attempt) {
                    return self.listen(visitor, &body, tell).await;
                }
            }
            ServerMessage::Left { door, attempt, .. } => {
                if self.take_visitor(door, attempt).is_some() {
                    self.handle_soft(door, tell).await?;
                }
            }
            ServerMessage::DoorClosed { door, reason } => self.handle_closed(door, reason, tell).await?,
            ServerMessage::Refused { reason, retry_after } => return Err(refused(reason, retry_after)),
            ServerMessage::Created { .. } | ServerMessage::Unknown => {}
        }
        Ok(None)
    }

    /// Lets a visitor in, if the door is one of ours.
    fn admit(
        &mut self,
        door: Door,
        attempt: u32,
        ice_servers: Vec<IceServer>,
    ) -> Result<Option<Visitor>, ConnectError> {
        let now = Instant::now();
        let (password, at) = match (door, &self.code, &self.link) {
            (Door::Typed, Some(code), _) => (code.password(), Claim::Nameplate(code.nameplate())),
            (Door::Link, _, Some(link)) if now >= self.next_link_attempt => {
                self.next_link_attempt = now + LINK_ATTEMPT_INTERVAL;
                let Some(slot) = link_slot(link) else { return Ok(None) };
                (link, Claim::Slot(slot))
            }
            _ => return Ok(None),
        };
        Visitor::admit(Place { door, attempt, ice_servers }, password, &at, now).map(Some)
    }

    /// Takes a visitor's next handshake message. The right proof, and there is a session; a wrong one, and the code is burnt.
    async fn listen(
        &mut self,
        visitor: Visitor,
        body: &Body,
        tell: &mut impl FnMut(Visit),
    ) -> Result<Option<(Session, Place)>, ConnectError> {
        match visitor.hear(body)? {
            Heard::Stays(visitor, answer) => {
                if let Some(answer) = answer {
                    self.relay(&visitor.place, &answer).await?;
                }
                let door = visitor.place.door;
                *self.visitor(door) = Some(visitor);
                Ok(None)
            }
            Heard::Proved(session, answer, place) => {
                self.relay(&place, &answer).await?;
                self.tell_result(&place, Outcome::Confirmed).await?;
                Ok(Some((session, place)))
            }
            Heard::Wrong(place) => {
                self.tell_result(&place, Outcome::WrongCode).await?;
                let step = self.attempts.handle_wrong_password(mode(place.door));
                self.go_on(place.door, step, AttemptFailure::WrongCode, tell).await?;
                Ok(None)
            }
        }
    }

    /// Somebody left, or did nothing useful, before proving anything.
    async fn handle_soft(&mut self, door: Door, tell: &mut impl FnMut(Visit)) -> Result<(), ConnectError> {
        match self.attempts.handle_soft(mode(door)) {
            NextStep::Wait => {
                tell(Visit::Failed(AttemptFailure::LeftEarly));
                Ok(())
            }
            step @ (NextStep::Reissue | NextStep::GiveUp) => {
                self.go_on(door, step, AttemptFailure::TooManyLeft, tell).await
            }
        }
    }

    /// The rendezvous closed a door.
    async fn handle_closed(
        &mut self,
        door: Door,
        reason: CloseReason,
        tell: &mut impl FnMut(Visit),
    ) -> Result<(), ConnectError> {
        let is_open = match door {
            Door::Typed => self.code.is_some(),
            Door::Link => self.link.is_some(),
            Door::Meeting => false,
        };
        if !is_open {
            return Ok(());
        }
        *self.visitor(door) = None;
        if reason == CloseReason::Exhausted && door == Door::Typed {
            let step = self.attempts.handle_door_closed();
            return self.go_on(door, step, AttemptFailure::TooManyLeft, tell).await;
        }
        self.close(door);
        self.require_open_door()
    }

    /// Ends attempts that were given their time.
    async fn handle_late_visitors(&mut self, tell: &mut impl FnMut(Visit)) -> Result<(), ConnectError> {
        let now = Instant::now();
        for door in [Door::Typed, Door::Link] {
            if self.visitor(door).as_ref().is_some_and(|visitor| visitor.deadline <= now) {
                *self.visitor(door) = None;
                self.handle_soft(door, tell).await?;
            }
        }
        Ok(())
    }

    /// Closes a door and shows another code, or goes on with the doors that are left.
    async fn go_on(
        &mut self,
        door: Door,
        step: NextStep,
        failure: AttemptFailure,
        tell: &mut impl FnMut(Visit),
    ) -> Result<(), ConnectError> {
        self.close(door);
        tell(Visit::Failed(failure));
        if step == NextStep::Reissue {
            self.connection.send(&ClientMessage::OpenDoor).await?;
            return self.opened(Some(failure), tell).await;
        }
        self.is_exhausted |= door == Door::Typed;
        self.require_open_door()
    }

    fn require_open_door(&self) -> Result<(), ConnectError> {
        match (&self.code, &self.link) {
            (None, None) if self.is_exhausted => Err(ConnectError::Exhausted { codes: 1 + REISSUE_LIMIT }),
            (None, None) => Err(ConnectError::Expired),
            _ => Ok(()),
        }
    }

    fn close(&mut self, door: Door) {
        match door {
            Door::Typed => self.code = None,
            Door::Link => self.link = None,
            Door::Meeting => {}
        }
    }

    async fn relay(&mut self, place: &Place, bytes: &[u8]) -> Result<(), ConnectError> {
        let Place { door, attempt, .. } = *place;
        let body = Body::from_bytes(bytes);
        Ok(self.connection.send(&ClientMessage::Relay { door, attempt, body }).await?)
    }

    async fn tell_result(&mut self, place: &Place, outcome: Outcome) -> Result<(), ConnectError> {
        let Place { door, attempt, .. } = *place;
        Ok(self.connection.send(&ClientMessage::Result { door, attempt, outcome }).await?)
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

    /// When the next visitor's time is up; far away when nobody is here.
    fn next_deadline(&self) -> Instant {
        let visitors = self.typed_visitor.iter().chain(&self.link_visitor);
        let far = Instant::now() + Duration::from_hours(1);
        visitors.map(|visitor| visitor.deadline).fold(far, Instant::min)
    }
}

fn mode(door: Door) -> Mode {
    match door {
        Door::Typed | Door::Meeting => Mode::Typed,
        Door::Link => Mode::Link,
    }
}
