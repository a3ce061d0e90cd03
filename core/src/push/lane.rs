//! Lanes: each connection belongs to one, and each has a flusher that writes broadcasts to all its connections.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::{
    crowd::List,
    encoded::Encoded,
    flusher::{Flusher, PORTION},
    tally::{Counts, Share, Waiting},
};
use crate::{
    Clock,
    connection::{Bounds, Conn, ConnectionId, Place, Sent},
    room::Room,
    target::{Except, Scope},
};

/// Commands that may wait at one lane; more are dropped and counted, since nobody could ever catch up.
const WAITING: usize = 65_536;

#[derive(Debug)]
pub(super) struct Command {
    pub(super) audience: Audience,
    pub(super) load: Load,
    pub(super) share: Arc<Share>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    Push(Arc<Encoded>),
    /// A frame of envelope mode that is no push; nobody else is sent it.
    Other(Bytes),
}

#[derive(Debug, Clone)]
pub(super) enum Audience {
    All(Arc<(Scope, Except)>),
    Some(Vec<Arc<Conn>>),
    /// Those of a channel, but for whoever is left out.
    Crowd(List, Option<Arc<Except>>),
}

/// Connections that keep a push for a client that may come back, since no socket took it, and as which of their pushes,
/// where that is known.
pub(crate) type Holders = SmallVec<[(Arc<Conn>, Option<u64>); 1]>;

#[derive(Debug)]
struct Slot {
    generation: u32,
    used: bool,
    conn: Option<Arc<Conn>>,
    present: bool,
    /// Another session took its place before it was registered.
    replaced: bool,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Counts every use of any slot, so that no id returns before it wraps.
    generation: u32,
}

#[derive(Debug)]
pub(super) struct Lane {
    slots: Mutex<Slots>,
    queue: mpsc::UnboundedSender<Command>,
    pub(super) waiting: AtomicUsize,
}

/// All lanes of a node.
#[derive(Debug)]
pub(crate) struct Lanes {
    node: u32,
    lanes: Vec<Arc<Lane>>,
    idle: Mutex<Vec<mpsc::UnboundedReceiver<Command>>>,
    started: AtomicBool,
    next: AtomicUsize,
    bounds: Arc<Bounds>,
    clock: Arc<dyn Clock>,
}

impl Lanes {
    pub(crate) fn new(node: u32, count: usize, bounds: Arc<Bounds>, clock: Arc<dyn Clock>) -> Self {
        let (lanes, idle) = (0..count)
            .map(|_| {
                let (queue, flusher) = mpsc::unbounded_channel();
                let lane = Lane { slots: Mutex::default(), queue, waiting: AtomicUsize::new(0) };
                (Arc::new(lane), flusher)
            })
            .unzip();
        let (started, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { node, lanes, idle: Mutex::new(idle), started, next, bounds, clock }
    }

    /// Starts the flushers; only the first call does anything.
    pub(crate) fn start(&self, room: &Room) {
        if self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        for (lane, receiver) in self.lanes.iter().zip(self.idle.lock().drain(..)) {
            let flusher = Flusher {
                lane: Arc::downgrade(lane),
                bounds: self.bounds.clone(),
                clock: self.clock.clone(),
            };
            // Writes to sockets are not to be charged to the task's budget, which would make a live one look full.
            room.spawn(tokio::task::unconstrained(flusher.run(receiver)));
        }
    }

    /// Reserves a place, and with it the id of the connection to come.
    pub(crate) fn reserve(&self) -> ConnectionId {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let mut slots = self.lanes[index].slots.lock();
        slots.generation = (slots.generation + 1) % Place::GENERATIONS;
        let generation = slots.generation;
        let fresh = Slot { generation, used: true, conn: None, present: false, replaced: false };
        let slot = match slots.free.pop() {
            Some(slot) => {
                slots.slots[slot as usize] = fresh;
                slot
            }
            None => {
                slots.slots.push(fresh);
                (slots.slots.len() - 1) as u32
            }
        };
        ConnectionId::new(self.node, Place { lane: index as u8, generation, slot })
    }

    /// An id for a socket that is refused: it has no place, and nobody finds it.
    pub(crate) fn no_place(&self) -> ConnectionId {
        ConnectionId::by_hand(self.node, 0)
    }

    /// Puts the connection into its place; pushes pass it by until [`open`](Self::open).
    pub(crate) fn fill(&self, conn: &Arc<Conn>) {
        self.with_slot(conn.id, |slot| slot.conn = Some(conn.clone()));
    }

    /// Broadcasts find the connection from here on.
    pub(crate) fn open(&self, id: ConnectionId) {
        self.with_slot(id, |slot| slot.present = true);
    }

    /// Marks a connection as replaced, for the time when it joins: it may not be registered yet.
    pub(crate) fn replace(&self, id: ConnectionId) {
        self.with_slot(id, |slot| slot.replaced = true);
    }

    pub(crate) fn is_replaced(&self, id: ConnectionId) -> bool {
        self.with_slot(id, |slot| slot.replaced).unwrap_or(false)
    }

    /// Frees the place; a second call finds nothing.
    pub(crate) fn remove(&self, id: ConnectionId) {
        let Some(place) = id.place() else { return };
        let Some(lane) = self.lanes.get(usize::from(place.lane)) else { return };
        let mut slots = lane.slots.lock();
        let Some(slot) = slots.slots.get_mut(place.slot as usize) else { return };
        if slot.generation != place.generation || !slot.used {
            return;
        }
        let conn = slot.conn.take();
        (slot.used, slot.present) = (false, false);
        slots.free.push(place.slot);
        if slots.free.len() == slots.slots.len() {
            (slots.slots, slots.free) = (Vec::new(), Vec::new()); // An emptied lane gives its memory back.
        }
        drop(slots);
        drop(conn);
    }

    /// The connection of an id of this node, pending or present.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Arc<Conn>> {
        (id.node() == self.node).then(|| self.with_slot(id, |slot| slot.conn.clone()))??
    }

    fn with_slot<R>(&self, id: ConnectionId, f: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let place = id.place()?;
        let mut slots = self.lanes.get(usize::from(place.lane))?.slots.lock();
        let slot = slots.slots.get_mut(place.slot as usize)?;
        (slot.generation == place.generation).then(|| f(slot))
    }

    /// Waits until no lane has anything left to write, or until `end`.
    pub(crate) async fn quiet(&self, end: crate::Instant, clock: &dyn Clock) {
        while self.lanes.iter().any(|lane| lane.waiting.load(Ordering::Acquire) > 0) && clock.now() < end {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Waits until the lane of a connection has written all that it was given before. Cancel safe.
    pub(crate) async fn passed(&self, id: ConnectionId) {
        let lane = id.place().and_then(|place| self.lanes.get(usize::from(place.lane)));
        let Some(lane) = lane.filter(|_| self.started.load(Ordering::Acquire)) else { return };
        let (share, waiting) = Waiting::new();
        lane.enqueue(Command {
            audience: Audience::Some(Vec::new()),
            load: Load::Other(Bytes::new()),
            share,
        });
        waiting.counts().await;
    }

    /// Every connection there is, pending ones too.
    pub(crate) fn all(&self) -> Vec<Arc<Conn>> {
        let mut all = Vec::new();
        for lane in &self.lanes {
            all.extend(lane.slots.lock().slots.iter().filter_map(|slot| slot.conn.clone()));
        }
        all
    }

    /// Sends to everybody that a scope names: one command per lane.
    pub(crate) fn broadcast(&self, scope: Scope, except: Except, encoded: &Arc<Encoded>) -> Waiting {
        let audience = Arc::new((scope, except));
        let (share, waiting) = Waiting::new();
        if !self.started.load(Ordering::Acquire) {
            return waiting; // There was no connection yet, so no flusher: nobody is meant.
        }
        for lane in &self.lanes {
            let audience = Audience::All(audience.clone());
            lane.enqueue(Command { audience, load: Load::Push(encoded.clone()), share: share.clone() });
        }
        waiting
    }

    /// Sends to the connections of a channel, as the lists have them: one command per lane.
    pub(crate) fn send_to_crowd(
        &self,
        lists: impl IntoIterator<Item = (usize, List)>,
        except: Option<&Except>,
        load: &Load,
    ) -> Waiting {
        let (share, waiting) = Waiting::new();
        let except = except.filter(|except| !except.is_empty()).map(|except| Arc::new(except.clone()));
        for (lane, list) in lists {
            let Some(lane) = self.lanes.get(lane) else { continue };
            let audience = Audience::Crowd(list, except.clone());
            lane.enqueue(Command { audience, load: load.clone(), share: share.clone() });
        }
        waiting
    }

    /// Sends to a few connections: inline, unless a lane still has to send what came before.
    pub(crate) fn send(
        &self,
        conns: SmallVec<[Arc<Conn>; 4]>,
        encoded: &Arc<Encoded>,
    ) -> (Counts, Option<Waiting>, Holders) {
        let now = self.clock.now();
        let (mut counts, mut holders) = (Counts::default(), Holders::new());
        let mut behind: HashMap<usize, Vec<Arc<Conn>>> = HashMap::new();
        for conn in conns {
            let lane = conn.id.place().map_or(0, |place| usize::from(place.lane));
            if self.lanes[lane].waiting.load(Ordering::Acquire) > 0 {
                holders.push((conn.clone(), None)); // Perhaps: it is not sent yet.
                behind.entry(lane).or_default().push(conn);
                continue;
            }
            let sent = conn.push(&encoded.batch(conn.mode), &self.bounds, now);
            counts.count(sent);
            if let Sent::Held(seq) = sent {
                holders.push((conn, Some(seq)));
            }
        }
        if behind.is_empty() {
            return (counts, None, holders);
        }
        let (share, waiting) = Waiting::new();
        for (lane, conns) in behind {
            let audience = Audience::Some(conns);
            let load = Load::Push(encoded.clone());
            self.lanes[lane].enqueue(Command { audience, load, share: share.clone() });
        }
        (counts, Some(waiting), holders)
    }
}

impl Lane {
    fn enqueue(&self, command: Command) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING || self.queue.send(command).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            metrics::counter!(crate::observe::LANE_DROPS).increment(1);
        }
    }

    /// The next portion of present connections from a slot on; false when there are no more.
    pub(super) fn portion(&self, from: &mut usize, into: &mut Vec<Arc<Conn>>) -> bool {
        into.clear();
        let slots = self.slots.lock();
        while let Some(slot) = slots.slots.get(*from) {
            *from += 1;
            if let Some(conn) = slot.conn.as_ref().filter(|_| slot.present) {
                into.push(conn.clone());
                if into.len() == PORTION {
                    break;
                }
            }
        }
        !into.is_empty()
    }
}
