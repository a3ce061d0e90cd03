//! [`Gate`]: lets through what a test gives it, and nothing else: how slow a link is does not depend on how fast a machine is.

use tokio::sync::watch;

/// Open, until something is given.
#[derive(Default)]
pub(crate) struct Gate {
    /// How much may pass still; `None` for everything.
    room: watch::Sender<Option<usize>>,
    /// How many wait.
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// So much may pass from now on, and no more until more is given.
    pub(crate) fn give(&self, amount: usize) {
        self.room.send_replace(Some(amount));
    }

    /// Waits until something may pass. What is larger than the room that is left passes, and takes all of it.
    pub(crate) async fn pass(&self, amount: usize) {
        let mut room = self.room.subscribe();
        loop {
            if self.take(amount) {
                return;
            }
            let _waiting = Waiting::new(&self.waiting);
            let _ = room.wait_for(|room| *room != Some(0)).await; // The sender is this gate's.
        }
    }

    /// Waits until somebody waits here, and lets one through.
    pub(crate) async fn step(&self) {
        let mut waiting = self.waiting.subscribe();
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
        self.give(1);
        // It has passed before the next one may.
        let mut room = self.room.subscribe();
        let _ = room.wait_for(|room| *room == Some(0)).await;
    }

    fn take(&self, amount: usize) -> bool {
        let mut is_taken = true;
        self.room.send_if_modified(|room| match room {
            None => false,
            Some(0) => {
                is_taken = false;
                false
            }
            Some(left) => {
                *left = left.saturating_sub(amount);
                true
            }
        });
        is_taken
    }
}

/// Counts one who waits, also where it is given up.
struct Waiting<'g>(&'g watch::Sender<usize>);

impl<'g> Waiting<'g> {
    fn new(waiting: &'g watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}
