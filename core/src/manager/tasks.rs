//! What a manager does by itself: the end of grace periods, the feeds of channels, and the application's last-seen store. The tasks hold it
//! weakly and end with it.

use std::{sync::Arc, time::Duration};

use super::inner::Inner;
use crate::presence::{Due, Grace};

/// How long the application's store may take for one record.
const STORE_LIMIT: Duration = Duration::from_secs(5);

impl Inner {
    fn do_due(&self, due: Due) {
        match due {
            Due::Grace(Grace { user, serial }) => self.after(self.registry.expire(&user, serial)),
            Due::Membership { channel, user, serial } => self.channels.expire(&channel, &user, serial),
            Due::Feed(channel) => self.channels.tell_watchers(&channel),
            Due::Forget => self.channels.purge(),
            Due::Nothing => {}
        }
    }
}

pub(crate) fn start(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let deadlines = inner.deadlines.clone();
    inner.room.spawn(async move {
        loop {
            let due = deadlines.next().await;
            let Some(inner) = weak.upgrade() else { return };
            inner.do_due(due);
        }
    });
    let Some(store) = inner.mine.store.clone() else { return };
    let Some(mut queue) = inner.mine.waiting.lock().take() else { return };
    inner.room.spawn(async move {
        while let Some((user, at, _busy)) = queue.recv().await {
            // A task of its own: a store that panics or hangs costs its own record and no other.
            let store = store.clone();
            let record =
                tokio::spawn(async move { tokio::time::timeout(STORE_LIMIT, store.record(&user, at)).await });
            if !matches!(record.await, Ok(Ok(()))) {
                tracing::warn!(
                    "the last-seen store panicked or took more than {STORE_LIMIT:?}; the record may be lost"
                );
            }
        }
    });
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::{NoLastSeen, manager::hand::tests::session, testing};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_queued_for_a_store_that_remembers_nothing() {
        let online = testing::builder().last_seen(NoLastSeen).build().unwrap();
        let _marked = online.mark_online(session("u1", "t1")).await;
        online.mark_offline("u1", "t1").await;
        let mine = &online.inner().mine;
        assert_eq!(mine.busy.running(), 0);
        assert!(mine.waiting.lock().as_ref().is_some_and(tokio::sync::mpsc::Receiver::is_empty));
        assert!(online.last_seen("u1").await.is_some(), "the manager's own memory");
    }
}
