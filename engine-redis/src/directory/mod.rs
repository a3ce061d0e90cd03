//! [`Directory`]: what this node knows and wishes, as all nodes see it in one Redis.
//!
//! The nodes' own tables are the truth, and Redis holds what they write: `write` brings changes there, `resync` everything
//! after a loss, `sweep` looks slowly for what should not be there, `reap` takes dead nodes out. `read` answers questions,
//! `push` says where pushes go, `event` what happened.

mod deny;
mod dirty;
mod event;
mod living;
mod once;
mod push;
mod read;
mod reap;
mod resync;
mod retired;
mod scripts;
mod seats;
mod sweep;
mod write;

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use herenow::{
    Clock, SystemClock,
    cluster::{Change, ClusterEvent, Entry, LocalNode, Wish},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::dirty::{Dirty, SeatChange};
pub(crate) use self::scripts::{SCRIPTS, SYNCED};
use crate::{
    cluster::Cluster,
    error::Unavailable,
    keys::{Keys, TAGS},
    link::Link,
};

/// What scripts put before the events they tell: version and kind of the frame.
const EVENTS: &[u8] = &[crate::frame::VERSION, b'e'];
/// How long a flush may take while Redis answers.
const PATIENCE: Duration = Duration::from_secs(2);

/// One Redis's part of the directory.
pub(crate) struct Directory {
    link: Link,
    keys: Arc<Keys>,
    cluster: Cluster,
    /// Whether a tag is held here.
    owns: Arc<dyn Fn(u8) -> bool + Send + Sync>,
    local: OnceLock<Weak<dyn LocalNode>>,
    /// Whether this one holds what belongs to no user and no channel.
    is_first: bool,
    dirty: Mutex<Dirty>,
    unstored: Mutex<deny::Unstored>,
    changed: Notify,
    /// Up to which mark everything was written.
    written: watch::Sender<u64>,
    everything: watch::Sender<bool>,
    asked: Mutex<living::Asked>,
    /// Redis was lost; the sweep has not begun anew yet.
    lost: Notify,
    retired: AtomicBool,
    /// How often this node retired, or did not after all.
    markers: AtomicU64,
    /// All that was sent before that is here.
    marked: watch::Sender<u64>,
}

impl Directory {
    pub(crate) fn new(
        link: Link,
        keys: Arc<Keys>,
        cluster: Cluster,
        owns: Arc<dyn Fn(u8) -> bool + Send + Sync>,
        is_first: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            link,
            keys,
            cluster,
            owns,
            local: OnceLock::new(),
            is_first,
            dirty: Mutex::default(),
            unstored: Mutex::default(),
            changed: Notify::new(),
            written: watch::Sender::new(0),
            everything: watch::Sender::new(false),
            asked: Mutex::default(),
            lost: Notify::new(),
            retired: AtomicBool::new(false),
            markers: AtomicU64::new(0),
            marked: watch::Sender::new(0),
        })
    }

    /// The node is there.
    pub(crate) fn attach(&self, local: Weak<dyn LocalNode>) {
        let _ = self.local.set(local); // A node is attached once.
    }

    fn local(&self) -> Option<Arc<dyn LocalNode>> {
        self.local.get().and_then(Weak::upgrade)
    }

    /// Writes, and looks after what is written, for as long as the node lives.
    pub(crate) async fn run(self: Arc<Self>) {
        tokio::join!(self.write(), self.sweep());
    }

    /// Whether this node hears everything.
    pub(crate) fn everything(&self) -> watch::Receiver<bool> {
        self.everything.subscribe()
    }

    /// Something changed on this node. Never waits.
    pub(crate) fn changed(&self, change: &Change) {
        self.dirty.lock().change(change.clone());
        self.changed.notify_one();
    }

    /// This node hears of something, or no more. Never waits.
    pub(crate) fn wishes(&self, wish: &Wish, yes: bool) {
        if *wish == Wish::Everything {
            self.everything.send_replace(yes);
            return;
        }
        if !yes && self.is_retired() {
            return; // What is pushed meanwhile has to be kept for those who come back elsewhere.
        }
        self.dirty.lock().wish(wish.clone(), yes);
        self.changed.notify_one();
    }

    fn change_seat(&self, change: SeatChange) {
        self.dirty.lock().seat(change);
        self.changed.notify_one();
    }

    /// The tags that are held here.
    fn tags(&self) -> impl Iterator<Item = u8> {
        (0..TAGS).filter_map(|tag| u8::try_from(tag).ok()).filter(|tag| (self.owns)(*tag))
    }

    /// What this node has of an entry that belongs to this Redis.
    fn owns_entry(&self, entry: &Entry) -> bool {
        match entry {
            Entry::User(user) => (self.owns)(Keys::user_tag(user)),
            Entry::Member(channel, _) => (self.owns)(Keys::channel_tag(channel)),
        }
    }

    fn owns_wish(&self, wish: &Wish) -> bool {
        match wish {
            Wish::User(user) => (self.owns)(Keys::user_tag(user)),
            Wish::Pushes(channel) | Wish::Members(channel) => (self.owns)(Keys::channel_tag(channel)),
            Wish::Everything => false,
        }
    }

    /// Waits until everything that was told before has been written, but for what Redis refuses. Cancel safe.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) async fn flush(&self) -> Result<(), Unavailable> {
        if !self.link.is_up() {
            return Err(Unavailable::Down);
        }
        let marked = self.dirty.lock().marked();
        let (mut written, mut number) = (self.written.subscribe(), self.link.number());
        let connection = *number.borrow_and_update();
        tokio::select! {
            _ = written.wait_for(|written| *written >= marked) => Ok(()),
            _ = number.wait_for(|number| *number != connection) => Err(Unavailable::Down),
            () = tokio::time::sleep(PATIENCE) => Err(Unavailable::Late),
        }
    }

    /// Somebody told what happened.
    pub(crate) fn heard(&self, body: &Bytes) {
        let Some(local) = self.local() else { return };
        event::told(body).for_each(|event| local.event(event));
    }

    fn tell(&self, event: Option<ClusterEvent>) {
        if let (Some(event), Some(local)) = (event, self.local()) {
            local.event(event);
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    fn now(&self) -> herenow::Instant {
        SystemClock.now()
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}
