//! The receiver's way in: claim a door, prove the password, believe the sender only when it has done the same.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wire::code::Password;
use wire::handshake::{Confirmed, Receiver};
use wire::pow::Search;
use wire::signaling::{Challenge, Claim, ClientMessage, CloseReason, Door, SIGNALING_VERSION, ServerMessage};

use super::rejoin::{FIRST_BACKOFF, jittered};
use super::search::search;
use super::{ConnectError, Handed, Met, Pairing, STEP_DEADLINE, refused, rejoin};
use crate::entropy;
use crate::signaling::{Connection, SignalingError};

/// What happens on the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rendezvous is under attack and wants work; this machine does it.
    Working,
    /// Right after this the proof leaves this machine: the code is used, whatever comes of it.
    Proving,
}

/// Claims the door at `at` and completes the handshake with `password`. When the rendezvous goes away before the proof was
/// sent, the door is claimed again, perhaps at another instance; when it does after that, the sender's answer is heard where
/// both meet again.
///
/// `tell` hears what the user has to know meanwhile.
///
/// # Errors
/// [`ConnectError`]; [`ConnectError::WrongCode`] when the sender says so, or cannot prove itself.
pub async fn claim(
    connection: Connection,
    at: Claim,
    password: &Password,
    mut tell: impl FnMut(Step),
) -> Result<Met, ConnectError> {
    let server = connection.server().clone();
    let Ready { mut pairing, confirmed, proof, handed } =
        persist(connection, at, password, &mut tell).await?;
    tell(Step::Proving);
    let answer = match pairing.send(&proof).await {
        Ok(()) => step(&mut pairing).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(body) => {
            let session = confirmed.receive_confirm(&body)?;
            Ok(Met { session, server, pairing: Some(pairing), handed })
        }
        // The code is used, but the sender may have confirmed, and says so again.
        Err(error) if error.is_parting() => {
            let heard = Box::pin(rejoin::confirmation(&server, confirmed.resume_slot())).await;
            let body = heard.map_err(|_| error)?;
            Ok(Met { session: confirmed.receive_confirm(&body)?, server, pairing: None, handed })
        }
        Err(error) => Err(error),
    }
}

/// A receiver that has everything but said nothing that costs a guess.
struct Ready {
    pairing: Pairing,
    confirmed: Confirmed,
    proof: Vec<u8>,
    handed: Handed,
}

/// Claims until the proof is ready, as often as the rendezvous goes away meanwhile. What is told in the end is what broke
/// first: a code that nobody has any more is a consequence of that.
async fn persist(
    connected: Connection,
    at: Claim,
    password: &Password,
    tell: &mut impl FnMut(Step),
) -> Result<Ready, ConnectError> {
    let server = connected.server().clone();
    let deadline = Instant::now() + RETRY_DEADLINE;
    let mut first = None;
    let mut next = Some(connected);
    loop {
        if let Some(connection) = next.take() {
            let error = match approach(connection, at, password, tell).await {
                Ok(ready) => return Ok(ready),
                Err(error) => error,
            };
            tracing::info!(%error, "the claim came to nothing");
            let may_pass = is_passing(&error);
            first.get_or_insert(error);
            if !may_pass {
                break;
            }
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(jittered(FIRST_BACKOFF)?).await;
        next = Connection::connect(&server, RECONNECT_DEADLINE).await.ok();
    }
    Err(first.unwrap_or(ConnectError::PeerLeft))
}

/// Whether the rendezvous went away, and may be back, or another instance of it there.
fn is_passing(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::ServerLost(SignalingError::Lost | SignalingError::Closed(CloseReason::GoingAway))
            | ConnectError::Refused { reason: CloseReason::GoingAway, .. }
    )
}

/// Claims, and goes as far as that proves nothing yet.
async fn approach(
    mut connection: Connection,
    at: Claim,
    password: &Password,
    tell: &mut impl FnMut(Step),
) -> Result<Ready, ConnectError> {
    connection.send(&ClientMessage::Claim { v: SIGNALING_VERSION, at }).await?;
    let (door, attempt, handed) = paired(&mut connection, tell).await?;
    let mut pairing = Pairing { connection, door, attempt };
    let (receiver, hello) = Receiver::new(password, &at, entropy::seed()?);
    pairing.send(&hello).await?;
    let (confirmed, proof) = receiver.receive_hello(&step(&mut pairing).await?)?;
    Ok(Ready { pairing, confirmed, proof, handed })
}

async fn step(pairing: &mut Pairing) -> Result<Vec<u8>, ConnectError> {
    timeout(STEP_DEADLINE, pairing.recv()).await.map_err(|_| ConnectError::PeerLeft)?
}

/// Waits for the door to open, and works for it once if that is what it takes.
async fn paired(
    connection: &mut Connection,
    tell: &mut impl FnMut(Step),
) -> Result<(Door, u32, Handed), ConnectError> {
    let mut may_work = true;
    loop {
        let heard = timeout(STEP_DEADLINE, answer(connection)).await.map_err(|_| SignalingError::Lost)?;
        let challenge = match heard? {
            Answer::Paired(paired) => return Ok(paired),
            Answer::Challenge(challenge) => challenge,
        };
        let too_much = ConnectError::Refused { reason: CloseReason::Busy, retry_after: None };
        let Some(work) = Search::new(challenge).filter(|_| std::mem::take(&mut may_work)) else {
            return Err(too_much);
        };
        tell(Step::Working);
        let counter = search(work).await.ok_or(too_much)?;
        connection.send(&ClientMessage::Stamp { counter }).await?;
    }
}

/// What a claim may come to.
enum Answer {
    Paired((Door, u32, Handed)),
    Challenge(Challenge),
}

async fn answer(connection: &mut Connection) -> Result<Answer, ConnectError> {
    loop {
        match connection.recv().await? {
            ServerMessage::Paired { door, attempt, ice_servers, relay } => {
                return Ok(Answer::Paired((door, attempt, Handed { ice_servers, relay })));
            }
            ServerMessage::Challenge(challenge) => return Ok(Answer::Challenge(challenge)),
            ServerMessage::Refused { reason, retry_after } => return Err(refused(reason, retry_after)),
            ServerMessage::Created { .. }
            | ServerMessage::Relay { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Unknown => {}
        }
    }
}

/// How long a receiver that has proved nothing looks for a rendezvous that went away.
const RETRY_DEADLINE: Duration = Duration::from_secs(10);

/// How long that may take to accept a connection.
const RECONNECT_DEADLINE: Duration = Duration::from_secs(3);
