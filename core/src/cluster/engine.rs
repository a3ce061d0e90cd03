//! [`Engine`] and [`LocalNode`]: everything that crosses nodes, on one screen each.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use crate::{
    Cause, ChannelKey, Event, EventKind, Status, UserKey,
    auth::{Identity, TokenId},
    connection::ConnectionId,
    kick::{Denial, DenyEntry},
    policy::{Decision, LoginPolicy, Seat},
    report::RemoteCounts,
};

/// What other nodes know and can be told. Local delivery never waits for it.
///
/// `changed`, `wishes`, `route`, `release` and `reseat` never block and are never awaited; the rest is awaited on connect, on
/// kick and on queries, always under a deadline of the caller's. What is awaited comes after what was not: a
/// [`lookup`](Self::lookup) sees every change and every wish that this node told before it.
#[async_trait]
pub trait Engine: std::fmt::Debug + Send + Sync + 'static {
    /// This node's id; other nodes' differ.
    fn node_id(&self) -> u32;

    /// Takes the node in; called once, when the manager is built.
    fn attach(&self, node: Weak<dyn LocalNode>);

    /// Whether other nodes may exist. If not, the node's own changes are the cluster's events.
    fn is_clustered(&self) -> bool;

    /// Something in the directory changed on this node: read [`LocalNode::here`] for what it is now, and tell those who
    /// wish to hear of it. Idempotent: a change says why and when, not what.
    fn changed(&self, change: &Change);

    /// What this node hears of from here on, or no more. It may be told twice, and be told `false` of what it never was.
    fn wishes(&self, wish: &Wish, yes: bool);

    /// Hands a push to the other nodes that it is for.
    fn route(&self, to: Reach<'_>, frame: Bytes) -> Receipt;

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

    /// When this returns, what this node routed before has left it, and whatever had left any node before has been delivered
    /// here: nobody is behind what somebody else has seen.
    async fn caught_up(&self) -> Result<(), EngineError>;

    /// From here on what is routed to this node is not delivered but kept, for so long, for whoever takes its clients
    /// over: [`left`](Self::left) yields it. When this returns, all that was routed before has been delivered. Its wishes
    /// stay as they are: it takes none back any more.
    async fn retire(&self, keep: Duration) -> Result<(), EngineError>;

    /// The frames that were routed to another node since it retired; `from` is where the last reading ended, empty for the
    /// first.
    async fn left(&self, node: u32, from: &[usize]) -> Result<Kept, EngineError>;

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
    /// What is true on this node of a user or a membership, its grace period included; `None` where it is not here.
    fn here(&self, entry: &Entry) -> Option<Here>;

    /// Visits every user and every membership of this node, under its locks: the visit must not call the node.
    fn each_entry(&self, visit: &mut dyn FnMut(Entry));

    /// Visits everything that this node wishes to hear of, under its locks.
    fn each_wish(&self, visit: &mut dyn FnMut(Wish));

    /// Visits every deny entry that this node knows and that has not lapsed, under its locks: a store that lost its own is
    /// given them again.
    fn each_denied(&self, visit: &mut dyn FnMut(DenyEntry));

    /// Delivers a push that another node routed here; `reply` hears what came of it.
    fn deliver(self: Arc<Self>, frame: Bytes, reply: Option<oneshot::Sender<RemoteCounts>>);

    /// Answers another node, a kick when it is done.
    async fn answer(self: Arc<Self>, query: Bytes) -> Bytes;

    /// Hears a transition of the cluster.
    fn event(&self, event: ClusterEvent);
}

/// One line of the directory: a node writes what is true on it, and the cluster's truth is the union.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)] // An engine stores every kind.
pub enum Entry {
    /// A user.
    User(UserKey),
    /// A user in a channel.
    Member(ChannelKey, UserKey),
}

/// What is true of an [`Entry`] on one node.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Nodes make it, engines read and merge it.
pub struct Here {
    /// Connections; none within the grace period, and of a user's own entry always none.
    pub clients: u32,
    /// The user's status as this node knows it; offline where only what was pushed to it is kept here, for a client that
    /// may come back: then pushes are routed here, and nobody is online.
    pub status: Status,
    /// The user's public data, of a membership.
    pub data: Option<Arc<RawValue>>,
}

/// Why and when an [`Entry`] changed.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Nodes make it.
pub struct Change {
    /// What changed.
    pub entry: Entry,
    /// Whether this node had nothing of it before: it came, and did not only change.
    pub is_new: bool,
    /// Why.
    pub cause: Cause,
    /// When; of an offline that grace held back, the time of the disconnect.
    pub at: DateTime<Utc>,
    /// The user's status on this node after it.
    pub status: Status,
    /// The user's public data, where an identity carried some.
    pub data: Option<Arc<RawValue>>,
}

/// Something that a node hears of while it wishes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)] // An engine fulfils every kind.
pub enum Wish {
    /// What is pushed to a channel.
    Pushes(ChannelKey),
    /// Who comes into a channel and who goes: [`ClusterEvent::Member`].
    Members(ChannelKey),
    /// What happens to a user: [`ClusterEvent::Heard`].
    User(UserKey),
    /// What happens to every user, and in every channel.
    Everything,
}

/// A transition as the engine tells it to a node.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums)] // Engines make it, and a node hears every kind.
pub enum ClusterEvent {
    /// A transition that a change of this node made, or its reaping of a dead node: each is made on exactly one node.
    Made(Event),
    /// A user's transition, whoever made it, to nodes that wish to hear of it; in the order in which they were made.
    Heard(Event),
    /// How it is with one member of a channel from now on, to nodes that wish to hear of it; in the order of `ver`.
    Member(MemberNow),
    /// Events may have been lost: what is wished for has to be looked up anew.
    Resync,
}

/// One member of a channel, in the cluster as a whole, after a change.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Engines make it.
pub struct MemberNow {
    /// The channel.
    pub channel: ChannelKey,
    /// Counts the changes of the channel, by no fixed step.
    pub ver: u64,
    /// Whether it came (`Join`), went (`Leave`) or is another (`Update`); `None` where only its connections changed.
    pub kind: Option<EventKind>,
    /// Who, and how it is now; of one that went, `clients` is 0 and the status that of its [`Change`].
    pub member: Member,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: DateTime<Utc>,
}

/// One member of a channel, in the cluster as a whole.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Engines make it.
pub struct Member {
    /// Who.
    pub user: UserKey,
    /// Its connections in the channel, on all nodes; none while it is there by grace alone.
    pub clients: u32,
    /// The most awake of its statuses.
    pub status: Status,
    /// The user's public data.
    pub data: Option<Arc<RawValue>>,
}

/// Who is in a channel, in the cluster as a whole.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // Engines make it.
pub struct Members {
    /// The last change that this takes in: [`MemberNow::ver`].
    pub ver: u64,
    /// Connections.
    pub clients: usize,
    /// Distinct users.
    pub users: usize,
    /// As many of them as were asked for, in the order of their keys.
    pub listed: Vec<Member>,
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

/// Which nodes a push is for; the frame says which of their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // An engine routes every kind.
pub enum Reach<'a> {
    /// Those with an [`Entry::User`] of this user.
    User(&'a UserKey),
    /// The same of several users; each node gets the frame once.
    Users(&'a [UserKey]),
    /// Those that wish for [`Wish::Pushes`].
    Channel(&'a ChannelKey),
    /// One node, and none if that is this one.
    Node(u32),
    /// All of them.
    Everyone,
}

/// Whom [`Engine::ask`] asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskTo {
    /// Every other node.
    Others,
    /// Every other node, by a second way too where the engine has one: for what nobody may miss.
    OthersSurely,
    /// The other nodes that have something of a user, as far as the directory knows.
    Owners(UserKey),
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

/// Frames that were kept for a node which retired, from somewhere on.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // Engines make it.
pub struct Kept {
    /// The frames, in their order.
    pub frames: Vec<Bytes>,
    /// Where to go on, for each part of the engine that keeps some.
    pub end: Vec<usize>,
}

/// A question to the cluster's directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup {
    /// One user's status.
    Status(UserKey),
    /// How many distinct users are online.
    Count,
    /// Online users in the order of their [`Bucket`](super::Bucket)s, and in each of their keys, after a key.
    Page {
        /// The last key of the page before.
        after: Option<UserKey>,
        /// At most this many.
        limit: usize,
    },
    /// Who is in a channel.
    Members {
        /// Which.
        channel: ChannelKey,
        /// How many of them are listed, at most.
        listed: usize,
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
    /// Who is in a channel.
    Members(Members),
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
    /// Decides alone; what is too much is replaced once the engine is back. The default. Bans of which this node has not
    /// heard hold once it is back, too.
    #[default]
    AdmitLocally,
    /// Refuses every login with 503: nobody is let in whom the cluster might not have let in. Who is connected stays.
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
