//! One channel: who is in it, who receives what is published to it, and who hears of comings and goings.

use tokio::sync::broadcast;

use super::{
    feed::{Bounds, Feed},
    roster::Roster,
    view::View,
};
use crate::{cluster::Change, presence::Notice, push::Crowd};

/// One channel of a node. It is there while somebody is in it, watches it or listens to it.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Who is in it on this node.
    pub(crate) roster: Roster,
    /// Who is in it on all nodes, where there are several and somebody here watches.
    pub(crate) view: Option<Box<View>>,
    /// Requests that are about to watch.
    pub(crate) viewers: usize,
    /// What the engine is to be told once the channel's lock is released.
    pub(crate) untold: Vec<Change>,
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
            view: None,
            viewers: 0,
            untold: Vec::new(),
            feed: Feed::new(ver),
            subscribers: Crowd::default(),
            watchers: Crowd::default(),
            listeners: None,
        }
    }

    /// Whether it is there for somebody: who is in it, who watches, who listens.
    pub(crate) fn is_alive(&self) -> bool {
        self.roster.users() > 0 || self.is_heard()
    }

    /// Whether somebody is told of comings and goings, or is about to be.
    pub(crate) fn is_heard(&self) -> bool {
        !self.watchers.is_empty() || self.listeners.is_some() || self.viewers > 0
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_alive() && self.subscribers.is_empty()
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
            self.view.take_if(|_| self.viewers == 0);
        }
    }
}
