//! The ways out of channels: a client unsubscribes, its connection ends, a grace is over.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    hub::Hub,
    membership::Grace,
    name::ChannelKey,
    roster::Parted,
    seats::{Held, Stage},
};
use crate::{Cause, Diff, UserKey, UserRef, auth::TokenId, clock::later, connection::Conn, presence::Due};

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    pub(crate) cause: Cause,
    /// Whether its user may come back unnoticed.
    pub(crate) may_return: bool,
    pub(crate) at: DateTime<Utc>,
}

impl Hub {
    /// Takes a connection out of a channel by its own will; false where it is not in. `answer` runs under the channel's
    /// lock.
    pub(crate) fn unsubscribe(&self, conn: &Conn, name: &str, answer: impl FnOnce()) -> bool {
        let mut slot = conn.seats.lock();
        let here = slot.stage != Stage::Coming;
        let Some(held) = slot.held_if_any() else { return false };
        let Some(index) = held.subscribed.iter().position(|seat| seat.channel.name() == name) else {
            return false;
        };
        let channel = held.subscribed.swap_remove(index).channel;
        slot.tidy();
        if here {
            self.leave(conn, &channel);
        }
        answer();
        true
    }

    fn leave(&self, conn: &Conn, key: &ChannelKey) {
        let at = self.around.clock.utc();
        self.change(key, |channel| {
            channel.subscribers.remove(conn);
            match channel.roster.unsubscribe(conn.user(), conn.id, at) {
                Some(happened) => self.tell(key, channel, happened),
                None => self.tell_counts(key, channel, (conn.user(), Cause::Unsubscribe, at), || {
                    self.status_of(conn.user())
                }),
            }
        });
    }

    /// A connection hears no more of a channel; false where it did not.
    pub(crate) fn unsubscribe_presence(&self, conn: &Conn, name: &str) -> bool {
        let mut slot = conn.seats.lock();
        let Some(held) = slot.held_if_any() else { return false };
        let Some(index) = held.presence.iter().position(|key| key.name() == name) else { return false };
        let key = held.presence.swap_remove(index);
        slot.tidy();
        self.change(&key, |channel| channel.unwatch(conn));
        true
    }

    /// The connection is no client any more. With `keeps`, its stream may be resumed: pushes still find it, and it keeps
    /// its list of channels until [`back`](Self::back), or until it is gone for
    /// good. A second call finds nothing.
    pub(crate) fn gone(&self, conn: &Arc<Conn>, ended: &Gone, keeps: bool) {
        let mut slot = conn.seats.lock();
        let was = slot.stage;
        let becomes = if keeps { Stage::Away } else { Stage::Ended };
        if matches!((was, becomes), (Stage::Ended, _) | (Stage::Away, Stage::Away)) {
            return;
        }
        slot.stage = becomes;
        if was == Stage::Coming {
            slot.take();
        }
        if let Some(held) = slot.held_if_any() {
            self.part_from_all(conn, held, ended, keeps);
            held.watched = Default::default(); // What happens to them meanwhile is not kept: a client asks again.
        }
        if !keeps {
            slot.take();
        }
        slot.tidy();
    }

    fn part_from_all(&self, conn: &Conn, held: &Held, ended: &Gone, keeps: bool) {
        for seat in &held.subscribed {
            self.part(conn, &seat.channel, ended, keeps);
        }
        for key in &held.presence {
            self.change(key, |channel| channel.unwatch(conn));
        }
        for user in &held.watched {
            self.around.mine.watching.remove(user, conn);
        }
    }

    fn part(&self, conn: &Conn, key: &ChannelKey, ended: &Gone, keeps: bool) {
        let Gone { cause, may_return, at } = *ended;
        let (user, token) = (conn.user(), conn.token_id());
        let has_grace = may_return && !self.around.grace.is_zero();
        self.change(key, |channel| {
            if !keeps {
                channel.subscribers.remove(conn);
            }
            let serial = if has_grace { self.around.deadlines.serial() } else { 0 };
            let grace = has_grace.then_some(Grace { serial, token, cause, since: at });
            match channel.roster.disconnect(user, conn.id, cause, at, grace) {
                Parted::Unnoticed => {
                    self.tell_counts(key, channel, (user, cause, at), || self.status_of(user));
                }
                Parted::Grace => {
                    self.grace_begins(key, user, serial);
                    self.tell_counts(key, channel, (user, cause, at), || self.status_of(user));
                }
                Parted::Gone(mut happened) => {
                    happened.status = self.status_of(user);
                    self.tell(key, channel, happened);
                }
            }
        });
    }

    fn grace_begins(&self, key: &ChannelKey, user: &UserKey, serial: u64) {
        self.graces.add(user, key);
        let over = later(self.around.clock.now(), self.around.grace);
        let due = Due::Membership { channel: key.clone(), user: user.clone(), serial };
        self.around.deadlines.add(over, due);
    }

    /// A grace is over; an older one's serial finds nothing.
    pub(crate) fn expire(&self, key: &ChannelKey, user: &UserKey, serial: u64) {
        self.end_grace(key, user, |grace| grace.serial == serial, None);
    }

    /// Ends the graces of a user that the end of such a token began. A cause that allows no return goes before theirs.
    pub(crate) fn end_graces<'a>(
        &self,
        user: impl Into<UserRef<'a>>,
        is_meant: impl Fn(TokenId) -> bool,
        cause: Cause,
        at: DateTime<Utc>,
    ) {
        let user = user.into();
        let channels = self.graces.of(user);
        if channels.is_empty() {
            return;
        }
        let stronger = (!cause.allows_grace()).then_some((cause, at));
        let user = user.to_key();
        for key in channels {
            self.end_grace(&key, &user, |grace| is_meant(grace.token), stronger);
        }
    }

    fn end_grace(
        &self,
        key: &ChannelKey,
        user: &UserKey,
        is_meant: impl Fn(&Grace) -> bool,
        stronger: Option<(Cause, DateTime<Utc>)>,
    ) {
        self.change(key, |channel| {
            if let Some(mut happened) = channel.roster.end_grace(user, is_meant, stronger) {
                self.graces.remove(user, key);
                happened.status = self.status_of(user);
                self.tell(key, channel, happened);
            }
        });
    }

    /// What a change of a user means for its channels: one who is offline is in none, not even by grace.
    pub(crate) fn user_changed(&self, diff: &Diff) {
        if self.count() == 0 {
            return;
        }
        match (diff.before.is_online(), diff.after.is_online()) {
            (true, false) => self.end_graces(&diff.user, |_| true, diff.cause, diff.at),
            (true, true) => self.status_changed(&diff.user, diff.at),
            (false, _) => {}
        }
    }

    /// Reads the status again under each channel's lock: of two changes at once, the later one is what stays.
    fn status_changed(&self, user: &UserKey, at: DateTime<Utc>) {
        let conns: Vec<Arc<Conn>> = self.around.registry.read(user, |state| {
            state.into_iter().flat_map(|state| state.present()).map(|member| member.conn.clone()).collect()
        });
        let mut channels: Vec<ChannelKey> = conns.iter().flat_map(|conn| conn.seats.subscribed()).collect();
        channels.extend(self.graces.of(user));
        channels.sort();
        channels.dedup();
        for key in channels {
            self.change(&key, |channel| {
                if let Some(happened) = channel.roster.say(user, &self.status_of(user), at) {
                    self.tell(&key, channel, happened);
                }
            });
        }
    }
}
