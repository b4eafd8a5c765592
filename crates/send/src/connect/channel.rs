//! From a session to a channel: the first records over a path prove that it leads to the other side of the session.

use bytes::BytesMut;
use wire::generation::Generation;
use wire::handshake::Session;
use wire::record::{Opener, Sealer};
use wire::signal::halves;
use wire::signaling::{ReportedPath, Role};

use super::race::{Race, Runner};
use super::signals::Seals;
use super::{ConnectError, Met, Reach, Rejoin};
use crate::entropy;
use crate::transport::Transport;

/// The first generation of a session, and with the next the second; later ones are numbered where both sides meet again.
pub(super) const FIRST_GENERATION: u32 = 1;

/// One path to the other side, and the generation over it.
#[derive(Debug)]
pub struct Lane {
    /// The generation.
    pub number: u32,
    /// Seals this side's records.
    pub sealer: Sealer,
    /// Opens the other side's.
    pub opener: Opener,
    /// Carries them.
    pub transport: Transport,
    /// What the other side said first, opened already.
    pub early: Option<BytesMut>,
}

/// An authenticated, sealed pipe to the other side, and what may yet come of the search for a better one.
#[derive(Debug)]
pub struct Channel {
    /// The path that both sides begin with.
    pub lane: Lane,
    /// Reaches the rendezvous and looks on, for as long as the transfer runs.
    pub race: Race,
}

/// Finds a path to the other side, as `reach` says, and opens the first generation over it.
/// The [`Rejoin`] opens further ones when that path breaks. When the way through the rendezvous breaks before there is a path,
/// both sides have a few seconds to meet again.
///
/// # Errors
/// [`ConnectError`]; [`ConnectError::NoPath`] when nothing worked in 30 s.
pub async fn open(met: Met, reach: Reach) -> Result<(Channel, Rejoin), ConnectError> {
    let Met { session, server, pairing, handed } = met;
    let Session { secret, signal_keys, role, confirmation, .. } = session;
    let mut rejoin = Rejoin::new(server, secret, role, reach, confirmation);
    let broken = match pairing {
        Some(pairing) => {
            let (sealer, opener) = halves(signal_keys);
            let seals = Seals { sealer, opener };
            let mut runner = Runner::new(rejoin.clone(), pairing, seals, (FIRST_GENERATION, handed));
            match Box::pin(runner.first()).await {
                Ok(lane) => {
                    rejoin.handle_open();
                    let race = runner.go_on(lane.transport.path);
                    return Ok((Channel { lane, race }, rejoin));
                }
                Err(error) if error.is_parting() => error,
                Err(error) => {
                    if let Some(mut pairing) = runner.into_pairing()
                        && role == Role::Sender
                        && matches!(error, ConnectError::NoPath)
                    {
                        pairing.report(ReportedPath::None, false).await;
                    }
                    return Err(error);
                }
            }
        }
        None => ConnectError::PeerLeft,
    };
    let channel = Box::pin(rejoin.soon()).await.map_err(|error| {
        // How it came to that says more than that nobody came.
        if matches!(error, ConnectError::Aborted(_)) { error } else { broken }
    })?;
    Ok((channel, rejoin))
}

/// Proves over a new transport that both hold the session, and derives the keys of its records.
pub(super) async fn open_generation(
    generation: Generation,
    (number, role): (u32, Role),
    mut transport: Transport,
) -> Result<Lane, ConnectError> {
    let (sealer, opener) = match role {
        Role::Sender => {
            let theirs = transport.receiver.recv().await?;
            let (sealer, opener, answer) = generation.sender(&theirs, entropy::seed()?)?;
            transport.sender.send(BytesMut::from(answer.as_slice())).await?;
            (sealer, opener)
        }
        Role::Receiver => {
            let (waiting, opening) = generation.receiver(entropy::seed()?);
            transport.sender.send(BytesMut::from(opening.as_slice())).await?;
            waiting.receive(&transport.receiver.recv().await?)?
        }
    };
    tracing::info!(path = ?transport.path, generation = number, "the other side is reached");
    Ok(Lane { number, sealer, opener, transport, early: None })
}
