//! Which TSNs beyond the first missing one are there.

use std::collections::BTreeMap;

use crate::tsn::Tsn;

/// Blocks of consecutive TSNs, by their first.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<Tsn, Tsn>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a TSN that is not there.
    pub(super) fn insert(&mut self, tsn: Tsn) {
        let end = self.0.remove(&(tsn + 1)).unwrap_or(tsn);
        match self.0.range_mut(..tsn).next_back() {
            Some((_, last)) if *last + 1 == tsn => *last = end,
            _ => {
                self.0.insert(tsn, end);
            }
        }
    }

    /// Everything up to `cumulative` is there.
    pub(super) fn forget_until(&mut self, cumulative: Tsn) {
        while let Some(first) = self.0.first_entry() {
            let (start, end) = (*first.key(), *first.get());
            if start > cumulative {
                return;
            }
            first.remove();
            if end > cumulative {
                self.0.insert(cumulative + 1, end);
                return;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Tsn, Tsn)> {
        self.0.iter().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_block() {
        let mut ranges = Ranges::default();
        for tsn in [10, 12, 15, 11, 14] {
            ranges.insert(tsn);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(10, 12), (14, 15)]);
        ranges.forget_until(14);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(15, 15)]);
        ranges.forget_until(15);
        assert!(ranges.is_empty());
    }
}
