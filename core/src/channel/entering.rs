//! The ways into channels: a client subscribes, the application puts a connection in, a resumed stream comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    hub::{Full, Hub},
    name::{ChannelKey, check_channel},
    roster::Arrival,
    seats::{Seat, Stage},
    state::Channel,
    view::View,
};
use crate::{Cause, connection::Conn, error::InvalidInput};

/// Why a connection is not in a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// No channel can have this name.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The connection is in as many channels as it may be.
    #[error("a connection may be in {limit} channels (builder: `channels`, `max_channels`)")]
    TooMany {
        /// How many it may be in.
        limit: usize,
    },
    /// The node has as many channels as it may have.
    #[error("this node has as many channels as it may have (builder: `channels`, `max_channels_in_all`)")]
    Full,
    /// The connection is over.
    #[error("the connection is closed")]
    Closed,
}

impl From<Full> for JoinError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Who wants a connection in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Client,
    Application,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It is in from here on.
    Now,
    /// It was in already.
    Before,
}

impl Hub {
    /// Puts a connection into a channel; `answer` runs under the channel's lock, before anything that follows from it.
    /// The application may do so before the connection is present: then it is in from that moment on.
    pub(crate) fn subscribe(
        &self,
        conn: &Arc<Conn>,
        name: &str,
        by: By,
        answer: impl FnOnce(),
    ) -> Result<Entered, JoinError> {
        check_channel(name)?;
        let limit = self.limits.max_channels;
        let mut slot = conn.seats.lock();
        let stage = slot.stage;
        if stage == Stage::Ended || (stage != Stage::Here && by == By::Client) {
            return Err(JoinError::Closed);
        }
        let taken = slot.held().map_or(0, |held| held.subscribed.len());
        if taken > 0
            && let Some(seat) = slot.held_mut().seat(name)
        {
            seat.by_app |= by == By::Application;
            if by == By::Client && std::mem::take(&mut seat.came_back) {
                answer();
                return Ok(Entered::Now);
            }
            return Ok(Entered::Before);
        }
        if taken >= limit {
            return Err(JoinError::TooMany { limit });
        }
        let channel = ChannelKey::beside(conn.user(), name);
        match stage {
            Stage::Here => self.enter(conn, &channel, answer)?,
            // Its user is no member until it is back; what is published meanwhile is kept for it.
            Stage::Away => self.open(&channel, |channel| channel.subscribers.add(conn))?,
            Stage::Coming | Stage::Ended => {}
        }
        let by_app = by == By::Application;
        slot.held_mut().subscribed.push(Seat { channel, by_app, came_back: false });
        Ok(Entered::Now)
    }

    /// The connection is present: what the application wanted it in before, it is in now.
    pub(crate) fn opened(&self, conn: &Arc<Conn>, joins: &[Arc<str>]) {
        let waiting = {
            let mut slot = conn.seats.lock();
            if slot.stage != Stage::Coming {
                return; // A kick was faster.
            }
            slot.stage = Stage::Here;
            slot.take().subscribed
        };
        let names = joins.iter().cloned().chain(waiting.iter().map(|seat| seat.channel.shared_name()));
        self.join_all(conn, names);
    }

    fn join_all(&self, conn: &Arc<Conn>, names: impl Iterator<Item = Arc<str>>) {
        for name in names {
            match self.subscribe(conn, &name, By::Application, || ()) {
                Ok(_) | Err(JoinError::Closed) => {} // A kick may be faster.
                Err(error) => {
                    tracing::warn!(%error, "the application could not put a connection into a channel");
                }
            }
        }
    }

    /// A connection came from another node and waits for its client: what is published to its channels is kept for it.
    pub(crate) fn brought(
        &self,
        conn: &Arc<Conn>,
        subscribed: Vec<(ChannelKey, bool)>,
        presence: Vec<ChannelKey>,
    ) {
        let mut slot = conn.seats.lock();
        slot.stage = Stage::Away;
        for (channel, by_app) in subscribed {
            if self.open(&channel, |channel| channel.subscribers.add(conn)).is_err() {
                tracing::warn!("a connection could not be in a channel again: {}", JoinError::Full);
                continue;
            }
            slot.held_mut().subscribed.push(Seat { channel, by_app, came_back: false });
        }
        if !presence.is_empty() {
            slot.held_mut().presence = presence;
        }
    }

    /// A kept connection is present again: a client of its channels, a watcher of its feeds, and in what the application
    /// wants it in.
    /// Returns the channels it watches whose members are [to be fetched](super::fetch_later) first.
    pub(crate) fn back(&self, conn: &Arc<Conn>, joins: &[Arc<str>], at: DateTime<Utc>) -> Vec<ChannelKey> {
        let unknown = self.take_seats_again(conn, at);
        self.join_all(conn, joins.iter().cloned());
        unknown
    }

    fn take_seats_again(&self, conn: &Arc<Conn>, at: DateTime<Utc>) -> Vec<ChannelKey> {
        let (mut slot, mut unknown) = (conn.seats.lock(), Vec::new());
        if slot.stage != Stage::Away {
            return unknown;
        }
        slot.stage = Stage::Here;
        if slot.held().is_none() {
            return unknown;
        }
        let held = slot.held_mut();
        for seat in &mut held.subscribed {
            // Its place in the crowd was kept, and with it the channel.
            let entered = self.change(&seat.channel, |channel| self.arrive(conn, &seat.channel, channel, at));
            seat.came_back = entered == Some(true);
        }
        for key in &held.presence {
            // No state: a `ver` that goes on says that nothing was missed, and one that does not makes the client ask.
            let watched = self.open(key, |channel| {
                let is_clustered = self.around.engine.is_some();
                let is_known = !is_clustered
                    || channel.view.get_or_insert_with(|| Box::new(View::awaited())).known().is_some();
                channel.watch(conn, self.bounds);
                is_known
            });
            match watched {
                Ok(true) => {}
                Ok(false) => unknown.push(key.clone()),
                Err(_) => {
                    tracing::warn!(
                        "a resumed connection could not watch a channel again: {}",
                        JoinError::Full
                    );
                }
            }
        }
        unknown
    }

    fn enter(&self, conn: &Arc<Conn>, key: &ChannelKey, answer: impl FnOnce()) -> Result<(), JoinError> {
        let at = self.around.clock.utc();
        let entered = self.open(key, |channel| {
            let entered = self.arrive(conn, key, channel, at);
            if entered {
                channel.subscribers.add(conn);
                answer();
            }
            entered
        });
        if entered? { Ok(()) } else { Err(JoinError::Closed) }
    }

    /// One more client, where the registry still has it. Read under the user's lock, so that a kick that comes between
    /// finds it in the channel, or it finds the kick.
    fn arrive(&self, conn: &Arc<Conn>, key: &ChannelKey, channel: &mut Channel, at: DateTime<Utc>) -> bool {
        let (user, now) = (conn.user(), self.around.clock.now());
        let known = channel.roster.get(user).map(|member| member.grace().is_some());
        self.around.registry.read(user, |state| {
            let is_here =
                |state: &&crate::presence::UserState| state.present().any(|member| member.conn.id == conn.id);
            let Some(state) = state.filter(is_here) else { return false };
            let is_known = known.is_none() && self.remembered.lock().take(key, user, now);
            let data = conn.identity().data.clone();
            let arrival = Arrival { status: state.status(), data, is_known, at };
            if known == Some(true) {
                self.graces.remove(user, key);
            }
            match channel.roster.subscribe(user, conn.id, arrival) {
                Some(happened) => self.tell(key, channel, happened),
                None => self.tell_counts(key, channel, (user, Cause::Subscribe, at), || state.status()),
            }
            true
        })
    }

    /// A connection hears of comings and goings from here on, and is sent how things are. A second time it is only sent
    /// that. `answer` runs before.
    pub(crate) fn subscribe_presence(
        &self,
        conn: &Arc<Conn>,
        name: &str,
        answer: impl FnOnce(),
    ) -> Result<(), JoinError> {
        check_channel(name)?;
        let (key, limit) = (ChannelKey::beside(conn.user(), name), self.limits.max_channels);
        let mut slot = conn.seats.lock();
        if slot.stage != Stage::Here {
            return Err(JoinError::Closed);
        }
        let (taken, again) =
            slot.held().map_or((0, false), |held| (held.presence.len(), held.presence.contains(&key)));
        if !again && taken >= limit {
            return Err(JoinError::TooMany { limit });
        }
        self.open(&key, |channel| {
            if channel.feed.is_turning(channel.size(), self.bounds) {
                self.tell_now(&key, channel); // No list of the many who came since the last frame.
            }
            if !again {
                channel.watch(conn, self.bounds);
            }
            answer();
            self.send_state(&key, channel, conn);
        })?;
        if !again {
            slot.held_mut().presence.push(key);
        }
        Ok(())
    }
}
