//! Whether the sender could be further ahead of the disk than it may.
//!
//! The first byte that a grant covers leaves the sender when it has heard of the grant, and not before. The time until it is here is
//! therefore little more than a round trip when the sender was waiting for the grant, and the time that everything before it takes when
//! the path was busy with that.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use wire::transfer::Flow;

/// Grants in a row that were waited for: as many as there are in a window.
const ENOUGH: u32 = 8;

/// Round trips in which a window has to be used up to be too small: two, of which one is for what was lost and has to come again
/// before anything behind it counts, and one for what was lost a second time.
const ROUND_TRIPS: u32 = 3;

/// On a path shorter than this the first window lasts for three round trips at 1 Gbit/s, and what looks like one is mostly a busy
/// machine.
const SHORT: Duration = Duration::from_millis(20);

/// What part of a window may wait for the disk: a disk that is slower than the path needs no more of it.
const BACKLOG: u64 = 4;

/// Grants that may be unanswered: there are eight in a window, and one of another width.
const MAX_ASKED: usize = 64;

/// Looks at one generation after the other.
#[derive(Debug, Default)]
pub(super) struct Breadth {
    last: Flow,
    round_trip: Option<Duration>,
    /// Grants of which nothing came so far: where the one before ended, and when it was said.
    asked: VecDeque<(u64, Instant)>,
    /// Grants in a row that were waited for.
    waited: u32,
}

impl Breadth {
    /// Looks at what happened since it looked last, over a path of this round trip; whether the window is what holds the sender up.
    /// Of a path whose round trip nobody knows nothing is said.
    pub(super) fn look(&mut self, flow: Flow, round_trip: Option<Duration>, now: Instant) -> bool {
        if flow.granted < self.last.granted {
            *self = Self::default();
        }
        if round_trip != self.round_trip {
            *self = Self { last: self.last, round_trip, ..Self::default() };
        }
        while self.asked.front().is_some_and(|(before, _)| flow.received > *before) {
            if let Some((_, since)) = self.asked.pop_front() {
                self.judge(flow, now - since);
            }
        }
        if flow.granted > self.last.granted && self.asked.len() < MAX_ASKED {
            self.asked.push_back((self.last.granted, now));
        }
        self.last = flow;
        if self.waited < ENOUGH {
            return false;
        }
        // What was asked for within the old window says nothing about the new one.
        self.asked.clear();
        self.waited = 0;
        true
    }

    fn judge(&mut self, flow: Flow, answer: Duration) {
        let is_prompt = self.round_trip.is_some_and(|trip| trip >= SHORT && answer <= trip * ROUND_TRIPS);
        let is_taken = flow.received - flow.written < flow.window / BACKLOG;
        self.waited = if is_prompt && is_taken { self.waited + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use wire::transfer::{CREDIT_WINDOW, MAX_CREDIT_WINDOW};

    use super::*;

    /// Bytes of a record.
    const RECORD: u64 = 65_600;
    const TICK: Duration = Duration::from_millis(1);

    /// A sender, a path and a disk.
    struct Line {
        /// Bytes per millisecond.
        rate: u64,
        /// Milliseconds.
        round_trip: u32,
        /// Bytes per millisecond.
        disk: u64,
    }

    /// The window after ten seconds of that.
    fn window_over(line: &Line) -> u64 {
        let round_trip = Some(TICK * line.round_trip);
        let half = TICK * line.round_trip / 2;
        let mut now = Instant::now();
        let mut breadth = Breadth::default();
        let mut flow = Flow { granted: CREDIT_WINDOW, ..Flow::default() };
        let (mut grants, mut arrivals) = (VecDeque::from([(now + half, flow.granted)]), VecDeque::new());
        let (mut credit, mut sent, mut may_send, mut may_write) = (0, 0, 0, 0);
        assert!(!breadth.look(flow, round_trip, now));
        for _ in 0..10_000 {
            now += TICK;
            while let Some((_, total)) = grants.pop_front_if(|(at, _)| *at <= now) {
                credit = total;
            }
            may_send = line.rate + may_send.min(RECORD);
            while may_send >= RECORD && sent + RECORD <= credit {
                (may_send, sent) = (may_send - RECORD, sent + RECORD);
                arrivals.push_back(now + half);
            }
            while arrivals.pop_front_if(|at| *at <= now).is_some() {
                flow.received += RECORD;
                if breadth.look(flow, round_trip, now) {
                    flow.window = (flow.window * 2).min(MAX_CREDIT_WINDOW);
                }
            }
            may_write = line.disk + may_write.min(RECORD);
            while may_write >= RECORD && flow.written < flow.received {
                (may_write, flow.written) = (may_write - RECORD, flow.written + RECORD);
                if flow.written + flow.window >= flow.granted + CREDIT_WINDOW / 8 {
                    flow.granted = flow.written + flow.window;
                    grants.push_back((now + half, flow.granted));
                }
                assert!(!breadth.look(flow, round_trip, now), "nothing has come");
            }
        }
        flow.window
    }

    #[test]
    fn a_window_grows_until_it_lasts_for_three_round_trips() {
        for (rate, round_trip, window) in [
            (40_000, 100, 2 * CREDIT_WINDOW),
            (125_000, 30, 2 * CREDIT_WINDOW),
            (125_000, 100, MAX_CREDIT_WINDOW),
            (300_000, 200, MAX_CREDIT_WINDOW),
        ] {
            let line = Line { rate, round_trip, disk: 500_000 };
            assert_eq!(window_over(&line), window, "{rate} bytes/ms, {round_trip} ms");
        }
    }

    #[test]
    fn a_window_that_is_wide_enough_stays() {
        for (rate, round_trip) in [(300_000, 1), (100_000, 20), (25_000, 50), (1_000, 300)] {
            let line = Line { rate, round_trip, disk: 500_000 };
            assert_eq!(window_over(&line), CREDIT_WINDOW, "{rate} bytes/ms, {round_trip} ms");
        }
    }

    #[test]
    fn a_slow_disk_is_not_given_more_to_keep() {
        assert_eq!(window_over(&Line { rate: 125_000, round_trip: 100, disk: 20_000 }), CREDIT_WINDOW);
    }

    /// Answers that come a round trip of 100 ms behind their grants, over a path of `round_trip`; how many it takes.
    fn answers_until_it_grows(
        breadth: &mut Breadth,
        now: &mut Instant,
        round_trip: Option<Duration>,
    ) -> Option<u64> {
        let flow = |received, granted| Flow { received, written: received, granted, window: CREDIT_WINDOW };
        assert!(!breadth.look(flow(0, 0), round_trip, *now));
        assert!(!breadth.look(flow(0, CREDIT_WINDOW), round_trip, *now));
        (1..20).find(|grants| {
            let granted = grants * CREDIT_WINDOW;
            *now += 100 * TICK;
            let is_narrow = breadth.look(flow(granted - CREDIT_WINDOW + 1, granted), round_trip, *now);
            is_narrow || breadth.look(flow(granted, granted + CREDIT_WINDOW), round_trip, *now)
        })
    }

    #[test]
    fn each_generation_is_looked_at_by_itself() {
        let (mut breadth, mut now) = (Breadth::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(answers_until_it_grows(&mut breadth, &mut now, Some(90 * TICK)), Some(8));
        }
    }

    #[test]
    fn of_a_short_path_or_an_unknown_one_nothing_is_said() {
        for round_trip in [None, Some(Duration::ZERO), Some(19 * TICK), Some(33 * TICK)] {
            let (mut breadth, mut now) = (Breadth::default(), Instant::now());
            assert_eq!(answers_until_it_grows(&mut breadth, &mut now, round_trip), None, "{round_trip:?}");
        }
    }
}
