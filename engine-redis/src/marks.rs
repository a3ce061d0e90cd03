//! [`Marks`]: what this node sends to itself, to know that everything before it has come.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Marks under way, by number.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

/// A mark under way. It is forgotten when this is dropped.
#[derive(Debug)]
pub(crate) struct Mark<'a> {
    marks: &'a Marks,
    pub(crate) number: u64,
    come: oneshot::Receiver<()>,
}

impl Marks {
    /// A mark that is about to be sent.
    pub(crate) fn begin(&self) -> Mark<'_> {
        let number = self.last.fetch_add(1, Relaxed) + 1;
        let (tell, come) = oneshot::channel();
        self.waiting.lock().insert(number, tell);
        Mark { marks: self, number, come }
    }

    /// Whether somebody waits for this one.
    pub(crate) fn is_waiting(&self, number: u64) -> bool {
        self.waiting.lock().contains_key(&number)
    }

    /// It came back.
    pub(crate) fn came(&self, number: u64) {
        if let Some(tell) = self.waiting.lock().remove(&number) {
            let _ = tell.send(()); // Whoever waited may have gone.
        }
    }
}

impl Mark<'_> {
    /// Waits until it has come back.
    pub(crate) async fn came(&mut self) {
        let _ = (&mut self.come).await;
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.marks.waiting.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_is_waited_for_and_forgotten() {
        let marks = Marks::default();
        let (mut first, second) = (marks.begin(), marks.begin());
        assert_ne!(first.number, second.number);
        assert!(marks.is_waiting(first.number) && !marks.is_waiting(99));
        marks.came(first.number);
        first.came().await;
        drop((first, second));
        assert!(marks.waiting.lock().is_empty());
    }
}
