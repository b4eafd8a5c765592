//! The receiver's way in: claim a door, prove the password, believe the sender only when it has done the same.

use tokio::time::timeout;
use wire::code::Password;
use wire::handshake::Receiver;
use wire::signaling::{Claim, ClientMessage, Door, SIGNALING_VERSION, ServerMessage};

use super::{ConnectError, Met, Pairing, STEP_DEADLINE, refused, rejoin};
use crate::entropy;
use crate::signaling::{Connection, SignalingError};

/// Claims the door at `at` and completes the handshake with `password`. When the way to the sender breaks after the proof was
/// sent, the sender's answer is heard where both meet again.
///
/// `before_proof` is called once, right before the proof leaves this machine: from then on the code is used, whatever
/// comes of it.
///
/// # Errors
/// [`ConnectError`]; [`ConnectError::WrongCode`] when the sender says so, or cannot prove itself.
pub async fn claim(
    mut connection: Connection,
    at: Claim,
    password: &Password,
    before_proof: impl FnOnce(),
) -> Result<Met, ConnectError> {
    connection.send(&ClientMessage::Claim { v: SIGNALING_VERSION, at }).await?;
    let paired = timeout(STEP_DEADLINE, paired(&mut connection));
    let (door, attempt, ice_servers) = paired.await.map_err(|_| SignalingError::Lost)??;
    let mut pairing = Pairing { connection, door, attempt };

    let (receiver, hello) = Receiver::new(password, &at, entropy::seed()?);
    pairing.send(&hello).await?;
    let (confirmed, proof) = receiver.receive_hello(&step(&mut pairing).await?)?;
    before_proof();
    let server = pairing.connection.server().clone();
    let answer = match pairing.send(&proof).await {
        Ok(()) => step(&mut pairing).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(body) => {
            let session = confirmed.receive_confirm(&body)?;
            Ok(Met { session, server, pairing: Some(pairing), ice_servers })
        }
        // The code is used, but the sender may have confirmed, and says so again.
        Err(error) if error.is_parting() => {
            let heard = Box::pin(rejoin::confirmation(&server, confirmed.resume_slot())).await;
            let body = heard.map_err(|_| error)?;
            Ok(Met { session: confirmed.receive_confirm(&body)?, server, pairing: None, ice_servers })
        }
        Err(error) => Err(error),
    }
}

async fn step(pairing: &mut Pairing) -> Result<Vec<u8>, ConnectError> {
    timeout(STEP_DEADLINE, pairing.recv()).await.map_err(|_| ConnectError::PeerLeft)?
}

async fn paired(
    connection: &mut Connection,
) -> Result<(Door, u32, Vec<wire::signaling::IceServer>), ConnectError> {
    loop {
        match connection.recv().await? {
            ServerMessage::Paired { door, attempt, ice_servers } => return Ok((door, attempt, ice_servers)),
            ServerMessage::Refused { reason, retry_after } => return Err(refused(reason, retry_after)),
            ServerMessage::Created { .. }
            | ServerMessage::Relay { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Unknown => {}
        }
    }
}
