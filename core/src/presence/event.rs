//! What applications hear: [`Event`]s, made from diffs and from nothing else.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::broadcast;

use super::diff::{Cause, Diff};
use crate::{Status, UserKey};

/// What happened to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EventKind {
    /// The first connection is there.
    Online,
    /// The last connection is gone, and the grace period over.
    Offline,
    /// The status changed.
    Update,
    /// A kick took connections of the user; `Offline` follows if they were the last.
    Kicked,
    /// The user came into a channel: its first connection there subscribed. After `Online`.
    Join,
    /// The user is gone from a channel: its last connection there left it, or ended and the grace period is over. Before or
    /// after `Offline`.
    Leave,
}

/// One transition of one user. Per user, `Online` and `Offline` alternate, each exactly once, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To whom.
    pub user: UserKey,
    /// The status after it.
    pub status: Status,
    /// The channel of a `Join` or `Leave`, and of all that
    /// [`subscribe_presence`](crate::OnlineManager::subscribe_presence) yields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Arc<str>>,
    /// Why.
    pub cause: Cause,
    /// When; of an `Offline` that grace held back, the time of the disconnect.
    pub at: DateTime<Utc>,
    /// The user's public data (`userData`), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Arc<RawValue>>,
}

impl EventKind {
    /// What a diff is to those who listen, if anything.
    pub(crate) fn of(diff: &Diff) -> Option<Self> {
        match (diff.before.is_online(), diff.after.is_online()) {
            (false, true) => Some(Self::Online),
            (true, false) => Some(Self::Offline),
            (true, true) if diff.before != diff.after => Some(Self::Update),
            _ => None,
        }
    }
}

impl Event {
    /// A transition as an engine tells it; its other facts may be set after.
    pub fn new(kind: EventKind, user: UserKey, status: Status, cause: Cause, at: DateTime<Utc>) -> Self {
        Self { kind, user, status, channel: None, cause, at, data: None }
    }

    /// The event of a diff, of which it is known what it is.
    pub(crate) fn of(kind: EventKind, diff: &Diff) -> Self {
        let Diff { user, after, cause, at, data, .. } = diff.clone();
        Self { kind, user, status: after, channel: None, cause, at, data }
    }
}

/// What a listener receives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A transition.
    Event(Event),
    /// The listener was too slow, and this many events were dropped for it; ask for the state anew.
    Missed(u64),
    /// Events of other nodes may have been lost; ask for the state anew. Only from
    /// [`cluster_events`](crate::OnlineManager::cluster_events) and
    /// [`subscribe_presence`](crate::OnlineManager::subscribe_presence).
    Resync,
}

/// A stream of [`Notice`]s. Dropping it ends the interest.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Notice>,
    /// Dropped after the receiver.
    _interest: Option<Interest>,
}

/// That events are told here at all, for whoever has to ask for them: the bus says when the last listener is gone.
pub(crate) struct Interest(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Interest {
    /// Runs this when the listener is gone.
    pub(crate) fn until(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl std::fmt::Debug for Interest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interest")
    }
}

impl Events {
    /// The next notice; `None` once the manager is gone. Cancel safe.
    pub async fn recv(&mut self) -> Option<Notice> {
        match self.receiver.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next notice that is there already; `None` when there is none.
    pub fn try_recv(&mut self) -> Option<Notice> {
        match self.receiver.try_recv() {
            Ok(notice) => Some(notice),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(_) => None,
        }
    }

    /// As a [`Stream`](futures_util::Stream).
    pub fn into_stream(self) -> impl futures_util::Stream<Item = Notice> + Send {
        futures_util::stream::unfold(self, |mut events| async {
            events.recv().await.map(|notice| (notice, events))
        })
    }
}

/// Hands events to whoever listens; never waits for one.
#[derive(Debug)]
pub(crate) struct EventBus {
    sender: broadcast::Sender<Notice>,
}

impl EventBus {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { sender: broadcast::channel(capacity).0 }
    }

    pub(crate) fn listen(&self) -> Events {
        self.listen_with(None)
    }

    pub(crate) fn listen_with(&self, interest: Option<Interest>) -> Events {
        Events { receiver: self.sender.subscribe(), _interest: interest }
    }

    pub(crate) fn publish(&self, event: Event) {
        self.notify(Notice::Event(event));
    }

    pub(crate) fn notify(&self, notice: Notice) {
        let _ = self.sender.send(notice); // Nobody listening is no fault.
    }

    /// Whether making an event is worth its cost.
    pub(crate) fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}
