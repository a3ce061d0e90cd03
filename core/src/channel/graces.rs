//! In which channels a user is only by grace: how its return, or its end, finds them.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::name::ChannelKey;
use crate::{UserKey, UserRef};

type ByUser = HashMap<UserKey, SmallVec<[ChannelKey; 1]>>;

/// The channels of each user whose membership is a grace.
#[derive(Debug, Default)]
pub(crate) struct Graces {
    by_user: Mutex<ByUser>,
    users: AtomicUsize,
}

impl Graces {
    pub(crate) fn add(&self, user: &UserKey, channel: &ChannelKey) {
        self.with(|by_user| by_user.entry_ref(user).or_default().push(channel.clone()));
    }

    pub(crate) fn remove(&self, user: &UserKey, channel: &ChannelKey) {
        self.with(|by_user| {
            let Some(channels) = by_user.get_mut(user) else { return };
            channels.retain(|one| one != channel);
            if channels.is_empty() {
                by_user.remove(user);
            }
        });
    }

    /// Free of locks while nobody is in a grace.
    pub(crate) fn of<'a>(&self, user: impl Into<UserRef<'a>>) -> SmallVec<[ChannelKey; 1]> {
        if self.is_empty() {
            return SmallVec::new();
        }
        self.by_user.lock().get(&user.into()).cloned().unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.load(Ordering::Acquire) == 0
    }

    fn with(&self, f: impl FnOnce(&mut ByUser)) {
        let mut by_user = self.by_user.lock();
        f(&mut by_user);
        if by_user.is_empty() {
            *by_user = HashMap::new();
        }
        self.users.store(by_user.len(), Ordering::Release);
    }
}
