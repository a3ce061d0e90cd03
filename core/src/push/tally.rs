//! What came of a push, summed over lanes, and when the last of them is done.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::oneshot;

use crate::connection::Sent;

/// What came of a push, summed over lanes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    matched: AtomicUsize,
    enqueued: AtomicUsize,
    dropped: AtomicUsize,
    held: AtomicUsize,
}

/// The sums of a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) matched: usize,
    pub(crate) enqueued: usize,
    pub(crate) dropped: usize,
    pub(crate) held: usize,
}

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            matched: self.matched.load(Ordering::Acquire),
            enqueued: self.enqueued.load(Ordering::Acquire),
            dropped: self.dropped.load(Ordering::Acquire),
            held: self.held.load(Ordering::Acquire),
        }
    }

    pub(super) fn add(&self, counts: Counts) {
        self.matched.fetch_add(counts.matched, Ordering::AcqRel);
        self.enqueued.fetch_add(counts.enqueued, Ordering::AcqRel);
        self.dropped.fetch_add(counts.dropped, Ordering::AcqRel);
        self.held.fetch_add(counts.held, Ordering::AcqRel);
    }
}

impl Counts {
    pub(crate) fn count(&mut self, sent: Sent) {
        self.matched += 1;
        match sent {
            Sent::Taken => self.enqueued += 1,
            Sent::Displaced(older) => {
                self.enqueued += 1;
                self.dropped += older;
            }
            Sent::Dropped => self.dropped += 1,
            Sent::Held(_) => {
                self.matched -= 1;
                self.held += 1;
            }
            Sent::Closed => self.matched -= 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.enqueued += other.enqueued;
        self.dropped += other.dropped;
        self.held += other.held;
    }
}

/// A push under way in lanes: the sums so far, and when the last of its commands is gone, done or not.
#[derive(Debug)]
pub(crate) struct Waiting {
    tally: Arc<Tally>,
    done: oneshot::Receiver<()>,
}

impl Waiting {
    pub(super) fn new() -> (Arc<Share>, Self) {
        let (tell, done) = oneshot::channel();
        let tally = Arc::new(Tally::default());
        (Arc::new(Share { tally: tally.clone(), _done: tell }), Self { tally, done })
    }

    /// Waits for the lanes. Cancel safe: they go on.
    pub(crate) async fn counts(self) -> Counts {
        let _ = self.done.await; // Resolves when the last share, which holds the sender, is dropped.
        self.tally.counts()
    }
}

/// What the commands of one push have in common.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) tally: Arc<Tally>,
    _done: oneshot::Sender<()>,
}
