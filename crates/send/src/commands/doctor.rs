//! `send doctor`: looks at everything that a transfer needs, and ends with a whole one from this machine to itself.
//!
//! Each module looks at one thing and says what it found as [`Finding`]s; what there is to know about a thing is decided apart from
//! how it is learnt. Nothing is changed on this machine, and nobody else sees a code.

mod addresses;
mod clock;
mod diagnosis;
mod disk;
mod multicast;
mod pair;
mod relay;
mod router;
mod scratch;
mod server;
mod trial;
mod turn;
mod udp;

use tokio_util::sync::CancellationToken;
use wire::signaling::IceServer;

use self::diagnosis::Diagnosis;
use self::pair::Pair;
use super::serve::reach;
use super::{Error, unless_cancelled};
use crate::config::Config;
use crate::policy::Relay;
use crate::report::{Check, Event, Finding, Reporter, Verdict};
use crate::storage;
use crate::transport::webrtc::probe;

/// Looks at everything and tells what it finds.
///
/// # Errors
/// [`Error::Unfit`] when files cannot be sent and received as this machine is set up. Cancelling `cancel` gives
/// [`Error::Interrupted`].
pub async fn run(config: &Config, reporter: &dyn Reporter, cancel: &CancellationToken) -> Result<(), Error> {
    // The mask can only be read by setting it, so before any file is made.
    let umask = storage::process_umask();
    let mut diagnosis = Diagnosis::new(reporter);
    let examination = async {
        Box::pin(examine(config, umask, &mut diagnosis)).await;
        Ok(())
    };
    unless_cancelled(cancel, examination).await?;
    let warnings = diagnosis.conclude()?;
    reporter.report(Event::Diagnosed { warnings });
    Ok(())
}

async fn examine(config: &Config, umask: u16, diagnosis: &mut Diagnosis<'_>) {
    diagnosis.tell(disk::output(config));
    diagnosis.tell(disk::state());
    let (heard, (found_there, place)) = tokio::join!(multicast::check(), server::reach(config));
    diagnosis.tell(heard);
    diagnosis.tell_all(found_there);
    let pair = match place {
        Some(place) => {
            let (found, pair) = Box::pin(pair::meet(place, config)).await;
            diagnosis.tell(found);
            pair
        }
        None => None,
    };
    let [mine, theirs] = pair.as_ref().map(Pair::ice_servers).unwrap_or_default();
    let reached = match &config.server {
        None => Reached::Own,
        Some(_) if pair.is_some() => Reached::Server,
        Some(_) => Reached::Nobody,
    };
    let has_relay = pair.as_ref().is_some_and(|pair| relay::is_offered(pair, config));
    look_around((config, reached, has_relay), [&mine, &theirs], diagnosis).await;
    diagnosis.tell_all(relay::check(pair.as_ref(), config).await.into_iter().collect());
    match pair {
        Some(pair) => diagnosis.tell(Box::pin(trial::run(pair, config, umask)).await),
        None if config.server.is_some() => {
            if let Some(found) = Box::pin(without_server(config, umask)).await {
                diagnosis.tell(found);
            }
        }
        None => {}
    }
}

/// What is to be known about the network with the servers that both ends of a pair were told of. Each has credentials of its
/// own.
async fn look_around(
    (config, reached, has_relay): (&Config, Reached, bool),
    [mine, theirs]: [&[IceServer]; 2],
    diagnosis: &mut Diagnosis<'_>,
) {
    let own = reach(config).stun;
    let [gathering, asking] = [mine, theirs].map(|told| [told, &own[..]].concat());
    let endpoints = probe::endpoints(&asking).await;
    let (addresses, (udp, routers), relays) = tokio::join!(
        addresses::check((config, has_relay), gathering),
        udp::check(&endpoints, (config, reached)),
        turn::check(&asking, &endpoints, (config, reached, has_relay))
    );
    diagnosis.tell(addresses);
    diagnosis.tell(udp);
    diagnosis.tell_all(routers);
    diagnosis.tell_all(relays);
}

/// Whether two machines on one network could do without the server that is not there.
async fn without_server(config: &Config, umask: u16) -> Option<Finding> {
    let local = Config { server: None, ..config.clone() };
    let place = server::reach(&local).await.1?;
    let pair = pair::meet(place, &local).await.1?;
    let Finding { verdict, message, facts, .. } = trial::run(pair, &local, umask).await;
    let message = format!("Without that server, by one of this machine's own: {message}");
    let note = Finding { facts, ..Finding::note(Check::Transfer, "without_server", message) };
    let advised = note.advise("two machines on one network can do without: leave --server out");
    (verdict == Verdict::Good).then_some(advised)
}

/// Who has told which STUN and TURN servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// The server that is set.
    Server,
    /// None is set, and this machine's own knows of none.
    Own,
    /// The server that is set is not reached, or does not serve this machine.
    Nobody,
}

/// Whether relays may be used at all.
fn may_relay(config: &Config) -> bool {
    config.policy.relay != Relay::Never
}
