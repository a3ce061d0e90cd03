//! What became of a push or a kick, as far as this node knows.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{ConnectionId, UserKey, error::PushError};

/// What became of a push.
///
/// *Reached* means that an outbox took it or an online pusher returned `Ok`: at most once, with this receipt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushReport {
    /// The id every receiver sees.
    pub message_id: String,
    /// Connections of this node that the target named.
    pub matched: usize,
    /// Of these, the ones whose socket or outbox took it.
    pub enqueued: usize,
    /// Of these, the ones that were too slow for it, by the overflow policy.
    pub dropped: usize,
    /// Connections of this node whose client is away and may come back: it is kept for them.
    pub held: usize,
    /// Pushers that returned `Ok`, counted per user.
    pub pushers: usize,
    /// The users named that are not here.
    pub offline: Vec<UserKey>,
    /// What other nodes were asked.
    pub remote: Remote,
}

impl PushReport {
    pub(crate) fn new(message_id: String) -> Self {
        Self {
            message_id,
            matched: 0,
            enqueued: 0,
            dropped: 0,
            held: 0,
            pushers: 0,
            offline: Vec::new(),
            remote: Remote::NotAsked,
        }
    }

    /// How many outboxes and pushers of this node took it.
    pub fn reached(&self) -> usize {
        self.enqueued + self.pushers
    }

    /// Makes "nobody was reached" an error, for callers to whom it is one. Where other nodes were asked, await
    /// [`Remote::counts`] instead.
    ///
    /// # Errors
    /// [`PushError::Offline`].
    pub fn ok_or_offline(self) -> Result<Self, PushError> {
        if self.reached() == 0 && !matches!(self.remote, Remote::Pending(_)) {
            return Err(PushError::Offline { offline: self.offline.len() });
        }
        Ok(self)
    }
}

/// What the other nodes of the cluster say of a push.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Remote {
    /// There is no other node, or the target is here alone.
    #[default]
    NotAsked,
    /// They were asked; the handle hears what they say.
    Pending(#[serde(skip)] RemoteHandle),
    /// The cluster's store could not take it: other nodes did not hear of it.
    Unavailable,
}

impl Remote {
    /// Waits for the other nodes' counts; `None` where none was asked or nothing was heard within `deadline`.
    /// Cancel safe: the push itself is under way.
    pub async fn counts(self, deadline: Duration) -> Option<RemoteCounts> {
        let Self::Pending(RemoteHandle(receiver)) = self else { return None };
        tokio::time::timeout(deadline, receiver).await.ok()?.ok()
    }
}

/// A push under way to other nodes.
pub struct RemoteHandle(pub(crate) oneshot::Receiver<RemoteCounts>);

impl Default for RemoteHandle {
    fn default() -> Self {
        Self(oneshot::channel().1)
    }
}

impl fmt::Debug for RemoteHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteHandle")
    }
}

/// What the other nodes did with a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RemoteCounts {
    /// Nodes that took the message.
    pub nodes: usize,
    /// Their connections that the target named.
    pub matched: usize,
    /// Of these, the ones whose outbox took it.
    pub enqueued: usize,
    /// Kept there for clients that may come back.
    pub held: usize,
}

/// What became of a push whose receivers were asked to acknowledge it; of this node's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AckReport {
    /// What became of the push.
    pub push: PushReport,
    /// The connections whose client said that it has it.
    pub acked: Vec<ConnectionId>,
    /// The connections that took it, and whose client did not say so in time. Raw mode cannot say so and is in neither.
    pub missing: Vec<ConnectionId>,
}

impl AckReport {
    /// Whether somebody has it, and everybody who took it said so.
    pub fn is_complete(&self) -> bool {
        !self.acked.is_empty() && self.missing.is_empty()
    }
}

/// What became of the deny entries of a kick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Deny {
    /// Every node refuses the tokens.
    #[default]
    Stored,
    /// This node refuses them; the cluster's store could not be reached.
    LocalOnly,
    /// The store of deny entries is full: the tokens are not refused.
    Failed,
}

/// What became of the authenticator's `revoke`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Revoke {
    /// Every credential was revoked, or there was none.
    #[default]
    Done,
    /// At least one could not be.
    Failed,
    /// It did not answer within the deadline.
    TimedOut,
}

/// What became of a kick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use = "a kick may be incomplete: look at `is_complete()`"]
pub struct KickReport {
    /// Connections and hand marks that the target named, on all nodes that answered.
    pub matched: usize,
    /// Closed in the proper way; of a stream of events, that the server took the last of it.
    pub closed: usize,
    /// Cut at the deadline.
    pub aborted: usize,
    /// Out of the registry and fed no more, but the socket is the framework's and ends later.
    pub lingering: usize,
    /// Other nodes that answered.
    pub nodes: usize,
    /// Other nodes that did not.
    pub unreachable: usize,
    /// What became of the deny entries.
    pub deny: Deny,
    /// What became of the authenticator's `revoke`.
    pub revoke: Revoke,
}

impl KickReport {
    /// Whether every socket is closed, every node has answered, and the tokens are refused everywhere.
    pub fn is_complete(&self) -> bool {
        self.lingering == 0
            && self.unreachable == 0
            && self.deny == Deny::Stored
            && self.revoke == Revoke::Done
    }

    /// Adds what another part of the kick did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.closed += other.closed;
        self.aborted += other.aborted;
        self.lingering += other.lingering;
        self.deny = self.deny.max(other.deny);
        if other.revoke != Revoke::Done {
            self.revoke = other.revoke;
        }
    }
}

/// What [`OnlineManager::shutdown`](crate::OnlineManager::shutdown) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Connections that were there.
    pub connections: usize,
    /// Closed in the proper way, with all that waited for them written.
    pub closed: usize,
    /// Cut at the deadline.
    pub aborted: usize,
    /// Handed nothing more, but the socket is the framework's and ends later.
    pub lingering: usize,
}

/// What `mark_online` did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marked {
    /// The session is online from now on.
    Online,
    /// It was already: it counts as active, and keeps its `connect_time`, device and metadata.
    Already,
    /// It is not; the reason says why.
    Refused(crate::Refused),
}
