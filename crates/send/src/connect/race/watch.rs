//! The search for a better path while a transfer runs.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use wire::signaling::Role;

use super::{Done, Meeting, Runner};
use crate::connect::ConnectError;
use crate::connect::channel::Lane;
use crate::policy::Relay;
use crate::transport::Path;

/// How long a search for a better path waits after the last one came to nothing; each further wait doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long one such search may take. A path that opens at all does so within a few seconds.
const SEARCH_DEADLINE: Duration = Duration::from_secs(15);

/// A search that goes on behind a transfer.
pub(super) struct Watch {
    runner: Runner,
    lanes: mpsc::Sender<Lane>,
    /// The best path that was found.
    best: Path,
    pause: Duration,
    is_pausing: bool,
}

impl Watch {
    /// The two sides use `path`; what is found goes to `lanes`.
    pub(super) fn new(runner: Runner, lanes: mpsc::Sender<Lane>, path: Path) -> Self {
        Self { runner, lanes, best: path, pause: FIRST_PAUSE, is_pausing: false }
    }

    /// Looks on until nobody takes lanes any more, or the other side begins anew.
    pub(super) async fn run(mut self) {
        loop {
            if self.runner.is_left {
                return;
            }
            self.consider_pause();
            match self.runner.step().await {
                Ok(Some(Done::Opened(Ok((lane, _))))) => {
                    let path = lane.transport.path;
                    let is_wanted = self.runner.role() == Role::Receiver || path > self.best;
                    self.best = self.best.max(path);
                    if is_wanted && self.lanes.send(*lane).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Done::Pause)) => {
                    self.pause = LONGEST_PAUSE.min(self.pause * 2);
                    self.meet_again(Duration::ZERO);
                }
                Ok(Some(Done::Met(met))) => self.search(*met).await,
                Ok(Some(Done::Deadline)) => self.runner.direct = None,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the way to the other side through the rendezvous is gone");
                    self.runner.direct = None;
                    self.runner.pairing = None;
                    if self.runner.role() == Role::Receiver && self.runner.is_race {
                        self.meet_again(Duration::ZERO);
                    }
                }
            }
        }
    }

    /// The sender looks for a better path again, once it has found that there is none.
    fn consider_pause(&mut self) {
        let Self { runner, best, is_pausing, pause, .. } = self;
        let may_be_better = *best < Path::Direct && runner.rejoin.reach().policy.relay != Relay::Only;
        let is_idle = runner.direct.is_none() && runner.opening == 0 && !*is_pausing;
        if may_be_better && is_idle && runner.is_race && runner.role() == Role::Sender {
            *is_pausing = true;
            runner.wake_after(*pause, Done::Pause);
        }
    }

    /// Both sides leave where they are and meet again; the transfer goes on meanwhile.
    fn meet_again(&mut self, pause: Duration) {
        let runner = &mut self.runner;
        (runner.pairing, runner.direct) = (None, None);
        let mut rejoin = runner.rejoin.clone();
        runner.tasks.spawn(async move {
            sleep(pause).await;
            let met = match rejoin.role() {
                Role::Sender => timeout(SEARCH_DEADLINE, rejoin.meet()).await,
                // The sender comes when it likes.
                Role::Receiver => Ok(rejoin.meet().await),
            };
            Done::Met(Box::new(met.unwrap_or(Err(ConnectError::PeerLeft))))
        });
    }

    async fn search(&mut self, met: Result<Meeting, ConnectError>) {
        self.is_pausing = false;
        let runner = &mut self.runner;
        match met {
            Ok((pairing, seals, number, handed)) => {
                runner.early.clear();
                (runner.pairing, runner.seals) = (Some(pairing), seals);
                (runner.number, runner.handed) = (number, handed);
                if runner.role() == Role::Sender {
                    let is_out = runner.offer(true).await.is_ok();
                    runner.direct = runner.direct.take().filter(|_| is_out);
                    runner.wake_after(SEARCH_DEADLINE, Done::Deadline);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "not met again");
                if runner.role() == Role::Receiver {
                    self.meet_again(FIRST_PAUSE);
                }
            }
        }
    }
}
