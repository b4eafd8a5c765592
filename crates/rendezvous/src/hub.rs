//! Performs what the [`Registry`] decides: the registry and the outboxes of its sockets, behind one lock that is
//! never held while waiting.

mod connection;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use wire::signaling::{CloseReason, ServerMessage};

pub(crate) use self::connection::Connection;
use crate::client_ip::ClientKey;
use crate::config::Config;
use crate::guard::{Change, Guard, Sign, Signs};
use crate::handout::Handout;
use crate::limits::gate::{Full, Gate, Pass};
use crate::limits::{Denied, Limits, Request, TokioClock};
use crate::mesh::{Job, Mesh};
use crate::metrics::{Metrics, Moment, Stats};
use crate::outbox::Outbox;
use crate::registry::{Action, ConnectionId, Entropy, Fault, Registry, Tally};
use crate::relay::Relays;
use crate::shrink::Shrink;

/// One rendezvous at work.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What was configured.
    pub(crate) config: Config,
    /// What is counted over time.
    pub(crate) limits: Limits,
    /// What is counted for the operator.
    pub(crate) metrics: Metrics,
    /// What each client is told when it is paired.
    pub(crate) handout: Handout,
    /// The sessions whose records pass through here.
    pub(crate) relays: Arc<Relays>,
    /// The other instances, if there are any.
    pub(crate) mesh: Option<Arc<Mesh>>,
    state: Mutex<State>,
    gate: Arc<Gate>,
    wake: Arc<Notify>,
    driver: OnceLock<DropGuard>,
    pub(crate) mesh_driver: OnceLock<DropGuard>,
    sockets: TaskTracker,
    draining: CancellationToken,
    killed: CancellationToken,
}

struct State {
    registry: Registry,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    last_connection: u64,
    /// When the driver wakes up by itself.
    driver_wakes: Option<Instant>,
    guard: Guard,
    /// For challenges.
    entropy: Entropy,
    salt: RandomState,
    salted_at: Instant,
}

/// Why a socket is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// This client has had enough.
    Client(Denied),
    /// The server is full, or stops.
    Server,
}

impl Hub {
    /// A hub without sockets. It needs no runtime yet.
    pub(crate) fn new(config: Config) -> Self {
        let registry = Registry::new(&config, system_entropy());
        Self {
            limits: Limits::new(&config.limits, TokioClock),
            metrics: Metrics::new(now()),
            handout: Handout::new(&config),
            relays: Relays::new(&config),
            mesh: Mesh::new(&config, system_entropy()),
            gate: Gate::new(config.limits.sockets, config.limits.sockets_per_client),
            state: Mutex::new(State {
                registry,
                outboxes: HashMap::new(),
                last_connection: 0,
                driver_wakes: None,
                guard: Guard::new(&config),
                entropy: system_entropy(),
                salt: RandomState::new(),
                salted_at: now(),
            }),
            wake: Arc::default(),
            driver: OnceLock::new(),
            mesh_driver: OnceLock::new(),
            sockets: TaskTracker::new(),
            draining: CancellationToken::new(),
            killed: CancellationToken::new(),
            config,
        }
    }

    /// Counts a new socket, before its upgrade is granted.
    ///
    /// # Errors
    /// [`Rejected`].
    pub(crate) fn admit(&self, client: ClientKey) -> Result<Pass, Rejected> {
        if self.draining.is_cancelled() {
            return Err(Rejected::Server);
        }
        self.limits.take(client, Request::Connect).map_err(Rejected::Client)?;
        self.limits.accept().map_err(|_| Rejected::Server)?;
        self.gate.enter(Some(client)).map_err(|full| match full {
            Full::Client => Rejected::Client(Denied { retry_after: None }),
            Full::Server => Rejected::Server,
        })
    }

    /// Takes a socket in, of a client that came by `host`.
    pub(crate) fn connect(
        self: &Arc<Self>,
        client: ClientKey,
        pass: Pass,
        host: Option<String>,
    ) -> Connection {
        let outbox = Outbox::new(&self.config.limits).for_client(host);
        self.take_in(client, Some(pass), outbox)
    }

    /// Takes in a socket of another instance that is to have its place here.
    pub(crate) fn visit(self: &Arc<Self>, client: ClientKey) -> Connection {
        self.take_in(client, None, Outbox::new(&self.config.limits))
    }

    fn take_in(self: &Arc<Self>, client: ClientKey, pass: Option<Pass>, outbox: Outbox) -> Connection {
        self.start();
        let outbox = Arc::new(outbox);
        let mut state = self.state();
        state.last_connection += 1;
        let id = ConnectionId(state.last_connection);
        state.outboxes.insert(id, Arc::clone(&outbox));
        if pass.is_some() {
            state.registry.handle_connect(id, client);
        } else {
            state.registry.handle_visit(id, client);
        }
        if self.draining.is_cancelled() {
            state.registry.handle_refusal(id, CloseReason::GoingAway, None, now());
        }
        tracing::debug!(connection = id.0, client = client.pseudonym(&state.salt), "socket opened");
        self.perform(&mut state);
        drop(state);
        Connection { hub: Arc::clone(self), id, client, outbox, _pass: pass }
    }

    /// Runs a socket's task so that [`Hub::drain`] waits for it and, in the end, stops it.
    pub(crate) async fn own(&self, task: impl Future<Output = ()>) {
        let killed = self.killed.clone();
        let owned = async move {
            tokio::select! {
                () = task => {}
                () = killed.cancelled() => {}
            }
        };
        self.sockets.track_future(owned).await;
    }

    /// Tells every client that the server goes away, waits until they are gone, and stops those that are not by then.
    pub(crate) async fn drain(&self, deadline: Duration) {
        self.draining.cancel();
        self.relays.drain();
        self.say_goodbye();
        self.sockets.close();
        let gone = async {
            self.sockets.wait().await;
            if let Some(mesh) = &self.mesh {
                mesh.flush().await;
            }
        };
        if time::timeout(deadline, gone).await.is_err() {
            self.kill();
        }
    }

    /// Stops every socket without a word.
    pub(crate) fn kill(&self) {
        self.draining.cancel();
        self.killed.cancel();
    }

    /// Waits until [`Hub::drain`] was called and the last socket is gone.
    pub(crate) async fn drained(&self) {
        self.sockets.wait().await;
    }

    /// Waits until [`Hub::kill`] was called.
    pub(crate) async fn killed(&self) {
        self.killed.cancelled().await;
    }

    /// Has the registry decide something, and does what it says.
    pub(crate) fn decide<T>(&self, decision: impl FnOnce(&mut Registry, Instant) -> T) -> T {
        let mut state = self.state();
        let decided = decision(&mut state.registry, now());
        self.perform(&mut state);
        decided
    }

    /// How many sockets are open.
    pub(crate) fn socket_count(&self) -> usize {
        self.state().outboxes.len()
    }

    /// Whether new clients are served.
    ///
    /// # Errors
    /// Why they are not, in a word.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            Err("draining")
        } else if self.mesh.as_ref().is_some_and(|mesh| !mesh.is_ready()) {
            Err("no redis")
        } else {
            Ok(())
        }
    }

    /// For Prometheus.
    pub(crate) fn metrics_text(&self) -> String {
        self.metrics.text(self.moment())
    }

    /// For everybody else.
    pub(crate) fn stats(&self) -> Stats {
        self.metrics.stats(self.moment(), now())
    }

    fn moment(&self) -> Moment {
        let state = self.state();
        let (sockets, census) = (state.outboxes.len(), state.registry.census());
        let is_guarded = state.guard.bits().is_some();
        drop(state);
        Moment { sockets, census, is_guarded, relays: self.relays.in_use() }
    }

    /// Counts what another instance tells of its last second.
    pub(crate) fn handle_signs(&self, signs: Signs) {
        self.state().handle_signs(signs);
    }

    /// Counts a sign here, and for the other instances.
    fn count_sign(&self, state: &mut State, sign: Sign) {
        state.handle_signs(sign.into());
        if let Some(mesh) = &self.mesh {
            mesh.count_sign(sign);
        }
    }

    /// Starts the driver with the first socket, because only then there is sure to be a runtime.
    fn start(self: &Arc<Self>) {
        self.driver.get_or_init(|| {
            let stop = CancellationToken::new();
            let (hub, wake) = (Arc::downgrade(self), Arc::clone(&self.wake));
            tokio::spawn(drive(hub, wake, stop.clone()));
            stop.drop_guard()
        });
    }

    fn say_goodbye(&self) {
        let mut state = self.state();
        state.registry.handle_shutdown(now());
        self.perform(&mut state);
    }

    /// Forgets clients that are as good as new, and gives back what those needed who are gone.
    fn sweep(&self) {
        self.limits.sweep();
        self.relays.shrink(now());
        let mut state = self.state();
        state.outboxes.shrink_if_sparse();
        state.registry.shrink(now());
    }

    /// Does what is due, and says when it is to be called again.
    fn tick(&self) -> Option<Instant> {
        let mut state = self.state();
        state.registry.handle_timeout(now());
        self.perform(&mut state);
        let change = state.guard.handle_time(now());
        state.handle_guard(change);
        if now().saturating_duration_since(state.salted_at) >= SALT_LIFE {
            (state.salt, state.salted_at) = (RandomState::new(), now());
        }
        state.driver_wakes = state.registry.poll_timeout();
        state.driver_wakes
    }

    fn perform(&self, state: &mut State) {
        while let Some(action) = state.registry.poll_action() {
            match action {
                Action::Deliver { to, mut message } => {
                    self.metrics.count_delivery(&message);
                    let Some(outbox) = state.outboxes.get(&to) else { continue };
                    self.complete(&mut message, to, outbox);
                    if outbox.push(message.to_frame()).is_err() {
                        tracing::debug!(connection = to.0, "socket does not read");
                        state.outboxes.remove(&to);
                        state.registry.handle_break(to, now());
                    }
                }
                Action::Close { connection, reason } => {
                    if let Some(outbox) = state.outboxes.remove(&connection) {
                        tracing::debug!(connection = connection.0, ?reason, "socket dismissed");
                        outbox.close(reason);
                    }
                }
                Action::Charge { client, fault } => {
                    self.limits.charge(client, fault);
                    if let Some(mesh) = &self.mesh {
                        mesh.do_later(Job::Count(client, fault));
                    }
                    if fault == Fault::FailedClaim {
                        self.count_sign(state, Sign::FailedClaim);
                    }
                }
                Action::Count(tally) => {
                    self.metrics.count(tally);
                    match tally {
                        Tally::Confirmed(_) => self.count_sign(state, Sign::Confirmed),
                        Tally::WrongCode(_) => self.count_sign(state, Sign::Burnt),
                        Tally::Paired(_) | Tally::SoftDrop(_) | Tally::Reported { .. } => {}
                    }
                }
                Action::Share(shared) => {
                    if let Some(mesh) = &self.mesh {
                        mesh.do_later(Job::Share(shared));
                    }
                }
            }
        }
        let due = state.registry.poll_timeout();
        if due.is_some_and(|due| state.driver_wakes.is_none_or(|wakes| due < wakes)) {
            self.wake.notify_one();
        }
    }

    /// Adds to a message what is its client's alone, unless another instance is between: that has the socket, and does so.
    pub(crate) fn complete(&self, message: &mut ServerMessage, to: ConnectionId, outbox: &Outbox) {
        if let Some(client) = outbox.client() {
            self.handout.complete(message, to.0, client.host.as_deref(), SystemTime::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn handle_signs(&mut self, signs: Signs) {
        let change = self.guard.handle_signs(signs, now());
        self.handle_guard(change);
    }

    fn handle_guard(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Up) => {
                tracing::warn!(
                    "many claims fail: from now on clients work for a door, and nameplates are longer"
                );
            }
            Some(Change::Down) => {
                tracing::info!("few claims fail: clients need not work for a door any more");
            }
            None => return,
        }
        self.registry.lengthen_nameplates(change == Some(Change::Up));
    }

    /// 128 bits that nobody can foresee.
    fn seed(&mut self) -> String {
        format!("{:016x}{:016x}", (self.entropy)(), (self.entropy)())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Wakes the registry when something is due, and sweeps the limits; ends with the hub.
async fn drive(hub: Weak<Hub>, wake: Arc<Notify>, stop: CancellationToken) {
    let mut sweep = time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(due) = hub.upgrade().map(|hub| hub.tick()) else { return };
        let until_due = async {
            match due {
                Some(due) => time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = until_due => {}
            _ = sweep.tick() => {
                if let Some(hub) = hub.upgrade() {
                    hub.sweep();
                }
            }
        }
    }
}

/// Numbers from a keyed hash whose key is the operating system's entropy: nobody outside can tell the next one.
fn system_entropy() -> Entropy {
    let keyed = RandomState::new();
    let mut counter = 0_u64;
    Box::new(move || {
        counter += 1;
        keyed.hash_one(counter)
    })
}

/// The time of the runtime, which tests can stop.
pub(crate) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Between two sweeps of the limits' tables.
const SWEEP: Duration = Duration::from_mins(1);

/// How long an address keeps its pseudonym in the logs.
const SALT_LIFE: Duration = Duration::from_hours(24);
