//! Events of other nodes may have been missed: what this node keeps of the cluster is fetched anew, and who was told of it
//! is told how it is.

use std::sync::{Arc, atomic::Ordering};

use futures_util::StreamExt;

use super::inner::Inner;
use crate::{
    Cause, Event, EventKind, Notice, UserKey, channel,
    cluster::{Found, Health, Lookup},
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

    /// Tells the watchers of users how they are; gives back of whom nobody says it.
    async fn tell_statuses(&self, users: Vec<UserKey>) -> Vec<UserKey> {
        let told = futures_util::stream::iter(users).map(|user| self.tell_status(user));
        told.buffer_unordered(AT_ONCE).filter_map(async |unknown| unknown).collect().await
    }

    /// Tells the watchers of a user how it is, unless they know, or hear something newer meanwhile.
    async fn tell_status(&self, user: UserKey) -> Option<UserKey> {
        let times = self.mine.watching.times(&user);
        let Ok(Found::Status(status)) = self.lookup(Lookup::Status(user.clone())).await else {
            return Some(user);
        };
        let kind = if status.is_online() { EventKind::Update } else { EventKind::Offline };
        let (cause, at) = (Cause::Status, self.clock.utc());
        let event = Event { kind, user, status, channel: None, cause, at, data: None };
        self.mine.watching.tell_found(&event, times);
        None
    }
}

/// Starts the task that fetches; it ends with the manager.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.engine.is_clustered() {
        return;
    }
    let (weak, due) = (Arc::downgrade(inner), inner.resyncs.clone());
    inner.room.spawn(async move {
        let mut unknown = Vec::new();
        loop {
            let all = tokio::select! {
                () = due.notified() => true,
                () = tokio::time::sleep(channel::AGAIN), if !unknown.is_empty() => false,
            };
            let Some(inner) = weak.upgrade() else { return };
            if inner.closing.load(Ordering::Acquire) {
                return;
            }
            if all {
                channel::fetch_all(&inner).await;
                unknown = inner.mine.watching.users();
            }
            unknown = inner.tell_statuses(unknown).await;
            if inner.engine_health() == Health::Down {
                unknown.clear(); // Once it is back all are looked up.
            }
        }
    });
}
