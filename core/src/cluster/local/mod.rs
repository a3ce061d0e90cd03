//! [`LocalEngine`]: nodes of one process, joined in memory. Alone it is the embedded default; several joined prove
//! every rule that crosses nodes, without a server.

mod directory;
mod hub;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use self::{directory::Directory, hub::Hub};
use super::engine::{
    Answers, AskTo, Change, ClusterEvent, Engine, EngineError, Entry, Found, Health, Kept, Leave, LocalNode,
    Lookup, Reach, Receipt, Wish,
};
use crate::{
    Clock, SystemClock, UserKey,
    auth::{Identity, TokenId},
    clock::later,
    connection::ConnectionId,
    kick::{Denial, DenyEntry},
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
    /// What changed meanwhile, the latest of each entry.
    untold: Mutex<HashMap<Entry, Change>>,
    /// It left, but its users stay for a while: dropping it ends nothing.
    lingers: AtomicBool,
    is_stalled: watch::Sender<bool>,
}

/// Tells nodes of one process apart, and of two runs most likely too.
static NODES: AtomicU32 = AtomicU32::new(0);

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
        let hub = Arc::new(Hub::new(clock, N > 1));
        std::array::from_fn(|_| Self::of(&hub))
    }

    fn of(hub: &Arc<Hub>) -> Self {
        let mut seed = [0; 4];
        let random = getrandom::fill(&mut seed).map_or(0, |()| u32::from_le_bytes(seed) << 16);
        let id = random | (NODES.fetch_add(1, Ordering::Relaxed) & 0xffff);
        let (health, untold, lingers) =
            (watch::Sender::new(Health::Up), Mutex::default(), AtomicBool::new(false));
        Self { id, hub: hub.clone(), health, untold, lingers, is_stalled: watch::Sender::new(false) }
    }

    /// Cuts the node off from the others, as a failing network or store would, or heals it: then what changed
    /// meanwhile is told, and it is told that it missed something.
    pub fn set_cut_off(&self, cut_off: bool) {
        if cut_off {
            self.hub.cut_off.write().insert(self.id);
        } else {
            self.hub.cut_off.write().remove(&self.id);
            let untold = std::mem::take(&mut *self.untold.lock());
            untold.values().for_each(|change| self.changed(change));
            let own = self.hub.nodes.read().get(&self.id).and_then(Weak::upgrade);
            own.iter().for_each(|node| node.event(ClusterEvent::Resync));
        }
        self.health.send_replace(if cut_off { Health::Down } else { Health::Up });
    }

    /// Has logins and look-ups of this node wait, as a store does that has too much to do, or lets them go on.
    pub fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.send_replace(is_stalled);
    }

    async fn goes_on(&self) {
        let _ = self.is_stalled.subscribe().wait_for(|is_stalled| !is_stalled).await;
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

    /// The other nodes that a push is for, whether or not they are there.
    fn reached(&self, to: Reach<'_>, directory: &Directory) -> BTreeSet<u32> {
        let hub = &self.hub;
        let mut nodes: BTreeSet<u32> = match to {
            Reach::User(user) => directory.nodes_of(user).collect(),
            Reach::Users(users) => users.iter().flat_map(|user| directory.nodes_of(user)).collect(),
            Reach::Channel(channel) => hub.wished(&[&Wish::Pushes(channel.clone())]),
            Reach::Node(id) => [id].into(),
            Reach::Everyone => self.others().iter().map(|(id, ..)| *id).chain(hub.retired()).collect(),
        };
        nodes.remove(&self.id);
        nodes
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
        self.hub.is_joined()
    }

    fn changed(&self, change: &Change) {
        match self.up() {
            _ if !self.is_clustered() => {}
            Ok(hub) => hub.record(self.id, change),
            Err(_) => drop(self.untold.lock().insert(change.entry.clone(), change.clone())),
        }
    }

    fn wishes(&self, wish: &Wish, yes: bool) {
        let takes_back = !yes && self.hub.retired().contains(&self.id);
        if self.is_clustered() && !takes_back {
            self.hub.wish(self.id, wish, yes);
        }
    }

    fn route(&self, to: Reach<'_>, frame: Bytes) -> Receipt {
        if !self.is_clustered() {
            return Receipt::Alone;
        }
        let (others, retired) = (self.others(), self.hub.retired());
        if others.is_empty() && retired.iter().all(|id| *id == self.id) {
            return Receipt::Alone;
        }
        if self.up().is_err() {
            return Receipt::Unavailable;
        }
        let (mut at_once, mut replies) = (RemoteCounts::default(), Vec::new());
        // Looked up and delivered in one step: what a lookup has seen, no push is before any more.
        let directory = self.hub.directory.lock();
        for id in self.reached(to, &directory) {
            match self.hub.keep(id, &frame) {
                Some(true) => (at_once.nodes, at_once.held) = (at_once.nodes + 1, at_once.held + 1),
                Some(false) => {}
                None => {
                    let hears = others.iter().find(|(other, _, hears)| *other == id && *hears);
                    let Some((_, node, _)) = hears else { continue };
                    let (reply, counts) = oneshot::channel();
                    node.clone().deliver(frame.clone(), Some(reply));
                    replies.push(counts);
                }
            }
        }
        drop(directory);
        Receipt::Pending(summed(at_once, replies))
    }

    async fn admit(&self, user: &UserKey, policy: &LoginPolicy, seat: Seat) -> Result<Decision, EngineError> {
        self.goes_on().await;
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
        self.hub.release(user, connection);
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
        self.up()?.put_once(key, value, ttl)
    }

    async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.up()?.take_once(key))
    }

    async fn ask(&self, to: AskTo, query: Bytes, deadline: Duration) -> Answers {
        let mut others = self.others();
        match to {
            AskTo::Node(node) => others.retain(|(id, ..)| *id == node),
            AskTo::Owners(user) => {
                let owners: BTreeSet<u32> = self.hub.directory.lock().nodes_of(&user).collect();
                others.retain(|(id, ..)| owners.contains(id));
            }
            _ => {}
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

    async fn caught_up(&self) -> Result<(), EngineError> {
        drop(self.up()?.directory.lock()); // A push is delivered everywhere under it.
        Ok(())
    }

    async fn retire(&self, keep: Duration) -> Result<(), EngineError> {
        let hub = self.up()?;
        hub.retire(self.id, later(hub.clock.now(), keep));
        Ok(())
    }

    async fn left(&self, node: u32, from: &[usize]) -> Result<Kept, EngineError> {
        Ok(self.up()?.left(node, from.first().copied().unwrap_or_default()))
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        self.goes_on().await;
        let directory = self.up()?.directory.lock();
        Ok(match lookup {
            Lookup::Status(user) => Found::Status(directory.status(&user)),
            Lookup::Count => Found::Count(directory.online()),
            Lookup::Page { after, limit } => Found::Users(directory.page(after, limit)),
            Lookup::Members { channel, listed } => Found::Members(directory.members(&channel, listed)),
        })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn shutdown(&self, leave: Leave) {
        let Leave::Linger(time) = leave else { return self.hub.leave(self.id) };
        self.lingers.store(true, Ordering::Release);
        let (hub, id) = (self.hub.clone(), self.id);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            hub.leave(id);
        });
    }
}

/// The sum of what nodes answer, once all have; nobody hears it where there is no runtime to wait in.
fn summed(
    mut sum: RemoteCounts,
    replies: Vec<oneshot::Receiver<RemoteCounts>>,
) -> oneshot::Receiver<RemoteCounts> {
    let (tell, hear) = oneshot::channel();
    let sum = async move {
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
        if !self.lingers.load(Ordering::Acquire) {
            self.hub.leave(self.id);
        }
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
    use super::{super::engine::Here, *};
    use crate::{Cause, Status};

    /// A node whose last handle, once it heard of something, is the one of whoever told it.
    struct Leaving {
        engine: Arc<LocalEngine>,
        own: Mutex<Option<Arc<Leaving>>>,
    }

    #[async_trait]
    impl LocalNode for Leaving {
        fn here(&self, _: &Entry) -> Option<Here> {
            Some(Here { clients: 1, status: Status::Online, data: None })
        }

        fn each_entry(&self, _: &mut dyn FnMut(Entry)) {}

        fn each_wish(&self, _: &mut dyn FnMut(Wish)) {}

        fn each_denied(&self, _: &mut dyn FnMut(DenyEntry)) {}

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
        leaves.engine.wishes(&Wish::Everything, true);
        *leaves.own.lock() = Some(leaves.clone());
        drop(leaves);
        let (tell, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (entry, cause, at) = (Entry::User("u1".into()), Cause::Connect, SystemClock.utc());
            stays.engine.wishes(&Wish::Everything, true);
            stays.engine.changed(&Change {
                entry,
                is_new: true,
                cause,
                at,
                status: Status::Online,
                data: None,
            });
            tell.send(stays.engine.others().len())
        });
        assert_eq!(done.recv_timeout(Duration::from_secs(10)), Ok(0), "it waits for itself");
    }
}
