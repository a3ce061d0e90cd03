//! What the facade says of presence; what it is stands in [`presence`](crate::presence).

use crate::{
    Events, NamesUser, OnlineUser, Session, Status, UserKey, UserRef,
    auth::TokenId,
    cluster::{Answer, Found, Lookup, Query, Wish},
    error::InvalidInput,
    manager::{Cursor, OnlineManager, Page, hand},
    presence::Interest,
};
use std::sync::Arc;

use chrono::{DateTime, Utc};

impl OnlineManager {
    /// Whether a user is online, on any node; never fails and never scans. In the grace period after a disconnect,
    /// yes.
    pub async fn is_online(&self, login_id: impl NamesUser) -> bool {
        self.get_status(login_id).await.is_online()
    }

    /// A user's status, on all nodes together.
    pub async fn get_status(&self, login_id: impl NamesUser) -> Status {
        self.inner.status(login_id).await
    }

    /// Distinct users online on all nodes, of all accounts. Counted as they come and go, not by a scan.
    pub async fn get_online_count(&self) -> usize {
        if self.inner.engine.is_clustered()
            && let Ok(Found::Count(count)) = self.inner.lookup(Lookup::Count).await
        {
            return count;
        }
        self.inner.registry.users()
    }

    /// Sockets and streams that are open, on all nodes; hand marks are none.
    pub async fn get_connection_count(&self) -> usize {
        let others = self.inner.ask_others(|| Query::Connections).await;
        let elsewhere: usize =
            others.iter().map(|answer| if let Answer::Connections(n) = answer { *n } else { 0 }).sum();
        self.inner.registry.sockets() + elsewhere
    }

    /// The login ids of everybody online in the default account: O(n), for small installations and tests. See
    /// [`online_users`](Self::online_users) for pages.
    pub async fn get_online_users(&self) -> Vec<String> {
        let mut users = Vec::new();
        self.inner
            .each_online(|user| {
                if user.account().is_none() {
                    users.push(user.login_id().to_owned());
                }
            })
            .await;
        users
    }

    /// The users online in every account, a page at a time; `None` begins.
    pub async fn online_users(&self, cursor: Option<Cursor>, limit: usize) -> Page<UserKey> {
        self.inner.page(cursor, limit).await
    }

    /// The sessions of a user on all nodes, in the seeds' shape; tabs of one token are one. `token` is the handle.
    pub async fn get_user_sessions(&self, login_id: impl NamesUser) -> Vec<OnlineUser> {
        let sessions = self.sessions_of(login_id.named()).await.into_iter();
        sessions.map(|session| hand::online_user(login_id.named(), session)).collect()
    }

    /// The sessions of a user on all nodes, each with its status; tabs of one token are one.
    pub async fn sessions(&self, login_id: impl NamesUser) -> Vec<Session> {
        self.sessions_of(login_id.named()).await
    }

    async fn sessions_of(&self, user: UserRef<'_>) -> Vec<Session> {
        let mut sessions = self.inner.sessions_here(user);
        for answer in self.inner.ask_owners(|| (user.to_key(), Query::Sessions(user.to_key()))).await {
            if let Answer::Sessions(others) = answer {
                others.into_iter().for_each(|other| hand::merge(&mut sessions, other));
            }
        }
        sessions
    }

    /// Counts as activity of one session: its user is no longer idle.
    pub async fn update_activity(&self, login_id: impl NamesUser, token: &str) {
        let token = Some(TokenId::of(token));
        if !self.inner.touch_session(login_id.named(), token) {
            let user: UserKey = login_id.into();
            self.inner.ask_owners(|| (user.clone(), Query::Touch { user, token })).await;
        }
    }

    /// Sets a user away by hand, on every connection, until it says otherwise.
    pub async fn set_away(&self, login_id: impl NamesUser) {
        let _ = self.set_status(login_id, Status::Away).await; // No word that could be wrong.
    }

    /// Sets what every connection of a user says: online, away or a word of the application's.
    /// [`Status::Offline`] changes nothing; see [`mark_offline_all`](Self::mark_offline_all).
    ///
    /// # Errors
    /// The word is empty, longer than [`Status::MAX_WORD`], or has characters that are not shown as they are written:
    /// nothing is changed.
    pub async fn set_status(&self, login_id: impl NamesUser, status: Status) -> Result<(), InvalidInput> {
        status.check()?;
        self.inner.say_all(login_id.named(), &status);
        let user: UserKey = login_id.into();
        self.inner.ask_owners(|| (user.clone(), Query::Say { user, status })).await;
        Ok(())
    }

    /// Remembers that a user was here just now.
    pub async fn update_last_seen(&self, login_id: impl NamesUser) {
        let user = login_id.into();
        self.inner.touch_session(&user, None);
        self.inner.mine.remember(&user, self.inner.clock.utc());
    }

    /// When a user was last here, on any node: of somebody online the latest activity, else the last disconnect, as the
    /// nodes remember it or the application's own store.
    pub async fn last_seen(&self, login_id: impl NamesUser) -> Option<DateTime<Utc>> {
        self.inner.last_seen_of(&[login_id.into()], None).await.into_iter().flatten().next()
    }

    /// Every transition of the cluster that this node made: each comes on exactly one node, so "write last seen" and
    /// "send a mail" hang on it. A listener that is too slow is told `Missed(n)` and holds nobody up.
    pub fn events(&self) -> Events {
        self.inner.mine.events.listen()
    }

    /// Every transition of the cluster, on every node.
    ///
    /// Where there are several nodes, this one asks the others for all of it from the first listener on, and until the last
    /// is gone; what happens before the question has arrived is not told.
    pub fn cluster_events(&self) -> Events {
        let engine = &self.inner.engine;
        if !engine.is_clustered() {
            return self.inner.mine.cluster.listen();
        }
        let inner = Arc::downgrade(&self.inner);
        let interest = Interest::until(move || {
            if let Some(inner) = inner.upgrade().filter(|inner| !inner.mine.cluster.is_heard()) {
                inner.engine.wishes(&Wish::Everything, false);
            }
        });
        let events = self.inner.mine.cluster.listen_with(Some(interest));
        engine.wishes(&Wish::Everything, true);
        events
    }
}
