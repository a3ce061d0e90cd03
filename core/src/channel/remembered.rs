//! Whose membership ended by a disconnect not long ago: what makes an `online` of a `join`. Bounded, oldest out first.

use std::{collections::VecDeque, time::Duration};

use hashbrown::{Equivalent, HashMap};

use super::name::{ChannelKey, Named};
use crate::{Instant, UserKey};

/// The most memberships that one node remembers.
const BOUND: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ended {
    channel: ChannelKey,
    user: UserKey,
}

#[derive(Hash)]
struct Looked<'a> {
    channel: Named<'a>,
    user: &'a UserKey,
}

impl Equivalent<Ended> for Looked<'_> {
    fn equivalent(&self, key: &Ended) -> bool {
        self.channel.equivalent(&key.channel) && *self.user == key.user
    }
}

/// Memberships that ended, until they are forgotten.
#[derive(Debug)]
pub(crate) struct Remembered {
    time: Duration,
    bound: usize,
    until: HashMap<Ended, Instant>,
    /// The same in the order of their ends; one that came back meanwhile is left in here.
    order: VecDeque<(Instant, Ended)>,
}

impl Remembered {
    /// Remembers each for this long; zero: nothing.
    pub(crate) fn new(time: Duration) -> Self {
        Self { time, bound: BOUND, until: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers a membership. Returns when to [`purge`](Self::purge), where nothing was waiting for that.
    pub(crate) fn add(&mut self, channel: &ChannelKey, user: &UserKey, now: Instant) -> Option<Instant> {
        if self.time.is_zero() {
            return None;
        }
        self.purge(now);
        if self.order.len() >= self.bound
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
        let (was_empty, until) = (self.order.is_empty(), crate::clock::later(now, self.time));
        let ended = Ended { channel: channel.clone(), user: user.clone() };
        self.order.push_back((until, ended.clone()));
        self.until.insert(ended, until);
        was_empty.then_some(until)
    }

    /// Whether it is remembered; from here on it is not.
    pub(crate) fn take(&mut self, channel: &ChannelKey, user: &UserKey, now: Instant) -> bool {
        if self.until.is_empty() {
            return false;
        }
        let until = self.until.remove(&Looked { channel: channel.into(), user });
        until.is_some_and(|until| until > now)
    }

    /// Forgets what is over. Returns when to come again, where something is left.
    pub(crate) fn purge(&mut self, now: Instant) -> Option<Instant> {
        while let Some(ended) = self.order.front().filter(|(until, _)| *until <= now).cloned() {
            self.order.pop_front();
            self.forget(&ended);
        }
        if self.order.is_empty() {
            (self.order, self.until) = (VecDeque::new(), HashMap::new()); // Nothing remembered takes no memory.
        }
        self.order.front().map(|(until, _)| *until)
    }

    fn forget(&mut self, (until, ended): &(Instant, Ended)) {
        // It may have come back and ended again: then it is remembered for longer.
        if self.until.get(ended) == Some(until) {
            self.until.remove(ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, SystemClock};

    const MINUTE: Duration = Duration::from_secs(60);

    fn fixture() -> (Remembered, ChannelKey, Instant) {
        (Remembered::new(2 * MINUTE), "lobby".into(), SystemClock.now())
    }

    #[test]
    fn it_is_remembered_once_and_for_its_time() {
        let (mut ended, lobby, now) = fixture();
        assert_eq!(ended.add(&lobby, &"u1".into(), now), Some(now + 2 * MINUTE));
        assert_eq!(ended.add(&lobby, &"u2".into(), now + MINUTE), None);
        assert!(!ended.take(&"other".into(), &"u1".into(), now));
        assert!(!ended.take(&ChannelKey::in_account("a", "lobby"), &"u1".into(), now));
        assert!(ended.take(&lobby, &"u1".into(), now + MINUTE));
        assert!(!ended.take(&lobby, &"u1".into(), now + MINUTE));
        assert!(!ended.take(&lobby, &"u2".into(), now + 3 * MINUTE));
    }

    #[test]
    fn what_ended_twice_is_remembered_from_the_second_time() {
        let (mut ended, lobby, now) = fixture();
        ended.add(&lobby, &"u1".into(), now);
        assert!(ended.take(&lobby, &"u1".into(), now));
        ended.add(&lobby, &"u1".into(), now + MINUTE);
        assert_eq!(ended.purge(now + 2 * MINUTE), Some(now + 3 * MINUTE));
        assert!(ended.take(&lobby, &"u1".into(), now + 2 * MINUTE));
        assert_eq!(ended.purge(now + 3 * MINUTE), None);
        assert_eq!((ended.until.capacity(), ended.order.capacity()), (0, 0));
    }

    #[test]
    fn over_the_bound_the_oldest_is_forgotten() {
        let (mut ended, lobby, now) = fixture();
        ended.bound = 10;
        for n in 0..100 {
            ended.add(&lobby, &UserKey::from(format!("u{n}")), now);
        }
        assert!(ended.until.len() <= 10 && ended.order.len() <= 10);
        assert!(!ended.take(&lobby, &"u89".into(), now) && ended.take(&lobby, &"u90".into(), now));
    }
}
