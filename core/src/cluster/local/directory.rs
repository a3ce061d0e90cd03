//! What is true on each node, and so in the cluster, as a plain value: every change returns what it changed.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    bucket::Bucket,
    engine::{Entry, Here, Member, Members},
};
use crate::{ChannelKey, EventKind, Status, UserKey};

/// One entry on every node that has it.
type Lines = BTreeMap<u32, Here>;

/// All entries of a cluster.
#[derive(Debug, Default)]
pub(super) struct Directory {
    users: BTreeMap<(Bucket, UserKey), Lines>,
    channels: HashMap<ChannelKey, BTreeMap<UserKey, Lines>>,
    /// Counts every change of every channel.
    ver: u64,
    online: usize,
}

/// What a change means for the cluster.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// `None` where a membership is the same but for its connections or its data.
    pub(super) kind: Option<EventKind>,
    pub(super) clients: u32,
    pub(super) status: Status,
    pub(super) data: Option<std::sync::Arc<serde_json::value::RawValue>>,
    pub(super) ver: u64,
}

impl Directory {
    /// Writes what is true on a node.
    pub(super) fn set(&mut self, node: u32, entry: &Entry, here: Option<Here>) -> Option<Turn> {
        match entry {
            Entry::User(user) => self.set_user(node, user, here),
            Entry::Member(channel, user) => self.set_member(node, channel, user, here),
        }
    }

    fn set_user(&mut self, node: u32, user: &UserKey, here: Option<Here>) -> Option<Turn> {
        let key = (Bucket::of(user), user.clone());
        let lines = self.users.entry(key.clone()).or_default();
        let before = status(lines);
        write(lines, node, here);
        let after = status(lines);
        if lines.is_empty() {
            self.users.remove(&key);
        }
        let kind = match (before.is_online(), after.is_online()) {
            (false, true) => EventKind::Online,
            (true, false) => EventKind::Offline,
            (true, true) if before != after => EventKind::Update,
            _ => return None,
        };
        match kind {
            EventKind::Online => self.online += 1,
            EventKind::Offline => self.online -= 1,
            _ => {}
        }
        Some(Turn { kind: Some(kind), clients: 0, status: after, data: None, ver: 0 })
    }

    fn set_member(
        &mut self,
        node: u32,
        channel: &ChannelKey,
        user: &UserKey,
        here: Option<Here>,
    ) -> Option<Turn> {
        let members = self.channels.entry(channel.clone()).or_default();
        let lines = members.entry(user.clone()).or_default();
        let before = member(user, lines);
        write(lines, node, here);
        let after = member(user, lines);
        if lines.is_empty() {
            members.remove(user);
        }
        if members.is_empty() {
            self.channels.remove(channel);
        }
        let kind = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => Some(EventKind::Join),
            (Some(_), None) => Some(EventKind::Leave),
            (Some(before), Some(after)) if before.status != after.status => Some(EventKind::Update),
            (Some(before), Some(after)) if is_same(before, after) => return None,
            _ => None,
        };
        self.ver += 1;
        let gone = Member { user: user.clone(), clients: 0, status: Status::Offline, data: None };
        let data = before.and_then(|before| before.data);
        let Member { clients, status, data, .. } = after.unwrap_or(Member { data, ..gone });
        Some(Turn { kind, clients, status, data, ver: self.ver })
    }

    /// A user's status.
    pub(super) fn status(&self, user: &UserKey) -> Status {
        self.users.get(&(Bucket::of(user), user.clone())).map(status).unwrap_or_default()
    }

    /// How many distinct users are online.
    pub(super) fn online(&self) -> usize {
        self.online
    }

    /// The nodes that have a user.
    pub(super) fn nodes_of(&self, user: &UserKey) -> impl Iterator<Item = u32> {
        let lines = self.users.get(&(Bucket::of(user), user.clone()));
        lines.into_iter().flat_map(|lines| lines.keys().copied())
    }

    /// Online users after a key, in the order of the directory.
    pub(super) fn page(&self, after: Option<UserKey>, limit: usize) -> Vec<UserKey> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, |user| Excluded((Bucket::of(&user), user)));
        let users = self.users.range((from, Unbounded)).filter(|(_, lines)| status(lines).is_online());
        users.take(limit).map(|((_, user), _)| user.clone()).collect()
    }

    /// Who is in a channel.
    pub(super) fn members(&self, channel: &ChannelKey, listed: usize) -> Members {
        let Some(members) = self.channels.get(channel) else {
            return Members { ver: self.ver, ..Members::default() };
        };
        let clients =
            members.values().flat_map(|lines| lines.values()).map(|here| here.clients as usize).sum();
        let listed = members.iter().take(listed).filter_map(|(user, lines)| member(user, lines)).collect();
        Members { ver: self.ver, clients, users: members.len(), listed }
    }

    /// Everything that a node has.
    pub(super) fn entries_of(&self, node: u32) -> Vec<Entry> {
        let users = self.users.iter().filter(|(_, lines)| lines.contains_key(&node));
        let users = users.map(|((_, user), _)| Entry::User(user.clone()));
        let members = self.channels.iter().flat_map(|(channel, members)| {
            let on_it = members.iter().filter(|(_, lines)| lines.contains_key(&node));
            on_it.map(|(user, _)| Entry::Member(channel.clone(), user.clone()))
        });
        members.chain(users).collect()
    }
}

fn write(lines: &mut Lines, node: u32, here: Option<Here>) {
    match here {
        Some(here) => drop(lines.insert(node, here)),
        None => drop(lines.remove(&node)),
    }
}

/// A word goes before plain online, that before away.
fn status(lines: &Lines) -> Status {
    let rank = |status: &&Status| match status {
        Status::Custom(_) => 3,
        Status::Online => 2,
        Status::Away => 1,
        Status::Offline => 0,
    };
    lines.values().map(|here| &here.status).max_by_key(rank).cloned().unwrap_or_default()
}

fn member(user: &UserKey, lines: &Lines) -> Option<Member> {
    let data = lines.values().find_map(|here| here.data.clone());
    let clients = lines.values().map(|here| here.clients).sum();
    (!lines.is_empty()).then(|| Member { user: user.clone(), clients, status: status(lines), data })
}

fn is_same(before: &Member, after: &Member) -> bool {
    let json = |member: &Member| member.data.as_ref().map(|data| data.get().to_owned());
    before.clients == after.clients && json(before) == json(after)
}
