//! How many bytes all streams of a node keep together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Room {
    used: AtomicUsize,
    limit: usize,
    /// Whether clients may come back to other nodes.
    shared: AtomicBool,
}

impl Room {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit, shared: AtomicBool::new(false) }
    }

    /// There are other nodes, to which streams may move.
    pub(crate) fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// Takes `more` and gives `less` back, in one step; false, and nothing is changed, where there is no room.
    pub(super) fn exchange(&self, more: usize, less: usize) -> bool {
        if more == less {
            return true; // Frames of one size, the usual case, cost nothing here.
        }
        if more < less {
            self.used.fetch_sub(less - more, Ordering::Relaxed);
            return true;
        }
        let more = more - less;
        if self.used.fetch_add(more, Ordering::Relaxed) + more > self.limit {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(super) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether less than an eighth is left, so that parked connections have to go.
    pub(super) fn is_scarce(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit - self.limit / 8
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
