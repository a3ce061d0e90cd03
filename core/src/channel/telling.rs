//! What follows from a change: the application's events at once, the watchers' frames when their window is over.

use bytes::Bytes;

use super::{
    channel::Channel,
    feed::Told,
    hub::Hub,
    name::ChannelKey,
    roster::{Action, Happened},
    snapshot::{Snapshot, SnapshotUser},
};
use crate::{
    Event, EventKind, Notice, Status,
    clock::later,
    connection::{Batch, Conn},
    presence::Due,
    protocol::{
        Presence, PresenceEvent, PresenceOf, PresencePlace, PresenceState, PresenceUser, ServerMessage,
        UserData,
    },
    push::{List, Load},
};

/// A frame that is still to be written, and whom it is for: taken under a channel's lock, written without it.
#[derive(Debug)]
pub(super) struct Outgoing {
    to: Vec<(usize, List)>,
    ver: u64,
    told: Written,
    /// The amounts, and for a state the users.
    now: Snapshot,
    more: bool,
}

#[derive(Debug)]
enum Written {
    Events(Vec<Happened>),
    State,
}

impl Hub {
    /// Everything that follows from what happened to a channel, under its lock.
    pub(super) fn tell(&self, key: &ChannelKey, channel: &mut Channel, happened: Happened) {
        if happened.is_remembered() {
            self.remember(key, &happened);
        }
        self.tell_application(key, channel, &happened);
        if channel.watchers.is_empty() || !channel.feed.add(happened, self.bounds) {
            return;
        }
        match self.limits.event_window {
            window if window.is_zero() => self.tell_now(key, channel),
            window => {
                let due = later(self.around.clock.now(), window);
                self.around.deadlines.add(due, Due::Feed(key.clone()));
            }
        }
    }

    /// Tells the watchers what there is to tell, under the channel's lock.
    pub(super) fn tell_now(&self, key: &ChannelKey, channel: &mut Channel) {
        self.send(key, take(self, channel));
    }

    /// The window of a channel is over.
    pub(crate) fn tell_watchers(&self, key: &ChannelKey) {
        let outgoing = self.change(key, |channel| take(self, channel)).flatten();
        self.send(key, outgoing);
    }

    fn remember(&self, key: &ChannelKey, happened: &Happened) {
        let purge = self.remembered.lock().add(key, &happened.user, self.around.clock.now());
        if let Some(at) = purge {
            self.around.deadlines.add(at, Due::Forget);
        }
    }

    /// Forgets memberships that ended long ago.
    pub(crate) fn purge(&self) {
        let next = self.remembered.lock().purge(self.around.clock.now());
        if let Some(at) = next {
            self.around.deadlines.add(at, Due::Forget);
        }
    }

    fn tell_application(&self, key: &ChannelKey, channel: &Channel, happened: &Happened) {
        let mine = &self.around.mine;
        let for_all = happened.action != Action::Update;
        let (here, cluster) = (for_all && mine.events.is_heard(), for_all && mine.cluster.is_heard());
        if !here && !cluster && channel.listeners.is_none() {
            return;
        }
        let event = event(key, happened);
        if cluster {
            mine.cluster.publish(event.clone());
        }
        if here {
            mine.events.publish(event.clone());
        }
        if let Some(listeners) = &channel.listeners {
            let _ = listeners.send(Notice::Event(event)); // Nobody listening is no fault.
        }
    }

    fn send(&self, key: &ChannelKey, outgoing: Option<Outgoing>) {
        if let Some(outgoing) = outgoing {
            let load = Load::Other(outgoing.frame(key));
            drop(self.around.lanes.send_to_crowd(outgoing.to, None, &load)); // Nobody waits for it.
        }
    }

    /// The state of a channel, behind what waits for the connection.
    pub(super) fn send_state(&self, key: &ChannelKey, channel: &Channel, conn: &Conn) {
        let listed = listed(channel);
        let now = Snapshot::of(&channel.roster, listed);
        let frame = state(key, channel.feed.ver(), &now, !channel.feed.has_lists());
        conn.push(&Batch::other(frame), &self.around.bounds, self.around.clock.now());
    }
}

fn listed(channel: &Channel) -> usize {
    if channel.feed.has_lists() { usize::MAX } else { 0 }
}

/// What the watchers of a channel are to be told now.
fn take(hub: &Hub, channel: &mut Channel) -> Option<Outgoing> {
    eprintln!("take {:?} watchers {}", channel.feed, channel.watchers.len());
    if channel.watchers.is_empty() {
        channel.feed.end();
        return None;
    }
    let told = channel.feed.take(channel.size(), hub.bounds);
    let (told, users) = match told {
        Told::Nothing => return None,
        Told::Events(events) => (Written::Events(events), 0),
        Told::State => (Written::State, listed(channel)),
    };
    Some(Outgoing {
        to: channel.watchers.lists().collect(),
        ver: channel.feed.ver(),
        told,
        now: Snapshot::of(&channel.roster, users),
        more: !channel.feed.has_lists(),
    })
}

impl Outgoing {
    fn frame(&self, key: &ChannelKey) -> Bytes {
        match &self.told {
            Written::State => state(key, self.ver, &self.now, self.more),
            Written::Events(events) => {
                let Snapshot { client_amount, user_amount, .. } = self.now;
                let place = PresencePlace { channel: key.name(), ver: self.ver, client_amount, user_amount };
                let events = events.iter().map(wire).collect();
                ServerMessage::Presence(Presence { place: Some(place), events }).to_frame()
            }
        }
    }
}

fn state(key: &ChannelKey, ver: u64, now: &Snapshot, more: bool) -> Bytes {
    let users = now.users.iter().map(listed_user).collect();
    ServerMessage::PresenceState(PresenceState {
        channel: key.name(),
        ver,
        client_amount: now.client_amount,
        user_amount: now.user_amount,
        users,
        more,
    })
    .to_frame()
}

fn listed_user(user: &SnapshotUser) -> PresenceUser<'_> {
    PresenceUser { id: &user.id, data: UserData(user.data.as_deref()), status: &user.status }
}

fn wire(happened: &Happened) -> PresenceEvent<'_> {
    let time = happened.at.timestamp_millis();
    PresenceEvent {
        action: happened.action.as_str(),
        cause: happened.cause.as_str(),
        user: PresenceOf { id: happened.user.login_id(), data: UserData(happened.data.as_deref()) },
        status: &happened.status,
        last_seen: (happened.status == Status::Offline).then_some(time),
        time,
    }
}

/// The frame of what happened to a user who is watched, in whatever channel; `None` where nobody is told.
pub(super) fn of_user(event: &Event) -> Option<Bytes> {
    let action = match event.kind {
        EventKind::Online => Action::Online,
        EventKind::Offline => Action::Offline,
        EventKind::Update => Action::Update,
        _ => return None,
    };
    let Event { user, status, cause, at, data, .. } = event.clone();
    let happened = Happened { action, cause, user, status, data, at };
    Some(ServerMessage::Presence(Presence { place: None, events: vec![wire(&happened)] }).to_frame())
}

fn event(key: &ChannelKey, happened: &Happened) -> Event {
    let kind = match happened.action {
        Action::Join | Action::Online => EventKind::Join,
        Action::Leave | Action::Offline => EventKind::Leave,
        Action::Update => EventKind::Update,
    };
    let Happened { cause, user, status, data, at, .. } = happened.clone();
    Event { kind, user, status, channel: Some(key.shared_name()), cause, at, data }
}
