//! The sender's doors at a rendezvous: a socket and a clock for the machine that decides, [`wire::doors`].

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use url::Url;
use wire::code::{Code, Password};
use wire::doors::{Closed, Output, Place};
use wire::signaling::{CloseReason, Slot};

use super::rejoin::{FIRST_BACKOFF, LONGEST_BACKOFF, LONGEST_REQUEST, jittered};
use super::search::search;
use super::{ConnectError, Handed, Met, Pairing, refused};
use crate::config::{Token, Typed};
use crate::entropy;
use crate::report::AttemptFailure;
use crate::signaling::{Connection, SignalingError};

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
    /// The rendezvous is under attack and wants work; this machine does it.
    Working,
    /// Somebody came.
    Knocked,
    /// Somebody failed.
    Failed(AttemptFailure),
    /// The way to the rendezvous broke. The doors are kept for a while, and this side is on its way back.
    Away,
    /// This side has its doors again.
    Back,
}

/// The open doors of one sender.
#[derive(Debug)]
pub struct Doors {
    connection: Option<Connection>,
    server: Url,
    /// When the doors that were opened last close.
    open_until: Option<Instant>,
    machine: wire::doors::Doors,
    is_away: bool,
    backoff: Duration,
    /// From which the machine's times are measured.
    since: Instant,
}

impl Doors {
    /// Asks for doors: a typed one as `typed` says, and one for `link`. A private rendezvous wants a `token`.
    /// [`Doors::meet`] opens them.
    ///
    /// # Errors
    /// [`ConnectError::ServerLost`].
    pub async fn request(
        connection: Connection,
        typed: Typed,
        link: Option<Password>,
        token: Option<&Token>,
    ) -> Result<Self, ConnectError> {
        let token = token.map(|token| token.as_str().to_owned());
        let return_slot = Some(Slot::new(entropy::bytes()?));
        let machine = wire::doors::Doors::new(typed, link, token, return_slot, Duration::ZERO);
        let server = connection.server().clone();
        let connection = Some(connection);
        let mut doors = Self {
            connection,
            server,
            open_until: None,
            machine,
            is_away: false,
            backoff: FIRST_BACKOFF,
            since: Instant::now(),
        };
        doors.obey(&mut |_| ()).await?;
        Ok(doors)
    }

    /// Says goodbye, so that the doors close at once.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }

    /// Waits until somebody has proved that they know the password of a door. `tell` hears what happens meanwhile.
    ///
    /// # Errors
    /// [`ConnectError::Expired`], [`ConnectError::Exhausted`], or what the rendezvous did.
    pub async fn meet(&mut self, mut tell: impl FnMut(Visit)) -> Result<Met, ConnectError> {
        loop {
            match self.step(&mut tell).await {
                Ok(None) => {}
                Ok(Some(met)) => return Ok(met),
                Err(error) if self.machine.may_return() && is_passing(&error) => {
                    if !self.is_away {
                        self.is_away = true;
                        tell(Visit::Away);
                    }
                    self.reconnect(error).await?;
                }
                Err(error) => return Err(error),
            }
            if self.is_away && self.connection.is_some() && !self.machine.is_returning() {
                (self.is_away, self.backoff) = (false, FIRST_BACKOFF);
                tell(Visit::Back);
            }
        }
    }

    /// Hears one thing, and does what comes of it.
    async fn step(&mut self, tell: &mut impl FnMut(Visit)) -> Result<Option<Met>, ConnectError> {
        // What there is to say after coming back.
        if let Some(met) = self.obey(tell).await? {
            return Ok(Some(self.met(met)));
        }
        let due = self.machine.deadline().map(|deadline| self.since + deadline);
        let late = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let connection = self.connection.as_mut().ok_or(SignalingError::Lost)?;
        tokio::select! {
            message = connection.recv() => {
                self.machine.handle_message(message?, self.since.elapsed(), entropy::seed()?);
            }
            () = late => self.machine.handle_time(self.since.elapsed()),
        }
        Ok(self.obey(tell).await?.map(|met| self.met(met)))
    }

    fn met(&mut self, (session, place): (wire::handshake::Session, Place)) -> Met {
        let Place { door, attempt, ice_servers, relay } = place;
        let pairing = self.connection.take().map(|connection| Pairing { connection, door, attempt });
        Met { session, server: self.server.clone(), pairing, handed: Handed { ice_servers, relay } }
    }

    /// Connects again, to ask for the doors; until they would have closed.
    async fn reconnect(&mut self, broken: ConnectError) -> Result<(), ConnectError> {
        let asked = if let ConnectError::Refused { retry_after, .. } = broken { retry_after } else { None };
        let wait = asked.map_or_else(|| jittered(self.backoff), |asked| Ok(asked.min(LONGEST_REQUEST)))?;
        if self.open_until.is_none_or(|until| Instant::now() + wait >= until) {
            return Err(broken);
        }
        sleep(wait).await;
        self.backoff = LONGEST_BACKOFF.min(self.backoff * 2);
        self.connection = Connection::connect(&self.server, RECONNECT_DEADLINE).await.ok();
        if self.connection.is_some() {
            self.machine.handle_return(self.since.elapsed());
        }
        Ok(())
    }

    /// Does what the machine wants done.
    async fn obey(
        &mut self,
        tell: &mut impl FnMut(Visit),
    ) -> Result<Option<(wire::handshake::Session, Place)>, ConnectError> {
        let mut broken = None;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Say(message) => {
                    broken = broken.or(match &mut self.connection {
                        Some(connection) => connection.send(&message).await.err(),
                        None => Some(SignalingError::Lost),
                    });
                }
                Output::Open { code, reissued, ttl, codes_left } => {
                    self.open_until = Some(Instant::now() + Duration::from_secs(ttl.into()));
                    let typed = code.map(|code| TypedDoor { code, reissued });
                    tell(Visit::Open { typed, ttl: Duration::from_secs(ttl.into()), codes_left });
                }
                Output::Search(work) => {
                    tell(Visit::Working);
                    if let Some(counter) = search(*work).await {
                        self.machine.handle_stamp(counter, self.since.elapsed());
                    }
                    // Otherwise the time for it is over, which the machine notices.
                    self.machine.handle_time(self.since.elapsed());
                }
                Output::Knocked => tell(Visit::Knocked),
                Output::Failed(failure) => tell(Visit::Failed(failure)),
                // The user was told by what closed it.
                Output::Shut { .. } => {}
                // Whoever has proved that they know the password may be met again.
                Output::Met(met) => return Ok(Some(*met)),
                Output::Closed(why) => return Err(closed(why)),
            }
        }
        broken.map_or(Ok(None), |error| Err(error.into()))
    }
}

fn closed(why: Closed) -> ConnectError {
    match why {
        Closed::Expired => ConnectError::Expired,
        Closed::Exhausted { codes } => ConnectError::Exhausted { codes },
        Closed::Refused { reason, retry_after } => refused(reason, retry_after),
        Closed::Silent => SignalingError::Lost.into(),
        Closed::NoNameplate => ConnectError::Refused { reason: CloseReason::BadMessage, retry_after: None },
        Closed::Forgotten => ConnectError::Forgotten,
        Closed::Incompatible(error) => error.into(),
    }
}

/// Whether the doors may still be there when the rendezvous, or another instance of it, is reached again.
fn is_passing(error: &ConnectError) -> bool {
    match error {
        ConnectError::ServerLost(_) | ConnectError::Unreachable(_) => true,
        ConnectError::Refused { reason, .. } => reason.is_passing(),
        ConnectError::NoSuchCode
        | ConnectError::WrongCode
        | ConnectError::Forgotten
        | ConnectError::Expired
        | ConnectError::Exhausted { .. }
        | ConnectError::PeerLeft
        | ConnectError::Aborted(_)
        | ConnectError::Handshake(_)
        | ConnectError::Signal(_)
        | ConnectError::NoPath
        | ConnectError::NoRelay
        | ConnectError::Negotiation(_)
        | ConnectError::Transport(_)
        | ConnectError::Opening(_)
        | ConnectError::Unreadable(_)
        | ConnectError::BodyTooLong
        | ConnectError::Entropy(_) => false,
    }
}

/// How long the rendezvous may take to accept a connection while this side is on its way back.
const RECONNECT_DEADLINE: Duration = Duration::from_secs(3);
