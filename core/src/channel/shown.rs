//! Whom watchers of a channel are told of: on a node that is alone its own members, else the cluster's.

use super::{feed::Size, roster::Roster, state::Channel, view::Known};
use crate::protocol::{PresenceUser, UserData};

/// The members that a feed speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    Own(&'a Roster),
    Cluster(&'a Known),
}

impl Channel {
    /// `None` while the cluster's members are not known yet.
    pub(crate) fn shown(&self) -> Option<Shown<'_>> {
        match &self.view {
            None => Some(Shown::Own(&self.roster)),
            Some(view) => view.known().map(Shown::Cluster),
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.shown().map(Shown::size).unwrap_or_default()
    }
}

impl<'a> Shown<'a> {
    pub(crate) fn users(self) -> usize {
        match self {
            Self::Own(roster) => roster.users(),
            Self::Cluster(known) => known.users(),
        }
    }

    pub(crate) fn clients(self) -> usize {
        match self {
            Self::Own(roster) => roster.clients(),
            Self::Cluster(known) => known.clients(),
        }
    }

    fn size(self) -> Size {
        let weight = match self {
            Self::Own(roster) => roster.weight(),
            Self::Cluster(known) => known.weight(),
        };
        Size { users: self.users(), weight }
    }

    /// All of them, as a state lists them.
    pub(crate) fn list(self) -> Vec<PresenceUser<'a>> {
        match self {
            Self::Own(roster) => {
                let user =
                    |(user, member): (&'a crate::UserKey, &'a super::membership::Membership)| PresenceUser {
                        id: user.login_id(),
                        data: UserData(member.data.as_deref()),
                        status: &member.status,
                    };
                roster.iter().map(user).collect()
            }
            Self::Cluster(known) => {
                let user = |(user, seen): (&'a crate::UserKey, &'a super::view::Seen)| PresenceUser {
                    id: user.login_id(),
                    data: UserData(seen.data.as_deref()),
                    status: &seen.status,
                };
                known.iter().map(user).collect()
            }
        }
    }
}
