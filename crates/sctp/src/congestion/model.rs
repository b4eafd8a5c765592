//! The model and its laws.

use std::time::{Duration, Instant};

use super::filter::MaxFilter;
use super::startup::Startup;
use crate::recovery::{AckReport, Controller, RateSample};
use crate::units::{Percent, Rate, scale};

/// What the sender is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Doubling.
    Startup,
    /// Letting the queue of the start run empty.
    Drain,
    /// In the cycle of [`GAINS`].
    Steady,
    /// Sending half of what fits, to see the path without a queue.
    Look { until: Option<Instant> },
}

/// Pacing per phase of the cycle, in percent of the measured rate: more, to see whether more gets through; less, so that the
/// queue that made goes away; then the rate itself.
const GAINS: [Percent; 8] = [125, 80, 100, 100, 100, 100, 100, 100];
const UP: usize = 0;
const DOWN: usize = 1;

const STARTUP_GAIN: Percent = 277;
const DRAIN_GAIN: Percent = 40;
/// Of the bandwidth-delay product, what may be in flight.
const STARTUP_WINDOW: Percent = 300;
const STEADY_WINDOW: Percent = 190;
const LOOK_WINDOW: Percent = 50;

/// Rounds over which the largest rate counts.
const RATE_ROUNDS: u64 = 10;
/// The shortest round trip is looked for again after this.
const ROUND_TRIP_LASTS: Duration = Duration::from_secs(10);
const LOOK_LASTS: Duration = Duration::from_millis(200);

/// Acknowledgements come in bursts, and either side may be scheduled this late: a window for less would stand still.
const MIN_SPAN: Duration = Duration::from_millis(4);

/// Chunks that may be in flight before anything is known.
const INITIAL_CHUNKS: u64 = 32;
const MIN_CHUNKS: u64 = 4;

/// A start that loses this much of a round has reached the end.
const STARTUP_LOSS: Percent = 15;
/// A round with a queue that loses this much was too much: others are there.
const QUEUE_LOSS: Percent = 2;
/// So was one that loses this much without: something drops what comes too fast.
const PLAIN_LOSS: Percent = 12;
/// What is left of the window after a round that lost with a queue, and after one that lost without.
const BACK_OFF: Percent = 58;
const PLAIN_BACK_OFF: Percent = 80;
/// How long that stays.
const HOLD: Duration = Duration::from_millis(2_500);

/// How the limit grows from one attempt to the next.
const CAP_GROWTH: [Percent; 4] = [112, 125, 150, 200];

/// Chunks that must be lost in a round before it means anything.
const MIN_LOST_CHUNKS: u64 = 4;

/// What happened since the round began.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    lost: u64,
    acked: u64,
    /// The shortest round trip in it.
    shortest: Option<Duration>,
    /// The most that was in flight.
    flight: u64,
}

/// The path as it was measured, and what follows for the sender.
#[derive(Debug)]
pub(crate) struct Model {
    chunk: u64,
    mode: Mode,
    startup: Startup,
    rates: MaxFilter,
    round_count: u64,
    next_round: u64,
    round: Round,
    round_trip: Option<(Duration, Instant)>,
    phase: usize,
    phase_since: Option<Instant>,
    /// What losses have taught about the most that may be in flight.
    cap: Option<u64>,
    /// Rounds in a row in which sending more did no harm, and in which it did.
    clean_rounds: usize,
    lossy_rounds: u32,
    was_queueing: bool,
    capped_at: Option<Instant>,
    flight: u64,
    is_silent: bool,
}

impl Model {
    /// Nothing known yet of a path that takes chunks of `chunk` bytes.
    pub(crate) fn new(chunk: u64) -> Self {
        Self {
            chunk,
            mode: Mode::Startup,
            startup: Startup::default(),
            rates: MaxFilter::default(),
            round_count: 0,
            next_round: 0,
            round: Round::default(),
            round_trip: None,
            phase: UP,
            phase_since: None,
            cap: None,
            clean_rounds: 0,
            lossy_rounds: 0,
            was_queueing: false,
            capped_at: None,
            flight: 0,
            is_silent: false,
        }
    }

    /// The rate of the path, but never less than the smallest window in a round trip: what was measured on a path that stood
    /// still must not hold up the next packet.
    fn rate(&self) -> Rate {
        let span = self.round_trip.map_or(Duration::from_millis(100), |(shortest, _)| shortest);
        let least = Rate::of(MIN_CHUNKS * self.chunk, span.max(MIN_SPAN)).unwrap_or_default();
        self.measured_rate().max(least)
    }

    fn measured_rate(&self) -> Rate {
        let guess = || {
            let span = self.round_trip.map_or(Duration::from_millis(1), |(shortest, _)| shortest);
            Rate::of(INITIAL_CHUNKS * self.chunk, span.max(Duration::from_micros(100))).unwrap_or_default()
        };
        self.rates.max().unwrap_or_else(guess)
    }

    /// The bandwidth-delay product.
    fn product(&self) -> u64 {
        let Some((shortest, _)) = self.round_trip else { return INITIAL_CHUNKS * self.chunk };
        self.rate().bytes_in(shortest.max(MIN_SPAN))
    }

    fn see_round_trip(&mut self, now: Instant, sample: Duration) {
        let is_old = self.round_trip.is_none_or(|(shortest, at)| {
            sample <= shortest || (now.saturating_duration_since(at) > ROUND_TRIP_LASTS && self.is_looking())
        });
        if is_old {
            self.round_trip = Some((sample, now));
        }
        self.round.shortest = Some(self.round.shortest.map_or(sample, |shortest| shortest.min(sample)));
    }

    fn is_looking(&self) -> bool {
        matches!(self.mode, Mode::Look { .. })
    }

    fn see_rate(&mut self, sample: &RateSample) {
        if !sample.is_app_limited || sample.rate >= self.measured_rate() {
            self.rates.update(self.round_count, sample.rate);
        }
    }

    /// A round has ended. Returns whether it lost more than it should have.
    fn judge_losses(&self) -> bool {
        let round = &self.round;
        if round.lost < MIN_LOST_CHUNKS * self.chunk {
            return false;
        }
        let total = round.lost + round.acked;
        let limit = match self.mode {
            Mode::Startup => STARTUP_LOSS,
            Mode::Drain | Mode::Steady | Mode::Look { .. } if self.is_queueing() => QUEUE_LOSS,
            Mode::Drain | Mode::Steady | Mode::Look { .. } => PLAIN_LOSS,
        };
        round.lost > scale(total, limit)
    }

    /// Whether not one packet of the round came through without waiting.
    fn is_queueing(&self) -> bool {
        let Some((shortest, _)) = self.round_trip else { return false };
        self.round.shortest.is_some_and(|least| least > shortest + (shortest / 4).max(MIN_SPAN))
    }

    fn end_round(&mut self, report: &AckReport, is_app_limited: bool) {
        let was_too_much = self.judge_losses();
        if was_too_much {
            let flight = self.round.flight.min(self.cap.unwrap_or(u64::MAX));
            let back_off = if self.is_queueing() { BACK_OFF } else { PLAIN_BACK_OFF };
            let least = scale(self.product(), back_off).max(MIN_CHUNKS * 4 * self.chunk);
            self.cap = Some(scale(flight, back_off).max(least));
            self.clean_rounds = 0;
            // Others who wait in a queue are to have their part of it; losses without one say nothing of others.
            self.capped_at = self.is_queueing().then_some(report.now);
        } else if self.phase == UP && self.mode == Mode::Steady && self.may_grow(report.now) {
            // Nothing was lost by sending more: the limit is further away than it was, the longer this lasts the further.
            let growth = CAP_GROWTH.get(self.clean_rounds).or(CAP_GROWTH.last()).copied().unwrap_or(100);
            let enough = 4 * self.product();
            self.cap = self.cap.map(|cap| scale(cap, growth) + self.chunk).filter(|&cap| cap < enough);
            self.clean_rounds += 1;
        }
        self.lossy_rounds = if was_too_much { self.lossy_rounds + 1 } else { 0 };
        self.was_queueing = self.is_queueing();
        self.round_count += 1;
        self.next_round = report.delivered;
        self.rates.expire(self.round_count.saturating_sub(RATE_ROUNDS));
        self.round = Round::default();
        if self.mode == Mode::Startup
            && (self.has_overflowed(was_too_much) || (!is_app_limited && self.startup.is_flat(self.rate())))
        {
            self.mode = Mode::Drain;
        }
    }

    /// Others need time to take what was left to them.
    fn may_grow(&self, now: Instant) -> bool {
        self.capped_at.is_none_or(|at| now.saturating_duration_since(at) >= HOLD)
    }

    /// A single burst of losses early on says nothing about the rate; losses with a queue, or twice in a row, do.
    fn has_overflowed(&mut self, was_too_much: bool) -> bool {
        let has = was_too_much && (self.was_queueing || self.lossy_rounds >= 2);
        if was_too_much && !has {
            self.cap = None;
        }
        has
    }

    fn step(&mut self, report: &AckReport, round_ended: bool) {
        let now = report.now;
        match self.mode {
            Mode::Startup => {
                if let (Some(sample), Some((shortest, _))) = (report.round_trip, self.round_trip)
                    && self.startup.is_queueing(sample, shortest)
                {
                    self.mode = Mode::Drain;
                }
            }
            Mode::Drain => {
                if report.flight <= self.product() {
                    self.mode = Mode::Steady;
                    self.turn(now, DOWN + 1);
                }
            }
            Mode::Steady => self.cycle(now, report.flight, round_ended),
            Mode::Look { until: None } => {
                if report.flight <= scale(self.product(), LOOK_WINDOW).max(MIN_CHUNKS * self.chunk) {
                    self.mode = Mode::Look { until: Some(now + LOOK_LASTS) };
                }
            }
            Mode::Look { until: Some(until) } => {
                if now >= until && round_ended {
                    self.round_trip = self.round_trip.map(|(shortest, _)| (shortest, now));
                    self.mode = Mode::Steady;
                    self.turn(now, DOWN + 1);
                }
            }
        }
    }

    fn cycle(&mut self, now: Instant, flight: u64, round_ended: bool) {
        if let Some((_, at)) = self.round_trip
            && now.saturating_duration_since(at) > ROUND_TRIP_LASTS
        {
            self.mode = Mode::Look { until: None };
            return;
        }
        let shortest = self.round_trip.map_or(Duration::ZERO, |(shortest, _)| shortest);
        let has_lasted =
            self.phase_since.is_none_or(|since| now.saturating_duration_since(since) >= shortest);
        let is_over = match self.phase {
            DOWN => flight <= self.product() || (round_ended && has_lasted),
            _ => round_ended && has_lasted,
        };
        if is_over {
            self.turn(now, (self.phase + 1) % GAINS.len());
        }
    }

    fn turn(&mut self, now: Instant, phase: usize) {
        self.phase = phase;
        self.phase_since = Some(now);
    }
}

impl Controller for Model {
    fn set_chunk(&mut self, chunk: u64) {
        self.chunk = chunk;
    }

    fn seed(&mut self, now: Instant, round_trip: Duration) {
        self.round_trip = Some((round_trip, now));
    }

    fn on_loss(&mut self, lost: u64, flight: u64) {
        self.round.lost += lost;
        self.flight = flight;
    }

    fn on_sent(&mut self, _: Instant, flight: u64) {
        self.flight = flight;
        self.round.flight = self.round.flight.max(flight);
    }

    fn on_ack(&mut self, report: &AckReport) {
        self.is_silent = false;
        self.flight = report.flight;
        self.round.acked += report.acked;
        self.round.lost += report.lost;
        if let Some(sample) = report.round_trip {
            self.see_round_trip(report.now, sample);
        }
        let mut round_ended = false;
        if let Some(sample) = report.sample {
            self.see_rate(&sample);
            if sample.prior_delivered >= self.next_round {
                self.end_round(report, sample.is_app_limited);
                round_ended = true;
            }
        }
        self.step(report, round_ended);
    }

    fn on_timeout(&mut self, _: Instant) {
        self.is_silent = true;
    }

    fn window(&self) -> u64 {
        let least = MIN_CHUNKS * self.chunk;
        if self.is_silent {
            return least;
        }
        if self.rates.max().is_none() {
            return INITIAL_CHUNKS * self.chunk;
        }
        let gain = match self.mode {
            Mode::Startup | Mode::Drain => STARTUP_WINDOW,
            Mode::Steady => STEADY_WINDOW,
            Mode::Look { .. } => LOOK_WINDOW,
        };
        let window = scale(self.product(), gain);
        let allowed = if self.is_looking() { window } else { window + 16 * self.chunk };
        allowed.min(self.cap.unwrap_or(u64::MAX)).max(least)
    }

    fn pacing_rate(&self) -> Rate {
        let gain = match self.mode {
            Mode::Startup => STARTUP_GAIN,
            Mode::Drain => DRAIN_GAIN,
            Mode::Steady => GAINS.get(self.phase).copied().unwrap_or(100),
            Mode::Look { .. } => 100,
        };
        self.rate().scaled(gain)
    }
}
