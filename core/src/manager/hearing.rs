//! Where events go: the application's listeners, the last-seen memory, the application's own store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    Cause, Event, EventKind, Status, UserKey,
    channel::Watching,
    presence::{Diff, EventBus, LastSeen, RecentlySeen},
};

/// Records of "last seen" that may wait for the application's store.
const LAST_SEEN_QUEUE: usize = 10_000;

/// How many disconnect handlers run, and how many records and messages are on their way to the application's stores: a
/// shutdown waits for them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Busy(Arc<()>);

impl Busy {
    /// One more; dropped, one less.
    pub(crate) fn begin(&self) -> Arc<()> {
        self.0.clone()
    }

    pub(crate) fn running(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// When a user was last here.
type SeenAt = (UserKey, DateTime<Utc>, Arc<()>);

/// Where events go: the application's listeners, the last-seen memory, the application's own store.
pub(crate) struct Hearing {
    pub(crate) events: EventBus,
    pub(crate) cluster: EventBus,
    /// Connections that watch single users.
    pub(crate) watching: Arc<Watching>,
    pub(crate) seen: RecentlySeen,
    /// The application's own; without one, nothing is queued for it.
    pub(crate) store: Option<Arc<dyn LastSeen>>,
    /// What a shutdown waits for.
    pub(crate) busy: Busy,
    queue: mpsc::Sender<SeenAt>,
    pub(crate) waiting: Mutex<Option<mpsc::Receiver<SeenAt>>>,
}

impl Hearing {
    pub(super) fn new(
        watching: Watching,
        store: Option<Arc<dyn LastSeen>>,
        events_buffer: usize,
        seen_bound: usize,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(LAST_SEEN_QUEUE);
        Self {
            events: EventBus::new(events_buffer),
            cluster: EventBus::new(events_buffer),
            watching: Arc::new(watching),
            seen: RecentlySeen::new(seen_bound),
            store,
            busy: Busy::default(),
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// A transition of the cluster, whichever node made it.
    pub(crate) fn in_cluster(&self, event: &Event) {
        if self.cluster.is_heard() {
            self.cluster.publish(event.clone());
        }
        self.watching.tell(event);
    }

    /// A transition of this node, which is the cluster. An event is made of it where there is somebody to hear it.
    pub(super) fn happened(&self, kind: EventKind, diff: &Diff) {
        if self.cluster.is_heard() || self.events.is_heard() || !self.watching.is_idle() {
            let event = Event::of(kind, diff);
            self.in_cluster(&event);
            self.made_here(event);
        } else if kind == EventKind::Offline {
            self.remember(&diff.user, diff.at);
        }
    }

    /// Nobody says how a user is in the cluster, and on this node it is so: whoever believed it offline knows better.
    pub(crate) fn is_here(&self, user: &UserKey, status: Status, at: DateTime<Utc>) {
        if status.is_online() {
            let (user, kind, cause) = (user.clone(), EventKind::Online, Cause::Connect);
            self.watching.tell_online(&Event { kind, user, status, channel: None, cause, at, data: None });
        }
    }

    /// A transition that this node made: it alone tells `events()` and the stores.
    pub(crate) fn made_here(&self, event: Event) {
        if event.kind == EventKind::Offline {
            self.remember(&event.user, event.at);
        }
        if self.events.is_heard() {
            self.events.publish(event);
        }
    }

    pub(crate) fn remember(&self, user: &UserKey, at: DateTime<Utc>) {
        self.seen.record(user, at);
        if self.store.is_some() && self.queue.try_send((user.clone(), at, self.busy.begin())).is_err() {
            metrics::counter!(crate::observe::LAST_SEEN_DROPS).increment(1);
        }
    }
}
