//! What the nodes of one process share: the store that a real cluster would have.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::{
    super::engine::{Change, ClusterEvent, EngineError, Entry, Kept, LocalNode, Member, MemberNow, Wish},
    directory::{Directory, Turn},
};
use crate::{
    Cause, Clock, Event, Instant, Status, UserKey, connection::ConnectionId, kick::DenyTable, policy::Seat,
};

/// Below this many of them, values whose time is over are left where they are.
const ONCE_PURGE: usize = 64;
const ONCE_BOUND: usize = 100_000;
const DENY_BOUND: usize = 1_000_000;
/// Frames kept for the clients of a node that retired.
const LEFT_BOUND: usize = 10_000;

/// What all nodes share.
///
/// The order of locks: the directory, then a node's own. Wishes and the rest are asked under nothing and ask nothing.
pub(super) struct Hub {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) nodes: RwLock<BTreeMap<u32, Weak<dyn LocalNode>>>,
    /// Nodes that neither hear nor are heard, as with a failing network.
    pub(super) cut_off: RwLock<BTreeSet<u32>>,
    pub(super) directory: Mutex<Directory>,
    wishes: RwLock<HashMap<Wish, BTreeSet<u32>>>,
    pub(super) seats: Mutex<HashMap<UserKey, Vec<Seat>>>,
    pub(super) deny: DenyTable,
    once: Mutex<HashMap<String, (Vec<u8>, Instant)>>,
    retired: Mutex<HashMap<u32, Retired>>,
    joined: AtomicBool,
}

/// A node whose clients are to come back elsewhere.
struct Retired {
    frames: Vec<Bytes>,
    until: Instant,
}

impl Hub {
    pub(super) fn new(clock: Arc<dyn Clock>, joined: bool) -> Self {
        Self {
            clock,
            nodes: RwLock::default(),
            cut_off: RwLock::default(),
            directory: Mutex::default(),
            wishes: RwLock::default(),
            seats: Mutex::default(),
            deny: DenyTable::new(DENY_BOUND),
            once: Mutex::default(),
            retired: Mutex::default(),
            joined: AtomicBool::new(joined),
        }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// Takes a node's word, and tells everybody who wishes to hear when that changes the cluster's truth.
    pub(super) fn record(&self, node: u32, change: &Change) {
        let Some(truth) = self.nodes.read().get(&node).and_then(Weak::upgrade) else { return };
        let hearing = self.hearing();
        // Told under the lock: events leave in the order of their changes.
        let mut directory = self.directory.lock();
        if let Some(turn) = directory.set(node, &change.entry, truth.here(&change.entry)) {
            self.tell(&hearing, node, change, turn);
        }
    }

    fn tell(&self, hearing: &[(u32, Arc<dyn LocalNode>)], by: u32, change: &Change, turn: Turn) {
        let Change { entry, cause, at, data, .. } = change.clone();
        let (user, channel, wish) = match &entry {
            Entry::User(user) => (user, None, Wish::User(user.clone())),
            Entry::Member(channel, user) => (user, Some(channel), Wish::Members(channel.clone())),
        };
        if let Some(kind) = turn.kind
            && let Some((_, maker)) = hearing.iter().find(|(id, _)| *id == by)
        {
            let channel = channel.map(|channel| channel.shared_name());
            let event = Event {
                kind,
                user: user.clone(),
                status: turn.status.clone(),
                channel,
                cause,
                at,
                data: data.clone(),
            };
            maker.event(ClusterEvent::Made(event));
        }
        let Turn { kind, clients, status, data: known, ver } = turn;
        let told = match channel {
            Some(channel) => {
                let gone = kind == Some(crate::EventKind::Leave);
                let status = if gone { change.status.clone() } else { status };
                let member = Member { user: user.clone(), clients, status, data: known.or(data) };
                ClusterEvent::Member(MemberNow { channel: channel.clone(), ver, kind, member, cause, at })
            }
            None => {
                let Some(kind) = kind else { return };
                let user = user.clone();
                ClusterEvent::Heard(Event { kind, user, status, channel: None, cause, at, data })
            }
        };
        let wished = self.wished(&[&wish, &Wish::Everything]);
        hearing.iter().filter(|(id, _)| wished.contains(id)).for_each(|(_, node)| node.event(told.clone()));
    }

    /// The nodes there are, but for those that are cut off. To be held until no lock is: whoever drops the last handle
    /// of a node takes the node out, which locks everything.
    fn hearing(&self) -> Vec<(u32, Arc<dyn LocalNode>)> {
        let (nodes, cut_off) = (self.nodes.read(), self.cut_off.read());
        let hearing = nodes.iter().filter(|(id, _)| !cut_off.contains(id));
        hearing.filter_map(|(id, node)| Some((*id, node.upgrade()?))).collect()
    }

    pub(super) fn wish(&self, node: u32, wish: &Wish, yes: bool) {
        let mut wishes = self.wishes.write();
        let of = wishes.entry(wish.clone()).or_default();
        if yes {
            of.insert(node);
        } else {
            of.remove(&node);
        }
        if of.is_empty() {
            wishes.remove(wish);
        }
    }

    /// The nodes that wish for one of these.
    pub(super) fn wished(&self, wishes: &[&Wish]) -> BTreeSet<u32> {
        let all = self.wishes.read();
        wishes.iter().filter_map(|wish| all.get(*wish)).flatten().copied().collect()
    }

    /// From here on what is pushed to the node is kept.
    pub(super) fn retire(&self, node: u32, until: Instant) {
        let now = self.clock.now();
        let mut retired = self.retired.lock();
        retired.retain(|_, retired| retired.until > now);
        retired.insert(node, Retired { frames: Vec::new(), until });
    }

    /// Keeps a frame for a node that retired, if it did; false where no more is kept.
    pub(super) fn keep(&self, node: u32, frame: &Bytes) -> Option<bool> {
        let mut retired = self.retired.lock();
        let kept = retired.get_mut(&node)?;
        let has_room = kept.frames.len() < LEFT_BOUND && kept.until > self.clock.now();
        if has_room {
            kept.frames.push(frame.clone());
        }
        Some(has_room)
    }

    /// The nodes for whose clients pushes are kept.
    pub(super) fn retired(&self) -> Vec<u32> {
        let now = self.clock.now();
        self.retired.lock().iter().filter(|(_, retired)| retired.until > now).map(|(id, _)| *id).collect()
    }

    pub(super) fn left(&self, node: u32, from: usize) -> Kept {
        let retired = self.retired.lock();
        let frames: Vec<Bytes> = retired
            .get(&node)
            .map(|retired| retired.frames.iter().skip(from).cloned().collect())
            .unwrap_or_default();
        Kept { end: vec![from + frames.len()], frames }
    }

    pub(super) fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError> {
        let now = self.clock.now();
        let mut once = self.once.lock();
        // What nobody fetched is freed whenever the map has doubled, which costs each entry little.
        if once.len() >= ONCE_BOUND || (once.len() >= ONCE_PURGE && once.len().is_power_of_two()) {
            once.retain(|_, (_, until)| *until > now);
        }
        if once.len() >= ONCE_BOUND {
            return Err(EngineError::Full);
        }
        once.insert(key.to_owned(), (value, now + ttl));
        Ok(())
    }

    pub(super) fn take_once(&self, key: &str) -> Option<Vec<u8>> {
        let taken = self.once.lock().remove(key);
        taken.filter(|(_, until)| *until > self.clock.now()).map(|(value, _)| value)
    }

    pub(super) fn release(&self, user: &UserKey, connection: ConnectionId) {
        let mut seats = self.seats.lock();
        if let Some(taken) = seats.get_mut(user) {
            taken.retain(|seat| seat.connection != connection);
            if taken.is_empty() {
                seats.remove(user);
            }
        }
    }

    /// A node is gone with all that was on it; another one tells.
    pub(super) fn leave(&self, node: u32) {
        self.nodes.write().remove(&node);
        self.wishes.write().retain(|_, of| {
            of.remove(&node);
            !of.is_empty()
        });
        // Nobody gives the seats of a node back that is gone.
        self.seats.lock().retain(|_, taken| {
            taken.retain(|seat| seat.connection.node() != node);
            !taken.is_empty()
        });
        let hearing = self.hearing();
        let entries = self.directory.lock().entries_of(node);
        for entry in entries {
            let (cause, at, status) = (Cause::Shutdown, self.clock.utc(), Status::Offline);
            let change = Change { entry, is_new: false, cause, at, status, data: None };
            let mut directory = self.directory.lock();
            if let Some(turn) = directory.set(node, &change.entry, None) {
                let by = hearing.first().map_or(node, |(id, _)| *id);
                self.tell(&hearing, by, &change, turn);
            }
        }
    }
}
