//! A whole transfer from this machine to itself: two ends that know each other look for a path, and random bytes take it.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::{Error, Kept, failure};
use super::diagnosis::problem;
use super::pair::Pair;
use super::scratch::Scratch;
use crate::config::Config;
use crate::connect::{self, ConnectError, Reach};
use crate::policy::{Policy, Relay};
use crate::report::{
    Ask, AskError, Check, Consent, Direction, Event, Fact, Finding, Offer, Path, Reporter, Secret,
};
use crate::storage::{self, Overwrite, SinkOptions, Source, SourceOptions};
use crate::transfer::{self, Receiving, Sent};
use crate::units;

/// Long enough for a speed to mean something, and short enough for a slow relay, in bytes.
const LEN: usize = 8 << 20;

/// The exit status of what a disk does.
const DISK: u8 = 6;

/// How long the bytes may take: 140 kB/s.
const DEADLINE: Duration = Duration::from_mins(1);

/// Moves random bytes from one end of `pair` to the other.
pub(super) async fn run(pair: Pair, config: &Config, umask: u16) -> Finding {
    let Pair { sender, receiver, server, embedded } = pair;
    let moving = async {
        let failed = |error: ConnectError| failure::meeting(error, Direction::Send, &server);
        let there = Reach { policy: ordinary(&config.policy), ..super::reach(config) };
        let (sending, receiving) = tokio::try_join!(
            Box::pin(connect::open(sender, super::reach(config))),
            Box::pin(connect::open(receiver, there))
        )
        .map_err(failed)?;
        let Event::Connected { path, .. } =
            transfer::connected(sending.0.lane.transport.path, config.policy.relay)
        else {
            return Err(Error::NoPath);
        };
        let scratch = Scratch::new(&std::env::temp_dir()).map_err(no_room)?;
        let moving = Box::pin(transport(sending, receiving, (&scratch, umask)));
        let sent = timeout(DEADLINE, moving).await.map_err(|_| too_slow())??;
        Ok((sent, path))
    };
    let outcome = Box::pin(moving).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    match outcome {
        Ok((sent, path)) => finding(&sent, path),
        Err(error) if error.exit_code() == DISK => {
            let place = std::env::temp_dir();
            let advice = format!("make room in {}, or name another directory by TMPDIR", place.display());
            problem(Check::Transfer, &error).advise(advice)
        }
        Err(error) => problem(Check::Transfer, &error),
    }
}

/// What the other side would allow that has no wishes: two that show no address to each other are another matter.
fn ordinary(policy: &Policy) -> Policy {
    let relay = if policy.relay == Relay::Only { Relay::Allowed } else { policy.relay };
    Policy { relay, ..policy.clone() }
}

type Opened = (connect::Channel, connect::Rejoin);

async fn transport(
    sending: Opened,
    receiving: Opened,
    (scratch, umask): (&Scratch, u16),
) -> Result<Sent, Error> {
    let file = scratch.fill("random", LEN).map_err(no_room)?;
    let output = scratch.directory("received").map_err(no_room)?;
    let options = SourceOptions { symlinks: storage::Symlinks::Refuse };
    let source = Source::open(&[file], options).map_err(failure::source)?;
    let receipt = Receiving {
        output,
        options: SinkOptions { overwrite: Overwrite::Never, symlinks: storage::Symlinks::Refuse, umask },
        agreed: true,
        restart: true,
    };
    // Whoever drops this, drops both ends.
    let never = CancellationToken::new();
    let sent = async {
        let sent = transfer::send(sending, &source, &Nobody, &never).await;
        sent.map_err(|error| failure::transfer(error, Direction::Send, Kept::default()))
    };
    let received = async {
        let received = transfer::receive(receiving, receipt, (&Nobody, &Nobody), &never).await;
        received.map_err(|failed| failure::transfer(failed.error, Direction::Receive, Kept::default()))
    };
    let (sent, ()) = tokio::try_join!(Box::pin(sent), Box::pin(received))?;
    Ok(sent)
}

fn no_room(source: io::Error) -> Error {
    Error::Output { path: std::env::temp_dir(), source }
}

fn too_slow() -> Error {
    let slow = format!("{} did not arrive within {}", units::size(LEN as u64), units::duration(DEADLINE));
    Error::System { doing: "go on", source: slow.into() }
}

fn finding(sent: &Sent, path: Path) -> Finding {
    let millis = sent.elapsed.as_millis().max(1);
    let speed = u64::try_from(u128::from(sent.moved) * 1_000 / millis).unwrap_or(u64::MAX);
    let (name, how) = way(path);
    let message = format!(
        "{} from this machine to itself, {how}, and verified: {} per second.",
        units::size(sent.moved),
        units::size(speed)
    );
    Finding::good(Check::Transfer, "verified", message)
        .with("path", Fact::Text(name.to_owned()))
        .with("moved", Fact::Number(i64::try_from(sent.moved).unwrap_or(i64::MAX)))
        .with("elapsed", Fact::Time(sent.elapsed))
}

/// A path as programs are told of it, and as people are.
fn way(path: Path) -> (&'static str, &'static str) {
    match path {
        Path::SameMachine => ("same_machine", "within it"),
        Path::LocalNetwork => ("local_network", "directly"),
        Path::Direct => ("direct", "directly, by way of a router"),
        Path::Turn => ("turn", "through a TURN server"),
        Path::Relay => ("relay", "through the server"),
    }
}

/// Nobody looks on, and nobody is asked.
struct Nobody;

impl Reporter for Nobody {
    fn report(&self, event: Event) {
        tracing::debug!(?event, "the trial goes on");
    }
}

#[async_trait]
impl Ask for Nobody {
    async fn code(&self) -> Result<Secret, AskError> {
        Err(AskError::Closed)
    }

    async fn consent(&self, _: &Offer) -> Result<Consent, AskError> {
        Ok(Consent::Accept)
    }

    async fn which(&self, _: &[String]) -> Result<usize, AskError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Summary;

    #[test]
    fn a_speed_is_told_and_the_other_end_has_no_wishes() {
        let what = Summary { name: None, file_count: 1, total_size: 8_000_000 };
        let sent = Sent { what, moved: 8_000_000, elapsed: Duration::from_millis(100) };
        let found = finding(&sent, Path::LocalNetwork);
        assert_eq!(
            found.message,
            "8.0 MB from this machine to itself, directly, and verified: 80 MB per second."
        );
        assert_eq!(found.facts[0], ("path", Fact::Text("local_network".to_owned())));
        let only = Policy { relay: Relay::Only, ..Policy::default() };
        assert_eq!(ordinary(&only).relay, Relay::Allowed);
        let never = Policy { relay: Relay::Never, ..Policy::default() };
        assert_eq!(ordinary(&never).relay, Relay::Never);
    }
}
