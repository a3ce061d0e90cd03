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

    /// Whether it is there for somebody: who is in it, who watches, who listens.
    pub(crate) fn is_alive(&self) -> bool {
        self.roster.users() > 0 || !self.watchers.is_empty() || self.listeners.is_some()
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_alive() && self.subscribers.is_empty()
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
