//! All channels of a node, in stripes, each behind a lock of its own.
//!
//! [`entering`](super::entering) has the ways in, [`leaving`](super::leaving) the ways out, [`telling`](super::telling)
//! what follows from both.
//!
//! The order of locks: a connection's seats, a stripe of channels, a stripe of the registry (to read), and last those
//! that nothing is asked under: graces, what is remembered, deadlines, a connection's outbox.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::{
    feed::Bounds,
    graces::Graces,
    name::{ChannelKey, Named},
    remembered::Remembered,
    snapshot::Snapshot,
    state::Channel,
};
use crate::{
    Clock, ConnectionId, Status, UserKey,
    cluster::{Change, Engine, Health, Wish},
    connection::Conn,
    manager::Hearing,
    policy,
    presence::{Deadlines, Registry},
    push::{Lanes, List},
};

/// As the registry has it: a list of one holds up few.
const STRIPES: usize = 256;

type Channels = HashMap<ChannelKey, Channel, DefaultHashBuilder>;

/// What the hub needs of the other planes.
pub(crate) struct Around {
    pub(crate) registry: Arc<Registry>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) mine: Arc<Hearing>,
    /// Where there are other nodes: members and comings and goings are the cluster's then.
    pub(crate) engine: Option<Arc<dyn Engine>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bounds: Arc<crate::connection::Bounds>,
    pub(crate) grace: Duration,
    /// How many events a listener may be behind.
    pub(crate) events_buffer: usize,
}

/// The channels of a node.
pub(crate) struct Hub {
    stripes: Box<[Mutex<Channels>]>,
    hasher: DefaultHashBuilder,
    count: AtomicUsize,
    /// Those of them that are there for somebody, and not only for streams that may be resumed.
    alive: AtomicUsize,
    /// Where the last feed began to count.
    ver: AtomicU64,
    /// How many lists of members were asked for in the cluster.
    pub(super) asked: AtomicU64,
    pub(super) remembered: Mutex<Remembered>,
    pub(super) graces: Graces,
    pub(super) limits: policy::Channels,
    pub(super) bounds: Bounds,
    pub(super) around: Around,
}

/// Whom a push to a channel is for.
#[derive(Debug)]
pub(crate) enum Receivers {
    Few(SmallVec<[Arc<Conn>; 4]>),
    Many(Vec<(usize, List)>),
}

impl Default for Receivers {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

/// There are as many channels as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Hub {
    pub(crate) fn new(limits: policy::Channels, around: Around) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            count: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            ver: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            remembered: Mutex::new(Remembered::new(limits.remember)),
            graces: Graces::default(),
            bounds: Bounds { users: limits.presence_users, weight: around.bounds.outbox.bytes / 2 },
            limits,
            around,
        }
    }

    /// How many channels somebody is in, watches or listens to.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// How many channels there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Who is in a channel: how many, and the first `listed` users in the order of their ids. An unknown channel has
    /// nobody.
    pub(crate) fn snapshot(&self, account: Option<&str>, channel: &str, listed: usize) -> Snapshot {
        let named = Named::new(account, channel);
        let stripe = self.stripe(&named);
        stripe.get(&named).map(|channel| Snapshot::of(&channel.roster, listed)).unwrap_or_default()
    }

    /// The users in a channel, those in their grace included.
    pub(crate) fn users(&self, channel: &ChannelKey) -> Vec<UserKey> {
        self.look(channel, |channel| channel.roster.iter().map(|(user, _)| user.clone()).collect())
    }

    /// The connections that are subscribed to a channel now.
    pub(crate) fn subscribers(&self, channel: &ChannelKey) -> Vec<Arc<Conn>> {
        self.look(channel, |channel| channel.subscribers.iter().cloned().collect())
    }

    /// Whom a push to a channel is for: each by name while they are `few`, as lists where they are more.
    pub(crate) fn audience(&self, channel: &ChannelKey, few: usize) -> Receivers {
        self.look(channel, |channel| match channel.subscribers.len() <= few {
            true => Receivers::Few(channel.subscribers.iter().cloned().collect()),
            false => Receivers::Many(channel.subscribers.lists().collect()),
        })
    }

    /// The ids of all that are subscribed to one of several channels.
    pub(crate) fn subscribed_to(&self, channels: &[ChannelKey]) -> HashSet<ConnectionId> {
        let mut ids = HashSet::new();
        for channel in channels {
            ids.extend(self.subscribers(channel).iter().map(|conn| conn.id));
        }
        ids
    }

    /// Looks at a channel; one that is not there looks like nothing.
    pub(super) fn look<R: Default>(&self, key: &ChannelKey, f: impl FnOnce(&Channel) -> R) -> R {
        let named = Named::from(key);
        self.stripe(&named).get(&named).map(f).unwrap_or_default()
    }

    /// Changes a channel that is there, and forgets it where nothing is left of it.
    pub(super) fn change<R>(&self, key: &ChannelKey, f: impl FnOnce(&mut Channel) -> R) -> Option<R> {
        let named = Named::from(key);
        let mut stripe = self.stripe(&named);
        let channel = stripe.get_mut(&named)?;
        let result = self.counted(key, channel, f);
        let untold = std::mem::take(&mut channel.untold);
        if channel.is_empty() {
            self.remove(&mut stripe, named);
        }
        drop(stripe);
        self.tell_engine(&untold);
        Some(result)
    }

    /// Changes a channel, which is made where it is not there.
    pub(super) fn open<R>(&self, key: &ChannelKey, f: impl FnOnce(&mut Channel) -> R) -> Result<R, Full> {
        let named = Named::from(key);
        let mut stripe = self.stripe(&named);
        let channel = match stripe.contains_key(&named) {
            true => stripe.get_mut(&named).ok_or(Full)?,
            false => {
                if self.count.fetch_add(1, Ordering::AcqRel) >= self.limits.max_channels_in_all {
                    self.count.fetch_sub(1, Ordering::AcqRel);
                    return Err(Full);
                }
                stripe.entry(key.clone()).or_insert_with(|| Channel::new(self.first_ver()))
            }
        };
        let result = self.counted(key, channel, f);
        let untold = std::mem::take(&mut channel.untold);
        if channel.is_empty() {
            self.remove(&mut stripe, named);
        }
        drop(stripe);
        self.tell_engine(&untold);
        Ok(result)
    }

    fn counted<R>(&self, key: &ChannelKey, channel: &mut Channel, f: impl FnOnce(&mut Channel) -> R) -> R {
        let (was, heard, taken) = (channel.is_alive(), channel.is_heard(), !channel.subscribers.is_empty());
        let result = f(channel);
        if let Some(engine) = &self.around.engine {
            if channel.is_heard() != heard {
                engine.wishes(&Wish::Members(key.clone()), !heard);
            }
            if channel.subscribers.is_empty() == taken {
                engine.wishes(&Wish::Pushes(key.clone()), !taken);
            }
        }
        match (was, channel.is_alive()) {
            (false, true) => drop(self.alive.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.alive.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        result
    }

    /// Outside all locks of channels: the engine asks this node what is true.
    fn tell_engine(&self, untold: &[Change]) {
        let Some(engine) = self.around.engine.as_ref().filter(|_| !untold.is_empty()) else { return };
        untold.iter().for_each(|change| engine.changed(change));
        if *engine.health().borrow() == Health::Down {
            untold.iter().for_each(|change| self.is_here(change));
        }
    }

    fn remove(&self, stripe: &mut Channels, named: Named<'_>) {
        stripe.remove(&named);
        self.count.fetch_sub(1, Ordering::AcqRel);
        if stripe.is_empty() {
            *stripe = HashMap::default();
        }
    }

    /// Microseconds since 1970: a channel that went and came back counts on, and so does one on another node. Such a
    /// number has 51 bits until the year 2041.
    fn first_ver(&self) -> u64 {
        let now = u64::try_from(self.around.clock.utc().timestamp_micros()).unwrap_or_default();
        self.ver.fetch_max(now, Ordering::Relaxed);
        self.ver.fetch_add(1, Ordering::Relaxed)
    }

    /// Visits every channel, each stripe under its lock.
    pub(super) fn each(&self, mut visit: impl FnMut(&ChannelKey, &Channel)) {
        for stripe in &self.stripes {
            stripe.lock().iter().for_each(|(key, channel)| visit(key, channel));
        }
    }

    pub(super) fn status_of(&self, user: &UserKey) -> Status {
        self.around.registry.status(user)
    }

    fn stripe(&self, named: &Named<'_>) -> MutexGuard<'_, Channels> {
        let hash = self.hasher.hash_one(named);
        self.stripes[(hash >> 32) as usize % STRIPES].lock()
    }

    /// Whether no channel and no grace of anybody is left, for tests.
    #[cfg(feature = "testing")]
    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0 && self.graces.is_empty()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("channels", &self.count()).finish_non_exhaustive()
    }
}
