//! Who is there, in the order in which they came: what an application keeps beside a library that does not.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One handle per connection.
pub(super) struct Connections<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    by_arrival: BTreeMap<u64, T>,
    arrivals: u64,
    /// Who had the last turn.
    last: Option<u64>,
}

impl<T> Clone for Connections<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner { by_arrival: BTreeMap::new(), arrivals: 0, last: None })))
    }
}

impl<T> Connections<T> {
    /// It is gone when what is returned is.
    pub(super) fn add(&self, handle: T) -> Seat<T> {
        let mut inner = self.lock();
        let number = inner.arrivals;
        inner.arrivals += 1;
        inner.by_arrival.insert(number, handle);
        Seat { of: self.clone(), number }
    }

    pub(super) fn each(&self, tell: impl FnMut(&mut T)) {
        self.lock().by_arrival.values_mut().for_each(tell);
    }

    /// The one whose turn it is.
    pub(super) fn next<R>(&self, tell: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut inner = self.lock();
        let after = inner.last.map_or(Unbounded, Excluded);
        let number = match inner.by_arrival.range((after, Unbounded)).next() {
            Some((number, _)) => *number,
            None => *inner.by_arrival.first_key_value()?.0,
        };
        inner.last = Some(number);
        inner.by_arrival.get_mut(&number).map(tell)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Connections<UnboundedSender<M>> {
    /// A connection that is told through a channel.
    pub(super) fn join(&self) -> (Seat<UnboundedSender<M>>, UnboundedReceiver<M>) {
        let (give, take) = unbounded_channel();
        (self.add(give), take)
    }
}

impl<M: Clone> Connections<UnboundedSender<M>> {
    pub(super) fn send_to_all(&self, message: &M) {
        self.each(|connection| drop(connection.send(message.clone())));
    }

    pub(super) fn send_to_next(&self, message: M) {
        self.next(|connection| drop(connection.send(message)));
    }
}

/// The place of a connection among the others, until it is dropped.
pub(super) struct Seat<T> {
    of: Connections<T>,
    number: u64,
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        let left = self.of.lock().by_arrival.remove(&self.number);
        drop(left); // after the lock: a handle may have something to do when it goes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(connections: &Connections<&'static str>, count: usize) -> Vec<&'static str> {
        (0..count).filter_map(|_| connections.next(|name| *name)).collect()
    }

    #[test]
    fn each_has_a_turn_in_the_order_of_arrival() {
        let connections = Connections::default();
        let _seats = ["a", "b", "c"].map(|name| connections.add(name));
        assert_eq!(turns(&connections, 4), ["a", "b", "c", "a"]);
    }

    #[test]
    fn who_left_has_no_turn_any_more() {
        let connections = Connections::default();
        let [a, _b, c] = ["a", "b", "c"].map(|name| connections.add(name));
        assert_eq!(turns(&connections, 1), ["a"]);
        drop(a);
        assert_eq!(turns(&connections, 2), ["b", "c"]);
        drop(c);
        assert_eq!(turns(&connections, 2), ["b", "b"]);
    }

    #[test]
    fn nobody_has_a_turn_where_nobody_is() {
        assert!(turns(&Connections::default(), 1).is_empty());
    }
}
