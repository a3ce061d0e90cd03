//! What follows from a change: the application's events at once, the watchers' frames when their window is over.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    feed::{Feed, Told},
    hub::Hub,
    name::ChannelKey,
    roster::{Action, Happened},
    shown::Shown,
    state::Channel,
};
use crate::{
    Cause, Event, EventKind, Notice, Status, UserKey,
    clock::later,
    cluster::{Change, Entry},
    connection::{Batch, Conn},
    presence::Due,
    protocol::{Presence, PresenceEvent, PresenceOf, PresencePlace, PresenceState, ServerMessage, UserData},
    push::Load,
};

impl Hub {
    /// Everything that follows from what happened to a channel, under its lock.
    pub(super) fn tell(&self, key: &ChannelKey, channel: &mut Channel, happened: Happened) {
        if self.around.engine.is_some() {
            if happened.is_remembered() {
                self.remember(key, &happened);
            }
            let is_new = happened.is_coming();
            let Happened { user, cause, status, data, at, .. } = happened;
            let entry = Entry::Member(key.clone(), user);
            return channel.untold.push(Change { entry, is_new, cause, at, status, data });
        }
        if happened.is_remembered() {
            self.remember(key, &happened);
        }
        self.tell_application(key, channel, &happened);
        self.tell_later(key, channel, happened);
    }

    /// Nothing happened that is for watchers, but the connections of a member are others, or its data: on other nodes
    /// that counts too. `status` is the user's, which who holds the registry's lock may not ask for again.
    pub(super) fn tell_counts(
        &self,
        key: &ChannelKey,
        channel: &mut Channel,
        (user, cause, at): (&UserKey, Cause, DateTime<Utc>),
        status: impl FnOnce() -> Status,
    ) {
        if self.around.engine.is_some() {
            let entry = Entry::Member(key.clone(), user.clone());
            let status = status();
            channel.untold.push(Change { entry, is_new: false, cause, at, status, data: None });
        }
    }

    /// What happened goes out to the watchers when the window is over.
    pub(super) fn tell_later(&self, key: &ChannelKey, channel: &mut Channel, happened: Happened) {
        if channel.watchers.is_empty() {
            return channel.feed.skip();
        }
        if !channel.feed.add(happened, self.bounds) {
            return;
        }
        self.open_window(key, channel);
    }

    /// What waits is told once the window is over.
    pub(super) fn open_window(&self, key: &ChannelKey, channel: &mut Channel) {
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
        if channel.shown().is_none() {
            return channel.feed.postpone(); // The list is on its way, and opens the window again.
        }
        let told = channel.feed.take(channel.size(), self.bounds);
        let Some(shown) = channel.shown() else { return };
        let frame = match told {
            Told::Nothing => return,
            Told::Events(events) => happenings(key, &channel.feed, shown, &events),
            Told::State => state(key, &channel.feed, shown),
        };
        let sent = self.around.lanes.send_to_crowd(channel.watchers.lists(), None, &Load::Other(frame));
        drop(sent); // Nobody waits for it.
    }

    pub(super) fn remember(&self, key: &ChannelKey, happened: &Happened) {
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
        let Some(shown) = channel.shown() else { return };
        let batch = Batch::other(state(key, &channel.feed, shown));
        conn.push(&batch, &self.around.bounds, self.around.clock.now());
    }
}

fn happenings(key: &ChannelKey, feed: &Feed, shown: Shown<'_>, events: &[Happened]) -> Bytes {
    let place = PresencePlace {
        channel: key.name(),
        ver: feed.ver(),
        client_amount: shown.clients(),
        user_amount: shown.users(),
    };
    let events = events.iter().map(wire).collect();
    ServerMessage::Presence(Presence { place: Some(place), events }).to_frame()
}

fn state(key: &ChannelKey, feed: &Feed, shown: Shown<'_>) -> Bytes {
    let lists = feed.has_lists();
    let users = if lists { shown.list() } else { Vec::new() };
    ServerMessage::PresenceState(PresenceState {
        channel: key.name(),
        ver: feed.ver(),
        client_amount: shown.clients(),
        user_amount: shown.users(),
        users,
        more: !lists,
    })
    .to_frame()
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

pub(super) fn event(key: &ChannelKey, happened: &Happened) -> Event {
    let kind = match happened.action {
        Action::Join | Action::Online => EventKind::Join,
        Action::Leave | Action::Offline => EventKind::Leave,
        Action::Update => EventKind::Update,
    };
    let Happened { cause, user, status, data, at, .. } = happened.clone();
    Event { kind, user, status, channel: Some(key.shared_name()), cause, at, data }
}
