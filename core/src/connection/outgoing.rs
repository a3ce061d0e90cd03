//! What a connection says, as a stream of bytes for a server that keeps the socket.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

use super::{
    conn::{Conn, Fate, Taken},
    sse,
};
use crate::{Instant, manager::Inner};

/// The bytes of a connection, to make a response body of. It ends when the connection is over; dropped, it ends the
/// connection, since nobody is there to be written to.
/// No item is ever an error; frameworks want the type.
#[must_use = "a connection whose bytes nobody takes ends"]
pub struct Outgoing {
    inner: Arc<Inner>,
    conn: Arc<Conn>,
    attachment: u32,
    form: Form,
}

/// How the bytes are written.
#[derive(Debug)]
enum Form {
    /// As WebSocket frames.
    Frames,
    /// As server-sent events.
    Events(sse::Writer),
}

impl Outgoing {
    pub(super) fn frames(inner: &Arc<Inner>, conn: &Arc<Conn>) -> Self {
        Self::new(inner, conn, Form::Frames)
    }

    pub(super) fn events(inner: &Arc<Inner>, conn: &Arc<Conn>) -> Self {
        Self::new(inner, conn, Form::Events(sse::Writer::default()))
    }

    fn new(inner: &Arc<Inner>, conn: &Arc<Conn>, form: Form) -> Self {
        Self { inner: inner.clone(), conn: conn.clone(), attachment: conn.attachment(), form }
    }

    /// Frames of the connection, wherever the socket belongs by now.
    fn poll_frames(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Bytes>> {
        loop {
            match self.conn.poll_take(self.attachment, cx, now) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Taken::Frames(frames)) => return Poll::Ready(Some(frames)),
                Poll::Ready(Taken::Over) => return Poll::Ready(None),
                Poll::Ready(Taken::Moved(to, attachment)) => (self.conn, self.attachment) = (to, attachment),
            }
        }
    }
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        let now = this.inner.clock.now();
        loop {
            if let Form::Events(writer) = &this.form
                && writer.is_over()
            {
                return Poll::Ready(None);
            }
            let Poll::Ready(frames) = this.poll_frames(cx, now) else { return Poll::Pending };
            let Some(frames) = frames else { return Poll::Ready(None) };
            let Form::Events(writer) = &mut this.form else { return Poll::Ready(Some(Ok(frames))) };
            let events = writer.write(&frames);
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(events)));
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.conn.end_attached(self.attachment, Fate::Closed); // Does nothing where it is over.
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("conn", &self.conn).field("form", &self.form).finish()
    }
}
