//! Whether the other side is alive, and that this one is seen to be (PROTOCOL.md §8.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use wire::message::Message;
use wire::transfer::{PING_INTERVAL, SILENCE_LIMIT};

/// What to do when the pulse beats.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Quiet,
    /// Send this.
    Ping(Message<'static>),
    /// Nothing was heard for too long.
    Silence,
}

/// Keeps the time since either side was heard.
#[derive(Debug)]
pub(super) struct Pulse {
    interval: Interval,
    last_beat: Instant,
    last_heard: Instant,
    sent_count: Arc<AtomicU64>,
    seen_count: u64,
    token: u64,
}

impl Pulse {
    /// A pulse of a side that has just been heard; `sent_count` counts the records that this side has sent.
    pub(super) fn new(sent_count: Arc<AtomicU64>) -> Self {
        let now = Instant::now();
        let mut interval = interval(PING_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, last_beat: now, last_heard: now, sent_count, seen_count: 0, token: 0 }
    }

    /// A record of the other side arrived, or could not be looked at because this side was busy.
    pub(super) fn handle_heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// Waits for the next beat. Cancelling it loses nothing.
    pub(super) async fn beat(&mut self) -> Beat {
        self.interval.tick().await;
        let now = Instant::now();
        // A process that was stopped, or a machine that slept, has not listened: it knows nothing about silence.
        let slept = now.duration_since(self.last_beat) > 2 * PING_INTERVAL;
        self.last_beat = now;
        if slept {
            self.last_heard = now;
        }
        if now.duration_since(self.last_heard) >= SILENCE_LIMIT {
            return Beat::Silence;
        }
        let sent = self.sent_count.load(Ordering::Relaxed);
        if sent != self.seen_count {
            self.seen_count = sent;
            return Beat::Quiet;
        }
        // The ping itself is a record that is sent.
        self.seen_count = sent + 1;
        self.token += 1;
        Beat::Ping(Message::Ping { token: self.token })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_side_pings_every_two_seconds() {
        let mut pulse = Pulse::new(Arc::new(AtomicU64::new(0)));
        for token in 1..=2 {
            assert_eq!(pulse.beat().await, Beat::Ping(Message::Ping { token }));
            pulse.sent_count.fetch_add(1, Ordering::Relaxed);
            pulse.handle_heard();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_sends_does_not_ping() {
        let mut pulse = Pulse::new(Arc::new(AtomicU64::new(0)));
        for _ in 0..5 {
            pulse.sent_count.fetch_add(7, Ordering::Relaxed);
            pulse.handle_heard();
            assert_eq!(pulse.beat().await, Beat::Quiet);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn six_seconds_without_a_record_are_silence() {
        let started = Instant::now();
        let mut pulse = Pulse::new(Arc::new(AtomicU64::new(0)));
        while pulse.beat().await != Beat::Silence {}
        assert_eq!(started.elapsed(), SILENCE_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_does_not_mistake_that_for_silence() {
        let mut pulse = Pulse::new(Arc::new(AtomicU64::new(0)));
        pulse.beat().await;
        advance(std::time::Duration::from_mins(1)).await;
        assert_ne!(pulse.beat().await, Beat::Silence);
    }
}
