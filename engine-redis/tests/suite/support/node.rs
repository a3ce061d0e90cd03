//! [`Node`]: an engine with a node behind it that remembers what it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use herenow::{
    Cause, Clock, DenyEntry, EventKind, RemoteCounts, Status, SystemClock, UserKey,
    cluster::{Change, ClusterEvent, Engine, Entry, Found, Health, Here, LocalNode, Lookup, Receipt, Wish},
};
use herenow_redis::{RedisConfig, RedisEngine};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{
    redis::Redis,
    tally::Tally,
    wait::{eventually, within},
};

/// A node over Redis.
pub(crate) struct Node {
    pub(crate) engine: RedisEngine,
    pub(crate) local: Arc<Local>,
}

/// What a node has, and what it was told.
#[derive(Default)]
pub(crate) struct Local {
    pub(crate) here: Mutex<BTreeMap<Entry, Here>>,
    pub(crate) wishes: Mutex<BTreeSet<Wish>>,
    pub(crate) denied: Mutex<Vec<DenyEntry>>,
    pub(crate) pushes: Mutex<Vec<Bytes>>,
    pub(crate) events: Mutex<Vec<ClusterEvent>>,
    pub(crate) queries: Mutex<Vec<Bytes>>,
    /// Where there is one, transitions of users are counted there and not remembered.
    pub(crate) tally: OnceLock<Tally>,
    /// Whoever delivers a push here waits for as long as this is so.
    is_held_up: Mutex<bool>,
    goes_on: Condvar,
}

/// Beats ten times as often as usual, with everything in proportion, so that tests take less time.
pub(crate) fn quick(url: &str) -> RedisConfig {
    quicken(RedisConfig::try_from(url).unwrap())
}

/// The same of any configuration.
pub(crate) fn quicken(config: RedisConfig) -> RedisConfig {
    config
        .heartbeat(Duration::from_millis(100))
        .lease(Duration::from_millis(600))
        .command_timeout(Duration::from_millis(300))
}

impl Node {
    /// A node that is up.
    pub(crate) async fn up(config: RedisConfig) -> Self {
        let engine =
            within("connecting", Duration::from_secs(10), RedisEngine::connect(config)).await.unwrap();
        let node = Self::over(engine);
        node.wait_for(Health::Up).await;
        node
    }

    /// A node over an engine, however that is.
    pub(crate) fn over(engine: RedisEngine) -> Self {
        Self::with(engine, Local::default())
    }

    /// The same of a node that has something already.
    pub(crate) fn with(engine: RedisEngine, local: Local) -> Self {
        let local = Arc::new(local);
        let known: Arc<dyn LocalNode> = local.clone();
        engine.attach(Arc::downgrade(&known));
        Self { engine, local }
    }

    pub(crate) fn id(&self) -> u32 {
        self.engine.node_id()
    }

    pub(crate) fn health(&self) -> Health {
        *self.engine.health().borrow()
    }

    /// Waits until the engine is so; returns how long that took.
    pub(crate) async fn wait_for(&self, health: Health) -> Duration {
        eventually(&format!("{health:?}"), Duration::from_secs(15), || self.health() == health).await
    }

    /// Waits until this node knows of another one.
    pub(crate) async fn wait_for_others(&self) {
        let nobody = herenow::cluster::Reach::Node(!self.id());
        let knows = || matches!(self.engine.route(nobody, Bytes::new()), Receipt::Pending(_));
        eventually("another node is known", Duration::from_secs(10), knows).await;
    }

    /// A user comes to this node.
    pub(crate) fn comes(&self, user: &str) {
        let entry = Entry::User(user.into());
        let here = Here { clients: 0, status: Status::Online, data: None };
        let is_new = self.local.here.lock().insert(entry.clone(), here).is_none();
        self.tell(entry, is_new, Cause::Connect, Status::Online);
    }

    /// A user leaves it.
    pub(crate) fn goes(&self, user: &str) {
        let entry = Entry::User(user.into());
        self.local.here.lock().remove(&entry);
        self.changed(entry, Cause::Disconnect, Status::Offline);
    }

    /// From now on this is true of an entry here.
    pub(crate) fn set(&self, entry: Entry, here: Option<Here>) {
        let status = here.as_ref().map(|here| here.status.clone()).unwrap_or_default();
        let cause = if here.is_some() { Cause::Connect } else { Cause::Disconnect };
        let before = match here {
            Some(here) => self.local.here.lock().insert(entry.clone(), here),
            None => self.local.here.lock().remove(&entry),
        };
        self.tell(entry, before.is_none(), cause, status);
    }

    /// Something of an entry changed.
    pub(crate) fn changed(&self, entry: Entry, cause: Cause, status: Status) {
        self.tell(entry, false, cause, status);
    }

    fn tell(&self, entry: Entry, is_new: bool, cause: Cause, status: Status) {
        self.engine.changed(&Change { entry, is_new, cause, at: SystemClock.utc(), status, data: None });
    }

    /// This node hears of something from now on.
    pub(crate) fn wishes(&self, wish: Wish) {
        self.local.wishes.lock().insert(wish.clone());
        self.engine.wishes(&wish, true);
    }

    /// What a lookup says of a user.
    pub(crate) async fn status(&self, user: &str) -> Status {
        match self.engine.lookup(Lookup::Status(user.into())).await {
            Ok(Found::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// It hears of everything from now on.
    pub(crate) async fn hears_everything(&self, redis: &Redis, with_this: usize) {
        self.wishes(Wish::Everything);
        let heard = |heard: &(String, usize)| heard.1 == with_this;
        redis.wait_for(&["PUBSUB", "NUMSUB", "herenow:ev"], "it hears", heard).await;
    }

    /// All that it told has been written, and all that anybody told before has been heard here.
    pub(crate) async fn settles(&self) {
        self.engine.lookup(Lookup::Count).await.unwrap();
        self.engine.caught_up().await.unwrap();
    }

    /// The transitions that it was told, as `kind of user` and, for a member, `@channel`: first those that it made, then those
    /// that it heard of.
    pub(crate) fn told(&self) -> [Vec<String>; 2] {
        let events = self.local.events.lock();
        let told = |kind: EventKind, user: &UserKey, channel: Option<&str>| {
            let channel = channel.map(|channel| format!("@{channel}")).unwrap_or_default();
            format!("{kind:?} {}{channel}", user.login_id())
        };
        let made = |event: &ClusterEvent| match event {
            ClusterEvent::Made(event) => Some(told(event.kind, &event.user, event.channel.as_deref())),
            _ => None,
        };
        let heard = |event: &ClusterEvent| match event {
            ClusterEvent::Heard(event) => Some(told(event.kind, &event.user, None)),
            ClusterEvent::Member(now) => {
                now.kind.map(|kind| told(kind, &now.member.user, Some(now.channel.name())))
            }
            _ => None,
        };
        [events.iter().filter_map(made).collect(), events.iter().filter_map(heard).collect()]
    }

    /// Forgets what it was told.
    pub(crate) fn forgets(&self) {
        self.local.events.lock().clear();
    }

    /// How often it was told that events may have been lost.
    pub(crate) fn resyncs(&self) -> usize {
        self.local.events.lock().iter().filter(|event| matches!(event, ClusterEvent::Resync)).count()
    }

    /// How often it was pushed this.
    pub(crate) fn heard(&self, push: &[u8]) -> usize {
        self.local.pushes.lock().iter().filter(|heard| *heard == push).count()
    }

    /// How often it was asked this.
    pub(crate) fn asked(&self, query: &[u8]) -> usize {
        self.local.queries.lock().iter().filter(|asked| *asked == query).count()
    }
}

impl Local {
    /// Deliveries wait here from now on, or go on.
    pub(crate) fn hold_up(&self, held_up: bool) {
        *self.is_held_up.lock() = held_up;
        self.goes_on.notify_all();
    }
}

#[async_trait]
impl LocalNode for Local {
    fn here(&self, entry: &Entry) -> Option<Here> {
        self.here.lock().get(entry).cloned()
    }

    fn each_entry(&self, visit: &mut dyn FnMut(Entry)) {
        self.here.lock().keys().cloned().for_each(visit);
    }

    fn each_denied(&self, visit: &mut dyn FnMut(DenyEntry)) {
        self.denied.lock().iter().cloned().for_each(visit);
    }

    fn each_wish(&self, visit: &mut dyn FnMut(Wish)) {
        self.wishes.lock().iter().cloned().for_each(visit);
    }

    fn deliver(self: Arc<Self>, frame: Bytes, reply: Option<oneshot::Sender<RemoteCounts>>) {
        let mut is_held_up = self.is_held_up.lock();
        if *is_held_up {
            // A worker that waits here gives its other tasks away.
            tokio::task::block_in_place(|| self.goes_on.wait_while(&mut is_held_up, |held_up| *held_up));
        }
        drop(is_held_up);
        self.pushes.lock().push(frame);
        if let Some(reply) = reply {
            let mut counts = RemoteCounts::default();
            (counts.nodes, counts.matched, counts.enqueued) = (1, 3, 2);
            let _ = reply.send(counts);
        }
    }

    async fn answer(self: Arc<Self>, query: Bytes) -> Bytes {
        self.queries.lock().push(query.clone());
        query
    }

    fn event(&self, event: ClusterEvent) {
        if self.tally.get().is_some_and(|tally| tally.takes(&event)) {
            return;
        }
        self.events.lock().push(event);
    }
}
