//! The largest of the last measurements.

use std::collections::VecDeque;

use crate::units::Rate;

/// A maximum over a number of rounds. Measurements that can never be the maximum again are dropped, so a handful is kept.
#[derive(Debug, Default)]
pub(super) struct MaxFilter {
    /// Round and rate: rounds ascend, rates descend.
    samples: VecDeque<(u64, Rate)>,
}

impl MaxFilter {
    pub(super) fn update(&mut self, round: u64, rate: Rate) {
        while self.samples.back().is_some_and(|&(_, last)| last <= rate) {
            self.samples.pop_back();
        }
        self.samples.push_back((round, rate));
    }

    /// Forgets what was measured before `round`, but never the last measurement.
    pub(super) fn expire(&mut self, round: u64) {
        while self.samples.len() > 1 && self.samples.front().is_some_and(|&(of, _)| of < round) {
            self.samples.pop_front();
        }
    }

    pub(super) fn max(&self) -> Option<Rate> {
        self.samples.front().map(|&(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_that_of_the_rounds_that_count() {
        let mut filter = MaxFilter::default();
        for (round, rate) in [(1, 50), (2, 80), (3, 60), (3, 70), (4, 10)] {
            filter.update(round, Rate(rate));
        }
        assert_eq!(filter.max(), Some(Rate(80)));
        filter.expire(3);
        assert_eq!(filter.max(), Some(Rate(70)));
        filter.expire(9);
        assert_eq!(filter.max(), Some(Rate(10)), "the last measurement stays");
    }
}
