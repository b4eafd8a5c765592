//! The work that a rendezvous under attack wants: on a thread of its own, and not for ever.

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::pow::{SEARCH_LIMIT, Search};

/// Counters that are tried between two looks at whether anybody still waits: some milliseconds.
const SLICE: u32 = 20_000;

/// The counter that the rendezvous wants, unless it takes too long. Dropping the future ends the work.
pub(super) async fn search(mut work: Search) -> Option<u64> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let _guard = stop.drop_guard();
    let found = tokio::task::spawn_blocking(move || {
        while !stopped.is_cancelled() {
            if let Some(counter) = work.step(SLICE) {
                return Some(counter);
            }
        }
        None
    });
    timeout(SEARCH_LIMIT, found).await.ok()?.ok()?
}

#[cfg(test)]
mod tests {
    use wire::signaling::Challenge;

    use super::*;

    fn challenge(bits: u8) -> Challenge {
        Challenge { bits, seed: "q6urq6urq6urq6urq6urqw".to_owned() }
    }

    #[tokio::test]
    async fn what_is_found_is_what_was_asked_for() {
        let counter = search(Search::new(challenge(12)).unwrap()).await.unwrap();
        assert!(challenge(12).is_met_by(counter));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let (ended, mut has_ended) = tokio::sync::oneshot::channel::<()>();
        let working = tokio::spawn(async move {
            let _ended = ended;
            search(Search::new(challenge(wire::pow::MAX_BITS)).unwrap()).await
        });
        tokio::task::yield_now().await;
        working.abort();
        assert!((&mut has_ended).await.is_err(), "dropped, not sent");
        // The runtime of this test waits for its threads: it would not end before the work did.
    }
}
