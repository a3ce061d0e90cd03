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
    conn::{Conn, Fate},
    sse,
};
use crate::manager::Inner;

/// The bytes of a connection, to make a response body of. It ends when the connection is over; dropped, it ends the
/// connection, since nobody is there to be written to.
/// No item is ever an error; frameworks want the type.
#[must_use = "a connection whose bytes nobody takes ends"]
pub struct Outgoing {
    inner: Arc<Inner>,
    conn: Arc<Conn>,
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
        Self { inner: inner.clone(), conn: conn.clone(), form: Form::Frames }
    }

    pub(super) fn events(inner: &Arc<Inner>, conn: &Arc<Conn>) -> Self {
        Self { inner: inner.clone(), conn: conn.clone(), form: Form::Events(sse::Writer::default()) }
    }
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        let now = this.inner.clock.now();
        let Form::Events(writer) = &mut this.form else {
            return this.conn.poll_take(cx, now).map(|frames| frames.map(Ok));
        };
        loop {
            if writer.is_over() {
                return Poll::Ready(None);
            }
            let Poll::Ready(frames) = this.conn.poll_take(cx, now) else { return Poll::Pending };
            let Some(frames) = frames else { return Poll::Ready(None) };
            let events = writer.write(&frames);
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(events)));
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.conn.end(Fate::Closed); // Does nothing where it is over.
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("conn", &self.conn).field("form", &self.form).finish()
    }
}
