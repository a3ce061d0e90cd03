//! Who watches which single users: a buddy list. Every event of a watched user is one frame for all its watchers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::{Mutex, MutexGuard};

use super::{entering::JoinError, hub::Hub, seats::Stage, telling::of_user};
use crate::{
    Event, Status, UserKey,
    cluster::{Engine, Wish},
    connection::{Batch, Bounds, Conn},
    protocol::{ErrorCode, WireError},
    push::{Crowd, Lanes, Load},
};

const STRIPES: usize = 64;

/// The watchers of one user.
#[derive(Debug, Default)]
struct Watched {
    crowd: Crowd,
    /// Those that wait for the answer to their request. What happens meanwhile is kept, so that it comes after the
    /// answer and not before.
    starting: Vec<(Arc<Conn>, Vec<Bytes>)>,
    /// How often something was told; from where it began it only grows.
    times: u64,
    /// What was told last, or answered where nothing was.
    told: Option<Status>,
}

/// All watchers of a node. Its locks are the last: nothing is asked under them.
#[derive(Debug)]
pub(crate) struct Watching {
    stripes: Box<[Mutex<HashMap<UserKey, Watched>>]>,
    hasher: DefaultHashBuilder,
    /// Users who are watched: while it is zero, an event costs one look at it.
    users: AtomicUsize,
    lanes: Arc<Lanes>,
    bounds: Arc<Bounds>,
    /// Where there are other nodes: it tells what happens to the users that are watched here.
    engine: Option<Arc<dyn Engine>>,
}

impl Watching {
    pub(crate) fn new(lanes: Arc<Lanes>, bounds: Arc<Bounds>, engine: Option<Arc<dyn Engine>>) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            users: AtomicUsize::new(0),
            lanes,
            bounds,
            engine,
        }
    }

    /// Whether nobody watches anybody.
    pub(crate) fn is_idle(&self) -> bool {
        self.users.load(Ordering::Acquire) == 0
    }

    /// Tells the watchers of a user what happened. Called in the order in which it happens, under the user's lock.
    pub(crate) fn tell(&self, event: &Event) {
        if self.is_idle() {
            return;
        }
        let mut stripe = self.stripe(&event.user);
        let Some(watched) = stripe.get_mut(&event.user) else { return };
        self.tell_these(watched, event);
    }

    /// How often the watchers of a user were told something.
    pub(crate) fn times(&self, user: &UserKey) -> u64 {
        self.stripe(user).get(user).map_or(0, |watched| watched.times)
    }

    /// Tells the watchers of a user what was found out. What was told after `times` is newer than
    /// what was found out since.
    pub(crate) fn tell_found(&self, event: &Event, times: u64) {
        let mut stripe = self.stripe(&event.user);
        let Some(watched) = stripe.get_mut(&event.user) else { return };
        if watched.times == times {
            self.tell_these(watched, event);
        }
    }

    /// The same of somebody who is online, where the watchers believe otherwise.
    pub(crate) fn tell_online(&self, event: &Event) {
        let mut stripe = self.stripe(&event.user);
        let Some(watched) = stripe.get_mut(&event.user) else { return };
        if !watched.told.as_ref().is_some_and(Status::is_online) {
            self.tell_these(watched, event);
        }
    }

    /// A user's status is what a request is about to be answered with. What was told meanwhile does not follow where the
    /// answer says it.
    pub(crate) fn known(&self, user: &UserKey, conn: &Arc<Conn>, status: &Status) {
        let mut stripe = self.stripe(user);
        let Some(Watched { starting, told, .. }) = stripe.get_mut(user) else { return };
        let Some((_, waiting)) = starting.iter_mut().find(|(one, _)| Arc::ptr_eq(one, conn)) else { return };
        if told.as_ref() == Some(status) {
            waiting.clear();
        } else if waiting.is_empty() && told.is_none() {
            *told = Some(status.clone());
        }
    }

    fn tell_these(&self, watched: &mut Watched, event: &Event) {
        let Some(frame) = of_user(event) else { return };
        watched.times += 1;
        if watched.told.as_ref() == Some(&event.status) {
            return; // They know, by the answer or from a time when the cluster was out of reach.
        }
        watched.told = Some(event.status.clone());
        for (_, waiting) in &mut watched.starting {
            waiting.push(frame.clone());
        }
        if !watched.crowd.is_empty() {
            drop(self.lanes.send_to_crowd(watched.crowd.lists(), None, &Load::Other(frame)));
        }
    }

    /// A connection watches a user from here on; what happens waits until [`answered`](Self::answered).
    pub(crate) fn begin(&self, user: &UserKey, conn: &Arc<Conn>) {
        self.with(user, |watched| watched.starting.push((conn.clone(), Vec::new())));
    }

    /// The request was answered: what happened meanwhile follows, and then everything at once.
    pub(crate) fn answered(&self, user: &UserKey, conn: &Arc<Conn>, now: crate::Instant) {
        self.with(user, |watched| {
            let Some(index) = watched.starting.iter().position(|(one, _)| Arc::ptr_eq(one, conn)) else {
                return;
            };
            let (_, waiting) = watched.starting.swap_remove(index);
            for frame in waiting {
                conn.push(&Batch::other(frame), &self.bounds, now);
            }
            watched.crowd.add(conn);
        });
    }

    /// It watches no more.
    pub(crate) fn remove(&self, user: &UserKey, conn: &Conn) {
        self.with(user, |watched| {
            watched.crowd.remove(conn);
            watched.starting.retain(|(one, _)| !std::ptr::eq(Arc::as_ptr(one), conn));
        });
    }

    fn with(&self, user: &UserKey, f: impl FnOnce(&mut Watched)) {
        let mut stripe = self.stripe(user);
        let before = stripe.len();
        let watched = stripe.entry_ref(user).or_default();
        f(watched);
        if watched.crowd.is_empty() && watched.starting.is_empty() {
            stripe.remove(user);
        }
        match (before, stripe.len()) {
            (before, after) if after > before => {
                self.users.fetch_add(1, Ordering::AcqRel);
                self.wish(user, true);
            }
            (before, after) if after < before => {
                self.users.fetch_sub(1, Ordering::AcqRel);
                self.wish(user, false);
            }
            _ => {}
        }
    }

    fn wish(&self, user: &UserKey, yes: bool) {
        if let Some(engine) = &self.engine {
            engine.wishes(&Wish::User(user.clone()), yes);
        }
    }

    /// The users that somebody here watches.
    pub(crate) fn users(&self) -> Vec<UserKey> {
        self.stripes.iter().flat_map(|stripe| stripe.lock().keys().cloned().collect::<Vec<_>>()).collect()
    }

    fn stripe(&self, user: &UserKey) -> MutexGuard<'_, HashMap<UserKey, Watched>> {
        use std::hash::BuildHasher;
        self.stripes[(self.hasher.hash_one(user) >> 32) as usize % STRIPES].lock()
    }

    /// Whether nobody is watched, for tests.
    #[cfg(feature = "testing")]
    pub(crate) fn is_empty(&self) -> bool {
        self.users.load(Ordering::Acquire) == 0
    }
}

impl Hub {
    /// Whether a connection may watch so many.
    pub(crate) fn check_watched(&self, count: usize) -> Result<(), WireError> {
        let limit = self.limits.max_watched;
        if count > limit {
            let message = format!("this connection may watch {limit} users");
            return Err(WireError::new(ErrorCode::LimitExceeded, message));
        }
        Ok(())
    }

    /// A connection begins to watch users; returns those that are new to it. What happens to these is told after
    /// [`watch_answered`](Self::watch_answered).
    pub(crate) fn begin_watch(&self, conn: &Arc<Conn>, users: &[UserKey]) -> Result<Vec<UserKey>, WireError> {
        let mut slot = conn.seats.lock();
        if slot.stage != Stage::Here {
            return Err(JoinError::Closed.into());
        }
        let watches = |user: &UserKey| slot.held().is_some_and(|held| held.watched.contains(user));
        let new: Vec<UserKey> = users.iter().filter(|user| !watches(user)).cloned().collect();
        self.check_watched(slot.held().map_or(0, |held| held.watched.len()) + new.len())?;
        for user in &new {
            slot.held_mut().watched.insert(user.clone());
            self.around.mine.watching.begin(user, conn);
        }
        Ok(new)
    }

    /// What a request to watch is about to be answered with.
    pub(crate) fn watch_known<'u>(
        &self,
        conn: &Arc<Conn>,
        known: impl IntoIterator<Item = (&'u UserKey, &'u Status)>,
    ) {
        known.into_iter().for_each(|(user, status)| self.around.mine.watching.known(user, conn, status));
    }

    /// What happened since [`begin_watch`](Self::begin_watch) follows, and from here on everything at once.
    pub(crate) fn watch_answered(&self, conn: &Arc<Conn>, users: &[UserKey]) {
        let now = self.around.clock.now();
        users.iter().for_each(|user| self.around.mine.watching.answered(user, conn, now));
    }

    /// A connection watches these users no more; false where it watched none of them.
    pub(crate) fn unwatch<'u>(&self, conn: &Conn, users: impl IntoIterator<Item = &'u UserKey>) -> bool {
        let mut slot = conn.seats.lock();
        let Some(held) = slot.held_if_any() else { return false };
        let mut any = false;
        for user in users {
            if held.watched.remove(user) {
                self.around.mine.watching.remove(user, conn);
                any = true;
            }
        }
        slot.tidy();
        any
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Cause, EventKind, testing};

    #[tokio::test(start_paused = true)]
    async fn what_an_answer_says_does_not_follow_it() {
        let online = testing::builder().build().unwrap();
        let mut client = testing::connect(&online, "watcher").await;
        let (inner, conn) = (online.inner().clone(), client.connection().conn.clone());
        let (watching, user, at) = (&inner.mine.watching, UserKey::from("u1"), inner.clock.utc());
        let found = |kind, status| Event {
            kind,
            user: user.clone(),
            status,
            channel: None,
            cause: Cause::Status,
            at,
            data: None,
        };
        watching.begin(&user, &conn);
        watching.tell_found(&found(EventKind::Offline, Status::Offline), 0);
        watching.known(&user, &conn, &Status::Offline);
        watching.answered(&user, &conn, inner.clock.now());
        client.expect_nothing(Duration::from_secs(1)).await;
        watching.tell(&found(EventKind::Online, Status::Online));
        assert_eq!(client.expect_presence().await["events"][0]["action"], "online");
        watching.remove(&user, &conn);
    }
}
