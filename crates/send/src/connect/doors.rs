//! The sender's doors at a rendezvous: a socket and a clock for the machine that decides, [`wire::doors`].

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wire::code::{Code, Password};
use wire::doors::{Closed, Output, Place};
use wire::signaling::CloseReason;

use super::search::search;
use super::{ConnectError, Met, Pairing, refused};
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
}

/// The open doors of one sender.
#[derive(Debug)]
pub struct Doors {
    connection: Connection,
    machine: wire::doors::Doors,
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
        let machine = wire::doors::Doors::new(typed, link, token, Duration::ZERO);
        let mut doors = Self { connection, machine, since: Instant::now() };
        doors.obey(&mut |_| ()).await?;
        Ok(doors)
    }

    /// Waits until somebody has proved that they know the password of a door. `tell` hears what happens meanwhile.
    ///
    /// # Errors
    /// [`ConnectError::Expired`], [`ConnectError::Exhausted`], or what the rendezvous did.
    pub async fn meet(mut self, mut tell: impl FnMut(Visit)) -> Result<Met, ConnectError> {
        loop {
            let late = async {
                match self.machine.deadline() {
                    Some(deadline) => sleep_until(self.since + deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = self.connection.recv() => {
                    self.machine.handle_message(message?, self.since.elapsed(), entropy::seed()?);
                }
                () = late => self.machine.handle_time(self.since.elapsed()),
            }
            if let Some((session, place)) = self.obey(&mut tell).await? {
                let Place { door, attempt, ice_servers } = place;
                let server = self.connection.server().clone();
                let pairing = Some(Pairing { connection: self.connection, door, attempt });
                return Ok(Met { session, server, pairing, ice_servers });
            }
        }
    }

    /// Does what the machine wants done.
    async fn obey(
        &mut self,
        tell: &mut impl FnMut(Visit),
    ) -> Result<Option<(wire::handshake::Session, Place)>, ConnectError> {
        let mut broken = None;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Say(message) => broken = broken.or(self.connection.send(&message).await.err()),
                Output::Open { code, reissued, ttl, codes_left } => {
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
        Closed::Incompatible(error) => error.into(),
    }
}
