//! Work that a rendezvous under attack asks for before it opens a door or looks for one (PROTOCOL.md §4.4).
//!
//! `SHA256("send/1 pow" || lp(seed) || u64 counter)` has to begin with so many zero bits. Finding such a counter takes
//! 2^bits attempts on average, checking one takes one.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The most zero bits that a client searches for: some seconds on a computer, half a minute on a slow phone.
pub const MAX_BITS: u8 = 22;

/// Longest seed, in bytes of text.
pub const MAX_SEED_LEN: usize = 64;

/// How long a client searches before it gives up, and a rendezvous waits at least.
pub const SEARCH_LIMIT: Duration = Duration::from_mins(1);

/// What a rendezvous asks for. It is good for one opening message of the socket on which it was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Zero bits at the beginning of the digest.
    pub bits: u8,
    /// Text that nobody could foresee.
    pub seed: String,
}

impl Challenge {
    /// Whether `counter` is what was asked for.
    pub fn is_met_by(&self, counter: u64) -> bool {
        self.meets(&self.prefix(), counter)
    }

    /// What is hashed before the counter.
    fn prefix(&self) -> Sha256 {
        let seed_len = u32::try_from(self.seed.len()).unwrap_or(u32::MAX);
        Sha256::new().chain_update("send/1 pow").chain_update(seed_len.to_be_bytes()).chain_update(&self.seed)
    }

    fn meets(&self, prefix: &Sha256, counter: u64) -> bool {
        let digest: [u8; 32] = prefix.clone().chain_update(counter.to_be_bytes()).finalize().into();
        let zeros = digest.iter().position(|byte| *byte != 0).unwrap_or(digest.len());
        let partial = digest.get(zeros).map_or(0, |byte| byte.leading_zeros());
        8 * u32::try_from(zeros).unwrap_or(u32::MAX) + partial >= u32::from(self.bits)
    }
}

/// The search for a counter, in slices of any length: whoever searches has other things to do too.
#[derive(Clone, Debug)]
pub struct Search {
    challenge: Challenge,
    prefix: Sha256,
    next: u64,
}

impl Search {
    /// A search from the beginning; nothing for a challenge that no honest rendezvous sets.
    pub fn new(challenge: Challenge) -> Option<Self> {
        let is_honest = challenge.bits <= MAX_BITS && challenge.seed.len() <= MAX_SEED_LEN;
        is_honest.then(|| Self { prefix: challenge.prefix(), challenge, next: 0 })
    }

    /// Tries the next `tries` counters; the first that is right, if there is one among them.
    pub fn step(&mut self, tries: u32) -> Option<u64> {
        let from = self.next;
        self.next += u64::from(tries);
        (from..self.next).find(|counter| self.challenge.meets(&self.prefix, *counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(bits: u8) -> Challenge {
        Challenge { bits, seed: "q6urq6urq6urq6urq6urqw".to_owned() }
    }

    #[test]
    fn the_first_counter_of_a_seed_is_always_the_same() {
        let mut search = Search::new(challenge(16)).unwrap();
        let counter = (0..).find_map(|_| search.step(1_000)).unwrap();
        assert_eq!(counter, FIRST_OF_16_BITS);
        assert!(challenge(16).is_met_by(counter));
    }

    #[test]
    fn a_counter_of_another_seed_or_of_fewer_bits_is_not_enough() {
        let other = Challenge { bits: 16, seed: "q6urq6urq6urq6urq6urqg".to_owned() };
        assert!(!other.is_met_by(FIRST_OF_16_BITS));
        assert!(!challenge(MAX_BITS).is_met_by(FIRST_OF_16_BITS));
        assert!(!challenge(255).is_met_by(FIRST_OF_16_BITS));
        assert!(challenge(0).is_met_by(1), "no bits ask for no work");
    }

    #[test]
    fn slices_together_try_every_counter_once() {
        let mut search = Search::new(challenge(16)).unwrap();
        let before = u32::try_from(FIRST_OF_16_BITS).unwrap();
        assert_eq!(search.step(before), None);
        assert_eq!(search.step(1), Some(FIRST_OF_16_BITS));
    }

    #[test]
    fn work_that_no_honest_rendezvous_asks_for_is_not_done() {
        assert!(Search::new(challenge(MAX_BITS)).is_some());
        assert!(Search::new(challenge(MAX_BITS + 1)).is_none());
        let long = Challenge { bits: 1, seed: "x".repeat(MAX_SEED_LEN + 1) };
        assert!(Search::new(long).is_none());
    }

    /// The example of PROTOCOL.md §4.4.
    const FIRST_OF_16_BITS: u64 = 178_315;
}
