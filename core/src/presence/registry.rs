//! Every user of this node: [`UserState`]s in stripes, each behind a lock of its own.
//!
//! Every change goes through [`Registry::change`]: it compares the user's status before and after, counts, and hands
//! the event out while the stripe is still locked, so events of one user come in the order of its changes.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::RwLock;

use super::{
    diff::{Cause, Diff},
    event::{Event, EventKind},
    state::{Grace, Member, UserState},
    tokens::TokenIndex,
};
use crate::{
    Status, UserKey,
    auth::{Identity, TokenId},
    connection::{Conn, ConnectionId},
};

/// Enough that listing one holds up few, and that two threads seldom meet.
pub(crate) const STRIPES: usize = 256;

type Users = HashMap<UserKey, UserState, DefaultHashBuilder>;
type Observer = Box<dyn Fn(Event) + Send + Sync>;

/// Which grace period a taking ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndsGrace {
    No,
    Any,
    /// The one that this token's end began.
    Of(TokenId),
}

impl EndsGrace {
    pub(crate) fn means(self, token: TokenId) -> bool {
        match self {
            Self::No => false,
            Self::Any => true,
            Self::Of(own) => own == token,
        }
    }
}

/// The outcome of [`Registry::open`].
#[derive(Debug)]
pub(crate) enum Opened<D> {
    /// Present from now on.
    Present,
    /// A kick took it while it was pending, or it is closing already.
    Taken,
    /// The look-up under the lock refused it; it is out again.
    Denied(D),
}

pub(crate) struct Registry {
    stripes: Box<[RwLock<Users>]>,
    hasher: DefaultHashBuilder,
    tokens: TokenIndex,
    users: AtomicUsize,
    sockets: AtomicUsize,
    observer: Observer,
}

impl Registry {
    /// A registry that hands each event to `observer`, under the lock of the user's stripe: it must not block.
    pub(crate) fn new(observer: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            tokens: TokenIndex::default(),
            users: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            observer: Box::new(observer),
        }
    }

    /// Puts a pending connection in: a kick finds it from here on, nobody else does.
    pub(crate) fn insert(&self, conn: Arc<Conn>, at: DateTime<Utc>) {
        let (user, token) = (conn.user().clone(), conn.token_id());
        self.change(&user, Cause::Connect, at, |state| {
            self.tokens.add(token, &user);
            state.insert(Member::pending(conn, token));
        });
    }

    /// Makes a pending connection present, unless a kick took it or `deny` finds a reason: both under the user's
    /// lock. `open` runs there too, so that nothing is pushed before it.
    pub(crate) fn open<D>(
        &self,
        conn: &Arc<Conn>,
        at: DateTime<Utc>,
        deny: impl FnOnce() -> Option<D>,
        open: impl FnOnce() -> bool,
    ) -> (Opened<D>, Option<Diff>) {
        self.change(conn.user(), Cause::Connect, at, |state| {
            if let Some(denial) = deny() {
                self.withdraw(state, conn, Cause::Kicked);
                return Opened::Denied(denial);
            }
            let registered = state.members().iter().any(|member| member.conn.id == conn.id);
            if !registered {
                return Opened::Taken;
            }
            if !open() {
                self.withdraw(state, conn, Cause::Disconnect);
                return Opened::Taken;
            }
            state.open(conn.id);
            if let Some(data) = conn.identity().data.clone() {
                state.data = Some(data);
            }
            if conn.is_socket() {
                self.sockets.fetch_add(1, Ordering::Relaxed);
            }
            Opened::Present
        })
    }

    /// Inserts a hand mark and makes it present in one step; `Taken` where the session has one already.
    pub(crate) fn mark<D>(
        &self,
        conn: &Arc<Conn>,
        at: DateTime<Utc>,
        deny: impl FnOnce() -> Option<D>,
    ) -> (Opened<D>, Option<Diff>) {
        let token = conn.token_id();
        self.change(conn.user(), Cause::Connect, at, |state| {
            if state.present().any(|member| member.token == token && !member.conn.is_socket()) {
                return Opened::Taken;
            }
            if let Some(denial) = deny() {
                return Opened::Denied(denial);
            }
            self.tokens.add(token, conn.user());
            state.insert(Member::pending(conn.clone(), token));
            state.open(conn.id);
            Opened::Present
        })
    }

    /// Takes one connection out; a second call finds nothing. Returns the grace it left behind, if any.
    pub(crate) fn remove(
        &self,
        conn: &Conn,
        grace: Option<u64>,
        cause: Cause,
        at: DateTime<Utc>,
    ) -> (Option<Member>, Option<Diff>, bool) {
        let ((member, in_grace), diff) = self.change(conn.user(), cause, at, |state| {
            let had_grace = state.grace().is_some();
            let member = state.remove(conn.id, grace.map(|serial| (serial, at)), cause);
            if let Some(member) = &member {
                self.forget(member);
            }
            (member, !had_grace && state.grace().is_some())
        });
        (member, diff, in_grace)
    }

    /// Takes out every connection of the user that matches, pending ones too, and ends a grace period when
    /// nothing is left. `Kicked` goes out before what follows from it.
    pub(crate) fn take(
        &self,
        user: &UserKey,
        cause: Cause,
        at: DateTime<Utc>,
        ends_grace: &EndsGrace,
        matches: impl FnMut(&Member) -> bool,
    ) -> (Vec<Member>, Option<Diff>) {
        self.change(user, cause, at, |state| {
            let status = state.status();
            let taken = state.take(matches);
            taken.iter().for_each(|member| self.forget(member));
            state.expire(|grace| ends_grace.means(grace.token));
            if cause == Cause::Kicked && taken.iter().any(Member::is_present) {
                let (user, data) = (user.clone(), state.data.clone());
                (self.observer)(Event {
                    kind: EventKind::Kicked,
                    user,
                    status,
                    channel: None,
                    cause,
                    at,
                    data,
                });
            }
            taken
        })
    }

    /// Ends a grace period whose time is over; an older one's serial finds nothing.
    pub(crate) fn expire(&self, user: &UserKey, serial: u64) -> Option<Diff> {
        let mut stripe = self.stripe(user).write();
        let state = stripe.get_mut(user)?;
        let before = state.status();
        let Grace { cause, since, .. } = state.expire(|grace| grace.serial == serial)?;
        let diff = self.settle(&mut stripe, user, before, cause, since);
        drop(stripe);
        diff
    }

    /// The one place where a user changes.
    pub(crate) fn change<R>(
        &self,
        user: &UserKey,
        cause: Cause,
        at: DateTime<Utc>,
        f: impl FnOnce(&mut UserState) -> R,
    ) -> (R, Option<Diff>) {
        let mut stripe = self.stripe(user).write();
        let state = stripe.entry_ref(user).or_default();
        let before = state.status();
        let result = f(state);
        let diff = self.settle(&mut stripe, user, before, cause, at);
        drop(stripe);
        (result, diff)
    }

    /// Compares, counts, tells, and forgets a user of whom nothing is left.
    fn settle(
        &self,
        stripe: &mut Users,
        user: &UserKey,
        before: Status,
        cause: Cause,
        at: DateTime<Utc>,
    ) -> Option<Diff> {
        let state = stripe.get(user)?;
        let after = state.status();
        let data = state.data.clone();
        if state.is_empty() {
            stripe.remove(user);
        }
        if before == after {
            return None;
        }
        match (before.is_online(), after.is_online()) {
            (false, true) => drop(self.users.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.users.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        let diff = Diff { user: user.clone(), before, after, cause, at, data };
        if let Some(event) = Event::of(&diff) {
            (self.observer)(event);
        }
        Some(diff)
    }

    /// Looks at one user under a shared lock.
    pub(crate) fn read<R>(&self, user: &UserKey, f: impl FnOnce(Option<&UserState>) -> R) -> R {
        f(self.stripe(user).read().get(user))
    }

    /// Visits every user, one stripe's shared lock at a time.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&UserKey, &UserState)) {
        for stripe in &self.stripes {
            stripe.read().iter().for_each(|(user, state)| f(user, state));
        }
    }

    /// Visits the users of one stripe, under its shared lock.
    pub(crate) fn for_each_in(&self, stripe: usize, mut f: impl FnMut(&UserKey, &UserState)) {
        self.stripes[stripe].read().iter().for_each(|(user, state)| f(user, state));
    }

    /// The online users of one stripe.
    pub(crate) fn online_in(&self, stripe: usize) -> Vec<UserKey> {
        let stripe = self.stripes[stripe].read();
        stripe.iter().filter(|(_, state)| state.status().is_online()).map(|(user, _)| user.clone()).collect()
    }

    /// The users that have a session of this token.
    pub(crate) fn users_of(&self, token: TokenId) -> Vec<UserKey> {
        self.tokens.users(token)
    }

    /// A refreshed connection goes by its new identity from now on, unless `deny` finds a reason under the lock. A
    /// connection that was taken meanwhile is left as it is.
    pub(crate) fn rename<D>(
        &self,
        conn: &Conn,
        identity: Arc<Identity>,
        at: DateTime<Utc>,
        deny: impl FnOnce() -> Option<D>,
    ) -> Option<D> {
        let change = |state: &mut UserState| {
            let denial = deny();
            if denial.is_none()
                && let Some(old) = state.rename(conn.id, identity.token_id)
            {
                self.tokens.remove(old, conn.user());
                self.tokens.add(identity.token_id, conn.user());
                conn.set_identity(identity);
            }
            denial
        };
        self.change(conn.user(), Cause::Connect, at, change).0
    }

    /// Distinct users online on this node.
    pub(crate) fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }

    /// Present sockets on this node.
    pub(crate) fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }

    fn withdraw(&self, state: &mut UserState, conn: &Conn, cause: Cause) {
        if let Some(member) = state.remove(conn.id, None, cause) {
            self.forget(&member);
        }
    }

    fn forget(&self, member: &Member) {
        self.tokens.remove(member.token, member.conn.user());
        if member.is_present() && member.conn.is_socket() {
            self.sockets.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn stripe(&self, user: &UserKey) -> &RwLock<Users> {
        let hash = self.hasher.hash_one(user);
        &self.stripes[(hash >> 32) as usize % STRIPES]
    }

    /// Whether nothing of anybody is left, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_empty(&self) -> bool {
        self.users() == 0
            && self.sockets() == 0
            && self.tokens.is_empty()
            && self.stripes.iter().all(|stripe| stripe.read().is_empty())
    }
}

/// Whether a connection is in the registry, and idle there.
pub(crate) fn is_idle(state: Option<&UserState>, id: ConnectionId) -> bool {
    state.is_some_and(|state| state.is_idle(id))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("users", &self.users())
            .field("sockets", &self.sockets())
            .finish_non_exhaustive()
    }
}
