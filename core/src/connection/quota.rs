//! How many of something one key may hold: connections of an address, of a user.

use std::hash::Hash;

use hashbrown::HashMap;
use parking_lot::Mutex;

/// Counts per key; counting and deciding are one step. Without a limit nothing is counted.
#[derive(Debug)]
pub(crate) struct Quota<K> {
    limit: Option<usize>,
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash> Quota<K> {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, held: Mutex::default() }
    }

    /// How many one key may hold.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Takes a place; false when there is none.
    pub(crate) fn take(&self, key: K) -> bool {
        let Some(limit) = self.limit else { return true };
        let mut held = self.held.lock();
        let count = held.entry(key).or_default();
        let free = *count < limit;
        *count += usize::from(free);
        free
    }

    /// Gives a place back that [`take`](Self::take) gave.
    pub(crate) fn give(&self, key: &K) {
        if self.limit.is_none() {
            return;
        }
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                held.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_given_back_can_be_taken_again_and_leaves_no_trace() {
        let quota = Quota::new(Some(2));
        assert!(quota.take("a") && quota.take("a") && quota.take("b"));
        assert!(!quota.take("a"));
        quota.give(&"a");
        assert!(quota.take("a"));
        for key in ["a", "a", "b"] {
            quota.give(&key);
        }
        assert!(quota.held.lock().is_empty());
    }
}
