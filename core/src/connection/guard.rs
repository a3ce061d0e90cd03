//! The one way out: whatever ends a connection, its guard's `Drop` takes it out of everything, once.

use std::{sync::Arc, time::Duration};

use super::{
    conn::{Conn, Fate},
    handler::{Connection, Ended},
    hooks::Hooks,
    place::Place,
};
use crate::{
    Cause, Close, Instant,
    channel::Gone,
    clock::later,
    manager::Inner,
    presence::{Due, Grace},
    protocol::Mode,
};

/// How the driver came to the end, as far as it got.
#[derive(Clone, Debug, Default)]
pub(crate) struct HowEnded {
    /// The peer's close frame, with its code.
    pub(crate) peer: Option<Option<u16>>,
    /// The deadline passed, and the socket was cut.
    pub(crate) aborted: bool,
}

pub(crate) struct Guard {
    inner: Arc<Inner>,
    pub(crate) conn: Arc<Conn>,
    hooks: Arc<Hooks>,
    place: Option<Place>,
    opened_at: Option<Instant>,
    keeps_socket: bool,
    pub(crate) how: HowEnded,
}

impl Guard {
    pub(crate) fn new(inner: Arc<Inner>, conn: Arc<Conn>, hooks: Arc<Hooks>, place: Place) -> Self {
        Self {
            inner,
            conn,
            hooks,
            place: Some(place),
            opened_at: None,
            keeps_socket: false,
            how: HowEnded::default(),
        }
    }

    /// It was present: from here on `on_disconnect` is owed.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.opened_at = Some(now);
    }

    /// Takes the connection out of everything but keeps its socket, to say on it why.
    pub(crate) fn withdraw(mut self) -> Arc<Conn> {
        self.keeps_socket = true;
        self.conn.clone()
    }

    /// The socket is the one of a connection that was here before.
    pub(crate) fn adopt(&mut self, conn: Arc<Conn>) {
        if let Some(place) = &mut self.place {
            place.adopt(conn.id);
        }
        self.conn = conn;
    }

    pub(crate) fn place(&mut self) -> Option<&mut Place> {
        self.place.as_mut()
    }

    /// The code and cause, and whether the user may come back unnoticed.
    fn verdict(&self) -> (u16, Cause, bool) {
        let ours = self.conn.why();
        let clean = matches!((&ours, self.how.peer), (None, Some(None | Some(1000))));
        let code = match (&ours, self.how.peer) {
            (Some(close), _) => close.code(),
            (None, Some(code)) => code.unwrap_or(1005),
            (None, None) => 1006,
        };
        let cause = ours.as_ref().map_or(Cause::Disconnect, cause_of);
        let session_ended = ours.as_ref() == Some(&Close::SESSION_ENDED);
        let stays = cause != Cause::Shutdown || self.inner.engine.is_clustered();
        (code, cause, cause.allows_grace() && stays && !clean && !session_ended)
    }
}

/// Why a connection that we closed ended.
fn cause_of(close: &Close) -> Cause {
    match close.code() {
        4423 | 4425 => Cause::Kicked,
        4409 => Cause::Replaced,
        4424 => Cause::LoggedOut,
        4301 | 4401 => Cause::Expired,
        4302 => Cause::Shutdown,
        4504 | 4508 => Cause::Timeout,
        _ => Cause::Disconnect,
    }
}

impl Guard {
    /// How long its client may take to come back. A page that unloads says so by 1001, and only another page could come
    /// back in its place: what is held for it is not to keep the offline sink waiting.
    fn stays_for(&self) -> Duration {
        let (resume, unloads) = (&self.inner.config.bounds.resume, self.how.peer == Some(Some(1001)));
        match (resume.is_on(), unloads && self.conn.why().is_none()) {
            (false, _) => Duration::ZERO,
            (true, true) => resume.time.min(self.inner.config.grace),
            (true, false) => resume.time,
        }
    }

    /// Lets go of the socket; true where the connection is kept for its client.
    fn let_go(&self) -> bool {
        if self.keeps_socket {
            return false;
        }
        let may_be_back = self.opened_at.is_some()
            && self.conn.mode == Mode::Envelope
            && !self.stays_for().is_zero()
            && !self.inner.is_closing();
        self.conn.end(if self.how.aborted { Fate::Aborted } else { Fate::Closed });
        let parks = may_be_back && self.conn.park();
        if !parks {
            self.conn.keep_no_more();
        }
        parks
    }

    /// Gives the place back, but for that in its lane where the connection is parked.
    fn leave(&mut self, parks: bool, time: Duration) {
        match self.place.take() {
            Some(place) if parks => place.leave_parked(),
            place => drop(place),
        }
        if parks {
            self.inner.park(&self.conn, time);
        }
        self.inner.parked.let_go();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (code, cause, may_return) = self.verdict();
        let (time, parks) = (self.stays_for(), self.let_go());
        let inner = self.inner.clone();
        let grace = Some(inner.config.grace).filter(|grace| may_return && !grace.is_zero());
        let serial = grace.map(|_| inner.deadlines.serial());
        let at = inner.clock.utc();
        let (member, diff, in_grace) = inner.registry.remove(&self.conn, serial, cause, at, parks);
        // A kick that took it meanwhile leaves nobody to come back.
        let parks = parks && (member.is_some() || !self.conn.give_up(true));
        if let (true, Some(serial), Some(grace)) = (in_grace, serial, grace) {
            let user = self.conn.user().clone();
            inner.deadlines.add(later(inner.clock.now(), grace), Due::Grace(Grace { user, serial }));
        }
        inner.channels.gone(&self.conn, &Gone { cause, may_return, at }, parks);
        self.leave(parks, time);
        inner.after(diff);
        let Some(opened_at) = self.opened_at else { return };
        crate::observe::ended(cause);
        tracing::debug!(connection = %self.conn.id, code, cause = cause.as_str(), "connection ended");
        if let Some(hook) = self.hooks.on_disconnect.clone() {
            let duration = inner.clock.now().saturating_duration_since(opened_at);
            let connection = Connection { inner: inner.clone(), conn: self.conn.clone() };
            let running = inner.mine.busy.begin();
            inner.room.spawn(async move {
                hook(connection, Ended { code, cause, duration }).await;
                drop(running);
            });
        }
    }
}
