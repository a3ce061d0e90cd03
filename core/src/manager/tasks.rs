//! What a manager does by itself: grace periods, idle hand marks, and the application's last-seen store. The tasks
//! hold it weakly and end with it.

use std::{sync::Arc, time::Duration};

use super::inner::Inner;
use crate::{Cause, UserKey, connection::ConnectionId, presence::Due};

/// How long the application's store may take for one record.
const STORE_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn start(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let deadlines = inner.deadlines.clone();
    inner.room.spawn(async move {
        loop {
            let due = deadlines.next().await;
            let Some(inner) = weak.upgrade() else { return };
            inner.handle_due(due);
        }
    });
    let Some(mut queue) = inner.mine.waiting.lock().take() else { return };
    let store = inner.mine.store.clone();
    inner.room.spawn(async move {
        while let Some((user, at)) = queue.recv().await {
            if tokio::time::timeout(STORE_LIMIT, store.record(&user, at)).await.is_err() {
                tracing::warn!("the last-seen store took more than {STORE_LIMIT:?}; the record may be lost");
            }
        }
    });
}

impl Inner {
    fn handle_due(self: &Arc<Self>, due: Due) {
        match due {
            Due::Grace { user, serial } => self.after(self.registry.expire(&user, serial)),
            Due::Idle { user, id } => self.check_idle_hand(&user, id),
            Due::HandTtl { user, id } => self.check_old_hand(&user, id),
        }
    }

    /// A hand mark is idle when nothing was heard of it for `idle_after`.
    fn check_idle_hand(&self, user: &UserKey, id: ConnectionId) {
        let Some(conn) = self.hand(user, id) else { return };
        let due = self.last_activity(&conn) + self.config.rules.timing.idle_after;
        if due <= self.clock.now() {
            self.set_idle(&conn, true);
        }
        let again = due.max(self.clock.now() + Duration::from_secs(1));
        self.deadlines.add(again, Due::Idle { user: user.clone(), id });
    }

    /// A hand mark whose `hand_ttl` passed without a word ends.
    fn check_old_hand(&self, user: &UserKey, id: ConnectionId) {
        let (Some(conn), Some(ttl)) = (self.hand(user, id), self.config.hand_ttl) else { return };
        let due = self.last_activity(&conn) + ttl;
        if due > self.clock.now() {
            return self.deadlines.add(due, Due::HandTtl { user: user.clone(), id });
        }
        let (_, diff, _) = self.registry.remove(&conn, None, Cause::Timeout, self.clock.utc());
        self.release_seat(user, id);
        self.after(diff);
    }

    fn hand(&self, user: &UserKey, id: ConnectionId) -> Option<Arc<crate::connection::Conn>> {
        self.registry.read(user, |state| {
            let members = state.map(|state| state.members()).unwrap_or_default();
            members.iter().find(|member| member.conn.id == id).map(|member| member.conn.clone())
        })
    }
}
