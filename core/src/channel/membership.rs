//! One user in one channel as a plain value: its clients there, its grace, what others know of it. No lock, no clock.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};

use crate::{Cause, Status, auth::TokenId, connection::ConnectionId};

/// A user whose last client disconnected and may come back unnoticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    /// Tells this grace from a later one.
    pub(crate) serial: u64,
    /// Whose end began it.
    pub(crate) token: TokenId,
    pub(crate) cause: Cause,
    /// When the last client ended.
    pub(crate) since: DateTime<Utc>,
}

/// One user in one channel. It is there while it has clients or a grace.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    clients: SmallVec<[ConnectionId; 1]>,
    grace: Option<Box<Grace>>,
    /// The user's status, as watchers were told last.
    pub(crate) status: Status,
    /// The user's public data.
    pub(crate) data: Option<Arc<RawValue>>,
}

impl Membership {
    /// A user's first client.
    pub(crate) fn of(client: ConnectionId, status: Status, data: Option<Arc<RawValue>>) -> Self {
        Self { clients: smallvec![client], grace: None, status, data }
    }

    /// How many of its connections are in the channel.
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn grace(&self) -> Option<&Grace> {
        self.grace.as_deref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.grace.is_none()
    }

    /// One more client; what is left of a grace is over.
    pub(crate) fn add(&mut self, client: ConnectionId) {
        self.clients.push(client);
        self.grace = None;
    }

    /// One client less; false where it was none.
    pub(crate) fn remove(&mut self, client: ConnectionId) -> bool {
        let index = self.clients.iter().position(|one| *one == client);
        index.map(|index| self.clients.swap_remove(index)).is_some()
    }

    pub(crate) fn begin_grace(&mut self, grace: Grace) {
        self.grace = Some(Box::new(grace));
    }

    /// Ends the grace, if it is one that is meant; returns it.
    pub(crate) fn end_grace(&mut self, is_meant: impl Fn(&Grace) -> bool) -> Option<Grace> {
        self.grace.take_if(|grace| is_meant(grace)).map(|grace| *grace)
    }
}
