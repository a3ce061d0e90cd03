//! What follows from a change: the application's events at once, the watchers' frames when their window is over.

use bytes::Bytes;

use super::{
    feed::Told,
    hub::Hub,
    membership::Membership,
    name::ChannelKey,
    roster::{Action, Happened},
    state::Channel,
};
use crate::{
    Event, EventKind, Notice, Status, UserKey,
    clock::later,
    connection::{Batch, Conn},
    presence::Due,
    protocol::{
        Presence, PresenceEvent, PresenceOf, PresencePlace, PresenceState, PresenceUser, ServerMessage,
        UserData,
    },
    push::Load,
};

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

    /// The window of a channel is over.
    pub(crate) fn tell_watchers(&self, key: &ChannelKey) {
        self.change(key, |channel| self.tell_now(key, channel));
    }

    /// Tells the watchers what there is to tell: written once for all, and under the channel's lock, so that the frames
    /// go out as they count.
    pub(super) fn tell_now(&self, key: &ChannelKey, channel: &mut Channel) {
        if channel.watchers.is_empty() {
            return channel.feed.pass();
        }
        let frame = match channel.feed.take(channel.size(), self.bounds) {
            Told::Nothing => return,
            Told::Events(events) => happenings(key, channel, &events),
            Told::State => state(key, channel),
        };
        let sent = self.around.lanes.send_to_crowd(channel.watchers.lists(), None, &Load::Other(frame));
        drop(sent); // Nobody waits for it.
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

    /// The state of a channel, behind what waits for the connection.
    pub(super) fn send_state(&self, key: &ChannelKey, channel: &Channel, conn: &Conn) {
        let batch = Batch::other(state(key, channel));
        conn.push(&batch, &self.around.bounds, self.around.clock.now());
    }
}

fn happenings(key: &ChannelKey, channel: &Channel, events: &[Happened]) -> Bytes {
    let place = PresencePlace {
        channel: key.name(),
        ver: channel.feed.ver(),
        client_amount: channel.roster.clients(),
        user_amount: channel.roster.users(),
    };
    let events = events.iter().map(wire).collect();
    ServerMessage::Presence(Presence { place: Some(place), events }).to_frame()
}

fn state(key: &ChannelKey, channel: &Channel) -> Bytes {
    let lists = channel.feed.has_lists();
    let users = channel.roster.iter().filter(|_| lists).map(listed_user).collect();
    ServerMessage::PresenceState(PresenceState {
        channel: key.name(),
        ver: channel.feed.ver(),
        client_amount: channel.roster.clients(),
        user_amount: channel.roster.users(),
        users,
        more: !lists,
    })
    .to_frame()
}

fn listed_user<'a>((user, member): (&'a UserKey, &'a Membership)) -> PresenceUser<'a> {
    PresenceUser { id: user.login_id(), data: UserData(member.data.as_deref()), status: &member.status }
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
