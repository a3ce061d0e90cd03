//! The channels of one connection: what it subscribed to, whose presence it watches, and whether it still may.

use std::{fmt, sync::Arc};

use hashbrown::HashSet;
use parking_lot::{Mutex, MutexGuard};

use super::name::ChannelKey;
use crate::UserKey;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not present yet: what the application joins it to waits.
    #[default]
    Coming,
    /// A client of its channels.
    Here,
    /// Its socket is gone, its stream is kept.
    Away,
    /// Over, for good.
    Ended,
}

/// One subscription.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) channel: ChannelKey,
    /// The application put it there, so nobody's permission is asked for it.
    pub(crate) by_app: bool,
    /// It came back with a resumed stream: the client may subscribe once more, and is told that it worked.
    pub(crate) came_back: bool,
}

/// What a connection holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) subscribed: Vec<Seat>,
    pub(crate) presence: Vec<ChannelKey>,
    pub(crate) watched: HashSet<UserKey>,
}

impl Held {
    pub(crate) fn seat(&mut self, channel: &str) -> Option<&mut Seat> {
        self.subscribed.iter_mut().find(|seat| seat.channel.name() == channel)
    }

    fn is_empty(&self) -> bool {
        self.subscribed.is_empty() && self.presence.is_empty() && self.watched.is_empty()
    }
}

/// The seats of a connection; one without any takes no memory for them.
///
/// Its lock comes before a channel's, and a channel's before the registry's: whoever holds one of the later ones must
/// not ask for an earlier one.
#[derive(Default)]
pub(crate) struct Seats(Mutex<Slot>);

#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) stage: Stage,
    held: Option<Box<Held>>,
}

impl Seats {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock()
    }

    /// Whether it is subscribed to anything, or watches anybody.
    pub(crate) fn is_any_taken(&self) -> bool {
        self.lock().held().is_some()
    }

    /// The channels it is subscribed to.
    pub(crate) fn subscribed(&self) -> Vec<ChannelKey> {
        let slot = self.lock();
        slot.held()
            .map(|held| held.subscribed.iter().map(|seat| seat.channel.clone()).collect())
            .unwrap_or_default()
    }

    /// The names of these.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.subscribed().iter().map(ChannelKey::shared_name).collect()
    }
}

impl Slot {
    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_deref()
    }

    pub(crate) fn held_if_any(&mut self) -> Option<&mut Held> {
        self.held.as_deref_mut()
    }

    pub(crate) fn held_mut(&mut self) -> &mut Held {
        self.held.get_or_insert_default()
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Held {
        self.held.take().map(|held| *held).unwrap_or_default()
    }

    /// Gives the memory back where nothing is held.
    pub(crate) fn tidy(&mut self) {
        self.held.take_if(|held| held.is_empty());
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats").field("stage", &self.lock().stage).finish_non_exhaustive()
    }
}
