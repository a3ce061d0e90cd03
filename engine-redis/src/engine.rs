//! [`RedisEngine`]: the engine of a node whose cluster meets in Redis.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use herenow::{
    Clock, ConnectionId, Denial, DenyEntry, SystemClock, UserKey,
    auth::{Identity, TokenId},
    cluster::{
        Answers, AskTo, Change, Engine, EngineError, Entry, Found, Health, Kept, Leave, LocalNode, Lookup,
        Reach, Receipt, Wish,
    },
    policy::{Decision, LoginPolicy, Seat},
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};

use crate::{
    ask::{self, Asked},
    config::RedisConfig,
    error::{ConnectError, Unavailable},
    frame::{self, Asker},
    health::worst,
    observe,
    receipts::{PATIENCE, Receipts},
    route::Routed,
    shard::{Common, random_lease},
    shards::Shards,
};

/// A node's way to the others, over Redis.
///
/// Dropping it without [`shutdown`](Engine::shutdown) is like a crash: others find out when the lease is over.
///
/// ```no_run
/// use herenow::OnlineManager;
/// use herenow_redis::RedisEngine;
///
/// # async fn program() -> Result<(), Box<dyn std::error::Error>> {
/// let online = OnlineManager::builder().engine(RedisEngine::connect("redis://127.0.0.1/").await?).build()?;
/// # let _ = online; Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisEngine {
    node: u32,
    shards: Shards,
    common: Common,
    health: Arc<watch::Sender<Health>>,
    local: OnceLock<Weak<dyn LocalNode>>,
}

/// So long all of connecting may take, however many steps it has.
const CONNECTING: Duration = Duration::from_secs(15);

impl RedisEngine {
    /// Connects to Redis and registers this node: a URL, or a [`RedisConfig`]. Within a tokio runtime, in which the
    /// engine's tasks run from then on. Cancel safe: what was begun ends.
    ///
    /// # Errors
    /// [`ConnectError`] says what is wrong and what to do: the configuration, a Redis that cannot be reached or does not
    /// let us in, a layout of another version. What was in Redis is as it was then.
    pub async fn connect<C>(config: C) -> Result<Self, ConnectError>
    where
        C: TryInto<RedisConfig>,
        ConnectError: From<C::Error>,
    {
        let engine = Self::connect_lazily(config)?;
        let ready = try_join_all(engine.shards.all().iter().map(|shard| shard.ready()));
        match tokio::time::timeout(CONNECTING, ready).await {
            Ok(ready) => ready.map(drop)?,
            Err(_) => {
                let (address, reason) =
                    ("the servers named".to_owned(), format!("not done within {CONNECTING:?}"));
                return Err(ConnectError::Unreachable { address, reason });
            }
        }
        Ok(engine)
    }

    /// The same without waiting: the engine is [`Health::Down`] until Redis is there, and goes on trying for as long as
    /// it lives. A node that starts so serves its own users at once.
    ///
    /// # Errors
    /// [`ConnectError::Config`] and [`ConnectError::NoRuntime`].
    pub fn connect_lazily<C>(config: C) -> Result<Self, ConnectError>
    where
        C: TryInto<RedisConfig>,
        ConnectError: From<C::Error>,
    {
        let config: RedisConfig = config.try_into()?;
        config.check()?;
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let node = loop {
            match u32::from_be_bytes(random_lease()) {
                0 => {}
                node => break node,
            }
        };
        let common = Common {
            node,
            receipts: Arc::default(),
            questions: Arc::default(),
            asked: Arc::new(Asked::new(node)),
            kicks: Arc::default(),
            marks: Arc::default(),
            runtime,
        };
        let shards = Shards::start(&config, &common)?;
        let health = Arc::new(watch::Sender::new(Health::Down));
        let engine = Self { node, shards, common, health, local: OnceLock::new() };
        engine.watch_health();
        engine.expire_receipts();
        Ok(engine)
    }

    fn watch_health(&self) {
        let (mut facts, health) = (Vec::new(), Arc::downgrade(&self.health));
        facts.extend(self.shards.all().iter().map(|shard| shard.cluster.facts()));
        self.common.runtime.spawn(async move {
            loop {
                let now = worst(facts.iter_mut().map(|facts| facts.borrow_and_update().health()));
                let Some(health) = health.upgrade() else { return };
                observe::health(now);
                health.send_if_modified(|known| std::mem::replace(known, now) != now);
                drop(health);
                let changes = facts.iter_mut().map(|facts| Box::pin(facts.changed()));
                if futures_util::future::select_all(changes).await.0.is_err() {
                    return;
                }
            }
        });
    }

    /// Ends the waiting for receipts that do not come.
    fn expire_receipts(&self) {
        let receipts: Weak<Receipts> = Arc::downgrade(&self.common.receipts);
        self.common.runtime.spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE / 8).await;
                let Some(receipts) = receipts.upgrade() else { return };
                receipts.expire(SystemClock.now());
            }
        });
    }

    /// The nodes that a question is for.
    async fn asked(&self, to: &AskTo, deadline: Duration) -> BTreeSet<u32> {
        if let AskTo::Node(node) = to {
            return if *node == self.node { BTreeSet::new() } else { [*node].into() };
        }
        self.shards.settled(deadline).await;
        let others = self.shards.others(self.node);
        let AskTo::Owners(user) = to else { return others };
        let directory = &self.shards.of_user(user).directory;
        match tokio::time::timeout(deadline, directory.owners(std::slice::from_ref(user))).await {
            Ok(Ok(owners)) => &owners & &others,
            // Nobody knows who it is: none of them can be asked.
            _ => others,
        }
    }

    /// Sends a question by the first Redis that works; to how many nodes it went, this one left out.
    async fn send(
        &self,
        to: &AskTo,
        nodes: &BTreeSet<u32>,
        number: u64,
        query: &[u8],
    ) -> Result<usize, Unavailable> {
        let asker = Asker { node: self.node, number };
        let surely = *to == AskTo::OthersSurely;
        let question = Bytes::from(frame::question(asker, surely, query));
        if surely {
            self.common.kicks.remember(SystemClock.now(), number, question.clone());
        }
        let shard = self.shards.first_up().ok_or(Unavailable::Down)?;
        let keys = shard.keys.clone();
        let others = match to {
            AskTo::OthersSurely => {
                // Whoever asked may not wait so long; it has to be in the log all the same.
                let (link, kicks) = (shard.link.clone(), self.common.kicks.clone());
                let logging = self.common.runtime.spawn(async move {
                    let logged = link.run::<i64>(ask::kick(&keys, &question)).await;
                    logged.map(|_| kicks.logged(number))
                });
                logging.await.unwrap_or(Err(Unavailable::Down))?;
                // Who did not hear it reads it with its next beat.
                usize::MAX
            }
            AskTo::Node(_) | AskTo::Owners(_) => {
                let publish = |node: &u32| keys.publish(keys.inbox(node.to_be_bytes()), &question).into();
                let told = shard.link.run_all(nodes.iter().map(publish).collect()).await?;
                told.into_iter().filter(|told| !matches!(told, Err(_) | Ok(redis::Value::Int(0)))).count()
            }
            _ => {
                let reached: usize = shard.link.call(keys.publish(keys.all(), &question)).await?;
                reached.saturating_sub(1)
            }
        };
        Ok(others)
    }
}

#[async_trait]
impl Engine for RedisEngine {
    fn node_id(&self) -> u32 {
        self.node
    }

    fn attach(&self, node: Weak<dyn LocalNode>) {
        if self.local.set(node.clone()).is_ok() {
            let directories: Vec<_> = self.shards.all().iter().map(|shard| shard.directory.clone()).collect();
            self.shards.all().iter().for_each(|shard| shard.attach(node.clone(), directories.clone()));
        }
    }

    fn is_clustered(&self) -> bool {
        true
    }

    fn changed(&self, change: &Change) {
        let shard = match &change.entry {
            Entry::User(user) => self.shards.of_user(user),
            Entry::Member(channel, _) => self.shards.of_channel(channel),
        };
        shard.directory.changed(change);
    }

    fn wishes(&self, wish: &Wish, yes: bool) {
        match wish {
            Wish::User(user) => self.shards.of_user(user).directory.wishes(wish, yes),
            Wish::Pushes(channel) | Wish::Members(channel) => {
                self.shards.of_channel(channel).directory.wishes(wish, yes);
            }
            Wish::Everything => self.shards.all().iter().for_each(|shard| shard.directory.wishes(wish, yes)),
        }
    }

    fn route(&self, to: Reach<'_>, frame: Bytes) -> Receipt {
        let shard = match to {
            Reach::Node(node) if node == self.node => return Receipt::Alone,
            Reach::User(user) => Some(self.shards.of_user(user)),
            Reach::Channel(channel) => Some(self.shards.of_channel(channel)),
            _ => self.shards.first_up(),
        };
        let Some(shard) = shard.filter(|shard| shard.health() != Health::Down) else {
            return Receipt::Unavailable;
        };
        if shard.cluster.is_alone() {
            return Receipt::Alone;
        }
        let (number, told) = self.common.receipts.begin(SystemClock.now());
        let routed = Routed { number, to: to.into(), frame };
        let size = routed.size();
        if shard.routes.offer(routed, size).is_err() {
            self.common.receipts.give_up(number);
            metrics::counter!(observe::REFUSED).increment(1);
            return Receipt::Unavailable;
        }
        Receipt::Pending(told)
    }

    async fn admit(&self, user: &UserKey, policy: &LoginPolicy, seat: Seat) -> Result<Decision, EngineError> {
        self.shards.of_user(user).directory.admit(user, policy, seat).await
    }

    fn release(&self, user: &UserKey, connection: ConnectionId) {
        self.shards.of_user(user).directory.release(user, connection);
    }

    fn reseat(&self, user: &UserKey, connection: ConnectionId, token: TokenId) {
        self.shards.of_user(user).directory.reseat(user, connection, token);
    }

    async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        self.shards.of_the_cluster().directory.deny(entries).await
    }

    async fn is_denied(&self, who: &Identity) -> Result<Option<Denial>, EngineError> {
        self.shards.of_the_cluster().directory.is_denied(who).await
    }

    async fn lift_ban(&self, user: &UserKey) -> Result<(), EngineError> {
        self.shards.of_the_cluster().directory.lift_ban(user).await
    }

    async fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError> {
        self.shards.of_the_cluster().directory.put_once(key, value, ttl).await
    }

    async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        self.shards.of_the_cluster().directory.take_once(key).await
    }

    async fn ask(&self, to: AskTo, query: Bytes, deadline: Duration) -> Answers {
        let nodes = self.asked(&to, deadline).await;
        // What nobody may miss is logged for those too who are cut off now.
        if nodes.is_empty() && to != AskTo::OthersSurely {
            return Answers::default();
        }
        let (pending, all) = self.common.questions.ask(nodes.clone());
        let asking = async {
            match self.send(&to, &nodes, pending.number, &query).await {
                Ok(reached) => self.common.questions.reached(pending.number, reached),
                Err(_) => self.common.questions.reached(pending.number, 0),
            }
            let _ = all.await;
        };
        let _ = tokio::time::timeout(deadline, asking).await;
        pending.end()
    }

    async fn caught_up(&self) -> Result<(), EngineError> {
        try_join_all(self.shards.all().iter().map(|shard| shard.caught_up())).await.map(drop)?;
        Ok(())
    }

    async fn retire(&self, keep: Duration) -> Result<(), EngineError> {
        let directories: Vec<_> = self.shards.all().iter().map(|shard| shard.directory.clone()).collect();
        let (tell, told) = oneshot::channel();
        // By a task of its own: whoever does not wait for the end leaves nothing half done.
        self.common.runtime.spawn(async move {
            let retired = join_all(directories.iter().map(|directory| directory.retire(keep))).await;
            let retired: Result<(), EngineError> = retired.into_iter().collect();
            // Kept would be what nobody fetches.
            let undone = || join_all(directories.iter().map(|directory| directory.unretire()));
            if retired.is_err() {
                undone().await;
            }
            if let Err(Ok(())) = tell.send(retired) {
                undone().await;
            }
        });
        told.await.unwrap_or_else(|_| Err(Unavailable::Down.into()))
    }

    async fn left(&self, node: u32, from: &[usize]) -> Result<Kept, EngineError> {
        self.shards.left(node, from).await
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        self.shards.lookup(lookup).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn shutdown(&self, leave: Leave) {
        let linger = match leave {
            Leave::Linger(time) => Some(time),
            _ => None,
        };
        join_all(self.shards.all().iter().map(|shard| shard.leave(linger))).await;
        self.health.send_replace(Health::Down);
    }
}
