//! A socket that the HTTP server has until a connection takes it over.
//!
//! Routing, middleware and the 101 are actix's as ever. Once the 101 is flushed, the socket is taken from under the
//! server, whose task finds it gone and lets go of its buffers.

use std::task::{Context, Poll};
use std::{cell::RefCell, io, pin::Pin, rc::Rc};

use actix_web::body::{BodyStream, BoxBody};
use actix_web::{dev::Payload, rt, rt::net::TcpStream};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use herenow::{Admission, Io, adapter::Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// actix passes on no more of a body than this while nobody reads it: what came beyond would be lost with its buffers.
/// A client is to wait for the 101 before it sends anything (RFC 6455, 4.1).
const MOST_EARLY: usize = 32 * 1024;
/// How the answer begins that gives the socket away.
const HEAD: &[u8] = b"HTTP/1.1 101 ";

/// Who takes the socket below a request, and whether the server asks for the body of the answer yet; in the
/// connection's extensions.
#[derive(Default)]
pub(crate) struct Handover(RefCell<Option<(oneshot::Sender<TcpStream>, bool)>>);

impl Handover {
    /// The body of a 101, without a byte or an end. The connection starts when the head is flushed; where it never is,
    /// its place is given back.
    pub(crate) fn promise(self: Rc<Self>, admission: Admission, payload: Payload) -> BoxBody {
        let (taker, taken) = oneshot::channel();
        rt::spawn(async move {
            let Ok(tcp) = taken.await else { return };
            match early(payload) {
                // A task of its own, so that an idle connection keeps nothing of the upgrade.
                Some(leftover) => drop(rt::spawn(admission.drive(Io::Tcp(tcp), leftover))),
                None => tracing::debug!("a client sent too much before it was upgraded"),
            }
        });
        self.0.replace(Some((taker, false)));
        let promise = Promise(self);
        BoxBody::new(BodyStream::new(stream::poll_fn(move |_| {
            promise.0.0.borrow_mut().iter_mut().for_each(|(_, asks)| *asks = true);
            Poll::<Option<io::Result<Bytes>>>::Pending
        })))
    }
}

/// Taken back with the body: when the socket is gone, or another answer was sent.
struct Promise(Rc<Handover>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.0.take();
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

/// A socket that may be taken from under its server.
pub(crate) struct Lent {
    tcp: Option<TcpStream>,
    /// What its requests have to know.
    pub(crate) handover: Rc<Handover>,
    /// The 101 was written. A middleware may ask for the body too, and never send it.
    answered: bool,
}

impl Lent {
    /// Lends a socket to a server.
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp: Some(tcp), handover: Rc::default(), answered: false }
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.tcp.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// What the methods below return.
type Polled<T> = Poll<io::Result<T>>;

impl AsyncRead for Lent {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Polled<()> {
        self.tcp()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Polled<usize> {
        let promised = self.handover.0.borrow().is_some();
        self.answered |= promised && bytes.windows(HEAD.len()).any(|written| written == HEAD);
        self.tcp()?.poll_write(cx, bytes)
    }

    /// The server flushes when all is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<()> {
        let promise = self.handover.0.borrow_mut().take_if(|(_, asks)| *asks && self.answered);
        if let Some((taker, _)) = promise {
            self.tcp.take().map(|tcp| taker.send(tcp));
            cx.waker().wake_by_ref(); // To find that the socket is gone.
            return Poll::Ready(Ok(()));
        }
        self.tcp()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<()> {
        self.tcp()?.poll_shutdown(cx)
    }
}
