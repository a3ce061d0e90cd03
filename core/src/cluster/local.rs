//! [`LocalEngine`]: nodes of one process, joined in memory. Alone it is the embedded default; several joined prove
//! every rule that crosses nodes, without a server.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

use super::engine::{
    Answers, AskTo, ClusterEvent, Engine, EngineError, Found, Health, Leave, LocalNode, Lookup, Receipt,
};
use crate::{
    Cause, Clock, Diff, Event, EventKind, Instant, Status, SystemClock, Target, UserKey,
    auth::{Identity, TokenId},
    connection::ConnectionId,
    kick::{Denial, DenyEntry, DenyTable},
    policy::{Decision, LoginPolicy, Seat},
    report::RemoteCounts,
};

/// An [`Engine`] within one process.
///
/// ```
/// use herenow::{OnlineManager, cluster::LocalEngine};
///
/// # fn main() -> Result<(), herenow::BuildError> {
/// let [a, b] = LocalEngine::joined();
/// let node_a = OnlineManager::builder().engine(a).build()?;
/// let node_b = OnlineManager::builder().engine(b).build()?;
/// # let _ = (node_a, node_b); Ok(())
/// # }
/// ```
pub struct LocalEngine {
    id: u32,
    hub: Arc<Hub>,
    health: watch::Sender<Health>,
    /// What changed meanwhile, the latest of each user.
    untold: Mutex<HashMap<UserKey, Diff>>,
}

/// What all nodes share.
struct Hub {
    clock: Arc<dyn Clock>,
    nodes: RwLock<BTreeMap<u32, Weak<dyn LocalNode>>>,
    /// Nodes that neither hear nor are heard, as with a failing network.
    cut_off: RwLock<BTreeSet<u32>>,
    directory: Mutex<Directory>,
    seats: Mutex<HashMap<UserKey, Vec<Seat>>>,
    deny: DenyTable,
    once: Mutex<HashMap<String, (Vec<u8>, Instant)>>,
    joined: AtomicBool,
}

/// Every online user with its status on each node.
#[derive(Default)]
struct Directory {
    users: BTreeMap<UserKey, HashMap<u32, Status>>,
}

/// Tells nodes of one process apart, and of two runs most likely too.
static NODES: AtomicU32 = AtomicU32::new(0);

/// Below this many of them, values whose time is over are left where they are.
const ONCE_PURGE: usize = 64;
const ONCE_BOUND: usize = 100_000;
const DENY_BOUND: usize = 1_000_000;

impl LocalEngine {
    /// One node alone.
    pub fn alone() -> Self {
        let [engine] = Self::with_clock(Arc::new(SystemClock));
        engine
    }

    /// `N` nodes that know each other.
    pub fn joined<const N: usize>() -> [Self; N] {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// `N` nodes that know each other, on a clock of one's own.
    pub fn with_clock<const N: usize>(clock: Arc<dyn Clock>) -> [Self; N] {
        let hub = Arc::new(Hub {
            clock,
            nodes: RwLock::default(),
            cut_off: RwLock::default(),
            directory: Mutex::default(),
            seats: Mutex::default(),
            deny: DenyTable::new(DENY_BOUND),
            once: Mutex::default(),
            joined: AtomicBool::new(N > 1),
        });
        std::array::from_fn(|_| Self::of(&hub))
    }

    fn of(hub: &Arc<Hub>) -> Self {
        let mut seed = [0; 4];
        let random = getrandom::fill(&mut seed).map_or(0, |()| u32::from_le_bytes(seed) << 16);
        let id = random | (NODES.fetch_add(1, Ordering::Relaxed) & 0xffff);
        Self { id, hub: hub.clone(), health: watch::Sender::new(Health::Up), untold: Mutex::default() }
    }

    /// Cuts the node off from the others, as a failing network or store would, or heals it: then what changed
    /// meanwhile is told.
    pub fn set_cut_off(&self, cut_off: bool) {
        if cut_off {
            self.hub.cut_off.write().insert(self.id);
        } else {
            self.hub.cut_off.write().remove(&self.id);
            let untold = std::mem::take(&mut *self.untold.lock());
            untold.values().for_each(|diff| self.changed(diff));
        }
        self.health.send_replace(if cut_off { Health::Down } else { Health::Up });
    }

    fn up(&self) -> Result<&Hub, EngineError> {
        if self.hub.cut_off.read().contains(&self.id) {
            return Err(EngineError::Unavailable("cut off".into()));
        }
        Ok(&self.hub)
    }

    /// The other nodes, and whether each can hear.
    fn others(&self) -> Vec<(u32, Arc<dyn LocalNode>, bool)> {
        let (nodes, cut_off) = (self.hub.nodes.read(), self.hub.cut_off.read());
        let others = nodes.iter().filter(|(id, _)| **id != self.id);
        others.filter_map(|(id, node)| Some((*id, node.upgrade()?, !cut_off.contains(id)))).collect()
    }
}

impl Hub {
    /// Takes a node's word on a user, and tells everybody when that changes the user's status in the cluster.
    fn record(&self, node: u32, diff: &Diff) {
        let user = &diff.user;
        let Some(truth) = self.nodes.read().get(&node).and_then(Weak::upgrade) else { return };
        let hearing = self.hearing();
        // Told under the lock: events of one user leave in the order of its changes.
        let mut directory = self.directory.lock();
        let (before, after) = directory.set(node, user, truth.status(user));
        let kind = match (before.is_online(), after.is_online()) {
            (false, true) => EventKind::Online,
            (true, false) => EventKind::Offline,
            (true, true) if before != after => EventKind::Update,
            _ => return,
        };
        let Diff { user, cause, at, data, .. } = diff.clone();
        let event = Event { kind, user, status: after, channel: None, cause, at, data };
        for (id, hears) in &hearing {
            hears.event(ClusterEvent::new(event.clone(), *id == node));
        }
    }

    /// The nodes there are. To be held until no lock is: whoever drops the last handle of a node takes the node out,
    /// which locks everything.
    fn hearing(&self) -> Vec<(u32, Arc<dyn LocalNode>)> {
        self.nodes.read().iter().filter_map(|(id, node)| Some((*id, node.upgrade()?))).collect()
    }

    /// A node is gone with all its users.
    fn leave(&self, node: u32) {
        self.nodes.write().remove(&node);
        // Nobody gives the seats of a node back that is gone.
        self.seats.lock().retain(|_, taken| {
            taken.retain(|seat| seat.connection.node() != node);
            !taken.is_empty()
        });
        let users: Vec<UserKey> = {
            let directory = self.directory.lock();
            directory
                .users
                .iter()
                .filter(|(_, on)| on.contains_key(&node))
                .map(|(user, _)| user.clone())
                .collect()
        };
        let hearing = self.hearing();
        for user in users {
            let mut directory = self.directory.lock();
            let (before, after) = directory.set(node, &user, Status::Offline);
            if before.is_online() && !after.is_online() {
                let (cause, at) = (Cause::Shutdown, self.clock.utc());
                let (kind, channel, data) = (EventKind::Offline, None, None);
                let event = Event { kind, user, status: after, channel, cause, at, data };
                for (index, (_, hears)) in hearing.iter().enumerate() {
                    hears.event(ClusterEvent::new(event.clone(), index == 0));
                }
            }
        }
    }
}

impl Directory {
    fn set(&mut self, node: u32, user: &UserKey, status: Status) -> (Status, Status) {
        let before = self.status(user);
        let on = self.users.entry(user.clone()).or_default();
        match status {
            Status::Offline => drop(on.remove(&node)),
            here => drop(on.insert(node, here)),
        }
        if on.is_empty() {
            self.users.remove(user);
        }
        (before, self.status(user))
    }

    /// A word goes before plain online, that before away.
    fn status(&self, user: &UserKey) -> Status {
        let rank = |status: &&Status| match status {
            Status::Custom(_) => 3,
            Status::Online => 2,
            Status::Away => 1,
            Status::Offline => 0,
        };
        let on = self.users.get(user).into_iter().flat_map(|on| on.values());
        on.max_by_key(rank).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl Engine for LocalEngine {
    fn node_id(&self) -> u32 {
        self.id
    }

    fn attach(&self, node: Weak<dyn LocalNode>) {
        self.hub.nodes.write().insert(self.id, node);
    }

    fn is_clustered(&self) -> bool {
        self.hub.joined.load(Ordering::Relaxed)
    }

    fn changed(&self, diff: &Diff) {
        match self.up() {
            _ if !self.is_clustered() => {}
            Ok(hub) => hub.record(self.id, diff),
            Err(_) => drop(self.untold.lock().insert(diff.user.clone(), diff.clone())),
        }
    }

    fn route(&self, _: &Target, frame: Bytes) -> Receipt {
        if !self.is_clustered() {
            return Receipt::Alone;
        }
        let others = self.others();
        match self.up() {
            _ if others.is_empty() => Receipt::Alone,
            Err(_) => Receipt::Unavailable,
            Ok(_) => {
                let hearing = others.into_iter().filter(|(.., hears)| *hears);
                let replies = hearing.map(|(_, node, _)| {
                    let (reply, counts) = oneshot::channel();
                    node.deliver(frame.clone(), Some(reply));
                    counts
                });
                Receipt::Pending(summed(replies.collect()))
            }
        }
    }

    async fn admit(&self, user: &UserKey, policy: &LoginPolicy, seat: Seat) -> Result<Decision, EngineError> {
        let mut seats = self.up()?.seats.lock();
        let taken = seats.entry(user.clone()).or_default();
        taken.retain(|other| other.connection != seat.connection);
        let decision = policy.decide(taken, &seat);
        if decision != Decision::Refused {
            taken.push(seat);
        }
        if taken.is_empty() {
            seats.remove(user);
        }
        Ok(decision)
    }

    fn release(&self, user: &UserKey, connection: ConnectionId) {
        let mut seats = self.hub.seats.lock();
        if let Some(taken) = seats.get_mut(user) {
            taken.retain(|seat| seat.connection != connection);
            if taken.is_empty() {
                seats.remove(user);
            }
        }
    }

    fn reseat(&self, user: &UserKey, connection: ConnectionId, token: TokenId) {
        let mut seats = self.hub.seats.lock();
        let taken = seats.get_mut(user).into_iter().flatten();
        taken.filter(|seat| seat.connection == connection).for_each(|seat| seat.token = token);
    }

    async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        let hub = self.up()?;
        hub.deny.add(entries, hub.clock.utc()).map_err(|_| EngineError::Full)
    }

    async fn is_denied(&self, who: &Identity) -> Result<Option<Denial>, EngineError> {
        let hub = self.up()?;
        Ok(hub.deny.find(who, hub.clock.utc()))
    }

    async fn lift_ban(&self, user: &UserKey) -> Result<(), EngineError> {
        self.up()?.deny.lift(user);
        Ok(())
    }

    async fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError> {
        let hub = self.up()?;
        let now = hub.clock.now();
        let mut once = hub.once.lock();
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

    async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let hub = self.up()?;
        let taken = hub.once.lock().remove(key);
        Ok(taken.filter(|(_, until)| *until > hub.clock.now()).map(|(value, _)| value))
    }

    async fn ask(&self, to: AskTo, query: Bytes, deadline: Duration) -> Answers {
        let mut others = self.others();
        if let AskTo::Node(node) = to {
            others.retain(|(id, ..)| *id == node);
        }
        let asked = others.len();
        others.retain(|(.., hears)| *hears && self.up().is_ok());
        let ask = |node: Arc<dyn LocalNode>| {
            let query = query.clone();
            async move { tokio::time::timeout(deadline, node.answer(query)).await.ok() }
        };
        let answers = futures_util::future::join_all(others.into_iter().map(|(_, node, _)| ask(node))).await;
        let answers: Vec<Bytes> = answers.into_iter().flatten().collect();
        Answers { unreachable: asked - answers.len(), answers }
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        let directory = self.up()?.directory.lock();
        Ok(match lookup {
            Lookup::Status(user) => Found::Status(directory.status(&user)),
            Lookup::Count => Found::Count(directory.users.len()),
            Lookup::Page { after: None, limit } => {
                Found::Users(directory.users.keys().take(limit).cloned().collect())
            }
            Lookup::Page { after: Some(after), limit } => {
                use std::ops::Bound::{Excluded, Unbounded};
                let users = directory.users.range((Excluded(after), Unbounded));
                Found::Users(users.take(limit).map(|(user, _)| user.clone()).collect())
            }
        })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn shutdown(&self, leave: Leave) {
        let Leave::Linger(time) = leave else { return self.hub.leave(self.id) };
        let (hub, id) = (self.hub.clone(), self.id);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            hub.leave(id);
        });
    }
}

/// The sum of what nodes answer, once all have; nobody hears it where there is no runtime to wait in.
fn summed(replies: Vec<oneshot::Receiver<RemoteCounts>>) -> oneshot::Receiver<RemoteCounts> {
    let (tell, hear) = oneshot::channel();
    let sum = async move {
        let mut sum = RemoteCounts::default();
        for counts in futures_util::future::join_all(replies).await.into_iter().flatten() {
            sum.nodes += counts.nodes;
            sum.matched += counts.matched;
            sum.enqueued += counts.enqueued;
            sum.held += counts.held;
        }
        let _ = tell.send(sum); // Who pushed may not want to know.
    };
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(sum);
    }
    hear
}

/// A node that is dropped without a shutdown is gone as well.
impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

impl fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEngine")
            .field("id", &self.id)
            .field("clustered", &self.is_clustered())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RemoteCounts;

    /// A node whose last handle, once it heard of something, is the one of whoever told it.
    struct Leaving {
        engine: Arc<LocalEngine>,
        own: Mutex<Option<Arc<Leaving>>>,
    }

    #[async_trait]
    impl LocalNode for Leaving {
        fn status(&self, _: &UserKey) -> Status {
            Status::Online
        }

        fn deliver(self: Arc<Self>, _: Bytes, _: Option<oneshot::Sender<RemoteCounts>>) {}

        async fn answer(self: Arc<Self>, query: Bytes) -> Bytes {
            query
        }

        fn event(&self, _: ClusterEvent) {
            drop(self.own.lock().take());
        }
    }

    fn node(engine: LocalEngine) -> Arc<Leaving> {
        let node = Arc::new(Leaving { engine: Arc::new(engine), own: Mutex::default() });
        let known: Arc<dyn LocalNode> = node.clone();
        node.engine.attach(Arc::downgrade(&known));
        node
    }

    #[test]
    fn a_node_may_end_while_it_is_told_something() {
        let [stays, leaves] = LocalEngine::joined().map(node);
        *leaves.own.lock() = Some(leaves.clone());
        drop(leaves);
        let (tell, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (user, before, after) = (UserKey::from("u1"), Status::Offline, Status::Online);
            let (cause, at) = (Cause::Connect, SystemClock.utc());
            stays.engine.changed(&Diff { user, before, after, cause, at, data: None });
            tell.send(stays.engine.others().len())
        });
        assert_eq!(done.recv_timeout(Duration::from_secs(10)), Ok(0), "it waits for itself");
    }
}
