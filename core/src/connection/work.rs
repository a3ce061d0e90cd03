//! What a client's messages and requests lead to: one at a time, in order, in a bounded queue.

use std::{
    collections::VecDeque,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::{
    batch::Batch,
    conn::Conn,
    handler::{Connection, HandlerError, Reply, Running, Socket, result},
    hooks::Hooks,
    inbound::Inbound,
};
use crate::{
    Content, channel,
    connection::codec::{encode_binary, encode_text},
    manager::Inner,
    policy,
    protocol::{Ask, ErrorCode, Mode, ServerMessage},
};

/// What came of a poll.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// Nothing to do now.
    Idle,
    /// Something was done; there may be more.
    Progress,
    /// The application's session is over: close properly.
    Finished,
    /// A handler panicked: close with 4500.
    Panicked,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// A message for the application.
    Message(Inbound),
    /// A request about channels.
    Ask { id: u64, ask: Ask },
    /// The token is a new one: look whether everything is still allowed.
    AuthorizeAnew,
}

impl Task {
    fn size(&self) -> usize {
        match self {
            Self::Message(inbound) => inbound.body.as_bytes().len(),
            Self::Ask { ask, .. } => ask.size(),
            Self::AuthorizeAnew => 0,
        }
    }
}

#[derive(Default)]
pub(crate) struct Work {
    queue: VecDeque<Task>,
    bytes: usize,
    /// The handler, or the application's session.
    running: Option<Running>,
    /// A request of ours, which a session does not wait for.
    asking: Option<BoxFuture<'static, ()>>,
    /// The id of the request that is being handled.
    request: Option<u64>,
    session: Option<mpsc::Sender<Inbound>>,
    /// The wait for room in the session's inbox.
    room: Option<Room>,
    /// The peer said goodbye: a session that has taken what waits is told.
    last: bool,
}

type Room =
    Pin<Box<dyn Future<Output = Result<mpsc::OwnedPermit<Inbound>, mpsc::error::SendError<()>>> + Send>>;

impl Work {
    /// Starts the application's own session, if it has one.
    pub(crate) fn begin(&mut self, inner: &Arc<Inner>, conn: &Arc<Conn>, hooks: &Hooks) {
        let Some(session) = hooks.session() else { return };
        let (sender, inbox) = mpsc::channel(inner.config.rules.inbound.queue_messages);
        let connection = Connection { inner: inner.clone(), conn: conn.clone() };
        let serving = session(Socket { connection, inbox });
        self.session = Some(sender);
        self.running = Some(Box::pin(async move {
            serving.await;
            Ok(Reply::None)
        }));
    }

    pub(crate) fn push(&mut self, task: Task) {
        self.bytes += task.size();
        self.queue.push_back(task);
    }

    /// Whether the socket is to be read no further for now.
    pub(crate) fn is_full(&self, limits: &policy::Inbound) -> bool {
        self.queue.len() >= limits.queue_messages || self.bytes >= limits.queue_bytes
    }

    /// Whether something waits or is being done.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some() || self.asking.is_some() || !self.queue.is_empty()
    }

    /// What waits is the last: a session hears the end behind it.
    pub(crate) fn no_more_comes(&mut self) {
        self.last = true;
    }

    fn pop(&mut self) -> Option<Task> {
        let task = self.queue.pop_front()?;
        self.bytes -= task.size();
        if self.queue.is_empty() {
            self.queue = VecDeque::new(); // An idle connection keeps no queue memory.
        }
        Some(task)
    }

    /// Polls what runs and starts what waits.
    pub(crate) fn poll(
        &mut self,
        inner: &Arc<Inner>,
        conn: &Arc<Conn>,
        hooks: &Hooks,
        cx: &mut Context<'_>,
    ) -> Worked {
        let asked = self.poll_asking(cx);
        if self.session.is_some() {
            return self.poll_session(inner, conn, asked, cx);
        }
        if asked {
            return Worked::Progress;
        }
        if let Some(running) = &mut self.running {
            // A panic ends its own connection; nothing of ours is half changed by it.
            match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return Worked::Idle,
                Ok(Poll::Ready(done)) => {
                    self.running = None;
                    answer(inner, conn, self.request.take(), done);
                    return Worked::Progress;
                }
                Err(_) => return self.panicked(),
            }
        }
        if self.asking.is_some() {
            return Worked::Idle;
        }
        let inbound = match self.pop() {
            Some(Task::Message(inbound)) => inbound,
            Some(task) => {
                self.ask(inner, conn, task);
                return Worked::Progress;
            }
            None => return Worked::Idle,
        };
        let Some(handler) = &hooks.on_message else {
            refuse(inner, conn, &inbound);
            return Worked::Progress;
        };
        self.request = inbound.id;
        let connection = Connection { inner: inner.clone(), conn: conn.clone() };
        match catch_unwind(AssertUnwindSafe(|| handler(connection, inbound))) {
            Ok(running) => self.running = Some(running),
            Err(_) => return self.panicked(),
        }
        Worked::Progress
    }

    /// Polls a request of ours; true where it is done.
    fn poll_asking(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(asking) = &mut self.asking else { return false };
        let done = asking.as_mut().poll(cx).is_ready();
        if done {
            self.asking = None;
        }
        done
    }

    fn ask(&mut self, inner: &Arc<Inner>, conn: &Arc<Conn>, task: Task) {
        let (inner, conn) = (inner.clone(), conn.clone());
        self.asking = match task {
            Task::Ask { id, ask } => Some(Box::pin(channel::answer(inner, conn, id, ask))),
            Task::AuthorizeAnew => Some(Box::pin(channel::authorize_anew(inner, conn))),
            Task::Message(_) => None,
        };
    }

    fn poll_session(
        &mut self,
        inner: &Arc<Inner>,
        conn: &Arc<Conn>,
        asked: bool,
        cx: &mut Context<'_>,
    ) -> Worked {
        let moved = self.feed_session(inner, conn, cx) | asked;
        let Some(running) = &mut self.running else { return Worked::Idle };
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Pending) if moved => Worked::Progress, // There may be room to read again.
            Ok(Poll::Pending) => Worked::Idle,
            Ok(Poll::Ready(_)) => {
                self.running = None;
                Worked::Finished
            }
            Err(_) => self.panicked(),
        }
    }

    /// Hands on what the session's inbox takes; true when it took something. Where it is full, the wait for room wakes
    /// the driver, whichever task the session reads it in.
    fn feed_session(&mut self, inner: &Arc<Inner>, conn: &Arc<Conn>, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let (Some(session), Some(next), None) = (&self.session, self.queue.front(), &self.asking) {
            if !matches!(next, Task::Message(_)) {
                if let Some(task) = self.pop() {
                    self.ask(inner, conn, task);
                }
                return true;
            }
            let room = self.room.get_or_insert_with(|| Box::pin(session.clone().reserve_owned()));
            let Poll::Ready(place) = room.as_mut().poll(cx) else { break };
            self.room = None;
            let Some(task) = self.pop() else { break };
            if let (Ok(place), Task::Message(inbound)) = (place, task) {
                place.send(inbound);
            }
            moved = true;
        }
        if self.last && self.queue.is_empty() {
            self.session = None;
        }
        moved
    }

    /// The connection is closing: what waits is dropped, what runs may end.
    pub(crate) fn take_no_more(&mut self) {
        (self.queue, self.bytes, self.room) = (VecDeque::new(), 0, None);
    }

    fn panicked(&mut self) -> Worked {
        self.running = None;
        metrics::counter!(crate::observe::HANDLER_PANICS).increment(1);
        tracing::error!("a connection's handler panicked; its connection ends");
        Worked::Panicked
    }
}

/// A message that no handler takes.
fn refuse(inner: &Inner, conn: &Conn, inbound: &Inbound) {
    if conn.mode == Mode::Envelope {
        let why = "this server has no handler for `message`; set one with `on_message`";
        conn.control(
            ServerMessage::refuse(inbound.id, ErrorCode::NotAvailable, why).to_frame(),
            inner.clock.now(),
        );
    }
}

/// Answers a request, or sends what a handler of raw mode replied.
fn answer(inner: &Inner, conn: &Conn, id: Option<u64>, done: Result<Reply, HandlerError>) {
    let mut counts = false;
    let frame = match (conn.mode, id, done) {
        (Mode::Envelope, Some(id), Ok(reply)) => {
            let result = result(reply);
            ServerMessage::Reply { id, result: result.as_deref() }.to_frame()
        }
        (Mode::Envelope, Some(id), Err(error)) => ServerMessage::Refusal { id, error: error.0 }.to_frame(),
        (Mode::Raw, _, Ok(Reply::Message(content))) => raw(&content),
        (_, _, Ok(Reply::None)) => return,
        (Mode::Envelope, None, Ok(Reply::Message(content))) => {
            counts = true;
            ServerMessage::push(&content.into()).to_frame()
        }
        (_, _, Err(error)) => ServerMessage::refuse(None, error.0.code, error.0.message).to_frame(),
    };
    // Behind the pushes, not ahead of them: a reply is data.
    let batch = if counts { Batch::one(frame) } else { Batch::other(frame) };
    conn.push(&batch, &inner.config.bounds, inner.clock.now());
}

fn raw(content: &Content) -> Bytes {
    match content {
        Content::Binary(bytes) => encode_binary(bytes),
        text => encode_text(text.as_text().unwrap_or_default()),
    }
}
