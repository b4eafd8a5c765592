//! Both ends of a transfer on this machine: a code is opened and used, as two people would do it.

use tokio::sync::oneshot;
use wire::keys::link_slot;
use wire::link::ShareLink;
use wire::signaling::{Claim, IceServer};

use super::super::{Error, failure};
use super::diagnosis::problem;
use super::server::Place;
use crate::config::{Config, Typed};
use crate::connect::{self, ConnectError, Doors, Met, Visit};
use crate::embedded::Embedded;
use crate::entropy;
use crate::report::{Check, Direction, Finding};
use crate::signaling::{CONNECT_DEADLINE, Connection};

/// Two ends that know each other.
pub(super) struct Pair {
    /// Offers the code.
    pub(super) sender: Met,
    /// Used it.
    pub(super) receiver: Met,
    /// The server's name in errors.
    pub(super) server: String,
    /// The server, if that is this process.
    pub(super) embedded: Option<Embedded>,
}

impl Pair {
    /// Which STUN and TURN servers each end was told of: the sender first.
    pub(super) fn ice_servers(&self) -> [Vec<IceServer>; 2] {
        [&self.sender, &self.receiver].map(|met| met.handed.ice_servers.clone())
    }
}

/// Opens a code at `place` and uses it. It is one that cannot be typed, and so takes no number from anybody.
pub(super) async fn meet(place: Place, config: &Config) -> (Finding, Option<Pair>) {
    let Place { url, name, connection, embedded } = place;
    let error = match open_and_claim(connection, &url, config).await {
        Ok([sender, receiver]) => {
            let message = "A code was opened, and used: a sender and a receiver find each other there.";
            let pair = Pair { sender, receiver, server: name, embedded };
            return (Finding::good(Check::Code, "used", message), Some(pair));
        }
        Err(error) => error,
    };
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    // A code that nobody else knows is not spent by somebody else.
    let failed = if matches!(error, ConnectError::NoSuchCode | ConnectError::Expired) {
        Error::ServerLost { server: name }
    } else {
        failure::meeting(error, Direction::Send, &name)
    };
    (problem(Check::Code, &failed), None)
}

async fn open_and_claim(
    connection: Connection,
    url: &url::Url,
    config: &Config,
) -> Result<[Met; 2], ConnectError> {
    let link = ShareLink::new(url.as_str(), entropy::bytes()?).map_err(|_| ConnectError::NoSuchCode)?;
    let password = link.password();
    let slot = link_slot(password).ok_or(ConnectError::NoSuchCode)?;
    let (open, is_open) = oneshot::channel();
    let mut open = Some(open);
    let sending = async {
        let token = config.token.as_ref();
        let mut doors = Doors::request(connection, Typed::LinkOnly, Some(password.clone()), token).await?;
        let tell = |visit| {
            if let (Visit::Open { .. }, Some(open)) = (visit, open.take()) {
                // The other end waits, or both are given up.
                let _ = open.send(());
            }
        };
        doors.meet(tell).await
    };
    let receiving = async {
        // Whoever opens it says why, if that is not to be.
        if is_open.await.is_err() {
            std::future::pending::<()>().await;
        }
        let connected = Connection::connect(url, CONNECT_DEADLINE).await?;
        Box::pin(connect::claim(connected, Claim::Slot(slot), password, |_| ())).await
    };
    let (sender, receiver) = tokio::try_join!(Box::pin(sending), Box::pin(receiving))?;
    Ok([sender, receiver])
}
