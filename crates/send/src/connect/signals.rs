//! The sealed conversation of two sides about paths.

use wire::message::AbortReason;
use wire::signal::{Signal, SignalError, SignalOpener, SignalSealer};

use super::{ConnectError, Pairing};

/// Both directions of one meeting's signals.
#[derive(Debug)]
pub(super) struct Seals {
    pub(super) sealer: SignalSealer,
    pub(super) opener: SignalOpener,
}

impl Seals {
    pub(super) async fn send(&mut self, pairing: &mut Pairing, signal: &Signal) -> Result<(), ConnectError> {
        let body = self.sealer.seal(signal);
        pairing.send(&body).await
    }

    /// The highest generation that the other side has seen, which is what it says first.
    pub(super) async fn generations(&mut self, pairing: &mut Pairing) -> Result<u32, ConnectError> {
        let body = pairing.recv().await?;
        let signal = self.opener.open(&body)?;
        if let Signal::Generations { highest } = signal {
            Ok(highest)
        } else if let Signal::Abort { reason } = signal {
            Err(ConnectError::Aborted(AbortReason::from_code(reason)))
        } else {
            Err(ConnectError::Signal(SignalError::Unreadable))
        }
    }

    /// The next signal about a path. Cancelling it loses nothing.
    ///
    /// # Errors
    /// How the conversation ended; [`ConnectError::NoPath`] when the other side found none.
    pub(super) async fn recv(&mut self, pairing: &mut Pairing) -> Result<Signal, ConnectError> {
        loop {
            let body = pairing.recv().await?;
            match self.opener.open(&body)? {
                Signal::Abort { reason } => {
                    let reason = AbortReason::from_code(reason);
                    // What a side says that has found no path, as this one has not.
                    let is_vain = reason == AbortReason::Internal;
                    return Err(if is_vain { ConnectError::NoPath } else { ConnectError::Aborted(reason) });
                }
                Signal::Generations { .. } | Signal::Unknown => {}
                signal @ (Signal::Description { .. }
                | Signal::Candidate { .. }
                | Signal::EndOfCandidates { .. }
                | Signal::Relay { .. }) => return Ok(signal),
            }
        }
    }
}
