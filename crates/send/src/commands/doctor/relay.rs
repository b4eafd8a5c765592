//! Whether the relay of the rendezvous passes on: both ends of the pair join it, and one says something to the other.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use thiserror::Error;
use tokio::time::timeout;
use wire::signaling::{Join, Role, SIGNALING_VERSION, Slot};

use super::may_relay;
use super::pair::Pair;
use crate::config::Config;
use crate::entropy::{self, EntropyError};
use crate::report::{Check, Fact, Finding};
use crate::signaling;
use crate::transport::TransportError;
use crate::transport::relay;

/// How long what is said may take to arrive.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is said, in bytes: as much as most relays are used for at once.
const LEN: usize = 16 * 1024;

/// Why nothing arrived.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Unreachable(#[from] signaling::ConnectError),
    #[error(transparent)]
    Broken(#[from] TransportError),
    #[error("what was said to it did not come back in time")]
    Silent,
    #[error("something else came back than what was said to it")]
    Garbled,
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Whether a server that set out `pair` offers its relay to both, and whether it may be used.
pub(super) fn is_offered(pair: &Pair, config: &Config) -> bool {
    may_relay(config) && pair.sender.handed.relay.is_some() && pair.receiver.handed.relay.is_some()
}

/// Says something through the relay; nothing is found where relays are not to be used.
pub(super) async fn check(pair: Option<&Pair>, config: &Config) -> Option<Finding> {
    let pair = pair.filter(|_| may_relay(config) && config.server.is_some())?;
    if !is_offered(pair, config) {
        let message = "The server has no relay of its own, or keeps it off.";
        return Some(Finding::note(Check::Relay, "not_offered", message).advise(
            "its operator leaves it on (no --no-record-relay): where no UDP gets out, nothing else works",
        ));
    }
    Some(finding(&Box::pin(say(pair)).await))
}

async fn say(pair: &Pair) -> Result<Duration, Failure> {
    // A place of its own: that of the pair is for the trial.
    let slot = Slot::new(entropy::bytes()?);
    let ends = [(Role::Sender, &pair.sender), (Role::Receiver, &pair.receiver)];
    let [sender, receiver] = ends.map(|(role, met)| async move {
        let ticket = met.handed.relay.clone().ok_or(TransportError::Closed)?;
        let join = Join { v: SIGNALING_VERSION, slot, role, generation: 1, ticket };
        Ok::<_, Failure>(relay::open(&met.server, &join).await?)
    });
    let (mut there, mut here) = tokio::try_join!(Box::pin(sender), Box::pin(receiver))?;
    let said: [u8; LEN] = entropy::bytes()?;
    let since = Instant::now();
    there.sender.send(BytesMut::from(&said[..])).await?;
    let heard = timeout(DEADLINE, here.receiver.recv()).await.map_err(|_| Failure::Silent)??;
    if heard == said[..] { Ok(since.elapsed()) } else { Err(Failure::Garbled) }
}

fn finding(outcome: &Result<Duration, Failure>) -> Finding {
    match outcome {
        Ok(took) => {
            let message = format!(
                "The server's own relay passes on, in {} ms: what works wherever a web page does.",
                took.as_millis()
            );
            Finding::good(Check::Relay, "passes_on", message).with("elapsed", Fact::Time(*took))
        }
        Err(error) => {
            let message = format!("The server's own relay is offered, and does not pass on: {error}.");
            Finding::warning(Check::Relay, "fails", message)
                .advise("a proxy before the server has to pass WebSockets on at /v1/relay/ as well; tell its operator")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    #[test]
    fn a_relay_that_fails_is_warned_of_with_the_reason() {
        assert_eq!(finding(&Ok(Duration::from_millis(3))).verdict, Verdict::Good);
        let silent = finding(&Err(Failure::Silent));
        assert_eq!((silent.verdict, silent.outcome), (Verdict::Warning, "fails"));
        assert!(silent.message.ends_with("did not come back in time."), "{}", silent.message);
    }
}
