//! Who is in one channel, as a plain value: every change returns what happened, and events come from that alone.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::membership::{Grace, Membership};
use crate::{Cause, Status, UserKey, connection::ConnectionId};

/// What a watcher of a channel is told, as the word on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The first client subscribed.
    Join,
    /// The last client unsubscribed.
    Leave,
    /// The user is back after an `Offline`.
    Online,
    /// The last client disconnected.
    Offline,
    /// The user's status changed.
    Update,
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Update => "update",
        }
    }
}

/// What happened to one user in the channel.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) action: Action,
    pub(crate) cause: Cause,
    pub(crate) user: UserKey,
    /// The user's status after it.
    pub(crate) status: Status,
    pub(crate) data: Option<Arc<RawValue>>,
    /// When; of an offline that grace held back, the time of the disconnect.
    pub(crate) at: DateTime<Utc>,
}

impl Happened {
    /// Whether a subscription soon after this is a return and no first time.
    pub(crate) fn is_remembered(&self) -> bool {
        self.action == Action::Offline && self.cause.allows_grace()
    }

    /// Whether the member was not there before.
    pub(crate) fn is_coming(&self) -> bool {
        matches!(self.action, Action::Join | Action::Online)
    }

    /// About how many bytes of JSON it takes.
    pub(crate) fn weight(&self) -> usize {
        2 * FIELDS + self.user.login_id().len() + self.data.as_ref().map_or(0, |data| data.get().len())
    }
}

/// Who comes, as it is known from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) status: Status,
    pub(crate) data: Option<Arc<RawValue>>,
    /// Whether its last membership ended by a disconnect not long ago.
    pub(crate) is_known: bool,
    pub(crate) at: DateTime<Utc>,
}

/// What became of a client's end.
#[derive(Clone, Debug)]
pub(crate) enum Parted {
    /// It was no client, or others of the user are there.
    Unnoticed,
    /// The user may come back unnoticed until the grace is over.
    Grace,
    /// The user is gone.
    Gone(Happened),
}

/// The members of one channel, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    members: BTreeMap<UserKey, Membership>,
    clients: usize,
    /// About how many bytes a list of all of them takes.
    weight: usize,
}

impl Roster {
    /// Distinct users, those in their grace included.
    pub(crate) fn users(&self) -> usize {
        self.members.len()
    }

    /// Connections.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// About how many bytes of JSON a list of all users takes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UserKey, &Membership)> {
        self.members.iter()
    }

    pub(crate) fn get(&self, user: &UserKey) -> Option<&Membership> {
        self.members.get(user)
    }

    /// A client subscribes. A second one of its user, and one within the grace, nobody notices.
    pub(crate) fn subscribe(
        &mut self,
        user: &UserKey,
        client: ConnectionId,
        arrival: Arrival,
    ) -> Option<Happened> {
        let Arrival { status, data, is_known, at } = arrival;
        self.clients += 1;
        if let Some(member) = self.members.get_mut(user) {
            member.add(client);
            if let Some(data) = data {
                self.weight -= weight(user, member.data.as_deref());
                self.weight += weight(user, Some(&data));
                member.data = Some(data);
            }
            return None;
        }
        let member = Membership::of(client, status.clone(), data.clone());
        self.weight += weight(user, member.data.as_deref());
        self.members.insert(user.clone(), member);
        let (action, cause) = match is_known {
            true => (Action::Online, Cause::Reconnect),
            false => (Action::Join, Cause::Subscribe),
        };
        Some(Happened { action, cause, user: user.clone(), status, data, at })
    }

    /// A client leaves by its own will.
    pub(crate) fn unsubscribe(
        &mut self,
        user: &UserKey,
        client: ConnectionId,
        at: DateTime<Utc>,
    ) -> Option<Happened> {
        if !self.drop_client(user, client) || !self.members.get(user)?.is_empty() {
            return None;
        }
        self.take(user, Action::Leave, Cause::Unsubscribe, at)
    }

    /// A client's connection ended. With `grace`, the last one leaves its user in the channel until that is over.
    pub(crate) fn disconnect(
        &mut self,
        user: &UserKey,
        client: ConnectionId,
        cause: Cause,
        at: DateTime<Utc>,
        grace: Option<Grace>,
    ) -> Parted {
        if !self.drop_client(user, client) {
            return Parted::Unnoticed;
        }
        let Some(member) = self.members.get_mut(user).filter(|member| member.is_empty()) else {
            return Parted::Unnoticed;
        };
        if let Some(grace) = grace {
            member.begin_grace(grace);
            return Parted::Grace;
        }
        self.take(user, Action::Offline, cause, at).map_or(Parted::Unnoticed, Parted::Gone)
    }

    /// Ends a grace that is meant: for its own cause and as of the disconnect, unless there is a stronger one.
    pub(crate) fn end_grace(
        &mut self,
        user: &UserKey,
        is_meant: impl Fn(&Grace) -> bool,
        stronger: Option<(Cause, DateTime<Utc>)>,
    ) -> Option<Happened> {
        let Grace { cause, since, .. } = self.members.get_mut(user)?.end_grace(is_meant)?;
        let (cause, at) = stronger.unwrap_or((cause, since));
        self.take(user, Action::Offline, cause, at)
    }

    /// The user's status changed, perhaps.
    pub(crate) fn say(&mut self, user: &UserKey, status: &Status, at: DateTime<Utc>) -> Option<Happened> {
        let member = self.members.get_mut(user)?;
        if !status.is_online() || member.status == *status {
            return None;
        }
        member.status = status.clone();
        let (action, cause, data) = (Action::Update, Cause::Status, member.data.clone());
        Some(Happened { action, cause, user: user.clone(), status: status.clone(), data, at })
    }

    fn drop_client(&mut self, user: &UserKey, client: ConnectionId) -> bool {
        let was = self.members.get_mut(user).is_some_and(|member| member.remove(client));
        self.clients -= usize::from(was);
        was
    }

    fn take(&mut self, user: &UserKey, action: Action, cause: Cause, at: DateTime<Utc>) -> Option<Happened> {
        let (user, member) = self.members.remove_entry(user)?;
        self.weight -= weight(&user, member.data.as_deref());
        let Membership { status, data, .. } = member;
        let status = if action == Action::Offline { Status::Offline } else { status };
        Some(Happened { action, cause, user, status, data, at })
    }
}

/// Beside id, data and status stand the names of the fields.
const FIELDS: usize = 64;

/// About how many bytes of JSON one member takes in a list.
pub(super) fn weight(user: &UserKey, data: Option<&RawValue>) -> usize {
    FIELDS + user.login_id().len() + data.map_or(0, |data| data.get().len())
}
