//! Where a driver reads from: its connection's own transport, a stream beside it, or nowhere.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

use super::conn::Conn;

/// What a `Driver` reads. It need not be `Send`: only the write side is reached from elsewhere.
pub(crate) trait Incoming: Unpin {
    /// Reads what is there; `Ok(0)` is the end.
    fn poll_read(&mut self, conn: &Conn, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>>;
}

/// The transport that is written to is read from, too.
#[derive(Debug, Default)]
pub(crate) struct Transport(());

impl Incoming for Transport {
    fn poll_read(&mut self, conn: &Conn, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        conn.poll_read(buf, cx)
    }
}

/// What a server that keeps the socket hands in, piece by piece.
#[derive(Debug)]
pub(crate) struct HandedIn<S> {
    stream: S,
    rest: Bytes,
}

impl<S> HandedIn<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, rest: Bytes::new() }
    }
}

impl<S, E> Incoming for HandedIn<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    fn poll_read(&mut self, _: &Conn, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.rest.is_empty() {
            match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => self.rest = piece,
                // How the server says that the client is gone makes no difference.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ok(0)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = self.rest.split_to(buf.len().min(self.rest.len()));
        buf[..piece.len()].copy_from_slice(&piece);
        if self.rest.is_empty() {
            self.rest = Bytes::new(); // An empty rest still holds the server's buffer.
        }
        Poll::Ready(Ok(piece.len()))
    }
}

/// Nothing comes in: a stream of events.
#[derive(Debug, Default)]
pub(crate) struct Nothing(());

impl Incoming for Nothing {
    fn poll_read(&mut self, _: &Conn, _: &mut [u8], _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}
