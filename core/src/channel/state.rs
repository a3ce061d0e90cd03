//! One channel: who is in it, who receives what is published to it, and who hears of comings and goings.

use tokio::sync::broadcast;

use super::{
    feed::{Bounds, Feed, Size},
    roster::Roster,
};
use crate::{presence::Notice, push::Crowd};

/// One channel of a node. It is there while somebody is in it, watches it or listens to it.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) roster: Roster,
    pub(crate) feed: Feed,
    /// Connections that receive what is published.
    pub(crate) subscribers: Crowd,
    /// Connections that are told of comings and goings.
    pub(crate) watchers: Crowd,
    /// Listeners of the application.
    pub(crate) listeners: Option<broadcast::Sender<Notice>>,
}

impl Channel {
    /// A channel whose feed counts from `ver`.
    pub(crate) fn new(ver: u64) -> Self {
        Self {
            roster: Roster::default(),
            feed: Feed::new(ver),
            subscribers: Crowd::default(),
            watchers: Crowd::default(),
            listeners: None,
        }
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_empty(&self) -> bool {
        let is_heard = || self.listeners.as_ref().is_some_and(|sender| sender.receiver_count() > 0);
        self.roster.users() == 0 && self.subscribers.is_empty() && self.watchers.is_empty() && !is_heard()
    }

    pub(crate) fn size(&self) -> Size {
        Size { users: self.roster.users(), weight: self.roster.weight() }
    }

    /// A connection hears of comings and goings from here on.
    pub(crate) fn watch(&mut self, conn: &std::sync::Arc<crate::connection::Conn>, bounds: Bounds) {
        if self.watchers.is_empty() {
            self.feed.begin(self.size(), bounds);
        }
        self.watchers.add(conn);
    }

    /// It hears no more.
    pub(crate) fn unwatch(&mut self, conn: &crate::connection::Conn) {
        self.watchers.remove(conn);
        if self.watchers.is_empty() {
            self.feed.end();
        }
    }
}
