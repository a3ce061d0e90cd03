//! A channel at one moment, as `hereNow` tells it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::roster::Roster;
use crate::{
    UserKey,
    cluster::{Member, Members},
};

/// Who is in a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Connections.
    pub(crate) client_amount: usize,
    /// Distinct users, those in their grace included.
    pub(crate) user_amount: usize,
    /// The first of them, in the order of their ids.
    pub(crate) users: Vec<SnapshotUser>,
}

/// One user in a channel.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotUser {
    pub(crate) user: UserKey,
    /// The user's public data, where an identity carried some.
    pub(crate) data: Option<Arc<RawValue>>,
    /// Its connections in the channel; none while it is there by grace.
    pub(crate) clients: usize,
}

impl Snapshot {
    /// The amounts, and the first `listed` users.
    pub(crate) fn of(roster: &Roster, listed: usize) -> Self {
        let user = |(user, member): (&UserKey, &super::membership::Membership)| SnapshotUser {
            user: user.clone(),
            data: member.data.clone(),
            clients: member.clients(),
        };
        Self {
            client_amount: roster.clients(),
            user_amount: roster.users(),
            users: roster.iter().take(listed).map(user).collect(),
        }
    }
}

impl From<Members> for Snapshot {
    fn from(members: Members) -> Self {
        let user =
            |Member { user, clients, data, .. }| SnapshotUser { user, data, clients: clients as usize };
        Self {
            client_amount: members.clients,
            user_amount: members.users,
            users: members.listed.into_iter().map(user).collect(),
        }
    }
}
