//! Sessions marked online by hand: a connection without a socket, one for each user and token.

use std::sync::{Arc, atomic::Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::inner::Inner;
use crate::{
    AccountUser, Marked, OnlineUser, Refused, Session, UserKey, UserRef,
    auth::{Identity, TokenId},
    connection::{Conn, ConnectionId, Io, Opening},
    kick,
    limits::{MAX_DEVICE, check_label, check_metadata, check_user},
    policy::Seat,
    presence::{Member, Opened, UserState},
    protocol::Mode,
    target::check_token,
};

impl Inner {
    /// Marks a session online; one that is already counts as active.
    pub(crate) async fn mark(self: &Arc<Self>, marked: AccountUser) -> Marked {
        match self.try_mark(marked).await {
            Ok(marked) => marked,
            Err(refused) => Marked::Refused(refused),
        }
    }

    pub(crate) async fn try_mark(self: &Arc<Self>, marked: AccountUser) -> Result<Marked, Refused> {
        let user = check(&marked)?;
        if self.is_closing() {
            return Err(Refused::ShutDown);
        }
        self.start();
        let token = TokenId::of(&marked.user.token);
        if self.has_hand(&user, token) {
            self.touch_session(&user, Some(token));
            return Ok(Marked::Already);
        }
        // Whoever marks vouches for the session as of now: a kick from now on finds it older than itself, but one that
        // came before it in the same instant does not.
        let at = self.clock.utc();
        let seen = at + TimeDelta::nanoseconds(1);
        let mut identity = Identity::new(user.clone()).token_id(token).seen_at(seen);
        identity.device =
            Some(marked.user.device.as_str()).filter(|device| !device.is_empty()).map(Arc::from);
        if let Some(denial) = self.denied_at(&identity, at).await {
            return Err(denial.into());
        }
        let serial = self.hands.fetch_add(1, Ordering::Relaxed) + 1;
        if serial == 1 {
            super::sweep::start(self);
        }
        let id = ConnectionId::by_hand(self.engine.node_id(), serial);
        let mut seating = Seating::begin(self, &user, id);
        let replaced = self.seat_by_hand(&identity, id).await?;
        let marked = self.insert_hand(id, Arc::new(identity), marked.user)?;
        if marked == Marked::Online {
            seating.kept = true;
            kick::close_replaced(self, &user, replaced);
        }
        Ok(marked)
    }

    fn has_hand(&self, user: &UserKey, token: TokenId) -> bool {
        self.registry.read(user, |state| {
            state.is_some_and(|state| state.present().any(|member| is_hand(member, token)))
        })
    }

    async fn seat_by_hand(
        &self,
        identity: &Identity,
        id: ConnectionId,
    ) -> Result<Vec<ConnectionId>, Refused> {
        self.engine_allows()?;
        if self.config.login_policy.is_unlimited() {
            return Ok(Vec::new());
        }
        self.take_seat(&identity.user, &Seat::new(id, identity.token_id, identity.device_label())).await
    }

    /// Registers and opens in one go: a hand mark has no upgrade to wait for.
    fn insert_hand(
        self: &Arc<Self>,
        id: ConnectionId,
        identity: Arc<Identity>,
        marked: OnlineUser,
    ) -> Result<Marked, Refused> {
        let (now, at) = (self.clock.now(), self.clock.utc());
        let conn = Arc::new(Conn::new(Opening {
            id,
            identity: Some(identity.clone()),
            mode: Mode::Raw,
            io: Io::None,
            now,
            connected_at: marked.connect_time,
            activity: self.micros_at(now),
            metadata: (!marked.metadata.is_empty()).then(|| Arc::new(marked.metadata)),
        }));
        // Two that mark the same session at once: the second finds the first under the lock. So does a shutdown: what
        // it does not find finds it closing.
        let (opened, diff) = self.registry.mark(&conn, at, || match self.deny.find(&identity, at) {
            Some(denial) => Some(Refused::from(denial)),
            None if self.is_replaced(id) => Some(Refused::TooManyDevices),
            None => self.is_closing().then_some(Refused::ShutDown),
        });
        self.after(diff);
        match opened {
            Opened::Present => Ok(Marked::Online),
            Opened::Taken | Opened::Away => Ok(Marked::Already),
            Opened::Denied(refused) => Err(refused),
        }
    }

    fn is_replaced(&self, id: ConnectionId) -> bool {
        !self.config.login_policy.is_unlimited()
            && self.coming.marks.lock().get(&id).copied().unwrap_or(false)
    }

    /// The user's sessions on this node: connections of one token are one.
    pub(crate) fn sessions_here<'a>(&self, user: impl Into<UserRef<'a>>) -> Vec<Session> {
        self.registry.read(user, |state| {
            let mut sessions: Vec<Session> = Vec::new();
            for member in state.into_iter().flat_map(UserState::present) {
                merge(&mut sessions, self.record(member));
            }
            sessions
        })
    }

    /// When a user who is here was last active.
    pub(crate) fn activity_of(&self, user: UserRef<'_>) -> Option<DateTime<Utc>> {
        let latest = self.registry.read(user, |state| {
            let present = state.into_iter().flat_map(UserState::present);
            present.map(|member| member.conn.activity()).max()
        });
        latest.map(|micros| self.at_micros(micros))
    }

    fn record(&self, member: &Member) -> Session {
        Session {
            handle: member.token,
            device: member.conn.device(),
            connect_time: member.conn.connected_at,
            last_activity: self.at_micros(member.conn.activity()),
            metadata: member.conn.metadata.as_deref().cloned().unwrap_or_default(),
            status: member.status(),
        }
    }
}

/// The seat of a mark on its way: given back unless the mark keeps it, where its caller gives up waiting too. One that
/// the engine never gave is nothing.
struct Seating<'a> {
    inner: &'a Inner,
    user: &'a UserKey,
    id: ConnectionId,
    /// Without a limit nobody replaces anybody, and a mark takes no lock for it.
    limited: bool,
    kept: bool,
}

impl<'a> Seating<'a> {
    fn begin(inner: &'a Inner, user: &'a UserKey, id: ConnectionId) -> Self {
        let limited = !inner.config.login_policy.is_unlimited();
        if limited {
            inner.coming.marks.lock().insert(id, false);
        }
        Self { inner, user, id, limited, kept: false }
    }
}

/// Marks between their seat and their registration: a newer session may take their place before anybody can find
/// them there. Sockets have a slot of their lane for this.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    marks: Mutex<HashMap<ConnectionId, bool>>,
}

impl Coming {
    /// Another session took its place, if it is still to come.
    pub(crate) fn replace(&self, id: ConnectionId) {
        if let Some(replaced) = self.marks.lock().get_mut(&id) {
            *replaced = true;
        }
    }
}

impl Drop for Seating<'_> {
    fn drop(&mut self) {
        if self.limited {
            self.inner.coming.marks.lock().remove(&self.id);
        }
        if !self.kept {
            self.inner.release_seat(self.user, self.id);
        }
    }
}

fn check(marked: &AccountUser) -> Result<UserKey, Refused> {
    let user = marked.key();
    check_user(&user)?;
    check_token(&marked.user.token)?;
    check_label("device", &marked.user.device, MAX_DEVICE)?;
    check_metadata(&marked.user.metadata)?;
    Ok(user)
}

fn is_hand(member: &Member, token: TokenId) -> bool {
    member.token == token && !member.conn.is_socket()
}

/// Sessions by token, each once.
pub(crate) fn merge(sessions: &mut Vec<Session>, new: Session) {
    match sessions.iter_mut().find(|session| session.handle == new.handle) {
        Some(known) => known.merge(new),
        None => sessions.push(new),
    }
}

/// A session in the seeds' shape: the token is its handle.
pub(crate) fn online_user(user: UserRef<'_>, session: Session) -> OnlineUser {
    OnlineUser {
        login_id: user.login_id().to_owned(),
        token: session.handle.to_string(),
        device: session.device,
        connect_time: session.connect_time,
        last_activity: session.last_activity,
        metadata: session.metadata,
    }
}

#[cfg(all(test, feature = "testing"))]
pub(super) mod tests {
    use std::collections::HashMap;

    use chrono::DateTime;

    use super::*;
    use crate::{
        policy::{LoginPolicy, OnLimit},
        testing,
    };

    pub(crate) fn session(login_id: &str, token: &str) -> OnlineUser {
        OnlineUser {
            login_id: login_id.to_owned(),
            token: token.to_owned(),
            device: "web".to_owned(),
            connect_time: DateTime::UNIX_EPOCH,
            last_activity: DateTime::UNIX_EPOCH,
            metadata: HashMap::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_that_a_shutdown_did_not_find_finds_the_shutdown() {
        let online = testing::builder().build().unwrap();
        let inner = online.inner();
        let _report = online.shutdown(std::time::Duration::ZERO).await;
        let id = ConnectionId::by_hand(1, 1);
        let marked = inner.insert_hand(id, Arc::new(Identity::new("u1")), session("u1", "t1"));
        assert_eq!(marked, Err(Refused::ShutDown));
        testing::assert_all_gone(&online).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_for_a_seat_gives_it_back() {
        let policy = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
        let online = testing::builder().login_policy(policy).build().unwrap();
        let (inner, user) = (online.inner(), UserKey::from("u1"));
        let (identity, id) = (Identity::new("u1"), ConnectionId::by_hand(1, 99));
        let seating = Seating::begin(inner, &user, id);
        inner.seat_by_hand(&identity, id).await.unwrap();
        let refused = online.mark_online(session("u1", "t1")).await;
        assert_eq!(refused, Marked::Refused(Refused::TooManyDevices));
        drop(seating);
        assert_eq!(online.mark_online(session("u1", "t1")).await, Marked::Online);
    }
}
