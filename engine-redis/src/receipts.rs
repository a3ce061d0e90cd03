//! [`Receipts`]: pushes whose receipts are still to come, and the sum of what has come. No I/O; the time is handed in.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use herenow::{Instant, RemoteCounts};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::frame::Counted;

/// Pushes under way. A receipt may come before it is known how many there are to be.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    last: u64,
    pushes: HashMap<u64, Push>,
    /// In the order in which their time is over, since each has the same.
    by_time: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
struct Push {
    /// Nodes it was sent to; unknown while it waits to be sent.
    told: Option<u64>,
    answered: u64,
    sum: RemoteCounts,
    tell: oneshot::Sender<RemoteCounts>,
}

/// So long an answer is waited for; then what has come is the sum.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

impl Receipts {
    /// A push begins: its number, and where the sum will be told.
    pub(crate) fn begin(&self, now: Instant) -> (u64, oneshot::Receiver<RemoteCounts>) {
        let (tell, told) = oneshot::channel();
        let mut under_way = self.under_way.lock();
        under_way.last += 1;
        let number = under_way.last;
        let push = Push { told: None, answered: 0, sum: RemoteCounts::default(), tell };
        under_way.pushes.insert(number, push);
        under_way.by_time.push_back((now + PATIENCE, number));
        (number, told)
    }

    /// Whether somebody still wants to know; if not, nobody need be asked.
    pub(crate) fn is_awaited(&self, number: u64) -> bool {
        let mut under_way = self.under_way.lock();
        let awaited = under_way.pushes.get(&number).is_some_and(|push| !push.tell.is_closed());
        if !awaited {
            under_way.pushes.remove(&number);
        }
        awaited
    }

    /// It was sent to so many nodes, and is kept for so many that left.
    pub(crate) fn sent(&self, number: u64, told: u64, kept: u64) {
        self.change(number, |push| {
            push.told = Some(told);
            push.sum.held += kept as usize;
        });
    }

    /// It could not be sent, or nobody knows whether it was: nothing is told.
    pub(crate) fn give_up(&self, number: u64) {
        let mut under_way = self.under_way.lock();
        under_way.pushes.remove(&number);
        // What is refused at once, however often, leaves nothing behind.
        if under_way.by_time.back().is_some_and(|(_, last)| *last == number) {
            under_way.by_time.pop_back();
        }
    }

    /// A node says what it did.
    pub(crate) fn counted(&self, counted: Counted) {
        self.change(counted.number, |push| {
            push.answered += 1;
            push.sum.nodes += 1;
            push.sum.matched += counted.matched as usize;
            push.sum.enqueued += counted.enqueued as usize;
            push.sum.held += counted.held as usize;
        });
    }

    /// Tells the sums of those whose time is over; returns when the next one's is.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut over = Vec::new();
        let next = {
            let under_way = &mut *self.under_way.lock();
            loop {
                match under_way.by_time.front() {
                    // Most were told long ago.
                    Some((_, number)) if !under_way.pushes.contains_key(number) => {}
                    Some((at, number)) if *at <= now => over.extend(under_way.pushes.remove(number)),
                    front => break front.map(|(at, _)| *at),
                }
                under_way.by_time.pop_front();
            }
        };
        over.into_iter().for_each(Push::tell);
        next
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Push)) {
        let done = {
            let mut under_way = self.under_way.lock();
            let Some(push) = under_way.pushes.get_mut(&number) else { return };
            change(push);
            let done = push.told.is_some_and(|told| push.answered >= told);
            if done { under_way.pushes.remove(&number) } else { None }
        };
        if let Some(push) = done {
            push.tell();
        }
    }
}

impl Push {
    fn tell(self) {
        let _ = self.tell.send(self.sum); // Who pushed may not want to know.
    }
}

#[cfg(test)]
mod tests {
    use herenow::{Clock, SystemClock};

    use super::*;

    fn counted(number: u64, enqueued: u32) -> Counted {
        Counted { number, matched: enqueued, enqueued, held: 0 }
    }

    #[test]
    fn the_sum_is_told_when_all_have_answered_in_whichever_order_it_comes() {
        let receipts = Receipts::default();
        let now = SystemClock.now();
        let (number, mut told) = receipts.begin(now);
        receipts.counted(counted(number, 2));
        receipts.sent(number, 2, 1);
        assert!(told.try_recv().is_err());
        receipts.counted(counted(number, 3));
        let sum = told.try_recv().unwrap();
        assert_eq!((sum.nodes, sum.matched, sum.enqueued, sum.held), (2, 5, 5, 1));

        let (number, mut told) = receipts.begin(now);
        receipts.sent(number, 0, 0);
        assert_eq!(told.try_recv().unwrap(), RemoteCounts::default(), "nobody is waited for");
    }

    #[test]
    fn what_does_not_come_in_time_is_not_in_the_sum() {
        let receipts = Receipts::default();
        let now = SystemClock.now();
        let (first, mut told) = receipts.begin(now);
        receipts.sent(first, 2, 0);
        receipts.counted(counted(first, 1));
        let (second, _later) = receipts.begin(now + PATIENCE / 2);
        assert_eq!(receipts.expire(now), Some(now + PATIENCE));
        assert_eq!(receipts.expire(now + PATIENCE), Some(now + PATIENCE / 2 + PATIENCE));
        assert_eq!(told.try_recv().unwrap().nodes, 1);
        receipts.counted(counted(first, 1)); // Too late, and no harm.
        receipts.give_up(second);
        assert!(receipts.under_way.lock().by_time.is_empty());
        assert_eq!(receipts.expire(now), None);
        assert!(receipts.under_way.lock().pushes.is_empty());
    }

    #[test]
    fn a_receipt_that_nobody_waits_for_is_not_asked_for() {
        let receipts = Receipts::default();
        let (number, told) = receipts.begin(SystemClock.now());
        assert!(receipts.is_awaited(number));
        drop(told);
        assert!(!receipts.is_awaited(number));
        assert!(receipts.under_way.lock().pushes.is_empty());
    }
}
