//! When grace periods end, and whatever else is due at a moment: one queue, one task, exact deadlines.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Instant, UserKey, channel::ChannelKey};

/// A grace period that ends, if it is still the one of this serial.
#[derive(Clone, Debug)]
pub(crate) struct Grace {
    pub(crate) user: UserKey,
    pub(crate) serial: u64,
}

/// Something that is due.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// A user's grace period ends.
    Grace(Grace),
    /// A membership's grace period ends, if it is still the one of this serial.
    Membership { channel: ChannelKey, user: UserKey, serial: u64 },
    /// The watchers of a channel are told what happened.
    Feed(ChannelKey),
    /// Memberships that ended long ago are forgotten.
    Forget,
    /// Nothing: the task looks whether its manager is still there.
    Nothing,
}

#[derive(Debug, Default)]
struct Queue {
    serial: u64,
    due: BTreeMap<(Instant, u64), Due>,
}

/// The queue; [`next`](Self::next) is its task's.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    queue: Mutex<Queue>,
    earlier: Notify,
}

impl Deadlines {
    /// A number no other grace period has.
    pub(crate) fn serial(&self) -> u64 {
        let mut queue = self.queue.lock();
        queue.serial += 1;
        queue.serial
    }

    pub(crate) fn add(&self, at: Instant, due: Due) {
        let mut queue = self.queue.lock();
        queue.serial += 1;
        let serial = queue.serial;
        let first = queue.due.first_key_value().is_none_or(|((next, _), _)| at < *next);
        queue.due.insert((at, serial), due);
        drop(queue);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Makes something due that is nothing, so that the task looks whether its manager is still there.
    pub(crate) fn wake(&self, past: Instant) {
        self.add(past, Due::Nothing);
    }

    /// Waits for the next thing that is due. Cancel safe.
    pub(crate) async fn next(&self) -> Due {
        loop {
            let first = self.queue.lock().due.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = first else {
                self.earlier.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => {
                    let mut queue = self.queue.lock();
                    if let Some(entry) = queue.due.first_entry().filter(|entry| entry.key().0 <= at) {
                        return entry.remove();
                    }
                }
                () = self.earlier.notified() => {}
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().due.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Clock, SystemClock};

    #[tokio::test(start_paused = true)]
    async fn what_is_due_first_comes_first_though_it_was_added_later() {
        let (deadlines, now) = (Deadlines::default(), SystemClock.now());
        let grace = |user: &str| Due::Grace(Grace { user: user.into(), serial: 1 });
        deadlines.add(now + Duration::from_secs(5), grace("late"));
        let add_early = async {
            tokio::task::yield_now().await;
            deadlines.add(now + Duration::from_secs(1), grace("early"));
        };
        let (due, ()) = tokio::join!(deadlines.next(), add_early);
        assert!(matches!(due, Due::Grace(due) if due.user.login_id() == "early"));
        assert_eq!(SystemClock.now() - now, Duration::from_secs(1));
        assert!(matches!(deadlines.next().await, Due::Grace(due) if due.user.login_id() == "late"));
        assert_eq!(deadlines.len(), 0);
    }
}
