//! The output side of a connection, behind one trait, so that plain TCP needs no box and no task to be written to.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What a connection writes to and reads from. Implemented for everything that tokio can read and write.
pub trait PushIo: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> PushIo for T {}

/// The transport under a connection. Plain TCP is kept as itself, everything else (TLS, an HTTP/2 stream, a
/// framework's own type) in a box.
#[non_exhaustive]
pub enum Io {
    /// A plain TCP stream: written with `try_write`, which costs the caller's task nothing of its budget.
    Tcp(TcpStream),
    /// Anything else.
    Dyn(Box<dyn PushIo>),
    /// A server that keeps the socket takes the bytes when it can; see [`Admission::stream`](crate::Admission::stream).
    Taken(Taker),
    /// No socket: a hand mark, or one that was let go of.
    None,
}

impl Io {
    /// Boxes a transport that is no plain TCP stream.
    pub fn boxed(io: impl PushIo) -> Self {
        Self::Dyn(Box::new(io))
    }

    /// Writes what the socket takes now; on `Pending` the waker hears when it takes more.
    pub(crate) fn push_now(&mut self, bytes: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        let mut cx = Context::from_waker(waker);
        match self {
            Self::Tcp(stream) => loop {
                match stream.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
                match stream.poll_write_ready(&mut cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            },
            Self::Dyn(io) => Pin::new(io).poll_write(&mut cx, bytes),
            Self::Taken(taker) => {
                taker.wake();
                Poll::Pending
            }
            Self::None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// TLS keeps ciphertext until it is flushed; plain TCP keeps nothing.
    pub(crate) fn needs_flush(&self) -> bool {
        matches!(self, Self::Dyn(_))
    }

    pub(crate) fn flush_now(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        match self {
            Self::Dyn(io) => Pin::new(io).poll_flush(&mut Context::from_waker(waker)),
            _ => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn read_now(&mut self, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        let done = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Dyn(io) => Pin::new(io).poll_read(cx, &mut buf),
            Self::Taken(_) => return Poll::Pending, // What comes in has a way of its own.
            Self::None => return Poll::Ready(Ok(0)),
        };
        done.map_ok(|()| buf.filled().len())
    }

    /// Says goodbye to the transport (TLS close_notify, TCP FIN) as far as it takes it at once.
    pub(crate) fn shut_down(&mut self, waker: &Waker) {
        let mut cx = Context::from_waker(waker);
        let _ = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(&mut cx),
            Self::Dyn(io) => Pin::new(io).poll_shutdown(&mut cx),
            Self::Taken(taker) => return taker.end(),
            Self::None => return,
        };
    }

    /// Whether the socket belongs to the server, so that it cannot be cut from here.
    pub(crate) fn is_servers(&self) -> bool {
        matches!(self, Self::Taken(_))
    }

    /// Lets go of the transport so that nothing waiting in the kernel is still delivered.
    pub(crate) fn cut(&mut self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
        *self = Self::None;
    }
}

/// Who takes the bytes of a connection whose socket is the server's.
#[derive(Debug)]
pub struct Taker {
    /// The server, where it waits for more.
    waker: Option<Waker>,
    /// The driver knows that frames stay.
    told: bool,
    /// The server was woken, and has not come yet.
    called: bool,
    ended: bool,
}

/// Frames that wait for longer than this are not merely on their way.
const STAYS: Duration = Duration::from_millis(100);

impl Taker {
    pub(crate) fn new() -> Self {
        Self { waker: None, told: false, called: false, ended: false }
    }

    /// Tells a server that waits that there is more.
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            self.called = true;
            waker.wake();
        }
    }

    /// Whether the server is on its way.
    pub(crate) fn is_called(&self) -> bool {
        self.called
    }

    /// The server came.
    pub(crate) fn came(&mut self) {
        (self.told, self.called) = (false, false);
    }

    /// There is nothing now: whether there will be more.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended {
            return Poll::Ready(());
        }
        self.came();
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the driver has to be told, once, that frames have waited for so long.
    pub(crate) fn stays(&mut self, waited: Duration) -> bool {
        let tell = waited >= STAYS && !self.told;
        self.told |= tell;
        tell
    }

    /// Nothing more comes after what waits.
    fn end(&mut self) {
        self.ended = true;
        self.wake();
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Dyn(_) => "Dyn",
            Self::Taken(_) => "Taken",
            Self::None => "None",
        })
    }
}

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}
