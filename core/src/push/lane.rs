//! Lanes: each connection belongs to one, and each has a flusher that writes broadcasts to all its connections.
//!
//! A flusher takes the whole backlog at once and joins it once for everybody, so a burst costs one write per socket
//! and not one per message. It yields every [`PORTION`] sockets.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use super::{crowd::List, encoded::Encoded};
use crate::{
    Clock,
    connection::{Batch, Bounds, Conn, ConnectionId, Place, Sent},
    protocol::Mode,
    room::Room,
    target::{Except, Scope},
};

/// Sockets written between two yields.
const PORTION: usize = 64;
/// Commands a flusher takes at once.
const BACKLOG: usize = 256;
/// The largest joined write, in bytes.
const JOINED: usize = 32 * 1024;
/// Commands that may wait at one lane; more are dropped and counted, since nobody could ever catch up.
const WAITING: usize = 65_536;

/// What came of a push, summed over lanes.
#[derive(Debug, Default)]
struct Tally {
    matched: AtomicUsize,
    enqueued: AtomicUsize,
    dropped: AtomicUsize,
    held: AtomicUsize,
}

/// The sums of a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) matched: usize,
    pub(crate) enqueued: usize,
    pub(crate) dropped: usize,
    pub(crate) held: usize,
}

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            matched: self.matched.load(Ordering::Acquire),
            enqueued: self.enqueued.load(Ordering::Acquire),
            dropped: self.dropped.load(Ordering::Acquire),
            held: self.held.load(Ordering::Acquire),
        }
    }

    fn add(&self, counts: Counts) {
        self.matched.fetch_add(counts.matched, Ordering::AcqRel);
        self.enqueued.fetch_add(counts.enqueued, Ordering::AcqRel);
        self.dropped.fetch_add(counts.dropped, Ordering::AcqRel);
        self.held.fetch_add(counts.held, Ordering::AcqRel);
    }
}

impl Counts {
    pub(crate) fn count(&mut self, sent: Sent) {
        self.matched += 1;
        match sent {
            Sent::Taken => self.enqueued += 1,
            Sent::Displaced(older) => {
                self.enqueued += 1;
                self.dropped += older;
            }
            Sent::Dropped => self.dropped += 1,
            Sent::Held => {
                self.matched -= 1;
                self.held += 1;
            }
            Sent::Closed => self.matched -= 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.enqueued += other.enqueued;
        self.dropped += other.dropped;
        self.held += other.held;
    }
}

/// A push under way in lanes: the sums so far, and when the last of its commands is gone, done or not.
#[derive(Debug)]
pub(crate) struct Waiting {
    tally: Arc<Tally>,
    done: oneshot::Receiver<()>,
}

impl Waiting {
    fn new() -> (Arc<Share>, Self) {
        let (tell, done) = oneshot::channel();
        let tally = Arc::new(Tally::default());
        (Arc::new(Share { tally: tally.clone(), _done: tell }), Self { tally, done })
    }

    /// Waits for the lanes. Cancel safe: they go on.
    pub(crate) async fn counts(self) -> Counts {
        let _ = self.done.await; // Resolves when the last share, which holds the sender, is dropped.
        self.tally.counts()
    }
}

/// What the commands of one push have in common.
#[derive(Debug)]
struct Share {
    tally: Arc<Tally>,
    _done: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Command {
    audience: Audience,
    load: Load,
    share: Arc<Share>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    Push(Arc<Encoded>),
    /// A frame of envelope mode that is no push; nobody else is sent it.
    Other(Bytes),
}

#[derive(Debug, Clone)]
enum Audience {
    All(Arc<(Scope, Except)>),
    Some(Vec<Arc<Conn>>),
    /// Those of a channel, but for whoever is left out.
    Crowd(List, Option<Arc<Except>>),
}

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
struct Lane {
    slots: Mutex<Slots>,
    queue: mpsc::UnboundedSender<Command>,
    waiting: AtomicUsize,
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
    ) -> (Counts, Option<Waiting>) {
        let now = self.clock.now();
        let mut counts = Counts::default();
        let mut behind: HashMap<usize, Vec<Arc<Conn>>> = HashMap::new();
        for conn in conns {
            let lane = conn.id.place().map_or(0, |place| usize::from(place.lane));
            if self.lanes[lane].waiting.load(Ordering::Acquire) > 0 {
                behind.entry(lane).or_default().push(conn);
            } else {
                counts.count(conn.push(&encoded.batch(conn.mode), &self.bounds, now));
            }
        }
        if behind.is_empty() {
            return (counts, None);
        }
        let (share, waiting) = Waiting::new();
        for (lane, conns) in behind {
            let audience = Audience::Some(conns);
            let load = Load::Push(encoded.clone());
            self.lanes[lane].enqueue(Command { audience, load, share: share.clone() });
        }
        (counts, Some(waiting))
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
    fn portion(&self, from: &mut usize, into: &mut Vec<Arc<Conn>>) -> bool {
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

struct Flusher {
    lane: Weak<Lane>,
    bounds: Arc<Bounds>,
    clock: Arc<dyn Clock>,
}

impl Flusher {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Command>) {
        let mut backlog = Vec::with_capacity(BACKLOG);
        while queue.recv_many(&mut backlog, BACKLOG).await > 0 {
            let Some(lane) = self.lane.upgrade() else { return };
            let taken = backlog.len();
            for run in runs(&backlog) {
                self.send(&lane, run).await;
            }
            lane.waiting.fetch_sub(taken, Ordering::AcqRel);
            backlog.clear();
        }
    }

    /// Sends commands of one audience, joined.
    async fn send(&self, lane: &Lane, run: &[Command]) {
        let Some(first) = run.first() else { return };
        let mut frames = Frames { run, raw: None, envelope: None };
        let mut counts = Counts::default();
        match &first.audience {
            Audience::Some(conns) => self.write(conns, |_| true, &mut frames, &mut counts),
            Audience::Crowd(list, except) => {
                for portion in list.chunks(PORTION) {
                    let meant = |conn: &Conn| except.as_ref().is_none_or(|except| !leaves_out(except, conn));
                    self.write(portion, meant, &mut frames, &mut counts);
                    tokio::task::yield_now().await;
                }
            }
            Audience::All(whom) => {
                let (mut from, mut portion) = (0, Vec::with_capacity(PORTION));
                while lane.portion(&mut from, &mut portion) {
                    let meant = |conn: &Conn| is_meant(&whom.0, &whom.1, conn);
                    self.write(&portion, meant, &mut frames, &mut counts);
                    tokio::task::yield_now().await;
                }
            }
        }
        // A batch is taken or dropped whole but for the rarest overflow, so each message counts alike.
        run.iter().for_each(|command| command.share.tally.add(counts));
    }

    fn write(
        &self,
        conns: &[Arc<Conn>],
        is_meant: impl Fn(&Conn) -> bool,
        frames: &mut Frames<'_>,
        counts: &mut Counts,
    ) {
        let now = self.clock.now();
        for conn in conns {
            if is_meant(conn)
                && let Some(batch) = frames.batch(conn.mode)
            {
                counts.count(conn.push(batch, &self.bounds, now));
            }
        }
    }
}

fn is_meant(scope: &Scope, except: &Except, conn: &Conn) -> bool {
    let in_scope = match scope {
        Scope::AllAccounts => true,
        Scope::Account(account) => account.as_deref() == conn.user().account(),
        _ => false,
    };
    in_scope && !leaves_out(except, conn)
}

fn leaves_out(except: &Except, conn: &Conn) -> bool {
    !except.is_empty() && except.leaves_out(conn.id, &conn.identity())
}

/// The joined bytes of a run, made on first need for each mode.
struct Frames<'a> {
    run: &'a [Command],
    raw: Option<Batch>,
    envelope: Option<Batch>,
}

impl Frames<'_> {
    /// What a connection of this mode is sent; `None` where that is nothing.
    fn batch(&mut self, mode: Mode) -> Option<&Batch> {
        let slot = match mode {
            Mode::Raw => &mut self.raw,
            Mode::Envelope => &mut self.envelope,
        };
        match self.run {
            [Command { load: Load::Other(frame), .. }] => {
                (mode == Mode::Envelope).then(|| &*slot.get_or_insert_with(|| Batch::other(frame.clone())))
            }
            [Command { load: Load::Push(only), .. }] => Some(slot.get_or_insert_with(|| only.batch(mode))),
            run => Some(slot.get_or_insert_with(|| joined(run, mode))),
        }
    }
}

/// Several pushes in one.
fn joined(run: &[Command], mode: Mode) -> Batch {
    let pushes = || run.iter().filter_map(|command| command.load.push());
    let acks = pushes().enumerate().filter_map(|(index, push)| Some((index, push.acks.clone()?)));
    Batch::join(pushes().map(|push| push.frame(mode).clone()).collect()).with_acks(acks.collect())
}

impl Load {
    fn push(&self) -> Option<&Arc<Encoded>> {
        match self {
            Self::Push(encoded) => Some(encoded),
            Self::Other(_) => None,
        }
    }

    /// About how many bytes it is.
    fn size(&self) -> usize {
        match self {
            Self::Push(encoded) => encoded.message.content.as_bytes().len(),
            Self::Other(frame) => frame.len(),
        }
    }
}

/// Splits a backlog into runs of pushes that go to the same audience and fit into one joined write; what is no push
/// goes alone.
fn runs(backlog: &[Command]) -> impl Iterator<Item = &[Command]> {
    let mut rest = backlog;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let (mut length, mut bytes) = (1, first.load.size());
        while let Some(next) = rest.get(length) {
            bytes += next.load.size();
            let pushes = first.load.push().is_some() && next.load.push().is_some();
            if !pushes || bytes > JOINED || !same_audience(&first.audience, &next.audience) {
                break;
            }
            length += 1;
        }
        let (run, left) = rest.split_at(length);
        rest = left;
        Some(run)
    })
}

fn same_audience(one: &Audience, other: &Audience) -> bool {
    match (one, other) {
        (Audience::All(one), Audience::All(other)) => one == other,
        (Audience::Some(one), Audience::Some(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        }
        (Audience::Crowd(one, but), Audience::Crowd(other, or)) => Arc::ptr_eq(one, other) && but == or,
        _ => false,
    }
}
