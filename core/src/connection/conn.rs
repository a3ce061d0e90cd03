//! The write side of a connection: one mutex around the transport and what waits for it.
//!
//! A push writes inline when nothing waits, and queues only when the socket takes no more; the driver drains. What
//! has begun to close takes no push, whoever still holds it: that is what a kick relies on.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::{
    batch::Batch,
    bounds::Bounds,
    id::ConnectionId,
    io::Io,
    out::{Out, Phase, tell},
    outbox::Outbox,
};
use crate::{
    Close, Instant, UserKey,
    auth::{Identity, TokenId},
    channel::Seats,
    protocol::Mode,
};

/// No login id is empty.
static NOBODY: LazyLock<UserKey> = LazyLock::new(|| UserKey::new(""));

/// What became of one push at one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The socket or its outbox took it.
    Taken,
    /// The outbox took it, and dropped this many older ones.
    Displaced(usize),
    /// The outbox was full.
    Dropped,
    /// No socket took it; it is kept for a client that may come back, as this one of its pushes.
    Held(u64),
    /// The connection is closing, or has no socket.
    Closed,
}

/// How a connection's socket came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Both sides said so, or the peer was gone already.
    Closed,
    /// The deadline passed and the socket was cut.
    Aborted,
    /// The deadline passed, and the socket is the server's: it is handed nothing more, and ends when the server
    /// notices.
    Lingering,
}

/// What a server that writes by itself was given.
pub(crate) enum Taken {
    Frames(Bytes),
    /// There will be no more.
    Over,
    /// The socket belongs to the connection that its client had before, as this attachment.
    Moved(Arc<Conn>, u32),
}

/// One connection, as pushes, kicks and the registry see it.
pub(crate) struct Conn {
    pub(crate) id: ConnectionId,
    /// Set once, by the upgrade or the first message.
    user: OnceLock<UserKey>,
    pub(crate) mode: Mode,
    pub(crate) connected_at: DateTime<Utc>,
    pub(crate) metadata: Option<Arc<HashMap<String, String>>>,
    identity: Mutex<Arc<Identity>>,
    /// Microseconds since the manager began; also counts as activity what came over HTTP.
    activity: AtomicU64,
    /// The channels it is in.
    pub(crate) seats: Seats,
    pub(super) out: Mutex<Out>,
}

/// What the driver has to know after it flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Open; a backlog since then, if any.
    Open { stalled_since: Option<Instant> },
    /// Our close frame is on its way; read on for theirs until the deadline.
    Closing { deadline: Instant, written: bool },
    /// The outbox passed its bound: the driver says goodbye to a slow consumer.
    Overflowed,
    /// The transport is gone.
    Gone,
}

/// A fresh connection's facts.
pub(crate) struct Opening {
    pub(crate) id: ConnectionId,
    /// `None`: the first message has to say.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) mode: Mode,
    pub(crate) io: Io,
    pub(crate) now: Instant,
    pub(crate) connected_at: DateTime<Utc>,
    pub(crate) activity: u64,
    pub(crate) metadata: Option<Arc<HashMap<String, String>>>,
}

impl Conn {
    pub(crate) fn new(opening: Opening) -> Self {
        let Opening { id, identity, mode, io, now, connected_at, activity, metadata } = opening;
        let user = identity.as_ref().map_or_else(OnceLock::new, |identity| identity.user.clone().into());
        Self {
            id,
            user,
            mode,
            connected_at,
            metadata,
            identity: Mutex::new(identity.unwrap_or_else(|| Arc::new(Identity::new(&*NOBODY)))),
            activity: AtomicU64::new(activity),
            seats: Seats::default(),
            out: Mutex::new(Out::new(io, now)),
        }
    }

    /// Whether it belongs to somebody yet.
    pub(crate) fn is_known(&self) -> bool {
        self.user.get().is_some()
    }

    /// Whose it is; a name that no user can have until the first message said so.
    pub(crate) fn user(&self) -> &UserKey {
        self.user.get().unwrap_or(&NOBODY)
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.lock().clone()
    }

    /// Sets what is known of the user; the user itself stays who it is once it is known.
    pub(crate) fn set_identity(&self, identity: Arc<Identity>) {
        self.user.get_or_init(|| identity.user.clone());
        *self.identity.lock() = identity;
    }

    pub(crate) fn token_id(&self) -> TokenId {
        self.identity.lock().token_id
    }

    /// The device's label; empty where none is known.
    pub(crate) fn device(&self) -> String {
        self.identity.lock().device_label().to_owned()
    }

    /// Whether the connection's identity carries this device label.
    pub(crate) fn is_device(&self, device: &str) -> bool {
        self.identity.lock().device_label() == device
    }

    /// A hand mark has no socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.id.place().is_some()
    }

    pub(crate) fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    pub(crate) fn touch(&self, micros: u64) {
        self.activity.fetch_max(micros, Ordering::Relaxed);
    }

    /// Queues the welcome (none in raw mode) ahead of all and lets pushes through; written by [`flush`](Self::flush).
    /// False when the connection was closed meanwhile.
    pub(crate) fn open(&self, welcome: Option<Bytes>) -> bool {
        let mut out = self.out.lock();
        if out.phase != Phase::Pending {
            return false;
        }
        out.phase = Phase::Open;
        if let Some(frame) = welcome {
            out.outbox.control(frame);
        }
        true
    }

    /// Sends pushes, or other frames among them: inline where nothing waits.
    pub(crate) fn push(&self, batch: &Batch, bounds: &Bounds, now: Instant) -> Sent {
        let mut out = self.out.lock();
        let counts = batch.counts && self.mode == Mode::Envelope;
        let kept = counts && out.keep(self.id, batch, bounds);
        let overflowed = out.why().is_some();
        let sent = match out.phase {
            Phase::Pending | Phase::Open if overflowed => Sent::Dropped,
            Phase::Open if out.is_idle() => out.write_through(batch, counts, bounds, now),
            Phase::Open => {
                let sent = out.queue(batch.rest(0).1, counts, bounds);
                out.settle(now);
                sent
            }
            Phase::Pending => out.queue(batch.rest(0).1, counts, bounds),
            Phase::Closing { .. } | Phase::Closed(_) | Phase::Parked { .. } => Sent::Closed,
        };
        if matches!(sent, Sent::Dropped | Sent::Displaced(_))
            && out.why().is_none()
            && let Some(stream) = &mut out.stream
        {
            stream.lose_awaited();
        }
        match sent {
            Sent::Closed if kept => Sent::Held(out.count()),
            Sent::Dropped if kept && out.why().is_some() => Sent::Held(out.count()),
            sent => sent,
        }
    }

    /// Sends a frame ahead of all pushes; dropped once the close frame is queued.
    pub(crate) fn control(&self, frame: Bytes, now: Instant) {
        let mut out = self.out.lock();
        if !matches!(out.phase, Phase::Pending | Phase::Open) {
            return;
        }
        if out.outbox.has_room_for_control(frame.len()) {
            out.outbox.control(frame);
            out.settle(now);
        } else {
            out.overflow();
        }
    }

    /// Queues the farewell and the close frame; true for the first to do so. Waiting pushes are dropped, unless
    /// `flush` lets them go first.
    pub(crate) fn close(
        &self,
        close: Close,
        farewell: Option<Bytes>,
        flush: bool,
        deadline: Instant,
        now: Instant,
    ) -> bool {
        let mut out = self.out.lock();
        if !close.reconnect() || close == Close::UNAUTHORIZED || close == Close::FORBIDDEN {
            drop(out.keep_no_more());
        }
        if !matches!(out.phase, Phase::Pending | Phase::Open) {
            return false;
        }
        let frames = farewell.into_iter().chain([super::codec::encode_close(&close)]);
        if flush {
            frames.for_each(|frame| out.outbox.last(frame));
        } else {
            out.outbox.clear_pushes();
            frames.for_each(|frame| out.outbox.control(frame));
        }
        out.phase = Phase::Closing { deadline };
        out.because(close);
        out.settle(now);
        out.waker.wake_by_ref();
        true
    }

    /// The peer said goodbye first: what waits goes out, then our answer, where there is one, and nothing after it.
    pub(crate) fn hang_up(&self, echo: Option<Bytes>, deadline: Instant, now: Instant) {
        let mut out = self.out.lock();
        if matches!(out.phase, Phase::Pending | Phase::Open) {
            echo.into_iter().for_each(|frame| out.outbox.last(frame));
            out.phase = Phase::Closing { deadline };
            out.settle(now);
        }
    }

    /// Why we closed it, if we did.
    pub(crate) fn why(&self) -> Option<Close> {
        self.out.lock().why().cloned()
    }

    /// The peer's close frame came. One that says goodbye does not come back.
    pub(crate) fn answered(&self, code: Option<u16>) {
        let mut out = self.out.lock();
        if out.why().is_none() && matches!(code, None | Some(1000)) {
            drop(out.keep_no_more());
        }
        out.answered = out.why().is_some_and(|why| code == Some(why.code()));
    }

    /// Whether the peer answered our close frame: it has read everything before it.
    pub(crate) fn was_answered(&self) -> bool {
        self.out.lock().answered
    }

    /// Whether it takes no pushes any more.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.out.lock().phase, Phase::Closing { .. } | Phase::Closed(_))
    }

    /// Lets go of the socket, from any thread; the driver ends at its next poll.
    pub(crate) fn end(&self, fate: Fate) {
        self.let_go(self.out.lock(), fate);
    }

    /// The same by whoever was given the socket of this attachment; a later one is none of its business.
    pub(crate) fn end_attached(&self, attachment: u32, fate: Fate) {
        let out = self.out.lock();
        if out.attachment == attachment {
            self.let_go(out, fate);
        }
    }

    fn let_go(&self, mut out: MutexGuard<'_, Out>, fate: Fate) {
        if let Phase::Closed(_) | Phase::Parked { .. } = out.phase {
            return;
        }
        let fate = if fate == Fate::Aborted && out.io.is_servers() { Fate::Lingering } else { fate };
        out.phase = Phase::Closed(fate);
        out.outbox = Outbox::default();
        let mut io = std::mem::replace(&mut out.io, Io::None);
        let waker = std::mem::replace(&mut out.waker, Waker::noop().clone());
        let waiters = out.waiters();
        drop(out);
        match fate {
            Fate::Closed | Fate::Lingering => io.shut_down(Waker::noop()),
            Fate::Aborted => io.cut(),
        }
        tell(waiters, fate);
        waker.wake();
    }

    /// Writes nothing more, so that the peer sees the end; what it still sends is read on.
    pub(crate) fn half_close(&self) {
        self.out.lock().io.shut_down(Waker::noop());
    }

    /// Resolves once the socket is closed or cut.
    pub(crate) fn ended(&self) -> oneshot::Receiver<Fate> {
        let (tell, hear) = oneshot::channel();
        let mut out = self.out.lock();
        match out.phase {
            Phase::Closed(fate) => drop(tell.send(fate)),
            Phase::Parked { .. } => drop(tell.send(Fate::Closed)),
            _ => out.await_end(tell),
        }
        hear
    }

    /// Writes what waits, as far as the socket takes it; the driver's waker hears when it takes more.
    pub(crate) fn flush(&self, waker: &Waker, now: Instant) -> Drained {
        let mut out = self.out.lock();
        if !out.waker.will_wake(waker) {
            out.waker = waker.clone();
        }
        out.pump(now);
        match out.phase {
            Phase::Pending | Phase::Open if out.why().is_some() => Drained::Overflowed,
            Phase::Pending | Phase::Open => Drained::Open { stalled_since: out.stalled_since },
            Phase::Closing { deadline } => Drained::Closing { deadline, written: out.is_idle() },
            Phase::Closed(_) | Phase::Parked { .. } => Drained::Gone,
        }
    }

    /// Writes what waits without a driver's waker: whoever queued it calls this.
    pub(crate) fn settle(&self, now: Instant) {
        self.out.lock().settle(now);
    }

    pub(crate) fn poll_read(&self, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        self.out.lock().io.read_now(buf, cx)
    }

    /// Frames for a server that writes by itself, and was given the socket of this attachment.
    pub(crate) fn poll_take(&self, attachment: u32, cx: &mut Context<'_>, now: Instant) -> Poll<Taken> {
        let mut out = self.out.lock();
        if let Some((to, attachment)) = out.moved.take().map(|moved| *moved) {
            return Poll::Ready(Taken::Moved(to, attachment));
        }
        if out.attachment != attachment {
            return Poll::Ready(Taken::Over);
        }
        out.poll_take(cx, now).map(|frames| frames.map_or(Taken::Over, Taken::Frames))
    }

    /// Its client only listens.
    pub(crate) fn only_listens(&self) {
        self.out.lock().hears_client = false;
    }

    /// Whether nothing waits for the socket; where something does, the driver is woken once that is written.
    pub(crate) fn poll_idle(&self) -> Poll<()> {
        let mut out = self.out.lock();
        if out.is_idle() {
            return Poll::Ready(());
        }
        out.tells_idle = true;
        Poll::Pending
    }

    pub(crate) fn last_sent(&self) -> Instant {
        self.out.lock().last_sent
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("id", &self.id).field("mode", &self.mode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{driver::Driver, source::Transport};

    /// The goal is 2 KiB for each idle connection, sockets and presence included. What takes more of it is to be paid for.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Conn>() <= 288, "{}", size_of::<Conn>());
        assert!(size_of::<Driver<Transport>>() <= 408, "{}", size_of::<Driver<Transport>>());
    }
}
