//! What several instances share through Redis: who has which door and which meeting, and channels to reach each other.
//!
//! Every mailbox and every meeting belongs to one instance, its registry decides alone. Redis says which one
//! ([`Mesh::owner_of`]), and carries links: the way of a socket at one instance to its place at another. Nothing secret is
//! in Redis and nothing that a server does not see anyway; what comes out of it is checked like what a client says.
//!
//! When Redis is away, whatever needs it is refused; sockets and links stay. [`Mesh::is_ready`] tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use wire::code::Nameplate;
use wire::signaling::{Claim, Slot};

use self::frame::{Frame, InstanceId, LinkId};
use self::peers::Peers;
use self::record::{RESTING, Record};
use self::store::{Down, Store};
use crate::client_ip::ClientKey;
use crate::config::Config;
use crate::guard::Signs;
use crate::registry::{DoorName, Entropy, Fault, Portable, Shared};

mod counters;
pub(crate) mod frame;
mod listener;
mod peers;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod stream;

/// This instance's part of what all share.
pub(crate) struct Mesh {
    /// Its own name.
    pub(crate) id: InstanceId,
    store: Store,
    code_ttl: Duration,
    nameplate_rest: Duration,
    meeting_ttl: Duration,
    most_links: usize,
    state: Mutex<State>,
    /// Changes when an instance was found dead.
    deaths: watch::Sender<u64>,
    /// This instance's channel was opened.
    opened: Notify,
    /// Changes for sessions of this instance, in order.
    jobs: mpsc::Sender<Job>,
    /// What is to be taken out of the other end of these queues, once.
    ends: Mutex<Option<Ends>>,
    /// What this instance is told that concerns no link, or a new one.
    arrivals: mpsc::Sender<Frame>,
}

/// What this instance has to write down for all.
#[derive(Debug)]
pub(crate) enum Job {
    /// Something changed.
    Share(Shared),
    /// A client did something that counts.
    Count(ClientKey, Fault),
    /// Say when all before this is done.
    Flush(oneshot::Sender<()>),
}

/// The ends of a mesh's queues that its driver has.
#[derive(Debug)]
pub(crate) struct Ends {
    /// What is to be told to all, in order.
    pub(crate) jobs: mpsc::Receiver<Job>,
    /// Frames that begin links, and those that concern none.
    pub(crate) arrivals: mpsc::Receiver<Frame>,
}

struct State {
    links: HashMap<LinkId, mpsc::Sender<Frame>>,
    peers: Peers,
    entropy: Entropy,
    /// Since when Redis has worked, as far as this instance can tell.
    ready_since: Option<Instant>,
    /// Whether it ever has.
    was_ready: bool,
    /// Whether this instance's channel is open.
    is_listening: bool,
    /// When this instance heard itself last.
    echoed: Instant,
    /// What the others have not been told of yet.
    signs: Signs,
}

/// A link's place among those of this instance, given back when dropped.
pub(crate) struct LinkPlace {
    mesh: Arc<Mesh>,
    /// Which link.
    pub(crate) id: LinkId,
    /// Where the other end is.
    pub(crate) peer: InstanceId,
    /// What the other end says.
    pub(crate) inbox: mpsc::Receiver<Frame>,
}

/// Where a door or a meeting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nowhere.
    Nobody,
    /// In this instance.
    Here,
    /// In another.
    There(InstanceId),
}

impl Mesh {
    /// The part of an instance that shares with others what `config.redis` says; `None` when there are no others.
    pub(crate) fn new(config: &Config, mut entropy: Entropy) -> Option<Arc<Self>> {
        let address = config.redis.as_ref()?;
        // Fails when a provider is installed already, which is then the one to use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (jobs, jobs_end) = mpsc::channel(MOST_JOBS);
        let (arrivals, arrivals_end) = mpsc::channel(MOST_ARRIVALS);
        Some(Arc::new(Self {
            id: InstanceId(entropy().to_be_bytes()),
            store: Store::new(address),
            code_ttl: config.times.code_ttl,
            nameplate_rest: config.times.nameplate_rest,
            meeting_ttl: config.times.meeting_ttl,
            most_links: config.limits.sockets,
            state: Mutex::new(State {
                links: HashMap::new(),
                peers: Peers::default(),
                entropy,
                ready_since: None,
                was_ready: false,
                is_listening: false,
                echoed: now(),
                signs: Signs::default(),
            }),
            deaths: watch::Sender::new(0),
            opened: Notify::new(),
            jobs,
            ends: Mutex::new(Some(Ends { jobs: jobs_end, arrivals: arrivals_end })),
            arrivals,
        }))
    }

    /// Whether new sessions can be served. Cheap.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.state();
        state.ready_since.is_some() && now().saturating_duration_since(state.echoed) < ECHO_LIMIT
    }

    /// Since when Redis has worked; `None` when it does not.
    pub(crate) fn ready_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_heard = now().saturating_duration_since(state.echoed) < ECHO_LIMIT;
        state.ready_since.filter(|_| is_heard)
    }

    /// Reserves a nameplate among all instances: drawn by `propose`, which is told how many digits it must have at least.
    ///
    /// Two draws of one length that somebody has already mean that it is well filled: then the next length.
    pub(crate) async fn reserve(
        &self,
        mut propose: impl FnMut(u32) -> Option<Nameplate>,
    ) -> Result<Option<Nameplate>, Down> {
        let mut misses = 0;
        let mut digits = Nameplate::MIN_DIGITS;
        while let Some(nameplate) = propose(digits) {
            let key = record::nameplate_key(nameplate);
            if self.store.set_new(&key, &self.id.to_string(), self.door_life()).await? {
                return Ok(Some(nameplate));
            }
            misses += 1;
            digits = nameplate.digits() + u32::from(misses % 2 == 0);
        }
        Ok(None)
    }

    /// Gives back a nameplate that was reserved and never shown.
    pub(crate) async fn give_back(&self, nameplate: Nameplate) {
        // What is not given back ends by itself.
        let _ = self.store.delete(&record::nameplate_key(nameplate)).await;
    }

    /// Takes a link's slot for this instance; whether nobody had it.
    pub(crate) async fn reserve_slot(&self, slot: Slot) -> Result<bool, Down> {
        self.store.set_new(&record::slot_key(slot), &self.id.to_string(), self.door_life()).await
    }

    /// Where the door is that `claim` names.
    pub(crate) async fn owner_of(&self, claim: Claim) -> Result<Owner, Down> {
        let value = self.store.get(&record::door_key(claim)).await?;
        Ok(value.and_then(|value| InstanceId::parse(&value)).map_or(Owner::Nobody, |id| self.owner(id)))
    }

    /// Takes an attempt at a door for one receiver, for as long as the door may last; whether nobody has it. This is what
    /// keeps two instances that both believe that they have a door from letting in somebody each.
    pub(crate) async fn take_attempt(&self, claim: Claim, number: u32) -> Result<bool, Down> {
        self.store.set_new(&record::claim_key(claim, number), &self.id.to_string(), self.door_life()).await
    }

    /// Where a meeting is, which is here from now on if it was nowhere, or where it was is dead.
    pub(crate) async fn meeting(&self, slot: Slot) -> Result<Owner, Down> {
        let (head, me) = (record::meeting_key(slot), self.id.to_string());
        let life = self.meeting_ttl + MEETING_MARGIN;
        let mut key = head.clone();
        // Who takes over from a dead instance is found behind its name: of several who try, one succeeds.
        for _ in 0..MOST_HEIRS {
            if self.store.set_new(&key, &me, life).await? {
                if key != head {
                    self.store.set(&head, &me, life).await?;
                }
                return Ok(Owner::Here);
            }
            let Some(id) = self.store.get(&key).await?.and_then(|value| InstanceId::parse(&value)) else {
                // Garbage, or it has just expired.
                self.store.delete(&key).await?;
                continue;
            };
            if id == self.id || !self.is_dead(id) {
                return Ok(self.owner(id));
            }
            key = format!("{head}:{id}");
        }
        Err(Down)
    }

    /// Says again that a meeting is here; whether it still is.
    pub(crate) async fn keep_meeting(&self, slot: Slot) -> Result<bool, Down> {
        let is_here = self.meeting(slot).await? == Owner::Here;
        if is_here {
            let life = self.meeting_ttl + MEETING_MARGIN;
            self.store.set(&record::meeting_key(slot), &self.id.to_string(), life).await?;
        }
        Ok(is_here)
    }

    /// Takes the session of a sender that comes back: of all who ask, one gets it. With it comes who had it.
    pub(crate) async fn take_session(
        &self,
        return_slot: Slot,
        link_slot: Option<Slot>,
    ) -> Result<Option<(Option<InstanceId>, Portable)>, Down> {
        let Some(bytes) = self.store.take(&record::session_key(return_slot)).await? else { return Ok(None) };
        let Some(record) = Record::parse(&bytes) else { return Ok(None) };
        let session = record.session(link_slot, self.code_ttl, SystemTime::now());
        Ok(Some((record.owner(), session)))
    }

    /// Makes the doors of a session that was `owner`'s this instance's own. What is no longer open is taken out of it.
    pub(crate) async fn move_here(
        &self,
        return_slot: Slot,
        owner: Option<InstanceId>,
        mut session: Portable,
    ) -> Result<Portable, Down> {
        let me = self.id.to_string();
        let owner = owner.map(|owner| owner.to_string().into_bytes());
        if let Some((nameplate, door)) = &mut session.typed {
            let key = record::nameplate_key(*nameplate);
            if self.store.get(&key).await? == owner {
                self.store.set(&key, &me, self.door_life()).await?;
                door.attempts = self.last_attempt(Claim::Nameplate(*nameplate), door.attempts).await?;
            } else {
                // Burnt, or somebody else's by now.
                session.typed = None;
            }
        }
        if let Some((slot, door)) = &mut session.link {
            self.store.set(&record::slot_key(*slot), &me, self.door_life()).await?;
            door.attempts = self.last_attempt(Claim::Slot(*slot), door.attempts).await?;
        }
        self.put_session(return_slot, &session).await?;
        Ok(session)
    }

    /// Writes down a session of this instance.
    pub(crate) async fn put_session(&self, return_slot: Slot, session: &Portable) -> Result<(), Down> {
        let text = Record::new(self.id, session, SystemTime::now()).to_text();
        self.store.set(&record::session_key(return_slot), &text, self.door_life()).await
    }

    /// Tells all what changed here. What cannot be told is told when Redis works again.
    pub(crate) fn do_later(&self, job: Job) {
        // Full only when Redis has not answered for a while.
        let _ = self.jobs.try_send(job);
    }

    /// Waits until all that changed before has been told.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            // Without a driver nothing was ever shared.
            let _ = is_done.await;
        }
    }

    /// Writes down what changed here, unless another instance has it by now.
    pub(crate) async fn publish(&self, shared: Shared) -> Result<(), Down> {
        match shared {
            Shared::Session { return_slot, session } => self.publish_session(return_slot, session).await,
            Shared::Released(DoorName::Nameplate(nameplate)) => {
                let key = record::nameplate_key(nameplate);
                if !self.has(&key).await? {
                    return Ok(());
                }
                self.store.set(&key, RESTING, self.nameplate_rest).await
            }
            Shared::Released(DoorName::Slot(slot)) => {
                let key = record::slot_key(slot);
                if self.has(&key).await? { self.store.delete(&key).await } else { Ok(()) }
            }
        }
    }

    /// Says again what doors and sessions this instance has, to a Redis that may have lost everything.
    pub(crate) async fn restore(
        &self,
        sessions: &[(Slot, Portable)],
        names: &[DoorName],
    ) -> Result<(), Down> {
        let me = self.id.to_string();
        for name in names {
            let key = match name {
                DoorName::Nameplate(nameplate) => record::nameplate_key(*nameplate),
                DoorName::Slot(slot) => record::slot_key(*slot),
            };
            self.store.set_new(&key, &me, self.door_life()).await?;
        }
        for (return_slot, session) in sessions {
            self.publish_session(*return_slot, Some(*session)).await?;
        }
        Ok(())
    }

    /// Says something to another instance; whether it listens.
    pub(crate) async fn tell(&self, peer: InstanceId, frame: &Frame) -> Result<bool, Down> {
        let listening = self.store.publish(&record::channel(peer), &frame.to_bytes()).await?;
        if listening == 0 && self.state().peers.handle_missed(peer, now()) {
            self.deaths.send_modify(|count| *count += 1);
        }
        Ok(listening > 0)
    }

    /// Whether an instance is known to be dead.
    pub(crate) fn is_dead(&self, peer: InstanceId) -> bool {
        self.state().peers.is_dead(peer)
    }

    /// Changes whenever an instance was found dead.
    pub(crate) fn deaths(&self) -> watch::Receiver<u64> {
        self.deaths.subscribe()
    }

    /// Begins a link to another instance.
    pub(crate) fn begin_link(self: &Arc<Self>, peer: InstanceId) -> Option<LinkPlace> {
        let id = {
            let entropy = &mut self.state().entropy;
            let (high, low) = (entropy(), entropy());
            LinkId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        };
        self.place_link(id, peer)
    }

    /// Takes in a link that another instance began; `None` when it is one too many, or known already.
    pub(crate) fn place_link(self: &Arc<Self>, id: LinkId, peer: InstanceId) -> Option<LinkPlace> {
        let mut state = self.state();
        if state.links.len() >= self.most_links || state.links.contains_key(&id) {
            return None;
        }
        let (sender, inbox) = mpsc::channel(MOST_UNREAD);
        state.links.insert(id, sender);
        state.peers.link(peer, now());
        drop(state);
        Some(LinkPlace { mesh: Arc::clone(self), id, peer, inbox })
    }

    /// The ends of its queues, for its driver.
    pub(crate) fn take_ends(&self) -> Option<Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The highest number of an attempt at a door that somebody has, from `known` on.
    async fn last_attempt(&self, claim: Claim, known: u32) -> Result<u32, Down> {
        let mut last = known;
        while last < known.saturating_add(MOST_UNKNOWN_ATTEMPTS)
            && self.store.get(&record::claim_key(claim, last + 1)).await?.is_some()
        {
            last += 1;
        }
        Ok(last)
    }

    async fn publish_session(&self, return_slot: Slot, session: Option<Portable>) -> Result<(), Down> {
        let key = record::session_key(return_slot);
        let owner =
            self.store.get(&key).await?.map(|bytes| Record::parse(&bytes).and_then(|known| known.owner()));
        match (owner, session) {
            (Some(Some(owner)), _) if owner != self.id => Ok(()),
            (_, Some(session)) => self.put_session(return_slot, &session).await,
            (None, None) => Ok(()),
            (Some(_), None) => self.store.delete(&key).await,
        }
    }

    async fn has(&self, key: &str) -> Result<bool, Down> {
        Ok(self.store.get(key).await?.and_then(|value| InstanceId::parse(&value)) == Some(self.id))
    }

    fn owner(&self, id: InstanceId) -> Owner {
        if id == self.id { Owner::Here } else { Owner::There(id) }
    }

    /// How long a door may be known: its life, the last attempt at it, and then its rest, should its instance die.
    fn door_life(&self) -> Duration {
        self.code_ttl + LAST_ATTEMPT + self.nameplate_rest
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for LinkPlace {
    fn drop(&mut self) {
        let mut state = self.mesh.state();
        state.links.remove(&self.id);
        state.peers.unlink(self.peer);
    }
}

/// The time of the runtime, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// An instance that has not heard itself for so long is not served by Redis.
const ECHO_LIMIT: Duration = Duration::from_secs(5);

/// How long a door may be held by an attempt after its time.
const LAST_ATTEMPT: Duration = Duration::from_mins(1);

/// How long a meeting is known beyond what its instance remembers of it; it says once a minute that it has it.
const MEETING_MARGIN: Duration = Duration::from_mins(3);

/// How many instances may have died one after the other, each with a meeting that it took over.
const MOST_HEIRS: usize = 64;

/// How many attempts an instance may have let in without telling before it died: one a second for a quarter of a minute.
const MOST_UNKNOWN_ATTEMPTS: u32 = 16;

/// Changes that may wait to be told: what some seconds bring at 1,000 sessions a second.
const MOST_JOBS: usize = 16 * 1024;

/// Links and asides that may wait to be taken in.
const MOST_ARRIVALS: usize = 4 * 1024;

/// Frames of one link that may wait; what is beyond is lost, and repeated by who said it.
const MOST_UNREAD: usize = 80;
