//! What every handle of a manager shares, and the wiring between the planes.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::RwLock;
use tokio::{runtime::Handle, sync::Notify};

use super::hearing::Hearing;
use crate::{
    Clock, EventKind, Instant, UserKey,
    auth::{Authenticator, Authorize},
    channel::{Around, Hub, Watching},
    cluster::{Change, Engine, Entry, Health},
    config::Config,
    connection::{Conn, Quota},
    error::PushError,
    kick::DenyTable,
    observe::Population,
    presence::{Deadlines, Diff, LastSeen, Registry},
    push::{Lanes, MessagePusher, OfflineSink, Pushers},
    resume::{self, Brought, Left, Parked, Secret},
    room::Room,
};

/// What the builder hands over.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) deny_entries: usize,
    pub(crate) max_per_address: Option<usize>,
    pub(crate) max_per_user: Option<usize>,
    pub(crate) events_buffer: usize,
    pub(crate) last_seen_bound: usize,
    pub(crate) lanes: usize,
    pub(crate) runtime: Option<Handle>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorize>,
    pub(crate) last_seen: Option<Arc<dyn LastSeen>>,
    pub(crate) offline_sink: Option<Arc<dyn OfflineSink>>,
    pub(crate) pushers: Vec<Arc<dyn MessagePusher>>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    began: Instant,
    began_utc: DateTime<Utc>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) channels: Arc<Hub>,
    pub(crate) mine: Arc<Hearing>,
    pub(crate) deny: DenyTable,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) pushers: Pushers,
    pub(crate) offline_sink: Option<Arc<dyn OfflineSink>>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorize>,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) parked: Arc<Parked>,
    /// Held to read while a push is handed to this node's connections and then to the others, as one step.
    pub(crate) passing: RwLock<()>,
    /// What was pushed to nodes that stopped.
    pub(crate) left: Left,
    pub(crate) brought: Brought,
    /// The engine has been down for longer than connections are kept without it.
    pub(crate) is_cut_off: AtomicBool,
    /// Events of other nodes may have been missed.
    pub(super) resyncs: Arc<Notify>,
    pub(crate) secret: Secret,
    pub(crate) room: Room,
    pub(crate) by_address: Quota<IpAddr>,
    pub(crate) by_user: Quota<UserKey>,
    pub(crate) places: AtomicUsize,
    pub(crate) visible: AtomicUsize,
    pub(crate) hands: AtomicU64,
    pub(crate) coming: super::hand::Coming,
    pub(crate) closing: AtomicBool,
    started: AtomicBool,
    population: Population,
}

impl Inner {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let node = parts.engine.node_id();
        let clustered = parts.engine.is_clustered();
        let others = clustered.then(|| parts.engine.clone());
        if clustered {
            parts.config.bounds.room.share();
        }
        let lanes = Arc::new(Lanes::new(node, parts.lanes, parts.config.bounds.clone(), parts.clock.clone()));
        let watching = Watching::new(lanes.clone(), parts.config.bounds.clone(), others.clone());
        let mine =
            Arc::new(Hearing::new(watching, parts.last_seen, parts.events_buffer, parts.last_seen_bound));
        let observer = mine.clone();
        let observe = move |kind: EventKind, diff: &Diff| {
            // In a cluster the engine tells transitions; a kick is this node's own deed.
            if !clustered || kind == EventKind::Kicked {
                observer.happened(kind, diff);
            }
        };
        let pushers = Pushers::default();
        parts.pushers.into_iter().for_each(|pusher| pushers.add(pusher));
        let (registry, deadlines) = (Arc::new(Registry::new(observe)), Arc::<Deadlines>::default());
        let around = Around {
            registry: registry.clone(),
            lanes: lanes.clone(),
            deadlines: deadlines.clone(),
            mine: mine.clone(),
            engine: others,
            clock: parts.clock.clone(),
            bounds: parts.config.bounds.clone(),
            grace: parts.config.grace,
            events_buffer: parts.events_buffer,
        };
        let inner = Arc::new(Self {
            began: parts.clock.now(),
            began_utc: parts.clock.utc(),
            channels: Arc::new(Hub::new(parts.config.channels.clone(), around)),
            registry,
            lanes,
            mine,
            deny: DenyTable::new(parts.deny_entries),
            engine: parts.engine,
            pushers,
            offline_sink: parts.offline_sink,
            authenticator: parts.authenticator,
            authorizer: parts.authorizer,
            deadlines,
            parked: Arc::default(),
            passing: RwLock::default(),
            left: Left::default(),
            brought: Brought::default(),
            is_cut_off: AtomicBool::new(false),
            resyncs: Arc::default(),
            secret: Secret::new(),
            room: Room::new(parts.runtime, parts.lanes),
            by_address: Quota::new(parts.max_per_address),
            by_user: Quota::new(parts.max_per_user),
            places: AtomicUsize::new(0),
            visible: AtomicUsize::new(0),
            hands: AtomicU64::new(0),
            coming: super::hand::Coming::default(),
            closing: AtomicBool::new(false),
            started: AtomicBool::new(false),
            population: Population::default(),
            clock: parts.clock,
            config: parts.config,
        });
        super::node::attach(&inner);
        inner
    }

    /// Starts flushers and the presence task; called by the first connection or hand mark.
    pub(crate) fn start(self: &Arc<Self>) {
        if !self.started.load(Ordering::Acquire) && !self.started.swap(true, Ordering::AcqRel) {
            self.lanes.start(&self.room);
            super::tasks::start(self);
            super::heal::start(self);
            super::resync::start(self);
            resume::start(self);
        }
    }

    /// Microseconds since the manager began.
    pub(crate) fn micros(&self) -> u64 {
        self.micros_at(self.clock.now())
    }

    pub(crate) fn micros_at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_micros() as u64
    }

    /// When that was, on the wall's clock.
    pub(crate) fn at_micros(&self, micros: u64) -> DateTime<Utc> {
        self.began_utc + TimeDelta::microseconds(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    pub(crate) fn last_activity(&self, conn: &Conn) -> Instant {
        self.began + Duration::from_micros(conn.activity())
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn push_allowed(&self) -> Result<(), PushError> {
        if self.is_closing() { Err(PushError::ShutDown) } else { Ok(()) }
    }

    /// What follows from a change once its lock is released.
    pub(crate) fn after(&self, diff: Option<Diff>) {
        if let Some(diff) = &diff {
            if self.engine.is_clustered() {
                self.engine.changed(&change_of(diff));
                if !self.mine.watching.is_idle() && self.engine_health() == Health::Down {
                    self.mine.is_here(&diff.user, diff.after.clone(), diff.at);
                }
            }
            self.channels.user_changed(diff);
        }
        self.population.is(self.registry.users(), self.registry.sockets());
    }
}

fn change_of(diff: &Diff) -> Change {
    let Diff { user, before, after, cause, at, data } = diff.clone();
    Change { entry: Entry::User(user), is_new: !before.is_online(), cause, at, status: after, data }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime of the application's goes on: the task there would wait for ever.
        self.deadlines.wake(self.began);
        self.parked.wake(self.began);
        self.resyncs.notify_one();
        self.room.close();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnlineManager")
            .field("registry", &self.registry)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
