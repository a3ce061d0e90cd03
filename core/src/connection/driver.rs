//! One connection's task: moves bytes between socket, machine and application, and nothing else.
//!
//! A future written by hand, so that an idle connection costs little: it holds a machine, a timer and two pointers.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Sleep;
use tracing::Span;

mod credential;
mod said;

use said::Said;

use super::{
    conn::{Conn, Drained},
    event::{Event, Facts},
    farewell,
    guard::Guard,
    handler::Connection,
    hooks::Hooks,
    join::{Joining, NotJoined, join},
    machine::{First, Machine},
    source::Incoming,
    work::{Task, Work, Worked},
};
use crate::{
    Close, Instant, Status,
    auth::{Identity, Validity},
    clock::later,
    kick::Denial,
    manager::Inner,
    observe,
    protocol::{Hello, ServerMessage, WireError},
};

/// Read at once, from the socket into memory that all connections of a thread share.
const SCRATCH: usize = 16 * 1024;
/// Rounds of one poll before other tasks have their turn.
const ROUNDS: usize = 16;
/// Rechecks that found the authenticator unavailable, in a row, before the connection ends.
const PATIENCE: u8 = 3;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// What the driver waits for beside socket and clock; at most one at a time.
type Job = BoxFuture<'static, Done>;

enum Done {
    Joined(Result<Guard, NotJoined>),
    Refreshed(u64, Result<Arc<Identity>, WireError>),
    Rechecked(Validity, Option<Denial>),
}

/// How far the connection is.
enum Stage {
    /// Nobody yet: waits for `hello`, or for the join that is under way.
    Waiting(Option<Box<Joining>>),
    Present(Guard),
    /// Nobody will be: only the farewell is left. What is held meanwhile is given back then.
    Refused {
        _held: Option<Held>,
    },
}

/// A connection's task. Spawn it; it ends with its socket. Dropped, it takes the connection out of everything.
pub(crate) struct Driver<R> {
    source: R,
    inner: Arc<Inner>,
    conn: Arc<Conn>,
    /// Which socket of the connection it drives.
    attachment: u32,
    hooks: Arc<Hooks>,
    machine: Machine,
    stage: Stage,
    job: Option<Job>,
    work: Option<Box<Work>>,
    /// What came with the upgrade and was not read yet.
    leftover: Option<Box<Bytes>>,
    timer: Option<Pin<Box<Sleep>>>,
    said: Said,
    unavailable: u8,
    farewell_told: bool,
    peer_closed: bool,
    /// The code of its close frame, where it came before there was a guard to tell.
    peer_code: Option<Option<u16>>,
    /// The answer to the peer's close frame, which waits until what came before that is done.
    leaving: Option<Box<Bytes>>,
    half_closed: bool,
    /// `None` where nobody records it.
    span: Option<Box<Span>>,
}

/// Something that is given back when the connection is over.
pub(crate) type Held = Box<dyn std::any::Any + Send>;

impl<R: Incoming> Driver<R> {
    /// Drives a connection that was admitted.
    pub(crate) fn join(joining: Joining, source: R, first: First, leftover: Bytes) -> Self {
        let now = joining.inner.clock.now();
        let (inner, conn, hooks) = (joining.inner.clone(), joining.guard.conn.clone(), joining.hooks.clone());
        joining.register();
        let mut driver = Self::new(inner, conn, hooks, source, first, leftover);
        if driver.inner.is_closing() {
            driver.say_goodbye(Close::DRAIN, now);
        }
        if first != First::Hello && joining.identity.is_some() {
            driver.job = Some(Box::pin(async { Done::Joined(join(joining, None).await) }));
        } else {
            driver.stage = Stage::Waiting(Some(Box::new(joining)));
        }
        driver
    }

    /// Says a refusal on an upgraded connection, so that a browser sees it; `held` is given back when it is over.
    pub(crate) fn refuse(
        inner: Arc<Inner>,
        refused: NotJoined,
        source: R,
        leftover: Bytes,
        held: Held,
    ) -> Self {
        let now = inner.clock.now();
        let conn = refused.conn.clone();
        let mut driver = Self::new(inner, conn, Arc::default(), source, First::Hello, leftover);
        driver.not_joined(refused, now);
        driver.stage = Stage::Refused { _held: Some(held) };
        driver
    }

    fn new(
        inner: Arc<Inner>,
        conn: Arc<Conn>,
        hooks: Arc<Hooks>,
        source: R,
        first: First,
        leftover: Bytes,
    ) -> Self {
        let span = observe::connection_span(&inner.config, &conn);
        let rules = hooks.rules(&inner.config.rules);
        let machine = Machine::new(conn.mode, rules, first, None, inner.clock.now());
        Self {
            attachment: conn.attachment(),
            inner,
            conn,
            hooks,
            machine,
            source,
            stage: Stage::Waiting(None),
            job: None,
            work: None,
            // An empty rest still holds the server's whole read buffer.
            leftover: (!leftover.is_empty()).then(|| Box::new(leftover)),
            timer: None,
            said: Said::default(),
            unavailable: 0,
            farewell_told: false,
            peer_closed: false,
            peer_code: None,
            leaving: None,
            half_closed: false,
            span: (!span.is_disabled()).then(|| Box::new(span)),
        }
    }

    /// One round of everything; `Ready(true)` when something was done, `Ready(false)` when nothing was left to do,
    /// `Pending` never: the end is told by `None`.
    fn round(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let now = self.inner.clock.now();
        self.flush(cx, now)?;
        let mut progress = self.feed_leftover(now);
        progress |= self.read(cx, now)?;
        progress |= self.poll_job(cx, now);
        progress |= self.poll_work(cx, now);
        progress |= self.leave(now);
        progress |= self.fire(cx, now)?;
        if progress { Some(true) } else { self.flush(cx, now).map(|()| false) }
    }

    /// Writes what waits; `None` when the connection is over.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<()> {
        match self.conn.flush(cx.waker(), now) {
            Drained::Gone => return None,
            Drained::Overflowed => self.say_goodbye(Close::SLOW_CONSUMER, now),
            Drained::Open { stalled_since } => self.machine.backlog(stalled_since),
            Drained::Closing { written: true, .. } if self.peer_closed => return None,
            Drained::Closing { deadline, .. } if !self.farewell_told => {
                self.farewell_told = true;
                self.machine.farewell(deadline);
                self.work.iter_mut().for_each(|work| work.take_no_more());
            }
            // Nothing that comes can be read, so no close frame is waited for: the peer sees the end, and ends too.
            Drained::Closing { written: true, .. } if self.machine.is_deaf() && !self.half_closed => {
                self.half_closed = true;
                self.conn.half_close();
            }
            Drained::Closing { .. } => {}
        }
        Some(())
    }

    /// What came with the upgrade is read first.
    fn feed_leftover(&mut self, now: Instant) -> bool {
        let Some(leftover) = self.leftover.take() else { return false };
        let mut bytes = leftover.to_vec();
        self.hear(&mut bytes, now);
        true
    }

    /// Reads until the socket has no more, the application is full, or others are to have their turn.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<bool> {
        if self.peer_closed {
            return Some(false); // The peer said its last word, and may be gone: its end is no news.
        }
        if self.is_full() {
            self.machine.suspend_reading(true, now);
            return Some(false);
        }
        self.machine.suspend_reading(false, now);
        let mut scratch = READ.with(|read| std::mem::take(&mut *read.borrow_mut()));
        scratch.resize(SCRATCH, 0);
        let read = self.source.poll_read(&self.conn, &mut scratch, cx);
        let progress = match read {
            Poll::Pending => Some(false),
            Poll::Ready(Ok(0) | Err(_)) => None,
            Poll::Ready(Ok(n)) => {
                self.hear(&mut scratch[..n], now);
                Some(true)
            }
        };
        READ.with(|read| *read.borrow_mut() = scratch);
        progress
    }

    /// Once we have said goodbye, everything is read on: the peer's answer may stand behind it.
    fn is_full(&self) -> bool {
        !self.farewell_told
            && self.work.as_ref().is_some_and(|work| work.is_full(&self.inner.config.rules.inbound))
    }

    fn hear(&mut self, bytes: &mut [u8], now: Instant) {
        let mut events = Vec::new();
        self.machine.handle_bytes(bytes, now, &mut events);
        self.handle(events, now);
    }

    fn handle(&mut self, events: Vec<Event>, now: Instant) {
        for event in events {
            match event {
                Event::Write(frame) => self.conn.control(frame, now),
                Event::Hello(hello) => self.begin_join(Some(hello)),
                Event::Refresh { id, token } => self.begin_refresh(id, token, now),
                Event::Status(word) => self.say(Status::from(word.as_str()), now),
                Event::Message(inbound) => self.work.get_or_insert_default().push(Task::Message(inbound)),
                Event::Ask { id, ask } => self.work.get_or_insert_default().push(Task::Ask { id, ask }),
                Event::Activity => self.active(),
                Event::Ack(seq) => self.conn.acknowledge(seq),
                Event::PeerClosed { code, echo } => self.peer_closed(code, echo, now),
                Event::Recheck => self.begin_recheck(),
                Event::Idle => self.inner.set_idle(&self.conn, true),
                Event::End(close) => self.say_goodbye(close, now),
                Event::Abort => match self.leaving.take() {
                    Some(echo) if !self.farewell_told => self.hang_up(Some(*echo), now),
                    _ => self.abort(), // We had said goodbye meanwhile.
                },
            }
        }
    }

    fn begin_join(&mut self, hello: Option<Hello>) {
        if let Stage::Waiting(joining) = &mut self.stage
            && let Some(joining) = joining.take()
        {
            self.job = Some(Box::pin(async { Done::Joined(join(*joining, hello).await) }));
        }
    }

    fn poll_job(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(job) = &mut self.job else { return false };
        let Poll::Ready(done) = job.as_mut().poll(cx) else { return false };
        self.job = None;
        match done {
            Done::Joined(Ok(guard)) => self.joined(guard, now),
            Done::Joined(Err(refused)) => self.not_joined(refused, now),
            Done::Refreshed(id, Ok(identity)) => self.refreshed(id, identity, now),
            Done::Refreshed(id, Err(error)) => {
                self.conn.control(ServerMessage::Refusal { id, error }.to_frame(), now);
            }
            Done::Rechecked(validity, denial) => self.rechecked(validity, denial, now),
        }
        true
    }

    fn joined(&mut self, mut guard: Guard, now: Instant) {
        guard.how.peer = self.peer_code;
        self.conn = guard.conn.clone();
        self.attachment = self.conn.attachment();
        if let Some(span) = &self.span {
            observe::joined(&self.inner.config, span, self.conn.user());
        }
        self.machine.welcomed(self.expires(&self.conn.identity(), now), now);
        if self.hooks.session().is_some() {
            self.work.get_or_insert_default().begin(&self.inner, &self.conn, &self.hooks);
        }
        self.stage = Stage::Present(guard);
        self.hooks.present(|| Connection { inner: self.inner.clone(), conn: self.conn.clone() });
    }

    fn not_joined(&mut self, refused: NotJoined, now: Instant) {
        self.conn = refused.conn;
        if let Some((close, farewell)) = refused.told {
            self.conn.close(close, farewell, false, self.farewell_deadline(now), now);
        }
        self.stage = Stage::Refused { _held: None };
    }

    fn active(&mut self) {
        if matches!(self.stage, Stage::Present(_)) {
            self.inner.touch_conn(&self.conn);
        }
    }

    fn say(&mut self, status: Status, now: Instant) {
        if let Some(status) = self.said.say(status, now) {
            self.inner.say(&self.conn, &status);
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let (Some(work), Stage::Present(_)) = (&mut self.work, &self.stage) else { return false };
        match work.poll(&self.inner, &self.conn, &self.hooks, cx) {
            Worked::Idle => false,
            Worked::Progress => true,
            Worked::Finished => {
                if self.leaving.is_none() {
                    self.conn.close(Close::NORMAL, None, true, self.farewell_deadline(now), now);
                }
                self.work = None;
                true
            }
            Worked::Panicked => {
                self.work = None;
                self.say_goodbye(Close::INTERNAL, now);
                true
            }
        }
    }

    fn farewell_deadline(&self, now: Instant) -> Instant {
        later(now, self.inner.config.rules.timing.farewell)
    }

    fn say_goodbye(&mut self, close: Close, now: Instant) {
        let (frame, close) = match self.hooks.expired(&close, self.conn.mode) {
            Some((frame, close)) => (Some(frame), close),
            None => (farewell::frame(&close, "", self.conn.mode, &self.inner.config.raw_kick), close),
        };
        self.conn.close(close, frame, false, self.farewell_deadline(now), now);
    }

    fn peer_closed(&mut self, code: Option<u16>, echo: Option<Bytes>, now: Instant) {
        (self.peer_closed, self.peer_code) = (true, Some(code));
        self.conn.answered(code);
        if let Stage::Present(guard) = &mut self.stage {
            guard.how.peer = Some(code);
        }
        if echo.is_none() || !self.is_at_work() {
            return self.hang_up(echo, now);
        }
        self.leaving = echo.map(Box::new);
        self.machine.farewell(self.farewell_deadline(now));
        self.work.iter_mut().for_each(|work| work.no_more_comes());
    }

    /// Whether something that the peer said waits or is being done.
    fn is_at_work(&self) -> bool {
        let able = matches!(self.stage, Stage::Present(_)) || self.job.is_some();
        able && self.work.as_ref().is_some_and(|work| work.is_busy())
    }

    /// Answers the peer's close frame, once everything before it is done.
    fn leave(&mut self, now: Instant) -> bool {
        if self.leaving.is_none() || self.is_at_work() {
            return false;
        }
        let echo = self.leaving.take();
        self.hang_up(echo.map(|echo| *echo), now);
        true
    }

    fn hang_up(&mut self, echo: Option<Bytes>, now: Instant) {
        self.conn.hang_up(echo, self.farewell_deadline(now), now);
    }

    fn abort(&mut self) {
        if let Stage::Present(guard) = &mut self.stage {
            guard.how.aborted = true;
        }
        self.conn.end(super::conn::Fate::Aborted);
    }

    /// Arms the timer, and does what is due.
    fn fire(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<bool> {
        let next = [self.machine.poll_timeout(), self.said.due()].into_iter().flatten().min();
        let Some(next) = next else {
            self.timer = None;
            return Some(false);
        };
        match &mut self.timer {
            // A timer that is too early is cheaper than one that is moved with every frame.
            Some(timer) if timer.deadline() <= next => {}
            Some(timer) => timer.as_mut().reset(next),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(next))),
        }
        let timer = self.timer.as_mut()?;
        if timer.as_mut().poll(cx).is_pending() {
            return Some(false);
        }
        if now < next {
            timer.as_mut().reset(next);
            return Some(timer.as_mut().poll(cx).is_ready());
        }
        self.due(now);
        self.timer = None;
        Some(true)
    }

    fn due(&mut self, now: Instant) {
        if let Some(status) = self.said.take(now) {
            self.inner.say(&self.conn, &status);
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            let facts = Facts {
                last_sent: self.conn.last_sent(),
                last_activity: self.inner.last_activity(&self.conn),
            };
            let mut events = Vec::new();
            self.machine.handle_timeout(now, facts, &mut events);
            self.handle(events, now);
        }
    }
}

impl<R: Incoming> Future for Driver<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let _entered = driver.span.as_deref().map(|span| span.clone().entered());
        for _ in 0..ROUNDS {
            match driver.round(cx) {
                Some(true) => {}
                Some(false) => return Poll::Pending,
                None => {
                    driver.let_go();
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R> Driver<R> {
    /// Everything is undone before the task ends, whether or not it came to its end.
    fn let_go(&mut self) {
        self.stage = Stage::Refused { _held: None }; // Drops the guard.
        self.job = None;
        self.conn.end_attached(self.attachment, super::conn::Fate::Closed);
    }
}

impl<R> Drop for Driver<R> {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<R> std::fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("conn", &self.conn).finish_non_exhaustive()
    }
}
