//! Which of the other instances are alive, as far as links depend on it. Sans-IO.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::frame::InstanceId;

/// The instances that this one has links with, and those that it knows to be dead.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    linked: HashMap<InstanceId, Peer>,
    dead: HashMap<InstanceId, Instant>,
}

#[derive(Debug)]
struct Peer {
    links: usize,
    heard: Instant,
    missed_since: Option<Instant>,
}

impl Peers {
    /// A link with `peer` begins.
    pub(crate) fn link(&mut self, peer: InstanceId, now: Instant) {
        let known = self.linked.entry(peer).or_insert(Peer { links: 0, heard: now, missed_since: None });
        known.links += 1;
    }

    /// A link with `peer` is over.
    pub(crate) fn unlink(&mut self, peer: InstanceId) {
        if let Some(known) = self.linked.get_mut(&peer) {
            known.links -= 1;
            if known.links == 0 {
                self.linked.remove(&peer);
            }
        }
    }

    /// Something of `peer` was heard.
    pub(crate) fn handle_heard(&mut self, peer: InstanceId, now: Instant) {
        self.dead.remove(&peer);
        if let Some(known) = self.linked.get_mut(&peer) {
            known.heard = now;
            known.missed_since = None;
        }
    }

    /// Nobody listens on the channel of `peer`. It is dead if that lasts: its connection to Redis may be being mended.
    /// Tells whether it has just been found so.
    pub(crate) fn handle_missed(&mut self, peer: InstanceId, now: Instant) -> bool {
        let Some(known) = self.linked.get_mut(&peer) else { return false };
        let since = *known.missed_since.get_or_insert(now);
        now.saturating_duration_since(since) >= ABSENCE && self.bury(peer, now)
    }

    /// Finds the dead among those who should have been heard of; Redis has worked since `ready_since`.
    pub(crate) fn handle_time(&mut self, ready_since: Instant, now: Instant) -> bool {
        let silent: Vec<InstanceId> = self
            .linked
            .iter()
            .filter(|(_, peer)| now.saturating_duration_since(peer.heard.max(ready_since)) >= SILENCE)
            .map(|(id, _)| *id)
            .collect();
        self.dead.retain(|_, since| now.saturating_duration_since(*since) < MEMORY);
        silent.into_iter().fold(false, |found, peer| self.bury(peer, now) | found)
    }

    /// Whether `peer` is dead, for all that is known.
    pub(crate) fn is_dead(&self, peer: InstanceId) -> bool {
        self.dead.contains_key(&peer)
    }

    /// Those to whom this one has to show that it lives.
    pub(crate) fn linked(&self) -> Vec<InstanceId> {
        self.linked.keys().copied().collect()
    }

    fn bury(&mut self, peer: InstanceId, now: Instant) -> bool {
        if self.dead.len() >= MOST_DEAD {
            self.dead.clear();
        }
        self.dead.insert(peer, now).is_none()
    }
}

/// How long nobody may listen for an instance before it is dead.
const ABSENCE: Duration = Duration::from_millis(500);

/// How long an instance may be silent before it is dead; it shows every second that it is not.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a dead instance is remembered: longer than anybody waits because of it.
const MEMORY: Duration = Duration::from_mins(15);

/// How many dead instances are remembered.
const MOST_DEAD: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: InstanceId = InstanceId([1; 8]);

    #[test]
    fn an_instance_is_dead_when_nobody_listens_for_it_for_a_while() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.link(PEER, start);
        assert!(!peers.handle_missed(PEER, start));
        assert!(!peers.handle_missed(PEER, start + ABSENCE / 2));
        peers.handle_heard(PEER, start + ABSENCE / 2);
        assert!(!peers.handle_missed(PEER, start + ABSENCE), "it was there in between");
        assert!(peers.handle_missed(PEER, start + ABSENCE * 2));
        assert!(peers.is_dead(PEER));
        peers.handle_heard(PEER, start + ABSENCE * 3);
        assert!(!peers.is_dead(PEER), "it was only stopped");
    }

    #[test]
    fn silence_counts_only_while_redis_works() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        peers.link(PEER, start);
        assert!(!peers.handle_time(start + SILENCE, start + SILENCE));
        assert!(peers.handle_time(start + SILENCE, start + SILENCE * 2));
        assert!(!peers.handle_time(start + SILENCE, start + SILENCE * 2), "it is told once");
        peers.handle_time(start, start + SILENCE * 2 + MEMORY);
        peers.unlink(PEER);
        assert_eq!(peers.linked(), []);
    }
}
