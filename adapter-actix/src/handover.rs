//! A transport that the HTTP server has until a connection takes it over.
//!
//! Routing, middleware and the 101 are actix's as ever. Once the 101 is flushed, the transport is taken from under the
//! server, whose task finds it gone and lets go of its buffers.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use actix_web::{
    body::{BodySize, MessageBody},
    dev::Payload,
    rt,
};
use futures_util::{FutureExt as _, StreamExt as _};
use herenow::{Admission, Io, adapter::Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// actix passes on no more of a body than this while nobody reads it: what came beyond would be lost with its buffers.
/// A client is to wait for the 101 before it sends anything (RFC 6455, 4.1).
const MOST_EARLY: usize = 32 * 1024;
/// How the answer begins that gives the transport away.
const HEAD: &[u8] = b"HTTP/1.1 101 ";

/// Who takes the transport below a request, and the server's task; in the connection's extensions.
#[derive(Default)]
pub(crate) struct Handover(RefCell<Option<(oneshot::Sender<Io>, Waker)>>);

impl Handover {
    /// The body of a 101. The connection starts when that is flushed; where it never is, its place is given back.
    pub(crate) fn promise(self: Rc<Self>, admission: Admission, payload: Payload) -> Promise {
        let (taker, taken) = oneshot::channel();
        rt::spawn(async move {
            let Ok(io) = taken.await else { return };
            match early(payload) {
                // A task of its own, so that an idle connection keeps nothing of the upgrade.
                Some(leftover) => drop(rt::spawn(admission.drive(io, leftover))),
                None => tracing::debug!("a client sent too much before it was upgraded"),
            }
        });
        Promise { handover: self, taker: Some(taker) }
    }
}

/// What came with the head.
fn early(mut payload: Payload) -> Option<Bytes> {
    let mut bytes = Vec::new();
    while let Some(Some(Ok(piece))) = payload.next().now_or_never() {
        bytes.extend_from_slice(&piece);
    }
    (bytes.len() < MOST_EARLY).then(|| bytes.into())
}

/// The body of a 101 before the handover, without a byte or an end.
pub(crate) struct Promise {
    handover: Rc<Handover>,
    taker: Option<oneshot::Sender<Io>>,
}

impl MessageBody for Promise {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    /// The server asks for the first bytes once it has the head in its buffer, and before it flushes that.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(taker) = self.taker.take() {
            self.handover.0.replace(Some((taker, cx.waker().clone())));
        }
        Poll::Pending
    }
}

/// A transport that may be taken from under its server.
pub(crate) struct Lent<T> {
    io: Option<T>,
    into: fn(T) -> Io,
    pub(crate) handover: Rc<Handover>,
    /// The 101 was written: whoever else asks for the first bytes of a body does not get the transport.
    answered: bool,
}

impl<T: Unpin> Lent<T> {
    /// Lends a transport to a server; `into` says what it is for a connection.
    pub(crate) fn new(io: T, into: fn(T) -> Io) -> Self {
        Self { io: Some(io), into, handover: Rc::default(), answered: false }
    }

    fn io(&mut self) -> io::Result<Pin<&mut T>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// What the methods below return.
type Polled<T> = Poll<io::Result<T>>;

impl<T: AsyncRead + Unpin> AsyncRead for Lent<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Polled<()> {
        self.io()?.poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Lent<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Polled<usize> {
        if self.handover.0.borrow().is_some() {
            self.answered |= bytes.windows(HEAD.len()).any(|written| written == HEAD);
        }
        self.io()?.poll_write(cx, bytes)
    }

    /// The server flushes when all is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<()> {
        ready!(self.io()?.poll_flush(cx))?;
        if self.answered
            && let Some((taker, server)) = self.handover.0.take()
            && let Some(io) = self.io.take()
        {
            let _ = taker.send((self.into)(io));
            server.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<()> {
        self.io()?.poll_shutdown(cx)
    }
}

/// A request that outlives its transport promises nothing any more.
impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        self.handover.0.take();
    }
}
