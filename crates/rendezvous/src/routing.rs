//! Brings what a socket says to where its place is: the registry here, or that of another instance, over a link.
//!
//! With one instance this does nothing but check limits. With several, what needs Redis is settled before the registry
//! hears of it, one message of a socket after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;
use wire::code::Nameplate;
use wire::signaling::{Claim, ClientMessage, CloseReason, SIGNALING_VERSION, Slot};

use self::near::Link;
use crate::hub::{Connection, Hub, now};
use crate::mesh::store::Down;
use crate::mesh::{Mesh, Owner};
use crate::registry::{Portable, PortableDoor, Prepared};

mod driver;
mod far;
mod near;
mod wire_end;

pub(crate) use self::driver::start;

/// One socket's way to its place.
#[derive(Debug, Default)]
pub(crate) struct Router {
    link: Option<Link>,
}

/// Why a socket does not get where it wants to.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    reason: CloseReason,
    retry_after: Option<Duration>,
}

impl From<Down> for Refusal {
    fn from(_: Down) -> Self {
        Self { reason: CloseReason::Unavailable, retry_after: Some(RETRY_AFTER) }
    }
}

impl From<CloseReason> for Refusal {
    fn from(reason: CloseReason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl Router {
    /// Passes on what the socket said, if its client may say it now.
    pub(crate) async fn handle(&mut self, connection: &Connection, message: ClientMessage) {
        let received = now();
        if let Err((reason, retry_after)) = connection.check(&message) {
            return connection.refuse(reason, retry_after);
        }
        let Some(mesh) = connection.hub().mesh.clone() else {
            return connection.say(message, Prepared::default(), received);
        };
        let mut way = Way { router: self, connection, mesh: &mesh, received };
        // Boxed, or every socket had room for it, which it rarely needs.
        if let Err(Refusal { reason, retry_after }) = Box::pin(way.go(message)).await {
            connection.refuse(reason, retry_after);
        }
    }
}

/// One message on its way.
struct Way<'a> {
    router: &'a mut Router,
    connection: &'a Connection,
    mesh: &'a Arc<Mesh>,
    received: Instant,
}

impl Way<'_> {
    async fn go(&mut self, message: ClientMessage) -> Result<(), Refusal> {
        let id = self.connection.id();
        let (in_lobby, may_leave, may_open) = self.hub().decide(|registry, _| {
            (registry.is_in_lobby(id), registry.may_leave(id), registry.may_open_door(id))
        });
        match message {
            ClientMessage::Create { v: SIGNALING_VERSION, typed, link_slot, return_slot, .. }
                if in_lobby && (typed || link_slot.is_some()) =>
            {
                self.create(message, (typed, link_slot, return_slot)).await
            }
            ClientMessage::Reopen { v: SIGNALING_VERSION, return_slot, link_slot } if in_lobby => {
                self.reopen(message, return_slot, link_slot).await
            }
            ClientMessage::OpenDoor if may_open => {
                self.ready()?;
                let nameplate = Some(self.reserve().await?);
                self.say(message, Prepared { nameplate, ..Prepared::default() });
                Ok(())
            }
            ClientMessage::Claim { v: SIGNALING_VERSION, at } if in_lobby => self.claim(message, at).await,
            ClientMessage::Meet { v: SIGNALING_VERSION, slot, .. } if may_leave => {
                self.meet(message, slot).await
            }
            ClientMessage::Create { .. }
            | ClientMessage::Reopen { .. }
            | ClientMessage::OpenDoor
            | ClientMessage::Claim { .. }
            | ClientMessage::Meet { .. }
            | ClientMessage::Relay { .. }
            | ClientMessage::Result { .. }
            | ClientMessage::Stamp { .. }
            | ClientMessage::Report { .. } => {
                if let Some(link) = &self.router.link {
                    return Ok(link.say(&message)?);
                }
                self.say(message, Prepared::default());
                Ok(())
            }
        }
    }

    async fn create(
        &self,
        message: ClientMessage,
        (typed, link_slot, return_slot): (bool, Option<Slot>, Option<Slot>),
    ) -> Result<(), Refusal> {
        self.ready()?;
        if !self.mesh.count_create(self.connection.client(), &self.hub().config.limits).await? {
            return Err(CloseReason::RateLimited.into());
        }
        let nameplate = if typed { Some(self.reserve().await?) } else { None };
        if let Some(slot) = link_slot
            && !self.mesh.reserve_slot(slot).await?
        {
            if let Some(nameplate) = nameplate {
                self.mesh.give_back(nameplate).await;
            }
            return Err(CloseReason::Busy.into());
        }
        if let Some(return_slot) = return_slot {
            let door = PortableDoor { left: self.hub().config.times.code_ttl, soft_drops: 0, attempts: 0 };
            let session = Portable {
                typed: nameplate.map(|nameplate| (nameplate, door)),
                link: link_slot.map(|slot| (slot, door)),
                reopenings: if typed { MOST_REOPENINGS } else { 0 },
            };
            self.mesh.put_session(return_slot, &session).await?;
        }
        self.say(message, Prepared { nameplate, ..Prepared::default() });
        Ok(())
    }

    async fn reserve(&self) -> Result<Nameplate, Refusal> {
        let propose = |digits| self.hub().decide(|registry, now| registry.propose_nameplate(digits, now));
        self.mesh.reserve(propose).await?.ok_or_else(|| CloseReason::Busy.into())
    }

    async fn reopen(
        &self,
        message: ClientMessage,
        return_slot: Slot,
        link_slot: Option<Slot>,
    ) -> Result<(), Refusal> {
        self.ready()?;
        let is_here = self.hub().decide(|registry, _| registry.has_session(return_slot));
        let Some((owner, session)) = self.mesh.take_session(return_slot, link_slot).await? else {
            // It is over, or Redis has lost it and this registry has not.
            self.say(message, Prepared::default());
            return Ok(());
        };
        if is_here && owner == Some(self.mesh.id) {
            self.mesh.put_session(return_slot, &session).await?;
            self.say(message, Prepared::default());
            return Ok(());
        }
        let session = self.mesh.move_here(return_slot, owner, session).await?;
        if let Some(owner) = owner {
            driver::tell_moved(self.mesh, owner, return_slot).await;
        }
        let (id, client) = (self.connection.id(), self.connection.client());
        self.hub().decide(|registry, now| registry.adopt((id, client), return_slot, session, now));
        Ok(())
    }

    async fn claim(&mut self, message: ClientMessage, at: Claim) -> Result<(), Refusal> {
        self.ready()?;
        let limits = &self.hub().config.limits;
        if self.mesh.has_failed_too_often(self.connection.client(), limits).await? {
            return Err(CloseReason::RateLimited.into());
        }
        // The sender of an instance that died comes back at another, and this receiver waits for it.
        while now() < self.received + OWNER_WAIT {
            match self.mesh.owner_of(at).await? {
                Owner::Nobody => break,
                Owner::Here => {
                    claim_here(self.connection, self.mesh, at, self.received).await?;
                    return Ok(());
                }
                Owner::There(peer) => {
                    if !self.mesh.is_dead(peer) && self.open(peer, &message).await {
                        return Ok(());
                    }
                }
            }
            time::sleep(OWNER_PAUSE).await;
        }
        self.say(message, Prepared::default());
        Ok(())
    }

    async fn meet(&mut self, message: ClientMessage, slot: Slot) -> Result<(), Refusal> {
        self.ready()?;
        while now() < self.received + OWNER_WAIT {
            match self.mesh.meeting(slot).await? {
                Owner::Here | Owner::Nobody => {
                    self.close_link().await;
                    self.hub().decide(|registry, _| registry.handle_return(self.connection.id()));
                    self.say(message, Prepared::default());
                    return Ok(());
                }
                Owner::There(peer) => {
                    if let Some(link) = self.router.link.as_ref().filter(|link| link.peer == peer) {
                        return Ok(link.say(&message)?);
                    }
                    self.close_link().await;
                    if self.open(peer, &message).await {
                        return Ok(());
                    }
                }
            }
        }
        Err(Down.into())
    }

    /// Goes to another instance with a first message; whether it is there.
    async fn open(&mut self, peer: crate::mesh::frame::InstanceId, message: &ClientMessage) -> bool {
        let id = self.connection.id();
        if !self.hub().decide(|registry, now| registry.handle_departure(id, now)) {
            // It was refused, and needs nothing more.
            return true;
        }
        let opened = near::open(self.connection, self.mesh, peer, message, self.received).await;
        let is_open = opened.is_some();
        self.router.link = opened;
        if !is_open {
            self.hub().decide(|registry, _| registry.handle_return(id));
        }
        is_open
    }

    async fn close_link(&mut self) {
        if let Some(link) = self.router.link.take() {
            link.depart().await;
        }
    }

    fn ready(&self) -> Result<(), Refusal> {
        if self.mesh.is_ready() { Ok(()) } else { Err(Down.into()) }
    }

    fn say(&self, message: ClientMessage, prepared: Prepared) {
        self.connection.say(message, prepared, self.received);
    }

    fn hub(&self) -> &Arc<Hub> {
        self.connection.hub()
    }
}

/// Claims a door of this instance, under a number that no attempt at that door has had at any instance.
async fn claim_here(
    connection: &Connection,
    mesh: &Mesh,
    at: Claim,
    received: Instant,
) -> Result<(), Refusal> {
    let mut attempt = 0;
    for _ in 0..MOST_TRIES {
        // When nobody can come in, the registry says so, as to everybody.
        let next = connection.hub().decide(|registry, now| registry.next_attempt(at, now));
        let Some(next) = next else { break };
        attempt = next.max(attempt + 1);
        if mesh.take_attempt(at, attempt).await? {
            break;
        }
    }
    let message = ClientMessage::Claim { v: SIGNALING_VERSION, at };
    connection.say(message, Prepared { attempt, ..Prepared::default() }, received);
    Ok(())
}

/// How long a receiver waits for a sender whose instance died, before there is no such code: its client gives up after
/// 15 s.
const OWNER_WAIT: Duration = Duration::from_secs(10);

/// Between two looks for the instance that has a door now.
const OWNER_PAUSE: Duration = Duration::from_millis(200);

/// When it is worth trying again while Redis is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Numbers that are tried for one attempt: each that is taken was let in elsewhere a moment ago.
const MOST_TRIES: u32 = 8;

/// How often a sender may ask for another nameplate (PROTOCOL.md §4).
const MOST_REOPENINGS: u32 = 2;
