//! Events of other nodes may have been missed: what this node keeps of the cluster is fetched anew, and who was told of it
//! is told how it is.

use std::sync::{Arc, atomic::Ordering};

use futures_util::StreamExt;

use super::inner::Inner;
use crate::{
    Cause, Event, EventKind, Notice, UserKey, channel,
    cluster::{Found, Lookup},
};

/// Users who are looked up at once.
const AT_ONCE: usize = 64;

impl Inner {
    /// Listeners are told at once; lists and watched users are fetched by a task, once more where this comes again
    /// meanwhile.
    pub(super) fn resync(&self) {
        self.mine.cluster.notify(Notice::Resync);
        self.channels.missed();
        self.resyncs.notify_one();
    }

    /// Tells the watchers of a user how it is, unless they know, or hear something newer meanwhile.
    async fn tell_status(&self, user: UserKey) {
        let times = self.mine.watching.times(&user);
        let Ok(Found::Status(status)) = self.lookup(Lookup::Status(user.clone())).await else {
            return; // Nobody knows: it is told when the engine is back again.
        };
        let kind = if status.is_online() { EventKind::Update } else { EventKind::Offline };
        let (cause, at) = (Cause::Status, self.clock.utc());
        let event = Event { kind, user, status, channel: None, cause, at, data: None };
        self.mine.watching.tell_found(&event, times);
    }
}

/// Starts the task that fetches; it ends with the manager.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.engine.is_clustered() {
        return;
    }
    let (weak, due) = (Arc::downgrade(inner), inner.resyncs.clone());
    inner.room.spawn(async move {
        loop {
            due.notified().await;
            let Some(inner) = weak.upgrade() else { return };
            if inner.closing.load(Ordering::Acquire) {
                return;
            }
            channel::fetch_all(&inner).await;
            let users = inner.mine.watching.users();
            futures_util::stream::iter(users)
                .for_each_concurrent(AT_ONCE, |user| inner.tell_status(user))
                .await;
        }
    });
}
