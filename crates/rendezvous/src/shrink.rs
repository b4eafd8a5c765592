//! Tables that give back what they needed while many clients were there.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// A table that keeps the room for what it once held until it is told not to.
pub(crate) trait Shrink {
    /// Gives back most of its room if three quarters of it are unused. Cheap otherwise.
    fn shrink_if_sparse(&mut self);
}

impl<K: Eq + Hash, V, S: BuildHasher> Shrink for HashMap<K, V, S> {
    fn shrink_if_sparse(&mut self) {
        if is_sparse(self.len(), self.capacity()) {
            self.shrink_to(2 * self.len());
        }
    }
}

impl<T> Shrink for VecDeque<T> {
    fn shrink_if_sparse(&mut self) {
        if is_sparse(self.len(), self.capacity()) {
            self.shrink_to(2 * self.len());
        }
    }
}

fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > SMALL && len < capacity / 4
}

/// Room that is not worth giving back, in entries.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_any_more_is_given_back_and_nothing_is_lost() {
        let mut map: HashMap<u32, u32> = (0..10_000).map(|number| (number, number)).collect();
        let mut queue: VecDeque<u32> = (0..10_000).collect();
        let full = (map.capacity(), queue.capacity());
        map.shrink_if_sparse();
        queue.shrink_if_sparse();
        assert_eq!((map.capacity(), queue.capacity()), full, "they are in use");
        map.retain(|number, _| number % 100 == 0);
        queue.retain(|number| number % 100 == 0);
        map.shrink_if_sparse();
        queue.shrink_if_sparse();
        assert!(map.capacity() < 1_000 && queue.capacity() < 1_000);
        assert!(map.len() == 100 && queue.len() == 100 && map.contains_key(&9_900));
    }
}
