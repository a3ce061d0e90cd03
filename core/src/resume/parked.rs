//! Connections that ended and may come back: how long, and in which order they are given up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Cause, Instant,
    channel::Gone,
    clock::later,
    cluster::{self, Change},
    connection::{Claimed, Conn, ConnectionId},
    manager::Inner,
    policy::{Decision, Seat},
};

/// What a parked connection is counted as, beside what its stream keeps.
const PARKED: usize = 1024;

/// The most connections of one user that are parked at once: tabs and devices, and not a way around its limits.
const PARKED_OF_ONE: usize = 8;

/// One parking; the same connection may be parked again later.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: ConnectionId,
    attachment: u32,
}

#[derive(Debug, Default)]
struct Queue {
    serial: u64,
    due: BTreeMap<(Instant, u64), Entry>,
}

/// In the order in which their time is over.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    queue: Mutex<Queue>,
    added: Notify,
    count: AtomicUsize,
    /// A socket was let go of: who waits to take its place looks again.
    pub(super) let_go: Notify,
}

impl Parked {
    /// Waits until the first is due. Cancel safe.
    async fn next(&self) -> Entry {
        loop {
            let first = self.queue.lock().due.first_key_value().map(|((until, _), _)| *until);
            let Some(until) = first else {
                self.added.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(until) => {
                    let mut queue = self.queue.lock();
                    if let Some(entry) = queue.due.first_entry().filter(|entry| entry.key().0 <= until) {
                        return entry.remove();
                    }
                }
                () = self.added.notified() => {}
            }
        }
    }

    fn add(&self, until: Instant, entry: Entry) {
        let mut queue = self.queue.lock();
        queue.serial += 1;
        let key = (until, queue.serial);
        let first = queue.due.first_key_value().is_none_or(|(first, _)| key < *first);
        queue.due.insert(key, entry);
        drop(queue);
        if first {
            self.added.notify_one();
        }
    }

    /// The one whose time is over first.
    fn first(&self) -> Option<Entry> {
        self.queue.lock().due.pop_first().map(|(_, entry)| entry)
    }

    /// A socket was let go of.
    pub(crate) fn let_go(&self) {
        self.let_go.notify_waiters();
    }

    /// Wakes the task, so that it looks whether its manager is still there.
    pub(crate) fn wake(&self, past: Instant) {
        self.add(past, Entry { id: ConnectionId::by_hand(0, 0), attachment: 0 });
    }
}

/// Starts the task that gives up what nobody came back to; it ends with the manager.
pub(crate) fn start(inner: &Arc<Inner>) {
    if !inner.config.bounds.resume.is_on() {
        return;
    }
    let (weak, parked) = (Arc::downgrade(inner), inner.parked.clone());
    inner.room.spawn(async move {
        loop {
            let entry = parked.next().await;
            let Some(inner) = weak.upgrade() else { return };
            inner.expire_stream(&entry);
        }
    });
}

impl Inner {
    /// A connection that is parked, in the registry too, may be claimed from now on, until the time is over.
    pub(crate) fn park(&self, conn: &Conn, time: Duration) {
        self.parked.count.fetch_add(1, Ordering::Relaxed); // First: from the next step on somebody may claim it.
        if !conn.unclaim() {
            return self.unparked();
        }
        self.give_up_surplus(conn);
        let entry = Entry { id: conn.id, attachment: conn.attachment() };
        self.parked.add(later(self.clock.now(), time), entry);
        while self.is_scarce()
            && let Some(first) = self.parked.first()
        {
            self.expire_stream(&first);
        }
    }

    fn is_scarce(&self) -> bool {
        let parked = self.parked.count.load(Ordering::Relaxed) * PARKED;
        parked >= self.config.bounds.resume.in_all || self.config.bounds.room.is_scarce()
    }

    fn expire_stream(&self, entry: &Entry) {
        if let Some(conn) = self.lanes.find(entry.id)
            && conn.attachment() == entry.attachment
        {
            self.give_up(&conn);
        }
    }

    /// Gives a parked connection up, unless somebody is about to take it. What only its stream took goes to the
    /// offline sink.
    fn give_up(&self, conn: &Arc<Conn>) {
        if conn.give_up(false) {
            self.unparked();
            self.forget(conn);
        }
    }

    /// The same by whoever claimed it.
    pub(super) fn give_up_claimed(&self, conn: &Arc<Conn>) {
        if conn.give_up(true) {
            self.forget(conn);
        }
    }

    fn forget(&self, conn: &Arc<Conn>) {
        self.registry.forget_parked(conn, self.clock.utc());
        self.leave(conn, Cause::Disconnect);
    }

    /// Ends a connection that a kick, or whatever else ends a session, found parked, and took out of the registry.
    pub(crate) fn end_parked(&self, conn: &Arc<Conn>, cause: Cause) {
        if conn.end_parked() == Some(Claimed::Yes) {
            self.unparked();
        }
        self.leave(conn, cause);
    }

    /// Out of its channels and its lane. Its memberships have ended by their own rules, but for one whose guard has not
    /// come so far: that is the cause's.
    fn leave(&self, conn: &Arc<Conn>, cause: Cause) {
        let ended = Gone { cause, may_return: false, at: self.clock.utc() };
        self.channels.gone(conn, &ended, false);
        self.lanes.remove(conn.id);
        if self.engine.is_clustered() {
            // Pushes were routed here for its sake.
            let (entry, status) =
                (cluster::Entry::User(conn.user().clone()), self.registry.status(conn.user()));
            let is_new = false;
            self.engine.changed(&Change { entry, is_new, cause, at: ended.at, status, data: None });
        }
    }

    /// One more of a user is parked: what is too much is given up, first what connected first.
    fn give_up_surplus(&self, conn: &Conn) {
        let parked = self.parked_of(conn);
        let most = self.by_user.limit().unwrap_or(PARKED_OF_ONE).min(PARKED_OF_ONE);
        let surplus = (parked.len() + 1).saturating_sub(most);
        parked.iter().take(surplus).for_each(|conn| self.give_up(conn));
    }

    /// The other connections of the same user that are parked.
    fn parked_of(&self, conn: &Conn) -> Vec<Arc<Conn>> {
        self.registry.read(conn.user(), |state| {
            let members = state.into_iter().flat_map(|state| state.members());
            let others = members.filter(|member| member.is_parked() && member.conn.id != conn.id);
            others.map(|member| member.conn.clone()).collect()
        })
    }

    /// A session is there that the policy would not have beside what is parked: what would have to give way to it is
    /// given up.
    pub(crate) fn give_up_replaced(&self, conn: &Conn) {
        let policy = &self.config.login_policy;
        if policy.is_unlimited() {
            return;
        }
        let parked = self.parked_of(conn);
        if parked.is_empty() {
            return;
        }
        let seat = |conn: &Conn| Seat::new(conn.id, conn.token_id(), conn.identity().device_label());
        let taken: Vec<Seat> = self.registry.read(conn.user(), |state| {
            let members = state.into_iter().flat_map(|state| state.members());
            members.filter(|member| member.conn.id != conn.id).map(|member| seat(&member.conn)).collect()
        });
        let decision = policy.decide(&taken, &seat(conn));
        let gives_way = |parked: &Conn| match &decision {
            Decision::Admitted => false,
            Decision::Replace(connections) => connections.contains(&parked.id),
            Decision::Refused => true,
        };
        parked.iter().filter(|parked| gives_way(parked)).for_each(|parked| self.give_up(parked));
    }

    /// One fewer is parked.
    pub(super) fn unparked(&self) {
        self.parked.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Gives all up: the node stops.
    pub(crate) fn give_up_all(&self) {
        while let Some(first) = self.parked.first() {
            self.expire_stream(&first);
        }
    }
}
