//! When users were last here, on all nodes together.

use chrono::{DateTime, Utc};
use futures_util::StreamExt;

use super::inner::Inner;
use crate::{
    Instant, UserKey,
    cluster::{Answer, AskTo, Query},
};

/// Lookups in the application's store that run at once.
const AT_ONCE: usize = 32;

/// When a user was last here, as far as is known.
type Seen = Option<DateTime<Utc>>;

impl Inner {
    /// When users were last here, in the order asked: of who is online the latest activity, else the last disconnect, as
    /// this node and others remember it, or the application's own store, which is not waited for beyond `until`.
    pub(crate) async fn last_seen_of(&self, users: &[UserKey], until: Option<Instant>) -> Vec<Seen> {
        let mut seen = self.last_seen_here(users);
        if self.engine.is_clustered() {
            self.ask_last_seen(users, &mut seen).await;
        }
        let Some(store) = &self.mine.store else { return seen };
        // Alone, this node knows the latest, if it knows any.
        let asks = |seen: &Seen| seen.is_none() || self.engine.is_clustered();
        let both = users.iter().cloned().zip(seen);
        let stored = futures_util::stream::iter(both.collect::<Vec<_>>()).map(|(user, seen)| async move {
            if !asks(&seen) {
                return seen;
            }
            let asked = store.last_seen(&user);
            let stored = match until {
                Some(until) => tokio::time::timeout_at(until, asked).await.ok().flatten(),
                None => asked.await,
            };
            seen.max(stored)
        });
        stored.buffered(AT_ONCE).collect().await
    }

    /// The same, as this node remembers it.
    pub(super) fn last_seen_here(&self, users: &[UserKey]) -> Vec<Seen> {
        let seen =
            |user: &UserKey| self.activity_of(user.into()).or_else(|| self.mine.seen.get(user.by_ref()));
        users.iter().map(seen).collect()
    }

    async fn ask_last_seen(&self, users: &[UserKey], seen: &mut [Seen]) {
        for answer in self.ask(AskTo::Others, &Query::LastSeen(users.to_vec())).await {
            if let Answer::LastSeen(others) = answer {
                seen.iter_mut().zip(others).for_each(|(seen, other)| *seen = (*seen).max(other));
            }
        }
    }
}
