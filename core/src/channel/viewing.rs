//! What a node of several does for those who watch channels: the directory's list is fetched before somebody is told of
//! it, kept up by what the engine tells, and fetched anew where something may have been missed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    hub::{Full, Hub},
    name::ChannelKey,
    state::Channel,
    view::{Loaded, View},
};
use crate::{
    Cause, Notice,
    cluster::{Change, Entry, Found, Health, Here, Lookup, Member, MemberNow, Members, Wish},
    manager::Inner,
};

/// A list that could not be had though the engine is up is asked for again after this.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// Somebody is about to watch a channel: its members are kept up meanwhile.
#[derive(Debug)]
pub(crate) struct Viewing {
    hub: Arc<Hub>,
    channel: ChannelKey,
}

impl Drop for Viewing {
    fn drop(&mut self) {
        self.hub.change(&self.channel, |channel| {
            channel.viewers -= 1;
            let unwatched = channel.viewers == 0 && channel.watchers.is_empty();
            channel.view.take_if(|_| unwatched);
        });
    }
}

/// Sees to it that the members of a channel are known, in the whole cluster, before somebody watches it. `None` on a node
/// that is alone, which knows them anyway.
pub(crate) async fn view(inner: &Arc<Inner>, key: &ChannelKey) -> Result<Option<Viewing>, Full> {
    let hub = &inner.channels;
    if hub.around.engine.is_none() {
        return Ok(None);
    }
    let is_known = hub.open(key, |channel| {
        channel.viewers += 1;
        channel.view.get_or_insert_with(|| Box::new(View::awaited())).known().is_some()
    })?;
    let viewing = Viewing { hub: hub.clone(), channel: key.clone() };
    if !is_known {
        // By a task of its own: the answer is for others too, though whoever asked is gone by then.
        let (owner, key) = (inner.clone(), key.clone());
        if let Some(fetching) = inner.room.spawn(async move { fetch(&owner, &key).await }) {
            let _ = fetching.await;
        }
    }
    Ok(Some(viewing))
}

/// Fetches the members of a channel; where the engine does not answer, this node's own have to do until it does.
async fn fetch(inner: &Arc<Inner>, key: &ChannelKey) {
    let Err(mut unanswered) = fetched(inner, key).await else { return };
    if inner.engine_health() == Health::Down {
        return; // Once it is back all are fetched.
    }
    let (weak, key) = (Arc::downgrade(inner), key.clone());
    inner.room.spawn(async move {
        loop {
            tokio::time::sleep(AGAIN).await;
            let Some(inner) = weak.upgrade().filter(|inner| !inner.is_closing()) else { return };
            let is_last =
                |channel: &mut Channel| channel.view.as_ref().is_some_and(|view| view.is_asked(unanswered));
            // Whoever asked later asks again by itself.
            if inner.engine_health() == Health::Down || inner.channels.change(&key, is_last) != Some(true) {
                return;
            }
            match fetched(&inner, &key).await {
                Ok(()) => return,
                Err(number) => unanswered = number,
            }
        }
    });
}

/// The question's number where the engine does not answer it.
async fn fetched(inner: &Arc<Inner>, key: &ChannelKey) -> Result<(), u64> {
    let hub = &inner.channels;
    let number = hub.asked.fetch_add(1, Ordering::Relaxed) + 1;
    let is_viewed = hub.change(key, |channel| channel.view.as_mut().map(|view| view.ask(number)));
    if is_viewed.flatten().is_none() {
        return Ok(());
    }
    let lookup = Lookup::Members { channel: key.clone(), listed: usize::MAX };
    let members = match inner.lookup(lookup).await {
        Ok(Found::Members(members)) => Some(members),
        _ => None,
    };
    let answered = if members.is_some() { Ok(()) } else { Err(number) };
    hub.loaded(key, members, number);
    answered
}

/// Events may have been missed: every list that is in use is fetched anew, and its watchers are told what is different.
pub(crate) async fn fetch_all(inner: &Arc<Inner>) {
    let mut viewed = Vec::new();
    inner.channels.each(|key, channel| {
        if channel.view.is_some() {
            viewed.push(key.clone());
        }
    });
    for key in viewed {
        fetch(inner, &key).await;
    }
}

/// The list of one channel is fetched by a task of its own: somebody watches it already.
pub(crate) fn fetch_later(inner: &Arc<Inner>, keys: Vec<ChannelKey>) {
    let owner = inner.clone();
    inner.room.spawn(async move {
        for key in keys {
            fetch(&owner, &key).await;
        }
    });
}

impl Hub {
    /// The members of a channel came, or could not be had. Who watches already is told what it does not know.
    fn loaded(&self, key: &ChannelKey, members: Option<Members>, number: u64) {
        self.change(key, |channel| {
            let own_members = members.is_none().then(|| own(channel));
            let Some(view) = &mut channel.view else { return };
            let is_first = view.known().is_none();
            let loaded = match members.or(own_members.filter(|_| is_first)) {
                Some(members) => view.load(members, number, self.around.clock.utc()),
                // The others are not gone because nobody says that they are there.
                None => Loaded { happened: view.keep(number), is_late: false },
            };
            if is_first {
                channel.feed.skip(); // What happened while nobody watched.
            }
            if loaded.is_late && !channel.watchers.is_empty() && channel.feed.renew() {
                self.open_window(key, channel);
            }
            for happened in loaded.happened {
                self.tell_later(key, channel, happened);
            }
        });
    }

    /// How it is with a member of a channel from now on, in the whole cluster.
    pub(crate) fn heard(&self, now: MemberNow) {
        let key = now.channel.clone();
        let (cluster, known) = (self.around.mine.cluster.is_heard(), self.change(&key, |_| ()).is_some());
        if !cluster && !known {
            return;
        }
        let told = now.kind.map(|kind| crate::Event {
            kind,
            user: now.member.user.clone(),
            status: now.member.status.clone(),
            channel: Some(key.shared_name()),
            cause: now.cause,
            at: now.at,
            data: now.member.data.clone(),
        });
        if cluster && let Some(told) = told.clone().filter(|told| told.kind != crate::EventKind::Update) {
            self.around.mine.cluster.publish(told);
        }
        self.change(&key, |channel| {
            if let (Some(listeners), Some(told)) = (&channel.listeners, told) {
                let _ = listeners.send(Notice::Event(told)); // Nobody listening is no fault.
            }
            let instant = self.around.clock.now();
            let is_back = |user: &crate::UserKey| self.remembered.lock().take(&key, user, instant);
            let Some(happened) = channel.view.as_mut().and_then(|view| view.apply(now, is_back)) else {
                return;
            };
            if happened.is_remembered() {
                self.remember(&key, &happened);
            }
            self.tell_later(&key, channel, happened);
        });
    }

    /// While nobody says how it is in the cluster, watchers are told who comes to this node. Who leaves it may still be on
    /// another one: that is told when the cluster is back.
    pub(super) fn is_here(&self, change: &Change) {
        let Entry::Member(key, user) = &change.entry else { return };
        self.change(key, |channel| {
            let Some(member) = channel.roster.get(user).map(|member| member_of(user, member)) else { return };
            self.show(key, channel, member, change.cause);
        });
    }

    /// The cluster is out of reach from now on: watchers are told of those of this node whom they do not know yet.
    pub(crate) fn show_own(&self) {
        let mut viewed = Vec::new();
        self.each(|key, channel| {
            if channel.view.is_some() {
                viewed.push(key.clone());
            }
        });
        for key in viewed {
            self.change(&key, |channel| {
                for member in own(channel).listed {
                    self.show(&key, channel, member, Cause::Subscribe);
                }
            });
        }
    }

    fn show(&self, key: &ChannelKey, channel: &mut Channel, member: Member, cause: Cause) {
        let at = self.around.clock.utc();
        if let Some(happened) = channel.view.as_mut().and_then(|view| view.is_here(member, cause, at)) {
            self.tell_later(key, channel, happened);
        }
    }

    /// Listeners may have missed something.
    pub(crate) fn missed(&self) {
        self.each(|_, channel| {
            if let Some(listeners) = &channel.listeners {
                let _ = listeners.send(Notice::Resync);
            }
        });
    }

    /// What is true of a membership on this node.
    pub(crate) fn here(&self, channel: &ChannelKey, user: &crate::UserKey) -> Option<Here> {
        self.look(channel, |channel| {
            let member = channel.roster.get(user)?;
            let clients = u32::try_from(member.clients()).unwrap_or(u32::MAX);
            Some(Here { clients, status: member.status.clone(), data: member.data.clone() })
        })
    }

    /// Visits every membership of this node.
    pub(crate) fn each_member(&self, visit: &mut dyn FnMut(Entry)) {
        self.each(|key, channel| {
            for (user, _) in channel.roster.iter() {
                visit(Entry::Member(key.clone(), user.clone()));
            }
        });
    }

    /// Visits every wish that channels of this node have.
    pub(crate) fn each_wish(&self, visit: &mut dyn FnMut(Wish)) {
        self.each(|key, channel| {
            if !channel.subscribers.is_empty() {
                visit(Wish::Pushes(key.clone()));
            }
            if channel.is_heard() {
                visit(Wish::Members(key.clone()));
            }
        });
    }
}

/// What this node alone knows of a channel.
fn own(channel: &Channel) -> Members {
    let listed: Vec<Member> = channel.roster.iter().map(|(user, member)| member_of(user, member)).collect();
    Members { ver: 0, clients: channel.roster.clients(), users: listed.len(), listed }
}

fn member_of(user: &crate::UserKey, member: &super::membership::Membership) -> Member {
    Member {
        user: user.clone(),
        clients: u32::try_from(member.clients()).unwrap_or(u32::MAX),
        status: member.status.clone(),
        data: member.data.clone(),
    }
}
