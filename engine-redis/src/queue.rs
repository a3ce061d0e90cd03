//! [`queue`]: a queue that is bounded by the number of what waits in it and by its bytes, and never waits itself.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::mpsc;

/// A queue of at most so many items, and so many bytes.
pub(crate) fn queue<T>(items: usize, bytes: usize) -> (Queue<T>, Queued<T>) {
    let room = Arc::new(Room { items: AtomicUsize::new(items), bytes: AtomicUsize::new(bytes) });
    let (sender, receiver) = mpsc::unbounded_channel();
    (Queue { sender, room: room.clone() }, Queued { receiver, room })
}

/// Where items are put in.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    sender: mpsc::UnboundedSender<(T, Option<usize>)>,
    room: Arc<Room>,
}

/// Where items are taken out, in their order.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    receiver: mpsc::UnboundedReceiver<(T, Option<usize>)>,
    room: Arc<Room>,
}

/// What there is room for.
#[derive(Debug)]
struct Room {
    items: AtomicUsize,
    bytes: AtomicUsize,
}

impl<T> Queue<T> {
    /// Puts an item in that counts for so many bytes, unless there is no room, or nobody takes anything out any more.
    pub(crate) fn offer(&self, item: T, bytes: usize) -> Result<(), T> {
        if !take(&self.room.items, 1) {
            return Err(item);
        }
        if !take(&self.room.bytes, bytes) {
            self.room.items.fetch_add(1, Relaxed);
            return Err(item);
        }
        self.sender.send((item, Some(bytes))).map_err(|error| error.0.0)
    }

    /// Puts an item in that needs no room: one of which this node makes few.
    pub(crate) fn add(&self, item: T) -> Result<(), T> {
        self.sender.send((item, None)).map_err(|error| error.0.0)
    }
}

fn take(room: &AtomicUsize, wanted: usize) -> bool {
    room.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(wanted)).is_ok()
}

impl<T> Queued<T> {
    /// The next item; `None` once no more can come. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        let taken = self.receiver.recv().await;
        self.out(taken)
    }

    /// The next item, if there is one already.
    pub(crate) fn ready(&mut self) -> Option<T> {
        let taken = self.receiver.try_recv().ok();
        self.out(taken)
    }

    fn out(&self, taken: Option<(T, Option<usize>)>) -> Option<T> {
        let (item, bytes) = taken?;
        if let Some(bytes) = bytes {
            self.room.items.fetch_add(1, Relaxed);
            self.room.bytes.fetch_add(bytes, Relaxed);
        }
        Some(item)
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), room: self.room.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_holds_so_many_items_and_so_many_bytes() {
        let (queue, mut queued) = queue(2, 10);
        assert_eq!(queue.offer("a", 4), Ok(()));
        assert_eq!(queue.offer("b", 7), Err("b"), "too many bytes");
        assert_eq!(queue.offer("c", 6), Ok(()));
        assert_eq!(queue.offer("d", 0), Err("d"), "too many items");
        assert_eq!(queued.ready(), Some("a"));
        assert_eq!(queue.add("mark"), Ok(()));
        assert_eq!(queue.offer("e", 4), Ok(()));
        assert_eq!(queue.add("another"), Ok(()), "whatever the room");
        let rest: Vec<_> = std::iter::from_fn(|| queued.ready()).collect();
        assert_eq!(rest, ["c", "mark", "e", "another"]);
        assert_eq!(
            (queue.offer("g", 10), queue.offer("h", 1)),
            (Ok(()), Err("h")),
            "the same room as before"
        );
        drop(queued);
        assert_eq!(queue.offer("f", 1), Err("f"));
    }
}
