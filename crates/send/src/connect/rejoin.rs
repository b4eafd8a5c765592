//! Where both sides of a session meet again after their connection broke (PROTOCOL.md §4.3, §6.1, §7).
//!
//! A [`Rejoin`] yields channels one after another, each under the next generation, with keys of its own. The rendezvous may
//! have been restarted meanwhile: whoever names the slot first makes it. A side that gives up while the two are apart says so
//! there, or the other would look for it in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval, sleep, timeout, timeout_at};
use url::Url;
use wire::generation::MAX_GENERATIONS;
use wire::handshake::is_confirmation;
use wire::keys::SessionSecret;
use wire::message::AbortReason;
use wire::signal::{Meeting, Signal};
use wire::signaling::{ClientMessage, Door, Role, SIGNALING_VERSION, ServerMessage, Slot};
use wire::transfer::SILENCE_LIMIT;

use super::channel::FIRST_GENERATION;
use super::race::{self, Runner};
use super::signals::Seals;
use super::{Channel, ConnectError, Handed, Pairing, Reach, STEP_DEADLINE, refused};
use crate::entropy;
use crate::signaling::{Connection, SignalingError};

/// How long two sides try to meet again. The rendezvous keeps an empty slot as long.
const REJOIN_DEADLINE: Duration = Duration::from_mins(10);

/// How long they do before there was a path between them. Nothing is lost then but a code, and one that left on purpose cannot be
/// told from one that lost its way to the rendezvous.
const FIRST_DEADLINE: Duration = Duration::from_secs(10);

/// How long the rendezvous may take to accept a connection. Short, so that a path that is back is not waited for behind a
/// connection that was begun without it.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// The first wait between two attempts; each further one doubles.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest such wait, so that a network that is back is used within seconds.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// The longest wait that a rendezvous may ask for and get.
pub(super) const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// From this generation on there is at most one meeting, which may open two, per [`LONGEST_BACKOFF`].
const FREE_GENERATIONS: u32 = 20;

/// How often a rendezvous is asked whether it is still there while this side waits for the other.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// A rendezvous that does not answer that for so long is gone.
const PROBE_DEADLINE: Duration = Duration::from_secs(6);

/// How long a side that leaves waits for the other, to tell it: long enough for one that has yet to notice that the connection
/// broke, and no longer than somebody who pressed Ctrl-C waits.
const LEAVE_DEADLINE: Duration = SILENCE_LIMIT.saturating_add(Duration::from_secs(2));

/// What one side of a session needs to find the other again. It lives in memory only, and as long as its process.
#[derive(Clone, Debug)]
pub struct Rejoin {
    server: Url,
    secret: SessionSecret,
    role: Role,
    reach: Reach,
    /// The highest generation that this side has seen, whichever clone it was that did.
    highest: Arc<AtomicU32>,
    /// What the sender repeats first until the receiver has shown that it has it (PROTOCOL.md §5.6).
    confirmation: Option<Vec<u8>>,
}

impl Rejoin {
    /// For a session whose first generation is about to be opened.
    pub(super) fn new(
        server: Url,
        secret: SessionSecret,
        role: Role,
        reach: Reach,
        confirmation: Option<Vec<u8>>,
    ) -> Self {
        let highest = Arc::new(AtomicU32::new(FIRST_GENERATION + 1));
        Self { server, secret, role, reach, highest, confirmation }
    }

    pub(super) fn server(&self) -> &Url {
        &self.server
    }

    pub(super) fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// Which end of the session this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How the other side is looked for.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Where both sides meet.
    pub(super) fn slot(&self) -> Slot {
        self.secret.resume_slot()
    }

    /// A generation is open: the receiver has what it had to verify.
    pub(super) fn handle_open(&mut self) {
        self.confirmation = None;
    }

    /// Meets the other side again and opens the next generation, however many attempts that takes within ten minutes.
    ///
    /// # Errors
    /// [`ConnectError::Aborted`] when the other side gave up; how the last attempt failed when ten minutes are over.
    pub async fn again(&mut self) -> Result<Channel, ConnectError> {
        self.search(Instant::now() + REJOIN_DEADLINE).await
    }

    /// As [`Rejoin::again`], for a session without a generation so far: within seconds.
    pub(super) async fn soon(&mut self) -> Result<Channel, ConnectError> {
        self.search(Instant::now() + FIRST_DEADLINE).await
    }

    /// Tries until `deadline` to find the other side, and then as long as it takes to open a generation.
    async fn search(&mut self, deadline: Instant) -> Result<Channel, ConnectError> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            if self.highest.load(Ordering::Relaxed) >= FREE_GENERATIONS {
                sleep(LONGEST_BACKOFF).await;
            }
            let error = match self.attempt(deadline).await {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            tracing::info!(%error, "not reconnected yet");
            if is_final(&error) || Instant::now() + backoff >= deadline {
                return Err(error);
            }
            let asked =
                if let ConnectError::Refused { retry_after, .. } = error { retry_after } else { None };
            let wait = asked.map_or_else(|| jittered(backoff), |asked| Ok(asked.min(LONGEST_REQUEST)));
            sleep(wait?).await;
            backoff = LONGEST_BACKOFF.min(backoff * 2);
        }
    }

    /// Tells the other side, should it be looking for this one, that this one gives up; returns when it has heard that, when the
    /// rendezvous cannot be reached, or after a few seconds.
    pub async fn leave(self, reason: AbortReason) {
        let told = timeout(LEAVE_DEADLINE, self.tell(reason)).await;
        tracing::info!(?told, "left while apart");
    }

    async fn tell(&self, reason: AbortReason) -> Result<(), ConnectError> {
        let mut connection = self.join().await?;
        loop {
            let (mut pairing, _) = self.paired(connection).await?;
            match self.say(&mut pairing, reason).await {
                Err(ConnectError::PeerLeft) => connection = pairing.connection,
                other => return other,
            }
        }
    }

    /// Says over one pairing that this side gives up, and waits for the other to leave because of it.
    async fn say(&self, pairing: &mut Pairing, reason: AbortReason) -> Result<(), ConnectError> {
        let mut seals = self.greet(pairing).await?;
        seals.send(pairing, &Signal::Abort { reason: reason.code() }).await?;
        while pairing.recv().await.is_ok() {}
        Ok(())
    }

    async fn attempt(&mut self, deadline: Instant) -> Result<Channel, ConnectError> {
        let mut connection = self.join().await?;
        loop {
            let (mut pairing, handed) =
                timeout_at(deadline, self.paired(connection)).await.map_err(|_| ConnectError::PeerLeft)??;
            let (error, left) = match self.agree(&mut pairing).await {
                Ok((seals, number)) => {
                    let mut runner = Runner::new(self.clone(), pairing, seals, (number, handed));
                    match Box::pin(runner.first()).await {
                        Ok(lane) => {
                            let race = runner.go_on(lane.transport.path);
                            return Ok(Channel { lane, race });
                        }
                        Err(error) => (error, runner.into_pairing()),
                    }
                }
                Err(error) => (error, Some(pairing)),
            };
            match (error, left) {
                // It has come by a newer connection, and waits there.
                (ConnectError::PeerLeft, Some(pairing)) => connection = pairing.connection,
                (error, _) => return Err(error),
            }
        }
    }

    /// Meets the other side for a better path than there is, whenever it comes.
    pub(super) async fn meet(&mut self) -> Result<race::Meeting, ConnectError> {
        let mut connection = self.join().await?;
        loop {
            let (mut pairing, handed) = self.paired(connection).await?;
            match self.agree(&mut pairing).await {
                Ok((seals, number)) => return Ok((pairing, seals, number, handed)),
                Err(ConnectError::PeerLeft) => connection = pairing.connection,
                Err(error) => return Err(error),
            }
        }
    }

    async fn paired(&self, mut connection: Connection) -> Result<(Pairing, Handed), ConnectError> {
        let (attempt, handed) = paired(&mut connection).await?;
        Ok((Pairing { connection, door: Door::Meeting, attempt }, handed))
    }

    /// Goes to where both sides meet.
    async fn join(&self) -> Result<Connection, ConnectError> {
        join(&self.server, self.secret.resume_slot(), self.role).await
    }

    /// New keys for the meeting, under which this side says which generation it has seen.
    async fn greet(&self, pairing: &mut Pairing) -> Result<Seals, ConnectError> {
        if let Some(confirmation) = &self.confirmation {
            pairing.send(confirmation).await?;
        }
        let (meeting, body) = Meeting::new(self.secret.clone(), self.role, entropy::seed()?);
        pairing.send(&body).await?;
        let mut theirs = step(pairing).await?;
        if self.role == Role::Receiver && is_confirmation(&theirs) {
            theirs = step(pairing).await?;
        }
        let (sealer, opener) = meeting.receive(&theirs)?;
        let mut seals = Seals { sealer, opener };
        let highest = self.highest.load(Ordering::Relaxed);
        seals.send(pairing, &Signal::Generations { highest }).await?;
        Ok(seals)
    }

    /// New keys, and the number of the generation that is next: that of WebRTC, behind which comes that of the relay.
    async fn agree(&mut self, pairing: &mut Pairing) -> Result<(Seals, u32), ConnectError> {
        let mut seals = self.greet(pairing).await?;
        let theirs = timeout(STEP_DEADLINE, seals.generations(pairing));
        let theirs = theirs.await.map_err(|_| ConnectError::NoPath)??;
        self.confirmation = None;
        let next = self.highest.load(Ordering::Relaxed).max(theirs).saturating_add(1);
        if next >= MAX_GENERATIONS {
            return Err(ConnectError::Aborted(AbortReason::Internal));
        }
        self.highest.store(next + 1, Ordering::Relaxed);
        Ok((seals, next))
    }
}

/// Listens where both sides meet again for the sender's confirmation, which got lost on its way to a receiver that has proved
/// itself.
///
/// # Errors
/// How the last attempt failed, when the sender has not come within seconds.
pub(super) async fn confirmation(server: &Url, slot: Slot) -> Result<Vec<u8>, ConnectError> {
    let deadline = Instant::now() + FIRST_DEADLINE;
    loop {
        let listening = async {
            let mut connection = join(server, slot, Role::Receiver).await?;
            let (attempt, _) = paired(&mut connection).await?;
            step(&mut Pairing { connection, door: Door::Meeting, attempt }).await
        };
        match timeout_at(deadline, listening).await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) if Instant::now() + FIRST_BACKOFF >= deadline => return Err(error),
            Ok(Err(error)) => tracing::info!(%error, "not confirmed yet"),
            Err(_) => return Err(ConnectError::PeerLeft),
        }
        sleep(jittered(FIRST_BACKOFF)?).await;
    }
}

/// Goes to where both sides meet.
async fn join(server: &Url, slot: Slot, role: Role) -> Result<Connection, ConnectError> {
    let mut connection = Connection::connect(server, CONNECT_DEADLINE).await?;
    connection.send(&ClientMessage::Meet { v: SIGNALING_VERSION, slot, role }).await?;
    Ok(connection)
}

/// The next body of the other side, which is there.
async fn step(pairing: &mut Pairing) -> Result<Vec<u8>, ConnectError> {
    timeout(STEP_DEADLINE, pairing.recv()).await.map_err(|_| ConnectError::NoPath)?
}

/// Waits for the other side to come, for as long as the rendezvous is there.
async fn paired(connection: &mut Connection) -> Result<(u32, Handed), ConnectError> {
    let mut probes = interval(PROBE_INTERVAL);
    loop {
        tokio::select! {
            message = connection.recv() => match message? {
                ServerMessage::Paired { door: Door::Meeting, attempt, ice_servers, relay } => {
                    return Ok((attempt, Handed { ice_servers, relay }));
                }
                ServerMessage::Refused { reason, retry_after } => return Err(refused(reason, retry_after)),
                ServerMessage::Paired { .. }
                | ServerMessage::Created { .. }
                | ServerMessage::Relay { .. }
                | ServerMessage::Left { .. }
                | ServerMessage::DoorClosed { .. }
                | ServerMessage::Challenge(_)
                | ServerMessage::Unknown => {}
            },
            _ = probes.tick() => {
                if connection.silence() >= PROBE_DEADLINE {
                    return Err(SignalingError::Lost.into());
                }
                connection.probe().await?;
            }
        }
    }
}

/// Whether trying again is of no use. A side that only failed to find a path says so as an internal failure.
fn is_final(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Aborted(reason) if *reason != AbortReason::Internal)
        || matches!(error, ConnectError::Entropy(_))
}

/// Between half and one and a half times as long, so that two sides do not keep missing each other.
pub(super) fn jittered(backoff: Duration) -> Result<Duration, ConnectError> {
    let [byte] = entropy::bytes()?;
    Ok(backoff / 2 + backoff * u32::from(byte) / 255)
}
