//! Which transmissions never arrived (after RFC 8985).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::flight::{Flight, State};
use crate::tsn::Tsn;

/// One transmission.
#[derive(Clone, Copy, Debug)]
struct Transmission {
    tsn: Tsn,
    number: u64,
    sent_at: Instant,
}

/// Every transmission in the order of sending, until its fate is known.
#[derive(Debug, Default)]
pub(super) struct Detector {
    /// Chunks that are sent for the first time: their TSNs ascend too.
    firsts: VecDeque<Transmission>,
    repeats: VecDeque<Transmission>,
    /// Those that are not on their way any more, of which the peer may have had no room to tell.
    unreported: VecDeque<Transmission>,
    next_number: u64,
    /// The youngest transmission that is known to have arrived: its number, when it was sent, and how long it took.
    newest: Option<(u64, Instant, Duration)>,
    /// The highest TSN the peer has reported in any way.
    highest_reported: Tsn,
    /// Whether it may have more than it could report.
    is_cut: bool,
    most_blocks: usize,
    /// How much the window for reordering is stretched, and since which count of delivered bytes.
    stretch: u32,
    stretched_at: u64,
}

/// Something was sent again that had only been late: the window grows up to the shortest round-trip time.
const MAX_STRETCH: u32 = 4;

/// Bytes after which a stretched window shrinks again, in windows of what was in flight.
const STRETCH_LASTS: u64 = 16;

/// Every receiver has room for more blocks than this.
const FEWEST_BLOCKS: usize = 16;

const MIN_REORDERING: Duration = Duration::from_micros(500);
const MAX_REORDERING: Duration = Duration::from_millis(50);

impl Detector {
    /// Notes a transmission and gives it its number.
    pub(super) fn record(&mut self, tsn: Tsn, is_first: bool, now: Instant) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.log(is_first).push_back(Transmission { tsn, number, sent_at: now });
        number
    }

    fn log(&mut self, is_first: bool) -> &mut VecDeque<Transmission> {
        if is_first { &mut self.firsts } else { &mut self.repeats }
    }

    /// A transmission has arrived, after `took`.
    pub(super) fn arrived(&mut self, number: u64, sent_at: Instant, took: Duration) {
        if self.newest.is_none_or(|(newest, ..)| number > newest) {
            self.newest = Some((number, sent_at, took));
        }
    }

    pub(super) fn reported(&mut self, tsn: Tsn) {
        self.highest_reported = self.highest_reported.max(tsn);
    }

    /// What lies beyond the last block of a SACK that was cut short may well be there.
    fn may_be_unreported(&self, tsn: Tsn) -> bool {
        self.is_cut && tsn > self.highest_reported
    }

    /// Judges by the number of its blocks whether the latest SACK may have been cut short; returns whether that is so of it or
    /// the one before. Every receiver stops somewhere: Chromium's at twenty blocks, others at the length of a packet. So the most
    /// there ever were, if they were many, may be all that there was room for.
    pub(super) fn count_blocks(&mut self, count: usize) -> bool {
        self.most_blocks = self.most_blocks.max(count);
        let is_cut = count >= FEWEST_BLOCKS.max(self.most_blocks);
        std::mem::replace(&mut self.is_cut, is_cut) || is_cut
    }

    /// A repetition was not needed.
    pub(super) fn repeated_in_vain(&mut self, delivered: u64) {
        self.stretch = (self.stretch + 1).min(MAX_STRETCH - 1);
        self.stretched_at = delivered;
    }
}

impl Flight {
    /// How much later than its successor a chunk may arrive without being lost.
    fn reordering_window(&mut self) -> Duration {
        let minimum = self.round_trip.minimum().unwrap_or(MIN_REORDERING * 4);
        let age = self.delivery.delivered.saturating_sub(self.detector.stretched_at);
        if self.detector.stretch > 0 && age > STRETCH_LASTS * self.on_way.max(20_000) {
            self.detector.stretch -= 1;
            self.detector.stretched_at = self.delivery.delivered;
        }
        (minimum * (1 + self.detector.stretch) / 4).clamp(MIN_REORDERING, MAX_REORDERING)
    }

    /// Marks what is lost by now. Returns the bytes, and when to look again.
    pub(crate) fn detect_losses(&mut self, now: Instant) -> (u64, Option<Instant>) {
        let Some((newest, _, took)) = self.detector.newest else { return (0, None) };
        let patience = took + self.reordering_window();
        let (lost, soon) = self.detect_in(true, (newest, patience), now);
        let (lost_again, later) = self.detect_in(false, (newest, patience), now);
        let lost_unseen = self.detect_reportable();
        (lost + lost_again + lost_unseen, soon.into_iter().chain(later).min())
    }

    fn detect_in(
        &mut self,
        is_first: bool,
        (newest, patience): (u64, Duration),
        now: Instant,
    ) -> (u64, Option<Instant>) {
        let mut lost = 0;
        while let Some(&oldest) = self.detector.log(is_first).front() {
            if self.is_current(&oldest) {
                if oldest.number > newest {
                    return (lost, None);
                }
                // Nothing tells when what cannot be reported has left the path; a queue may have grown since `newest`.
                let is_unreported = self.detector.may_be_unreported(oldest.tsn);
                let deadline = oldest.sent_at + if is_unreported { patience * 3 / 2 } else { patience };
                if now < deadline {
                    return (lost, Some(deadline));
                }
                if is_unreported {
                    self.uncount(oldest.tsn);
                    self.detector.unreported.push_back(oldest);
                } else {
                    lost += self.lose(oldest.tsn);
                }
            }
            self.detector.log(is_first).pop_front();
        }
        (lost, None)
    }

    /// Looks again at what the peer could not report before.
    fn detect_reportable(&mut self) -> u64 {
        let mut lost = 0;
        while let Some(&oldest) = self.detector.unreported.front() {
            if self.is_current(&oldest) {
                if self.detector.may_be_unreported(oldest.tsn) {
                    break;
                }
                lost += self.lose(oldest.tsn);
            }
            self.detector.unreported.pop_front();
        }
        lost
    }

    fn is_current(&self, transmission: &Transmission) -> bool {
        self.get(transmission.tsn)
            .is_some_and(|sent| sent.state == State::InFlight && sent.number == transmission.number)
    }

    /// Takes a chunk for lost. Returns its bytes.
    fn lose(&mut self, tsn: Tsn) -> u64 {
        self.uncount(tsn);
        let Some(sent) = self.get_mut(tsn) else { return 0 };
        sent.state = State::Lost;
        let size = sent.size();
        self.delivery.lost += size;
        self.lost.push_back(tsn);
        size
    }

    /// The peer has been silent: the oldest chunk is sent again, to make it say what it has. What else is lost shows then.
    pub(crate) fn probe(&mut self) {
        if self.next_lost_len().is_none() {
            let oldest = (self.base..self.next_tsn())
                .find(|&tsn| self.get(tsn).is_some_and(|sent| sent.state == State::InFlight));
            if let Some(tsn) = oldest {
                self.lose(tsn);
            }
        }
        self.probed = self.lost.front().copied();
    }

    /// Chunks that the peer had reported and now lacks are sent again. The peer may do that (RFC 9260 §6.2), and it shows when
    /// the first one it lacks is one that it had.
    pub(super) fn find_taken_back(&mut self) {
        let mut tsn = self.base;
        while self.get(tsn).is_some_and(|sent| sent.state == State::Acked) {
            if let Some(sent) = self.get_mut(tsn) {
                sent.state = State::Lost;
            }
            self.lost.push_back(tsn);
            tsn += 1;
        }
        self.scoreboard.forget_before(tsn);
    }
}
