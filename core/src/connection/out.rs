//! What a connection's mutex guards: the transport, what waits for it, and how far the end has come.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    batch::Batch,
    bounds::Bounds,
    conn::{Conn, Fate, Sent},
    id::ConnectionId,
    io::Io,
    outbox::{Outbox, Queued},
};
use crate::{Close, Instant, resume::Stream};

/// How much a server that writes by itself is handed at once, unless one frame is larger.
const AT_ONCE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Admitted, not yet present: what is sent waits behind the welcome.
    Pending,
    Open,
    /// The close frame is queued; nothing more is taken.
    Closing {
        deadline: Instant,
    },
    Closed(Fate),
    /// Without a socket, until its client comes back with one; `claimed` while one is being put in place.
    Parked {
        claimed: bool,
    },
}

/// What is known of the end, once there is to be one.
#[derive(Default)]
struct Ending {
    why: Option<Close>,
    waiters: Vec<oneshot::Sender<Fate>>,
}

pub(super) struct Out {
    pub(super) io: Io,
    pub(super) phase: Phase,
    /// How often it was given a socket: whoever had an earlier one has no business with this.
    pub(super) attachment: u32,
    /// Whether its client may come back to it.
    pub(super) keeps: bool,
    /// Whether its client has come back to another node.
    pub(super) elsewhere: bool,
    pub(super) stream: Option<Box<Stream>>,
    /// Whether its client can say anything: a stream of events has one that only listens.
    pub(super) hears_client: bool,
    pub(super) outbox: Outbox,
    pub(super) flush_pending: bool,
    pub(super) waker: Waker,
    pub(super) last_sent: Instant,
    pub(super) stalled_since: Option<Instant>,
    pub(super) answered: bool,
    /// The driver waits until nothing waits here.
    pub(super) tells_idle: bool,
    /// The connection that has the socket now, for a server that takes the frames by itself.
    pub(super) moved: Option<Box<(Arc<Conn>, u32)>>,
    ending: Option<Box<Ending>>,
}

impl Out {
    pub(super) fn new(io: Io, now: Instant) -> Self {
        Self {
            io,
            phase: Phase::Pending,
            attachment: 0,
            keeps: true,
            elsewhere: false,
            stream: None,
            hears_client: true,
            outbox: Outbox::default(),
            flush_pending: false,
            waker: Waker::noop().clone(),
            last_sent: now,
            stalled_since: None,
            answered: false,
            tells_idle: false,
            moved: None,
            ending: None,
        }
    }

    /// Counts pushes and keeps them for a client that may come back; true where they reach it then at the latest.
    pub(super) fn keep(&mut self, id: ConnectionId, batch: &Batch, bounds: &Bounds) -> bool {
        if !batch.counts || !self.keeps {
            return false;
        }
        let stream = self.stream.get_or_insert_with(|| Box::new(Stream::new(bounds.room.clone())));
        for (frame, acks) in batch.each() {
            stream.record(frame.clone(), &bounds.resume);
            if let Some(acks) = acks.filter(|_| self.hears_client) {
                acks.asked(id);
                stream.await_ack(acks.clone());
            }
        }
        bounds.resume.is_on()
    }

    /// How many pushes there were.
    pub(super) fn count(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.count())
    }

    /// Why we close it, if we do.
    pub(super) fn why(&self) -> Option<&Close> {
        self.ending.as_ref()?.why.as_ref()
    }

    /// Says why; what was said first stays.
    pub(super) fn because(&mut self, close: Close) {
        self.ending.get_or_insert_default().why.get_or_insert(close);
    }

    /// It goes on after all, with another socket. Who waits for the end waits on.
    pub(super) fn goes_on(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.why = None;
        }
    }

    /// Somebody waits for the end.
    pub(super) fn await_end(&mut self, waiter: oneshot::Sender<Fate>) {
        self.ending.get_or_insert_default().waiters.push(waiter);
    }

    /// Who waits for the end, to be told.
    pub(super) fn waiters(&mut self) -> Vec<oneshot::Sender<Fate>> {
        self.ending.as_mut().map(|ending| std::mem::take(&mut ending.waiters)).unwrap_or_default()
    }

    /// Nobody comes back to it.
    pub(super) fn keep_no_more(&mut self) -> Option<Box<Stream>> {
        self.keeps = false;
        self.stream.take()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && !self.flush_pending
    }

    /// Nothing waits: the whole batch goes to the socket, and what it does not take into the outbox.
    #[inline]
    pub(super) fn write_through(
        &mut self,
        batch: &Batch,
        counts: bool,
        bounds: &Bounds,
        now: Instant,
    ) -> Sent {
        let (written, failed) = self.write_all(&batch.joined);
        if failed {
            return Sent::Closed;
        }
        if written > 0 {
            self.last_sent = now;
        }
        let mut sent = Sent::Taken;
        if written < batch.joined.len() {
            let (begun, whole) = batch.rest(written);
            self.outbox.begun(begun);
            sent = self.queue(whole, counts, bounds);
            self.begin_stall(now);
        }
        self.flush_io();
        if self.flush_pending {
            self.begin_stall(now);
        }
        sent
    }

    /// Writes until all is out, the socket takes no more, or it failed.
    fn write_all(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut written = 0;
        while written < bytes.len() {
            match self.io.push_now(&bytes[written..], &self.waker) {
                Poll::Ready(Ok(n)) if n > 0 => written += n,
                Poll::Ready(_) => {
                    self.fail();
                    return (written, true);
                }
                Poll::Pending => break,
            }
        }
        self.flush_pending |= written > 0 && self.io.needs_flush();
        (written, false)
    }

    pub(super) fn queue(
        &mut self,
        frames: impl Iterator<Item = Bytes>,
        counts: bool,
        bounds: &Bounds,
    ) -> Sent {
        let mut sent = Sent::Taken;
        for frame in frames {
            match (self.outbox.push(frame, counts, &bounds.outbox), sent) {
                (Queued::Waiting, _) => {}
                (Queued::Displaced(more), Sent::Displaced(before)) => sent = Sent::Displaced(before + more),
                (Queued::Displaced(more), _) => sent = Sent::Displaced(more),
                (Queued::Dropped, _) => sent = Sent::Dropped,
                (Queued::Overflow, _) => {
                    self.overflow();
                    return Sent::Dropped;
                }
            }
        }
        sent
    }

    /// The client does not read what it is sent: it takes no more, and the driver, which knows the frames, says so.
    pub(super) fn overflow(&mut self) {
        self.outbox.clear_pushes();
        self.because(Close::SLOW_CONSUMER);
        self.waker.wake_by_ref();
    }

    /// Writes what waits and keeps the stall's beginning.
    pub(super) fn settle(&mut self, now: Instant) {
        self.pump(now);
        if self.phase != Phase::Pending && !self.is_idle() {
            self.begin_stall(now);
        }
    }

    /// The driver sets the write deadline. A server that waits takes frames at once: there the driver is not woken for
    /// each, only where they stay.
    fn begin_stall(&mut self, now: Instant) {
        let since = self.stalled_since.replace(self.stalled_since.unwrap_or(now));
        let tell = match (&mut self.io, since) {
            (Io::Taken(taker), Some(since)) => taker.stays(now.saturating_duration_since(since)),
            (Io::Taken(taker), None) => !taker.is_called(),
            (_, since) => since.is_none(),
        };
        if tell {
            self.waker.wake_by_ref();
        }
    }

    /// Whole frames for a server that writes by itself; `Ready(None)` where there will be no more.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Bytes>> {
        let pushes = self.phase != Phase::Pending;
        if let Some(bytes) = self.outbox.take(pushes, AT_ONCE) {
            self.last_sent = now;
            self.stalled_since = self.outbox.front(pushes).map(|_| now);
            if let Io::Taken(taker) = &mut self.io {
                taker.came();
            }
            if self.stalled_since.is_some() {
                self.waker.wake_by_ref();
            } else {
                self.tell_idle();
            }
            if let Phase::Closing { .. } = self.phase
                && self.is_idle()
            {
                self.waker.wake_by_ref(); // It waits for the close frame to be out.
            }
            return Poll::Ready(Some(bytes));
        }
        match &mut self.io {
            Io::Taken(taker) => taker.poll_more(cx).map(|()| None),
            _ => Poll::Ready(None),
        }
    }

    pub(super) fn pump(&mut self, now: Instant) {
        // Until it is present a connection is sent control frames and nothing else.
        while let Some(front) = self.outbox.front(self.phase != Phase::Pending) {
            match self.io.push_now(front, &self.waker) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.outbox.written(n);
                    self.flush_pending |= self.io.needs_flush();
                    (self.last_sent, self.stalled_since) = (now, None);
                }
                Poll::Ready(_) => return self.fail(),
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    return;
                }
            }
        }
        self.flush_io();
        if self.is_idle() {
            self.stalled_since = None;
            self.tell_idle();
        } else {
            self.stalled_since.get_or_insert(now);
        }
    }

    fn tell_idle(&mut self) {
        if std::mem::take(&mut self.tells_idle) {
            self.waker.wake_by_ref();
        }
    }

    fn flush_io(&mut self) {
        if self.flush_pending {
            match self.io.flush_now(&self.waker) {
                Poll::Ready(Ok(())) => self.flush_pending = false,
                Poll::Ready(Err(_)) => self.fail(),
                Poll::Pending => {}
            }
        }
    }

    /// The peer is gone: nothing can be written; the driver notices and ends.
    fn fail(&mut self) {
        self.io = Io::None;
        self.outbox = Outbox::default();
        self.flush_pending = false;
        if !matches!(self.phase, Phase::Closed(_) | Phase::Parked { .. }) {
            self.phase = Phase::Closed(Fate::Closed);
            tell(self.waiters(), Fate::Closed);
        }
        self.waker.wake_by_ref();
    }
}

pub(super) fn tell(waiters: Vec<oneshot::Sender<Fate>>, fate: Fate) {
    for waiter in waiters {
        let _ = waiter.send(fate); // Who no longer waits need not be told.
    }
}
