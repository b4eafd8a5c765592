//! Working through a SACK.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::flight::{Flight, Sent, State};
use super::sample::RateSample;
use crate::chunk::sack::Sack;
use crate::tsn::{Tsn, widen};

/// The blocks that the peer has reported beyond the cumulative TSN, in ascending order. SACKs repeat them; comparing the two lists
/// finds what is new without looking at a chunk twice.
#[derive(Debug, Default)]
pub(super) struct Scoreboard {
    blocks: VecDeque<(Tsn, Tsn)>,
    /// Kept for its memory.
    spare: VecDeque<(Tsn, Tsn)>,
}

impl Scoreboard {
    /// Everything before `base` is settled.
    pub(super) fn forget_before(&mut self, base: Tsn) {
        while let Some(first) = self.blocks.front_mut() {
            if first.1 >= base {
                first.0 = first.0.max(base);
                return;
            }
            self.blocks.pop_front();
        }
    }

    /// Adds the blocks of a SACK and calls `found` for every part that was not there before.
    fn merge(&mut self, reported: impl Iterator<Item = (Tsn, Tsn)>, mut found: impl FnMut(Tsn, Tsn)) {
        let mut merged = std::mem::take(&mut self.spare);
        for (start, end) in reported {
            while self.blocks.front().is_some_and(|old| old.1 < start) {
                merged.extend(self.blocks.pop_front());
            }
            let mut block = (start, end);
            if let Some(&last) = merged.back()
                && last.1 >= start
            {
                // Blocks out of order: a peer that does that gets less credit, not more.
                block.0 = last.1 + 1;
                if block.0 > block.1 {
                    continue;
                }
            }
            let mut at = block.0;
            while let Some(&old) = self.blocks.front().filter(|old| old.0 <= end) {
                if at < old.0 {
                    found(at, old.0 - 1);
                }
                at = at.max(old.1 + 1);
                block = (block.0.min(old.0), block.1.max(old.1));
                self.blocks.pop_front();
            }
            if at <= end {
                found(at, end);
            }
            merged.push_back(block);
        }
        merged.append(&mut self.blocks);
        self.spare = std::mem::replace(&mut self.blocks, merged);
    }
}

/// A chunk that has arrived: whose it was, and how much of its stream's buffer is free again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) stream: u16,
    pub(crate) generation: u64,
    pub(crate) payload: usize,
}

/// What an acknowledgement said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckReport {
    pub(crate) now: Instant,
    /// Bytes that are new.
    pub(crate) acked: u64,
    /// Bytes that turned out to be lost.
    pub(crate) lost: u64,
    /// Bytes on their way, now.
    pub(crate) flight: u64,
    /// Bytes ever delivered.
    pub(crate) delivered: u64,
    /// How long the youngest chunk took, if that is certain.
    pub(crate) round_trip: Option<Duration>,
    pub(crate) sample: Option<RateSample>,
    /// Whether the first chunk that the peer lacks is a later one than before.
    pub(crate) has_advanced: bool,
}

/// What a SACK acknowledges, while it is worked through.
struct Harvest<'a> {
    freed: &'a mut Vec<Acked>,
    bytes: u64,
    youngest: Option<(u64, Instant, super::sample::Snapshot)>,
    round_trip: Option<(u64, Duration)>,
}

/// Why a SACK is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SackError {
    /// It is older than one that was taken.
    Stale,
    /// It acknowledges what was never sent.
    Impossible,
}

impl Flight {
    /// Works through a SACK. Every chunk that has arrived is handed to `freed`.
    pub(crate) fn on_sack(
        &mut self,
        now: Instant,
        sack: &Sack,
        freed: &mut Vec<Acked>,
    ) -> Result<AckReport, SackError> {
        let cumulative = widen(self.cumulative(), sack.cumulative);
        if cumulative < self.cumulative() {
            return Err(SackError::Stale);
        }
        let next = self.next_tsn();
        if cumulative >= next {
            return Err(SackError::Impossible);
        }
        let has_advanced = cumulative > self.cumulative();
        let mut harvest = Harvest { freed, bytes: 0, youngest: None, round_trip: None };
        while self.base <= cumulative {
            self.settle(self.base, now, &mut harvest);
            if self.chunks.pop_front().is_some_and(|sent| sent.state == State::Abandoned) {
                self.abandoned -= 1;
            }
            self.base += 1;
        }
        self.scoreboard.forget_before(self.base);
        self.detector.reported(cumulative);
        // What an earlier SACK had no room for has arrived earlier than it is reported.
        let is_prompt = !self.detector.count_blocks(sack.block_count());
        self.take_blocks(now, sack, (cumulative, next), &mut harvest);
        for tsn in sack.duplicates(cumulative) {
            if self.get(tsn).is_none_or(|sent| sent.transmissions > 1) {
                self.detector.repeated_in_vain(self.delivery.delivered);
            }
        }
        self.find_taken_back();
        if !is_prompt {
            harvest.round_trip = None;
        }
        Ok(self.report(now, &harvest, has_advanced))
    }

    fn take_blocks(
        &mut self,
        now: Instant,
        sack: &Sack,
        (cumulative, next): (Tsn, Tsn),
        harvest: &mut Harvest<'_>,
    ) {
        let mut scoreboard = std::mem::take(&mut self.scoreboard);
        let known = sack.blocks(cumulative).filter(|&(_, end)| end < next);
        scoreboard.merge(known, |start, end| {
            for tsn in start..=end {
                self.settle(tsn, now, harvest);
            }
            self.detector.reported(end);
        });
        self.scoreboard = scoreboard;
    }

    /// A chunk has arrived.
    fn settle(&mut self, tsn: Tsn, now: Instant, harvest: &mut Harvest<'_>) {
        let minimum = self.round_trip.minimum();
        self.uncount(tsn);
        let Some(sent) = self.get_mut(tsn) else { return };
        let before = std::mem::replace(&mut sent.state, State::Acked);
        if before == State::Abandoned {
            sent.state = State::Abandoned;
            return;
        }
        if before == State::Acked {
            return;
        }
        if std::mem::take(&mut sent.is_held) {
            let Sent { fragment, .. } = &*sent;
            let (stream, generation) = (fragment.stream, fragment.generation);
            harvest.freed.push(Acked { stream, generation, payload: fragment.payload.len() });
        }
        let size = sent.size();
        let took = now.saturating_duration_since(sent.at);
        let (number, sent_at, snapshot, transmissions) =
            (sent.number, sent.at, sent.snapshot, sent.transmissions);
        harvest.bytes += size;
        if before == State::Lost {
            // It was late, not lost.
            self.delivery.lost = self.delivery.lost.saturating_sub(size);
        }
        // Of a chunk that was sent twice nobody can tell which one has arrived; faster than ever it cannot have been. An answer
        // to a probe is one, though: the first one would have come before.
        let is_probe = self.probed == Some(tsn);
        if transmissions > 1 && !is_probe && minimum.is_some_and(|minimum| took < minimum) {
            return;
        }
        self.detector.arrived(number, sent_at, took);
        if harvest.youngest.is_none_or(|(youngest, ..)| number > youngest) {
            harvest.youngest = Some((number, sent_at, snapshot));
        }
        if transmissions == 1 && harvest.round_trip.is_none_or(|(youngest, _)| number > youngest) {
            harvest.round_trip = Some((number, took));
        }
    }

    fn report(&mut self, now: Instant, harvest: &Harvest<'_>, has_advanced: bool) -> AckReport {
        let round_trip = harvest.round_trip.map(|(_, took)| took);
        if let Some(took) = round_trip {
            self.round_trip.update(took);
        }
        if harvest.bytes > 0 {
            self.round_trip.forget_backoff();
        }
        let sample = if let Some((_, sent_at, snapshot)) = harvest.youngest {
            self.delivery.sample(now, harvest.bytes, &snapshot, sent_at)
        } else {
            self.delivery.delivered += harvest.bytes;
            None
        };
        AckReport {
            now,
            acked: harvest.bytes,
            lost: 0,
            flight: self.on_way,
            delivered: self.delivery.delivered,
            round_trip,
            sample,
            has_advanced,
        }
    }
}
