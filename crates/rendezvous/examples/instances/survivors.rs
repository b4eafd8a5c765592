//! Sessions whose sides do what `send` does when a socket breaks: come back, by whatever instance there is.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::code::Nameplate;
use wire::signaling::{Body, Claim, ClientMessage, CloseReason, Door, Outcome, Role, ServerMessage, Slot};

use super::cluster::Cluster;
use super::sockets::Socket;

/// What came of sessions while instances were killed.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    /// Instances that were killed.
    pub(crate) kills: usize,
    /// Sessions whose sides met.
    pub(crate) met: usize,
    /// Sessions that were lost although both sides still wanted them.
    pub(crate) lost: usize,
    /// Sockets that broke and were replaced.
    pub(crate) returns: usize,
    /// How long the sessions took that met.
    times: Vec<Duration>,
}

type Shared = Rc<RefCell<Survivors>>;

/// Keeps `at_once` sessions going for so long, and kills an instance every [`KILL_INTERVAL`].
pub(crate) async fn run(cluster: &mut Cluster, at_once: usize, lasts: Duration) -> Survivors {
    let survivors = Shared::default();
    let end = Instant::now() + lasts;
    let mut sessions = JoinSet::new();
    let (mut number, mut next_kill) = (200_000, Instant::now() + KILL_INTERVAL);
    let mut revival = None;
    while Instant::now() < end {
        while sessions.len() < at_once {
            number += 2;
            sessions.spawn_local(session(cluster.front, number, Rc::clone(&survivors)));
        }
        // A session that ends makes room for another; a tick comes in any case.
        let _ = timeout(TICK, sessions.join_next()).await;
        if let Some((index, at)) = revival
            && Instant::now() >= at
        {
            cluster.revive(index);
            revival = None;
        }
        if Instant::now() >= next_kill {
            let index = survivors.borrow().kills % cluster.len();
            cluster.kill(index);
            survivors.borrow_mut().kills += 1;
            revival = Some((index, Instant::now() + DOWN));
            next_kill += KILL_INTERVAL;
        }
    }
    while sessions.join_next().await.is_some() {}
    survivors.take()
}

async fn session(front: SocketAddr, number: u32, survivors: Shared) {
    let began = Instant::now();
    let (shown, seen) = watch::channel(None);
    let story = Story { began, events: RefCell::default() };
    let side = |role| Side { front, number, role, survivors: &survivors, story: &story };
    let (sender, receiver) = (side(Role::Sender), side(Role::Receiver));
    // Whoever has been answered was heard: both have met, though the other may not know that yet.
    let either = async {
        tokio::select! {
            () = sender.send(&shown) => {}
            () = receiver.receive(seen) => {}
        }
    };
    let has_met = timeout(WANTED, either).await.is_ok();
    let mut survivors = survivors.borrow_mut();
    if has_met {
        survivors.met += 1;
        survivors.times.push(began.elapsed());
    } else {
        survivors.lost += 1;
        println!("lost: {story}");
    }
}

/// What happened to one session: told when it is lost.
struct Story {
    began: Instant,
    events: RefCell<Vec<(Duration, Role, String)>>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, role, event) in self.events.borrow().iter().take(MOST_TOLD) {
            writeln!(f, "{:7.2} s  {role:?} {event}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

/// One side of a session.
struct Side<'a> {
    front: SocketAddr,
    number: u32,
    role: Role,
    survivors: &'a Shared,
    story: &'a Story,
}

impl Side<'_> {
    /// Shows a code until somebody has proved that they know it, then meets them.
    async fn send(&self, shown: &watch::Sender<Option<Nameplate>>) {
        let mut is_open = false;
        loop {
            if self.offer(shown, &mut is_open).await.is_some() {
                break;
            }
            self.pause().await;
        }
        self.meet(None).await;
    }

    async fn offer(&self, shown: &watch::Sender<Option<Nameplate>>, is_open: &mut bool) -> Option<()> {
        let mut socket = self.connect().await?;
        let return_slot = self.slot(1);
        let opening = if *is_open {
            ClientMessage::Reopen { v: 1, return_slot, link_slot: None }
        } else {
            let returnable = Some(return_slot);
            ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: returnable }
        };
        socket.say(opening).await?;
        let mut in_door = None;
        loop {
            match socket.next().await? {
                ServerMessage::Created { nameplate: Some(nameplate), .. } => {
                    *is_open = true;
                    self.tell("has its door");
                    shown.send_replace(Some(nameplate));
                }
                ServerMessage::Paired { door: Door::Typed, attempt, .. } => {
                    self.tell("has a visitor");
                    in_door = Some(attempt);
                }
                ServerMessage::Relay { door: Door::Typed, attempt, body } if in_door == Some(attempt) => {
                    if body == hello() {
                        socket.say(relay(Door::Typed, attempt, hello())).await?;
                    } else if body == proof() {
                        // From here on it is confirmed: the receiver learns that here or where both meet.
                        self.tell("has confirmed");
                        let outcome = Outcome::Confirmed;
                        let _ =
                            socket.say(ClientMessage::Result { door: Door::Typed, attempt, outcome }).await;
                        let _ = socket.say(relay(Door::Typed, attempt, proof())).await;
                        return Some(());
                    }
                }
                ServerMessage::Refused { reason, .. } => {
                    self.tell(format!("is refused its door: {reason:?}"));
                    return None;
                }
                _ => {}
            }
        }
    }

    /// Claims the code that is shown, and meets its sender.
    async fn receive(&self, mut seen: watch::Receiver<Option<Nameplate>>) {
        sleep(Duration::from_millis(u64::from(self.number * 7 % 3000))).await;
        loop {
            let nameplate = seen.wait_for(Option::is_some).await.ok().and_then(|nameplate| *nameplate);
            let Some(nameplate) = nameplate else { return };
            let is_proved = self.claim(nameplate).await;
            // A sender that never heard the proof waits for another.
            if is_proved.is_some() && self.meet(Some(ALONE)).await.is_some() {
                return;
            }
            self.pause().await;
        }
    }

    /// Goes as far as the proof; nothing if it did not get there.
    async fn claim(&self, nameplate: Nameplate) -> Option<()> {
        let mut socket = self.connect().await?;
        socket.say(ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) }).await?;
        let attempt = match socket.hear().await? {
            ServerMessage::Paired { door: Door::Typed, attempt, .. } => attempt,
            other => {
                self.tell(format!("is not let in: {other:?}"));
                return None;
            }
        };
        socket.say(relay(Door::Typed, attempt, hello())).await?;
        let ServerMessage::Relay { .. } = socket.hear().await? else { return None };
        socket.say(relay(Door::Typed, attempt, proof())).await?;
        self.tell("has proved itself");
        // The answer may be lost with an instance; where both meet is known without.
        let _ = socket.hear().await;
        Some(())
    }

    /// Exchanges a word each way with the other side; nothing if it does not come for so long.
    async fn meet(&self, alone: Option<Duration>) -> Option<()> {
        let until_given_up = async {
            match alone {
                Some(alone) => sleep(alone).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(until_given_up);
        loop {
            tokio::select! {
                met = self.attend() => if met.is_some() { return Some(()) },
                () = &mut until_given_up => return None,
            }
            self.pause().await;
        }
    }

    async fn attend(&self) -> Option<()> {
        let mut socket = self.connect().await?;
        socket.say(ClientMessage::Meet { v: 1, slot: self.slot(2), role: self.role }).await?;
        let mut has_heard = false;
        self.tell("is at the meeting");
        loop {
            match socket.next().await? {
                ServerMessage::Paired { door: Door::Meeting, attempt, .. } => {
                    self.tell("sees the other");
                    socket.say(relay(Door::Meeting, attempt, hello())).await?;
                }
                ServerMessage::Relay { door: Door::Meeting, attempt, body } => {
                    if body == hello() {
                        has_heard = true;
                        socket.say(relay(Door::Meeting, attempt, proof())).await?;
                    } else if has_heard {
                        return Some(());
                    }
                }
                // The other has heard this side, or it would have stayed.
                ServerMessage::Left { reason: CloseReason::Gone, .. } if has_heard => return Some(()),
                ServerMessage::Refused { reason, .. } => {
                    self.tell(format!("is refused the meeting: {reason:?}"));
                    return None;
                }
                _ => {}
            }
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let role = u32::from(self.role == Role::Receiver);
        let socket = Socket::connect(self.front, self.number + role).await;
        if socket.is_none() {
            self.tell("does not connect");
        }
        socket
    }

    fn tell(&self, event: impl Into<String>) {
        self.story.events.borrow_mut().push((self.story.began.elapsed(), self.role, event.into()));
    }

    async fn pause(&self) {
        self.survivors.borrow_mut().returns += 1;
        sleep(Duration::from_millis(100 + u64::from(self.number % 200))).await;
    }

    fn slot(&self, kind: u8) -> Slot {
        let mut bytes = [kind; 16];
        bytes[..4].copy_from_slice(&self.number.to_be_bytes());
        Slot::new(bytes)
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.times.clone();
        times.sort_unstable();
        let slowest =
            |percent: usize| times.get(times.len() * percent / 100).or_else(|| times.last()).copied();
        write!(
            f,
            "{} instances killed: {} sessions met, {} lost, {} sockets replaced; {:.1?} half of them, {:.1?} 99 %, {:.1?} all",
            self.kills,
            self.met,
            self.lost,
            self.returns,
            slowest(50).unwrap_or_default(),
            slowest(99).unwrap_or_default(),
            times.last().copied().unwrap_or_default()
        )
    }
}

fn relay(door: Door, attempt: u32, body: Body) -> ClientMessage {
    ClientMessage::Relay { door, attempt, body }
}

fn hello() -> Body {
    Body::from_bytes(&[b'h'; 300])
}

fn proof() -> Body {
    Body::from_bytes(&[b'p'; 300])
}

/// Between two kills.
const KILL_INTERVAL: Duration = Duration::from_secs(5);

/// How long an instance is away.
const DOWN: Duration = Duration::from_secs(1);

/// Events of a lost session that are told.
const MOST_TOLD: usize = 60;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(50);

/// How long a receiver that has proved itself waits for its sender.
const ALONE: Duration = Duration::from_secs(12);

/// How long both sides want a session.
const WANTED: Duration = Duration::from_secs(90);
