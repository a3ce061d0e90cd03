//! All deadlines of one connection in one small table.

use std::{num::NonZeroU64, time::Duration};

use crate::clock::Instant;

/// What a deadline is for. Those that end the connection come first: where several are due, they decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The peer's close frame did not come after ours.
    Farewell,
    /// The token's time is over.
    Expiry,
    /// The first message did not come, or was not answered.
    Hello,
    /// The socket takes no byte.
    Write,
    /// A message began and did not end.
    Message,
    /// Nothing arrived: a ping is due, or its answer is.
    Life,
    /// Nothing was sent that a browser could see.
    Quiet,
    /// The client is told that its token ends soon.
    Notice,
    /// The credential is looked at again.
    Recheck,
    /// The client did nothing.
    Idle,
}

impl Timer {
    const ALL: [Self; 10] = [
        Self::Farewell,
        Self::Expiry,
        Self::Hello,
        Self::Write,
        Self::Message,
        Self::Life,
        Self::Quiet,
        Self::Notice,
        Self::Recheck,
        Self::Idle,
    ];
}

/// The table. A deadline is kept as nanoseconds since the connection began, half the size of an `Option<Instant>`.
#[derive(Debug)]
pub(crate) struct Timers {
    origin: Instant,
    due: [Option<Moment>; Timer::ALL.len()],
}

/// Nanoseconds after the table's beginning and one more: eight bytes where an [`Instant`] takes sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

impl Timers {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, due: [None; Timer::ALL.len()] }
    }

    /// Nanoseconds from the start of the connection to `at`; zero for what lies before it.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// A moment to keep; what lies before the beginning is the beginning.
    pub(crate) fn moment(&self, at: Instant) -> Moment {
        Moment(NonZeroU64::MIN.saturating_add(self.nanos(at)))
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.due[timer as usize] = Some(self.moment(at));
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.due[timer as usize] = None;
    }

    pub(crate) fn clear(&mut self) {
        self.due = [None; Timer::ALL.len()];
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        self.due[timer as usize].map(|due| self.instant(due))
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.due[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().map(|due| self.instant(*due))
    }

    /// Takes out a deadline that has passed, with when it was.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let now = self.moment(now);
        let timer =
            Timer::ALL.into_iter().find(|timer| self.due[*timer as usize].is_some_and(|due| due <= now))?;
        self.due[timer as usize].take().map(|due| (timer, self.instant(due)))
    }

    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.origin + Duration::from_nanos(moment.0.get() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, SystemClock};

    #[test]
    fn the_earliest_is_next_and_each_is_popped_once() {
        let now = SystemClock.now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut timers = Timers::new(now);
        assert_eq!(timers.next(), None);
        timers.set(Timer::Life, at(30));
        timers.set(Timer::Hello, at(10));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(10)), Some((Timer::Hello, at(10))));
        assert_eq!(timers.pop(at(10)), None);
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn what_ends_the_connection_is_popped_first() {
        let now = SystemClock.now();
        let mut timers = Timers::new(now);
        timers.set(Timer::Idle, now);
        timers.set(Timer::Expiry, now + Duration::from_secs(1));
        assert_eq!(timers.pop(now + Duration::from_secs(2)).map(|due| due.0), Some(Timer::Expiry));
    }

    #[test]
    fn the_order_of_the_table_is_the_order_of_the_enum() {
        assert!(Timer::ALL.iter().enumerate().all(|(index, timer)| *timer as usize == index));
    }
}
