//! How much of a manifest is on its way. It is under no credit, and a receiver may take longer to read it than the path to
//! carry it: it says with PONG that it has come so far.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use wire::message::Message;

/// So much of a manifest goes out before the receiver has to say that it has taken it, in bytes.
pub(super) const PACE_LEN: usize = 1024 * 1024;

/// Tokens from here on are of PINGs that wait for their answer; those that only show that this side is alive count from 1.
const FIRST_TOKEN: u64 = 1 << 63;

/// Answers that may wait: nobody is owed more than one.
const MAX_ANSWERS: usize = 4;

/// How often whoever waits looks whether there is still somebody to answer.
const LOOK: Duration = Duration::from_millis(100);

/// What passes on the receiver's answers. Without it nothing more of the manifest is sent.
#[derive(Debug)]
pub(super) struct Answers {
    queue: SyncSender<u64>,
    last: u64,
}

/// What waits for them, in the reading thread.
#[derive(Debug)]
pub(super) struct Pace {
    answers: Receiver<u64>,
    token: u64,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The receiver has taken everything so far.
    Answered,
    /// The path to it is gone.
    Lost,
    /// This side has something else to say.
    GivenUp,
}

/// Both ends.
pub(super) fn pace() -> (Answers, Pace) {
    let (sender, answers) = sync_channel(MAX_ANSWERS);
    (Answers { queue: sender, last: 0 }, Pace { answers, token: FIRST_TOKEN })
}

impl Answers {
    /// The PING with this token was the last that the receiver answered. May be said again.
    pub(super) fn handle_pong(&mut self, token: u64) {
        if token >= FIRST_TOKEN && token != self.last {
            self.last = token;
            // Where there is no room, they are answers to nothing.
            let _ = self.queue.try_send(token);
        }
    }
}

impl Pace {
    /// What the receiver has to answer next.
    pub(super) fn ping(&mut self) -> Message<'static> {
        self.token += 1;
        Message::Ping { token: self.token }
    }

    /// Waits for the answer to the last [`Pace::ping`], as long as `is_up` says that it can come.
    pub(super) fn wait(&self, is_up: impl Fn() -> bool) -> Waited {
        loop {
            match self.answers.recv_timeout(LOOK) {
                Ok(token) if token == self.token => return Waited::Answered,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if is_up() => {}
                Err(RecvTimeoutError::Timeout) => return Waited::Lost,
                Err(RecvTimeoutError::Disconnected) => return Waited::GivenUp,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(ping: &Message<'_>) -> u64 {
        let Message::Ping { token } = ping else { panic!("{ping:?} is no PING") };
        *token
    }

    #[test]
    fn only_the_answer_that_is_waited_for_counts() {
        let (mut answers, mut pace) = pace();
        let early = token(&pace.ping());
        let ping = pace.ping();
        for other in [1, early, u64::MAX] {
            answers.handle_pong(other);
        }
        assert_eq!(pace.wait(|| false), Waited::Lost);
        answers.handle_pong(token(&ping));
        assert_eq!(pace.wait(|| false), Waited::Answered);
        drop(answers);
        assert_eq!(pace.wait(|| true), Waited::GivenUp);
    }
}
