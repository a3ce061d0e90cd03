//! Every user of this node: [`UserState`]s in stripes, each behind a lock of its own.
//!
//! Every change ends in [`Registry::settle`]: it compares the user's status before and after, counts, and hands the
//! transition out while the stripe is still locked, so events of one user come in the order of its changes.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use hashbrown::{
    DefaultHashBuilder, HashTable,
    hash_table::{Entry, OccupiedEntry},
};
use parking_lot::RwLock;

use super::{
    diff::{Cause, Diff},
    event::EventKind,
    state::{Grace, Member, Members, UserState},
    tokens::TokenIndex,
};
use crate::{
    Status, UserKey, UserRef,
    auth::{Identity, TokenId},
    connection::{Conn, ConnectionId},
};

/// Enough that listing one holds up few, and that two threads seldom meet.
pub(crate) const STRIPES: usize = 256;

/// A user in its stripe.
struct User {
    key: UserKey,
    state: UserState,
}

impl User {
    fn is<'a>(&self, user: impl Into<UserRef<'a>>) -> bool {
        self.key.by_ref() == user.into()
    }
}

type Users = HashTable<User>;
type Observer = Box<dyn Fn(EventKind, &Diff) + Send + Sync>;

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
    /// Somebody took it while it was pending, or closes it already, and says why: maybe a moment later.
    Taken,
    /// The connection that it was to take over ended meanwhile. The pending one is out again.
    Away,
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
    /// A registry that hands each transition to `observer`, under the lock of the user's stripe: it must not block.
    pub(crate) fn new(observer: impl Fn(EventKind, &Diff) + Send + Sync + 'static) -> Self {
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

    /// Puts in a connection that came from another node and waits for its client: pushes and kicks find it.
    pub(crate) fn insert_parked(&self, conn: &Arc<Conn>, at: DateTime<Utc>) {
        let token = conn.token_id();
        self.change(conn.user(), Cause::Reconnect, at, |state| {
            self.tokens.add(token, conn.user());
            state.insert(Member::parked(conn.clone(), token));
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
            self.is_present(state, conn);
            Opened::Present
        })
    }

    /// Makes a parked connection present again with the socket of a pending one, under the same rules as
    /// [`open`](Self::open); `attach` moves the socket.
    pub(crate) fn resume<D>(
        &self,
        parked: &Arc<Conn>,
        pending: &Arc<Conn>,
        at: DateTime<Utc>,
        deny: impl FnOnce() -> Option<D>,
        attach: impl FnOnce() -> bool,
    ) -> (Opened<D>, Option<Diff>) {
        self.change(parked.user(), Cause::Reconnect, at, |state| {
            if let Some(denial) = deny() {
                self.withdraw(state, pending, Cause::Kicked);
                return Opened::Denied(denial);
            }
            let found = |conn: &Conn| state.members().iter().any(|member| member.conn.id == conn.id);
            if !found(pending) {
                return Opened::Taken;
            }
            if !found(parked) || !attach() {
                self.withdraw(state, pending, Cause::Disconnect);
                return Opened::Away;
            }
            if let Some(before) = state.resume(parked.id, pending.id) {
                self.tokens.remove(before.token, parked.user());
            }
            self.is_present(state, parked);
            Opened::Present
        })
    }

    fn is_present(&self, state: &mut UserState, conn: &Conn) {
        if let Some(data) = conn.identity().data.clone() {
            state.set_data(data);
        }
        if conn.is_socket() {
            self.sockets.fetch_add(1, Ordering::Relaxed);
        }
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

    /// Takes one connection out; a second call finds nothing. What is to be parked stays, for pushes and kicks alone.
    /// Returns the grace it left behind, if any.
    pub(crate) fn remove(
        &self,
        conn: &Conn,
        grace: Option<u64>,
        cause: Cause,
        at: DateTime<Utc>,
        parks: bool,
    ) -> (Option<Member>, Option<Diff>, bool) {
        let found = self.change_known(conn.user(), cause, at, |_, state| {
            let had_grace = state.grace().is_some();
            let member = state.remove(conn.id, grace.map(|serial| (serial, at)), cause, parks);
            match &member {
                Some(member) if parks => self.is_gone(member),
                Some(member) => self.forget(member),
                None => {}
            }
            (member, !had_grace && state.grace().is_some())
        });
        let ((member, in_grace), diff) = found.unwrap_or_default();
        (member, diff, in_grace)
    }

    /// A parked connection is given up.
    pub(crate) fn forget_parked(&self, conn: &Conn, at: DateTime<Utc>) {
        self.change_known(conn.user(), Cause::Disconnect, at, |_, state| {
            let taken = state.take(|member| member.conn.id == conn.id && member.is_parked());
            taken.iter().for_each(|member| self.forget(member));
        });
    }

    /// Takes out every connection of the user that matches, pending ones too, and ends a grace period when
    /// nothing is left. `Kicked` goes out before what follows from it.
    pub(crate) fn take<'a>(
        &self,
        user: impl Into<UserRef<'a>>,
        cause: Cause,
        at: DateTime<Utc>,
        ends_grace: &EndsGrace,
        matches: impl FnMut(&Member) -> bool,
    ) -> (Members, Option<Diff>) {
        let found = self.change_known(user, cause, at, |user, state| {
            let kicked = (cause == Cause::Kicked).then(|| state.status());
            let taken = state.take(matches);
            taken.iter().for_each(|member| self.forget(member));
            state.expire(|grace| ends_grace.means(grace.token));
            if let Some(status) = kicked.filter(|_| taken.iter().any(Member::is_present)) {
                let (user, data) = (user.clone(), state.data());
                let diff = Diff { user, before: status.clone(), after: status, cause, at, data };
                (self.observer)(EventKind::Kicked, &diff);
            }
            taken
        });
        found.unwrap_or_default()
    }

    /// Ends a grace period whose time is over; an older one's serial finds nothing.
    pub(crate) fn expire(&self, user: &UserKey, serial: u64) -> Option<Diff> {
        let mut stripe = self.stripe(self.hash(user)).write();
        let mut entry = stripe.find_entry(self.hash(user), |known| known.is(user)).ok()?;
        let state = &mut entry.get_mut().state;
        let before = state.status();
        let Grace { cause, since, .. } = state.expire(|grace| grace.serial == serial)?;
        let diff = self.settle(entry, before, cause, since);
        drop(stripe);
        diff
    }

    /// Where a user changes of whom nothing may be known yet.
    pub(crate) fn change<R>(
        &self,
        user: &UserKey,
        cause: Cause,
        at: DateTime<Utc>,
        f: impl FnOnce(&mut UserState) -> R,
    ) -> (R, Option<Diff>) {
        let hash = self.hash(user);
        let mut stripe = self.stripe(hash).write();
        let mut entry = match stripe.entry(hash, |known| known.is(user), |known| self.hash(&known.key)) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert(User { key: user.clone(), state: UserState::default() }),
        };
        let state = &mut entry.get_mut().state;
        let before = state.status();
        let result = f(state);
        let diff = self.settle(entry, before, cause, at);
        drop(stripe);
        (result, diff)
    }

    /// Where a user changes of whom something must be known, or nothing changes.
    pub(crate) fn change_known<'a, R>(
        &self,
        user: impl Into<UserRef<'a>>,
        cause: Cause,
        at: DateTime<Utc>,
        f: impl FnOnce(&UserKey, &mut UserState) -> R,
    ) -> Option<(R, Option<Diff>)> {
        let user = user.into();
        let hash = self.hash(user);
        let mut stripe = self.stripe(hash).write();
        let mut entry = stripe.find_entry(hash, |known| known.is(user)).ok()?;
        let User { key, state } = entry.get_mut();
        let before = state.status();
        let result = f(key, state);
        let diff = self.settle(entry, before, cause, at);
        drop(stripe);
        Some((result, diff))
    }

    /// Compares, counts, tells, and forgets a user of whom nothing is left. Every change ends here.
    fn settle(
        &self,
        entry: OccupiedEntry<'_, User>,
        before: Status,
        cause: Cause,
        at: DateTime<Utc>,
    ) -> Option<Diff> {
        let state = &entry.get().state;
        let after = state.status();
        if before == after {
            if state.is_empty() {
                drop(entry.remove());
            }
            return None;
        }
        let data = state.data();
        let user = if state.is_empty() { entry.remove().0.key } else { entry.get().key.clone() };
        match (before.is_online(), after.is_online()) {
            (false, true) => drop(self.users.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.users.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        let diff = Diff { user, before, after, cause, at, data };
        if let Some(kind) = EventKind::of(&diff) {
            (self.observer)(kind, &diff);
        }
        Some(diff)
    }

    /// Looks at one user under a shared lock.
    pub(crate) fn read<'a, R>(
        &self,
        user: impl Into<UserRef<'a>>,
        f: impl FnOnce(Option<&UserState>) -> R,
    ) -> R {
        let user = user.into();
        let hash = self.hash(user);
        let stripe = self.stripe(hash).read();
        f(stripe.find(hash, |known| known.is(user)).map(|known| &known.state))
    }

    /// What a user is on this node.
    pub(crate) fn status<'a>(&self, user: impl Into<UserRef<'a>>) -> Status {
        self.read(user, |state| state.map(UserState::status).unwrap_or_default())
    }

    /// Visits every user, one stripe's shared lock at a time.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&UserKey, &UserState)) {
        for stripe in &self.stripes {
            stripe.read().iter().for_each(|User { key, state }| f(key, state));
        }
    }

    /// Visits the users of one stripe, under its shared lock.
    pub(crate) fn for_each_in(&self, stripe: usize, mut f: impl FnMut(&UserKey, &UserState)) {
        self.stripes[stripe].read().iter().for_each(|User { key, state }| f(key, state));
    }

    /// The online users of one stripe.
    pub(crate) fn online_in(&self, stripe: usize) -> Vec<UserKey> {
        let stripe = self.stripes[stripe].read();
        stripe.iter().filter(|user| user.state.status().is_online()).map(|user| user.key.clone()).collect()
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
        if let Some(member) = state.remove(conn.id, None, cause, false) {
            self.forget(&member);
        }
    }

    fn forget(&self, member: &Member) {
        self.tokens.remove(member.token, member.conn.user());
        self.is_gone(member);
    }

    fn is_gone(&self, member: &Member) {
        if member.is_present() && member.conn.is_socket() {
            self.sockets.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// One hash finds both the stripe and the place in it.
    fn hash<'a>(&self, user: impl Into<UserRef<'a>>) -> u64 {
        self.hasher.hash_one(user.into())
    }

    /// By bits that neither choose the place in a stripe nor tell neighbours there apart.
    fn stripe(&self, hash: u64) -> &RwLock<Users> {
        &self.stripes[(hash >> 40) as usize % STRIPES]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look at a user reads, and what every user takes, once more for each free place of a stripe.
    #[test]
    fn a_user_is_small() {
        assert!(size_of::<User>() <= 80, "{}", size_of::<User>());
    }
}
