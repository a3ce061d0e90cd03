//! When a user was last here: outlives the user, bounded in memory, with a trait for the application's own store.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{UserKey, UserRef};

/// A store of one's own for "last seen", a column of the user table for one.
///
/// `record` is called once for each `Offline`, off the hot path, one call at a time and with a deadline of 5 s;
/// a failure is logged and counted, and costs nobody else anything.
#[async_trait]
pub trait LastSeen: Send + Sync + 'static {
    /// Remembers when `user` was last here.
    async fn record(&self, user: &UserKey, at: DateTime<Utc>);

    /// When `user` was last here, if known.
    async fn last_seen(&self, user: &UserKey) -> Option<DateTime<Utc>>;
}

/// The null object: remembers nothing beyond what the manager keeps in memory.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoLastSeen;

#[async_trait]
impl LastSeen for NoLastSeen {
    async fn record(&self, _: &UserKey, _: DateTime<Utc>) {}

    async fn last_seen(&self, _: &UserKey) -> Option<DateTime<Utc>> {
        None
    }
}

/// The most recent users, in two generations: when the young one is full, the old one is forgotten whole. Between
/// half the bound and the bound are remembered, at the cost of one map operation each: the young one is asked first,
/// so what the old one says of the same user may stand.
#[derive(Debug)]
pub(crate) struct RecentlySeen {
    generation: usize,
    maps: Mutex<[HashMap<UserKey, DateTime<Utc>>; 2]>,
}

impl RecentlySeen {
    pub(crate) fn new(bound: usize) -> Self {
        Self { generation: bound.div_ceil(2), maps: Mutex::default() }
    }

    pub(crate) fn record(&self, user: &UserKey, at: DateTime<Utc>) {
        if self.generation == 0 {
            return;
        }
        let mut maps = self.maps.lock();
        let [young, old] = &mut *maps;
        if young.len() >= self.generation && !young.contains_key(user) {
            std::mem::swap(young, old);
            young.clear(); // Keeps its room: growing into it again would cost each generation anew.
        }
        young.insert(user.clone(), at);
    }

    pub(crate) fn get<'a>(&self, user: impl Into<UserRef<'a>>) -> Option<DateTime<Utc>> {
        let (user, maps) = (user.into(), self.maps.lock());
        maps.iter().find_map(|map| map.get(&user).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_the_latest_and_never_more_than_its_bound() {
        let seen = RecentlySeen::new(10);
        let at = DateTime::UNIX_EPOCH;
        for n in 0..100 {
            seen.record(&UserKey::from(format!("u{n}")), at);
        }
        let known = (0..100).filter(|n| seen.get(&UserKey::from(format!("u{n}"))).is_some()).count();
        assert!((5..=10).contains(&known), "{known}");
        assert_eq!(seen.get(&"u99".into()), Some(at));
    }
}
