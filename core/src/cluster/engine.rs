//! [`Engine`] and [`LocalNode`]: everything that crosses nodes, on one screen each.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::{
    Diff, Event, Status, Target, UserKey,
    auth::{Identity, TokenId},
    connection::ConnectionId,
    kick::{Denial, DenyEntry},
    policy::{Decision, LoginPolicy, Seat},
    report::RemoteCounts,
};

/// What other nodes know and can be told. Local delivery never waits for it.
///
/// `changed`, `route`, `release` and `reseat` never block and are never awaited; the rest is awaited on connect, on kick and
/// on queries, always under a deadline of the caller's.
#[async_trait]
pub trait Engine: std::fmt::Debug + Send + Sync + 'static {
    /// This node's id; other nodes' differ.
    fn node_id(&self) -> u32;

    /// Takes the node in; called once, when the manager is built.
    fn attach(&self, node: Weak<dyn LocalNode>);

    /// Whether other nodes may exist. If not, the node's own changes are the cluster's events.
    fn is_clustered(&self) -> bool;

    /// A user's status on this node changed: read [`LocalNode::status`] for what it is now, and tell the others.
    /// Idempotent: the diff says why and when, not what.
    fn changed(&self, diff: &Diff);

    /// Hands a push to the nodes that hold the target's connections.
    fn route(&self, target: &Target, frame: Bytes) -> Receipt;

    /// Decides on a seat and takes it, in one step for all nodes; replaces nobody yet.
    async fn admit(&self, user: &UserKey, policy: &LoginPolicy, seat: Seat) -> Result<Decision, EngineError>;

    /// Gives a seat back; of one never taken, nothing.
    fn release(&self, user: &UserKey, connection: ConnectionId);

    /// The seat's connection goes by another token from now on; nobody is replaced for it.
    fn reseat(&self, user: &UserKey, connection: ConnectionId, token: TokenId);

    /// Stores deny entries for all nodes.
    async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError>;

    /// Why somebody is refused, by any node's entries.
    async fn is_denied(&self, who: &Identity) -> Result<Option<Denial>, EngineError>;

    /// Lifts the bans of a user on all nodes.
    async fn lift_ban(&self, user: &UserKey) -> Result<(), EngineError>;

    /// Stores a value that [`take_once`](Self::take_once) yields once.
    async fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError>;

    /// Takes the value, if it is there and its time not over; a second call finds nothing, on any node.
    async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError>;

    /// Asks other nodes, and waits for their answers until the deadline.
    async fn ask(&self, to: AskTo, query: Bytes, deadline: Duration) -> Answers;

    /// Looks at the cluster's directory.
    async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError>;

    /// How the engine is, now and as it changes.
    fn health(&self) -> watch::Receiver<Health>;

    /// Leaves the cluster.
    async fn shutdown(&self, leave: Leave);
}

/// What a node does for its engine. Nothing here waits.
#[async_trait]
pub trait LocalNode: Send + Sync + 'static {
    /// The user's status on this node, its grace period included.
    fn status(&self, user: &UserKey) -> Status;

    /// Delivers a push that another node routed here; `reply` hears what came of it.
    fn deliver(self: Arc<Self>, frame: Bytes, reply: Option<oneshot::Sender<RemoteCounts>>);

    /// Answers another node, a kick when it is done.
    async fn answer(self: Arc<Self>, query: Bytes) -> Bytes;

    /// Hears a transition of the cluster.
    fn event(&self, event: ClusterEvent);
}

/// A transition as the engine tells it to every node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A user's status in the cluster changed; `mine` on exactly one node, the one whose change or reap made it.
    Event {
        /// The transition.
        event: Event,
        /// Whether this node made it.
        mine: bool,
    },
    /// Events may have been lost.
    Resync,
}

impl ClusterEvent {
    /// A transition, made by this node or by another.
    pub fn new(event: Event, mine: bool) -> Self {
        Self::Event { event, mine }
    }
}

/// What is known of a routed push at once.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Receipt {
    /// There is no other node to tell.
    #[default]
    Alone,
    /// Others were told; the channel hears the sum of what they did.
    Pending(oneshot::Receiver<RemoteCounts>),
    /// It could not be handed over.
    Unavailable,
}

/// Whom [`Engine::ask`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskTo {
    /// Every other node.
    Others,
    /// One node.
    Node(u32),
}

/// What other nodes answered.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // Engines make it.
pub struct Answers {
    /// The answers that came in time.
    pub answers: Vec<Bytes>,
    /// Nodes that were asked and did not answer.
    pub unreachable: usize,
}

/// A question to the cluster's directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup {
    /// One user's status.
    Status(UserKey),
    /// How many distinct users are online.
    Count,
    /// Online users in the order of their keys, after a key.
    Page {
        /// The last key of the page before.
        after: Option<UserKey>,
        /// At most this many.
        limit: usize,
    },
}

/// The directory's answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// A status.
    Status(Status),
    /// A count.
    Count(usize),
    /// Users.
    Users(Vec<UserKey>),
}

/// Whether the engine can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// It works.
    #[default]
    Up,
    /// It works in part: pushes across nodes may be lost.
    Degraded,
    /// It does not: this node knows only itself.
    Down,
}

/// How a node leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// Its users are offline at once.
    Now,
    /// Its users stay online for this long, if they come back elsewhere nobody noticed.
    Linger(Duration),
}

/// What a node does at a login while the engine is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnEngineDown {
    /// Decides alone; what is too much is replaced once the engine is back. The default.
    #[default]
    AdmitLocally,
    /// Refuses with 503.
    Refuse503,
}

/// The engine could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Its store does not answer.
    #[error("the cluster's store is unavailable: {0}")]
    Unavailable(String),
    /// Its store holds no more.
    #[error("the cluster's store is full")]
    Full,
    /// It does not know this question.
    #[error("the engine does not support this")]
    Unsupported,
}
