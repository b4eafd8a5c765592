//! Whether somebody is guessing codes at large: then everybody works for a door, and nameplates are a digit longer.
//!
//! Sans-IO, like the registry. The guard goes up when too many claims fail, or too many attempts end with a wrong code,
//! within a minute; it comes down by itself once both have stayed below half of that for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::Config;

/// What speaks for an attack, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A claim met no open door.
    FailedClaim,
    /// Somebody stood in a door and proved another password.
    Burnt,
    /// Somebody stood in a door and proved its password.
    Confirmed,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// From now on everybody works.
    Up,
    /// It is over.
    Down,
}

/// The last minute of a server, and what it has come to.
#[derive(Debug)]
pub(crate) struct Guard {
    most_failures: u32,
    most_burnt: u32,
    least_bits: u8,
    calm: Duration,
    /// The signs of the last minute by second, oldest first: at most 61 entries.
    seconds: VecDeque<(Instant, Signs)>,
    sum: Signs,
    /// While the guard is up: when there last was half as much as raises it.
    pressed_at: Option<Instant>,
}

/// How many signs there were of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Claims that met no open door.
    pub(crate) failed: u32,
    /// Attempts that ended with another password.
    pub(crate) burnt: u32,
    /// Attempts that ended with the password.
    pub(crate) confirmed: u32,
}

impl Guard {
    /// A guard that is down.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            most_failures: config.limits.guard_failures,
            most_burnt: config.limits.guard_burnt,
            least_bits: config.limits.guard_bits,
            calm: config.times.guard_calm,
            seconds: VecDeque::new(),
            sum: Signs::default(),
            pressed_at: None,
        }
    }

    /// Counts signs: one of this instance, or what another one tells of its last second.
    pub(crate) fn handle_signs(&mut self, signs: Signs, now: Instant) -> Option<Change> {
        self.forget(now);
        let is_new = self.seconds.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SECOND);
        if is_new {
            self.seconds.push_back((now, Signs::default()));
        }
        if let Some((_, of_second)) = self.seconds.back_mut() {
            of_second.add(signs);
        }
        self.sum.add(signs);
        self.decide(now)
    }

    /// Lets time pass. To be called now and then; nothing is late by more than that.
    pub(crate) fn handle_time(&mut self, now: Instant) -> Option<Change> {
        self.forget(now);
        self.decide(now)
    }

    /// How many zero bits a client has to find before it gets a door; nothing while the guard is down. Twice and four
    /// times as many failures as raise it cost a bit each.
    pub(crate) fn bits(&self) -> Option<u8> {
        let pressure = self.sum.failed.checked_div(self.most_failures.saturating_add(1)).unwrap_or_default();
        let more = u8::from(pressure >= 2) + u8::from(pressure >= 4);
        self.pressed_at.map(|_| (self.least_bits + more).min(wire::signaling::MAX_CHALLENGE_BITS))
    }

    fn decide(&mut self, now: Instant) -> Option<Change> {
        let was_up = self.pressed_at.is_some();
        if self.is_above(1) || was_up && self.is_above(2) {
            self.pressed_at = Some(now);
        } else if self.pressed_at.is_some_and(|at| now.saturating_duration_since(at) >= self.calm) {
            self.pressed_at = None;
        }
        match (was_up, self.pressed_at.is_some()) {
            (false, true) => Some(Change::Up),
            (true, false) => Some(Change::Down),
            _ => None,
        }
    }

    /// Whether there is more than an n-th of what raises the guard.
    fn is_above(&self, nth: u32) -> bool {
        let Signs { failed, burnt, confirmed } = self.sum;
        let ended = burnt.saturating_add(confirmed);
        let too_many_failed = failed.saturating_mul(nth) > self.most_failures;
        let too_many_burnt = ended >= LEAST_ENDED
            && u64::from(burnt) * u64::from(nth) * 100 > u64::from(ended) * u64::from(self.most_burnt);
        too_many_failed || too_many_burnt
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, signs)) = self.seconds.front().copied()
            && now.saturating_duration_since(at) >= WINDOW
        {
            self.seconds.pop_front();
            self.sum.failed = self.sum.failed.saturating_sub(signs.failed);
            self.sum.burnt = self.sum.burnt.saturating_sub(signs.burnt);
            self.sum.confirmed = self.sum.confirmed.saturating_sub(signs.confirmed);
        }
    }
}

impl Signs {
    /// Adds others. What other instances tell may be any number.
    pub(crate) fn add(&mut self, more: Self) {
        self.failed = self.failed.saturating_add(more.failed);
        self.burnt = self.burnt.saturating_add(more.burnt);
        self.confirmed = self.confirmed.saturating_add(more.confirmed);
    }
}

impl From<Sign> for Signs {
    fn from(sign: Sign) -> Self {
        let mut signs = Self::default();
        match sign {
            Sign::FailedClaim => signs.failed = 1,
            Sign::Burnt => signs.burnt = 1,
            Sign::Confirmed => signs.confirmed = 1,
        }
        signs
    }
}

/// How long a sign speaks.
const WINDOW: Duration = Duration::from_mins(1);

/// Signs closer together than this are kept together.
const SECOND: Duration = Duration::from_secs(1);

/// Attempts that have to have ended before the share of the burnt says anything.
const LEAST_ENDED: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A guard and its clock.
    struct Bench {
        guard: Guard,
        now: Instant,
        changes: Vec<Change>,
    }

    impl Bench {
        fn new() -> Self {
            Self { guard: Guard::new(&Config::default()), now: Instant::now(), changes: Vec::new() }
        }

        fn signs(&mut self, sign: Sign, count: u32) {
            for _ in 0..count {
                self.changes.extend(self.guard.handle_signs(sign.into(), self.now));
            }
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.changes.extend(self.guard.handle_time(self.now));
        }
    }

    #[test]
    fn it_goes_up_at_the_sixty_first_failed_claim_within_a_minute() {
        let mut bench = Bench::new();
        bench.signs(Sign::FailedClaim, 60);
        assert_eq!((bench.guard.bits(), bench.changes.as_slice()), (None, &[][..]));
        bench.pass(59);
        bench.signs(Sign::FailedClaim, 1);
        assert_eq!((bench.guard.bits(), bench.changes.as_slice()), (Some(18), &[Change::Up][..]));
    }

    #[test]
    fn failures_that_are_a_minute_old_do_not_count() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            bench.signs(Sign::FailedClaim, 60);
            bench.pass(60);
        }
        assert_eq!(bench.guard.bits(), None);
        assert!(bench.guard.seconds.is_empty());
    }

    #[test]
    fn it_goes_up_when_more_than_half_of_twenty_codes_are_burnt_and_not_for_fewer() {
        let mut bench = Bench::new();
        bench.signs(Sign::Burnt, 19);
        assert_eq!(bench.guard.bits(), None, "too few to say anything");
        bench.signs(Sign::Burnt, 1);
        assert_eq!(bench.guard.bits(), Some(18));
        let mut half = Bench::new();
        half.signs(Sign::Confirmed, 15);
        half.signs(Sign::Burnt, 15);
        assert_eq!(half.guard.bits(), None, "half of them is not more than half");
        half.signs(Sign::Burnt, 1);
        assert_eq!(half.guard.bits(), Some(18));
    }

    #[test]
    fn the_work_grows_with_the_attack() {
        let mut bench = Bench::new();
        for (failures, bits) in [(61, 18), (61, 19), (122, 20), (10_000, 20)] {
            bench.signs(Sign::FailedClaim, failures);
            assert_eq!(bench.guard.bits(), Some(bits));
        }
    }

    #[test]
    fn it_comes_down_by_itself_after_five_minutes_below_half_and_not_before() {
        let mut bench = Bench::new();
        bench.signs(Sign::FailedClaim, 61);
        for _ in 0..20 {
            bench.pass(60);
            bench.signs(Sign::FailedClaim, 31);
        }
        assert_eq!(bench.changes, [Change::Up], "half as much keeps it up");
        for _ in 0..4 {
            bench.pass(60);
            bench.signs(Sign::FailedClaim, 30);
        }
        bench.pass(59);
        assert!(bench.guard.bits().is_some());
        bench.pass(1);
        assert_eq!((bench.guard.bits(), bench.changes.as_slice()), (None, &[Change::Up, Change::Down][..]));
    }

    #[test]
    fn what_other_instances_tell_counts_and_no_number_of_theirs_is_too_large() {
        let mut bench = Bench::new();
        let most = Signs { failed: u32::MAX, burnt: u32::MAX, confirmed: u32::MAX };
        for signs in
            [Signs { failed: 30, ..Signs::default() }, Signs { failed: 31, ..Signs::default() }, most, most]
        {
            bench.changes.extend(bench.guard.handle_signs(signs, bench.now));
        }
        assert_eq!(bench.changes, [Change::Up]);
        bench.pass(60);
        bench.pass(300);
        assert_eq!(bench.changes, [Change::Up, Change::Down]);
        assert_eq!(bench.guard.sum, Signs::default());
    }

    #[test]
    fn a_million_signs_are_a_minute_of_memory() {
        let mut bench = Bench::new();
        for _ in 0..1_000 {
            bench.signs(Sign::FailedClaim, 1_000);
            bench.now += Duration::from_millis(250);
        }
        assert!(bench.guard.seconds.len() <= 61, "{}", bench.guard.seconds.len());
    }
}
