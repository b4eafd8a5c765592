//! One socket's end of the hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::signaling::{Challenge, ClientMessage, CloseReason, ServerMessage};

use super::{Hub, now};
use crate::client_ip::ClientKey;
use crate::config::Config;
use crate::limits::Request;
use crate::limits::gate::Pass;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::registry::{ConnectionId, Prepared};

/// A socket's end of the hub. Dropping it tells the registry that the socket is gone.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) hub: Arc<Hub>,
    pub(super) id: ConnectionId,
    pub(super) client: ClientKey,
    pub(super) outbox: Arc<Outbox>,
    /// Nothing for a socket that another instance has admitted.
    pub(super) _pass: Option<Pass>,
}

impl Connection {
    /// The hub it is at.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Its number.
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whose socket it is.
    pub(crate) fn client(&self) -> ClientKey {
        self.client
    }

    /// Has the registry hear what the socket said at `received`.
    pub(crate) fn say(&self, message: ClientMessage, prepared: Prepared, received: Instant) {
        self.hub.decide(|registry, _| registry.handle_prepared(self.id, message, prepared, received));
    }

    /// The client says goodbye.
    pub(crate) fn leave(&self) {
        self.hub.decide(|registry, now| registry.handle_disconnect(self.id, now));
    }

    /// How many bits of work this message costs; nothing while the guard is down, and nobody works for what would be
    /// refused all the same.
    pub(crate) fn price(&self, message: &ClientMessage) -> Option<u8> {
        let is_locked_out = || self.hub.limits.check_failures(self.client).is_err();
        let costs = match message {
            ClientMessage::Create { .. } => self.hub.config.token.is_none(),
            ClientMessage::Claim { .. } => !is_locked_out(),
            ClientMessage::Reopen { .. }
            | ClientMessage::OpenDoor
            | ClientMessage::Meet { .. }
            | ClientMessage::Relay { .. }
            | ClientMessage::Result { .. }
            | ClientMessage::Stamp { .. }
            | ClientMessage::Report { .. } => false,
        };
        if costs { self.hub.state().guard.bits() } else { None }
    }

    /// Tells the socket what it has to do first.
    pub(crate) fn challenge(&self, challenge: Challenge) {
        if self.outbox.push(ServerMessage::Challenge(challenge).to_frame()).is_err() {
            self.refuse(CloseReason::SlowReader, None);
        }
    }

    /// Where in its first period this socket's first ping is, from a half to one: sockets that came together, as they do when
    /// a server was restarted, do not all need it at one moment.
    pub(crate) fn phase(&self) -> f64 {
        let place = u32::try_from(self.id.0.wrapping_mul(GOLDEN) >> 32).unwrap_or_default();
        0.5 + 0.5 * (f64::from(place) / f64::from(u32::MAX))
    }

    /// What nobody can foresee.
    pub(crate) fn seed(&self) -> String {
        self.hub.state().seed()
    }

    /// What is counted for the operator.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.hub.metrics
    }

    /// Tells the socket that it is over, and why.
    pub(crate) fn refuse(&self, reason: CloseReason, retry_after: Option<Duration>) {
        let mut state = self.hub.state();
        state.registry.handle_refusal(self.id, reason, retry_after, now());
        self.hub.perform(&mut state);
    }

    /// What waits to be sent.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// What was configured.
    pub(crate) fn config(&self) -> &Config {
        &self.hub.config
    }

    /// Whether the client may say this now.
    ///
    /// # Errors
    /// Why not, and when it may.
    pub(crate) fn check(&self, message: &ClientMessage) -> Result<(), (CloseReason, Option<Duration>)> {
        let request = match message {
            ClientMessage::Create { token, .. } => match (&self.hub.config.token, token) {
                // Who knows the token of a private rendezvous is nobody to be protected from.
                (Some(ours), Some(offered)) if ours.admits(offered) => return Ok(()),
                (Some(_), _) => return Err((CloseReason::TokenRequired, None)),
                (None, _) => Request::Create,
            },
            ClientMessage::Claim { .. } => Request::Claim,
            // Whoever comes back, to a meeting or to its doors, names what nobody can guess.
            ClientMessage::Meet { .. } | ClientMessage::Reopen { .. } => Request::Meet,
            ClientMessage::OpenDoor
            | ClientMessage::Relay { .. }
            | ClientMessage::Result { .. }
            | ClientMessage::Stamp { .. }
            | ClientMessage::Report { .. } => return Ok(()),
        };
        let taken = self.hub.limits.take(self.client, request);
        taken.map_err(|denied| (CloseReason::RateLimited, denied.retry_after))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.outboxes.remove(&self.id);
        state.registry.handle_break(self.id, now());
        self.hub.perform(&mut state);
        tracing::debug!(connection = self.id.0, "socket closed");
    }
}

/// 2⁶⁴ divided by the golden ratio: multiples of it, taken modulo 2⁶⁴, lie evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
