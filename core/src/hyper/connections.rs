//! [`Connections`]: hyper's server of both versions, with the deadlines it has not.

use std::{any::Any, fmt, future::Future, time::Duration};

use ::http::{Request, Response};
use ::hyper::{
    body::{Body, Incoming},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    accept::{Accept, accept_until},
    asked::Asked,
};

/// Whatever a service or its body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What open requests may take once the shutdown has begun.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Serves connections: HTTP/1.1 and HTTP/2, with upgrades and WebSockets over HTTP/2 (RFC 8441). Whoever takes too long
/// for the head of a request is cut; an accept that fails for want of descriptors is tried again.
///
/// Dropped, it tells what it serves to end, as [`shutdown`](Self::shutdown) does, and waits for nothing. Upgraded sockets
/// are not its any more: they go on until [`OnlineManager::shutdown`](crate::OnlineManager::shutdown).
///
/// Needs a tokio runtime. The [module](super) has a whole server.
pub struct Connections {
    head_timeout: Duration,
    graceful: GracefulShutdown,
}

impl Connections {
    /// How long a client may take for the head of a request, unless told otherwise.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// None yet.
    pub fn new() -> Self {
        Self { head_timeout: Self::HEAD_TIMEOUT, graceful: GracefulShutdown::new() }
    }

    /// How long a client may take for the head of a request, from the connection on. Default 10 s. Of HTTP/2 it is the
    /// first request alone.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Serves one connection in a task of its own. A TCP stream gets `TCP_NODELAY`.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use herenow::hyper::Connections;
    /// use hyper::{Request, Response, body::Incoming, service::service_fn};
    ///
    /// # async fn accepted(connections: &Connections, stream: tokio::net::TcpStream) {
    /// let hello = |_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new("hello".to_owned())) };
    /// connections.serve(stream, service_fn(hello));
    /// # }
    /// ```
    pub fn serve<I, S, B>(&self, io: I, service: S)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        if let Some(stream) = (&io as &dyn Any).downcast_ref::<TcpStream>() {
            crate::adapter::tune(stream);
        }
        let asked = Asked::default();
        let note = asked.clone();
        let service = service_fn(move |request| {
            note.note();
            service.call(request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.head_timeout);
        builder.http2().timer(TokioTimer::new()).enable_connect_protocol();
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service).into_owned();
        tokio::spawn(asked.in_time(self.head_timeout, self.graceful.watch(connection)));
    }

    /// Accepts until `shutdown` resolves, closes the listener and [shuts down](Self::shutdown). `accepted` is to
    /// [`serve`](Self::serve) what it is given. Upgraded sockets are not requests: close them in the future `shutdown`, by
    /// [`OnlineManager::shutdown`](crate::OnlineManager::shutdown).
    ///
    /// The future dropped is the `Connections` dropped.
    ///
    /// ```no_run
    /// # use herenow::hyper::Connections;
    /// # async fn run<S>(listener: tokio::net::TcpListener, service: S)
    /// # where
    /// #     S: hyper::service::Service<
    /// #         hyper::Request<hyper::body::Incoming>,
    /// #         Response = hyper::Response<String>,
    /// #         Error = std::convert::Infallible,
    /// #         Future: Send,
    /// #     > + Clone + Send + Sync + 'static,
    /// # {
    /// let accepted = |connections: &Connections, (stream, _)| connections.serve(stream, service.clone());
    /// Connections::new().accept(listener, std::future::pending(), accepted).await;
    /// # }
    /// ```
    pub async fn accept<A: Accept>(
        self,
        listener: A,
        shutdown: impl Future<Output = ()> + Send,
        mut accepted: impl FnMut(&Self, A::Accepted) + Send,
    ) {
        accept_until(listener, shutdown, |connection| accepted(&self, connection)).await;
        self.shutdown().await;
    }

    /// Closes connections that ask for nothing, and waits until open requests are answered, at most 10 s.
    pub async fn shutdown(self) {
        let _ = tokio::time::timeout(LAST_REQUESTS, self.graceful.shutdown()).await;
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("head_timeout", &self.head_timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        sync::oneshot,
    };

    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A client of a service that answers at once.
    fn served(connections: &Connections) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1024);
        let hello = |_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new("hello".to_owned())) };
        connections.serve(server, service_fn(hello));
        client
    }

    async fn answer(client: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "it ends");
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_finishes_a_head_is_cut_and_who_does_is_not() {
        let connections = Connections::new().head_timeout(TIMEOUT);
        for start in [&b""[..], &HEAD[..9]] {
            let mut slow = served(&connections);
            slow.write_all(start).await.unwrap();
            assert!(tokio::time::timeout(2 * TIMEOUT, slow.read_to_end(&mut Vec::new())).await.is_ok());
        }
        let mut client = served(&connections);
        client.write_all(HEAD).await.unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_open_requests_and_not_for_ever() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (asked, is_asked) = oneshot::channel();
        let (last_word, waits) = oneshot::channel();
        let once = std::sync::Mutex::new(Some((asked, waits)));
        let connections = Connections::new();
        let service = service_fn(move |_: Request<Incoming>| {
            let (asked, waits) = once.lock().unwrap().take().unwrap();
            asked.send(()).unwrap();
            async move { waits.await.map(|word: &str| Response::new(word.to_owned())) }
        });
        connections.serve(server, service);
        client.write_all(HEAD).await.unwrap();
        is_asked.await.unwrap();
        let ending = tokio::spawn(connections.shutdown());
        tokio::task::yield_now().await;
        last_word.send("hello").unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        ending.await.unwrap();
        let silent = Connections::new();
        let (mut client, server) = tokio::io::duplex(1024);
        let never = |_: Request<Incoming>| std::future::pending::<Result<Response<String>, Infallible>>();
        silent.serve(server, service_fn(never));
        client.write_all(HEAD).await.unwrap();
        assert!(tokio::time::timeout(2 * LAST_REQUESTS, silent.shutdown()).await.is_ok());
    }
}
