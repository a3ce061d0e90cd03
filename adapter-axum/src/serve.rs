//! [`serve`]: `axum::serve` with a deadline for request heads, which that one has not.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

/// How long a client may take for the head of a request, unless told otherwise.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What open requests may take once the shutdown has begun.
const LAST: Duration = Duration::from_secs(10);
/// How long accepting pauses where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves an application over TCP, HTTP/1.1 and HTTP/2, as `axum::serve` does; beyond that, whoever takes too long for
/// the head of a request is cut (`axum::serve` holds such sockets for ever), and handlers and limits know the peer's
/// address ([`ConnectInfo`]).
///
/// ```no_run
/// # async fn run(app: axum::Router, online: herenow_axum::OnlineManager) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// herenow_axum::serve(listener, app)
///     .until(async move {
///         let _ = tokio::signal::ctrl_c().await;
///         online.shutdown(std::time::Duration::from_secs(5)).await;
///     })
///     .await
/// # }
/// ```
pub fn serve(listener: TcpListener, app: Router) -> Serve {
    Serve { listener, app, head_timeout: HEAD_TIMEOUT }
}

/// A server to be; made by [`serve`].
#[derive(Debug)]
#[must_use = "nothing is served before `until`"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    head_timeout: Duration,
}

impl Serve {
    /// How long a client may take for the head of a request, from the connection on. Default 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Serves until the future resolves, then lets open requests end within 10 s. Upgraded sockets are not requests:
    /// close them in that future, by [`OnlineManager::shutdown`](herenow::OnlineManager::shutdown).
    ///
    /// # Errors
    /// None once it runs; the type leaves room for it.
    pub async fn until(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let graceful = GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.spawn(stream, peer, &graceful),
                    // Out of descriptors, most often: others may give some back.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                () = &mut shutdown => break,
            }
        }
        drop(self.listener);
        let _ = tokio::time::timeout(LAST, graceful.shutdown()).await;
        Ok(())
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown) {
        let _ = stream.set_nodelay(true);
        let (app, asked) = (self.app.clone(), Arc::new(AtomicBool::new(false)));
        let (head_timeout, has_asked) = (self.head_timeout, asked.clone());
        let answer = service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            answer(app.clone(), peer, request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout);
        builder.http2().timer(TokioTimer::new()).enable_connect_protocol();
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).into_owned();
        let connection = graceful.watch(connection);
        // The timeout above begins with a request; this one with the connection, before its version is known.
        let silent = async move {
            tokio::time::sleep(head_timeout).await;
            if has_asked.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                _ = connection => {}
                () = silent => {}
            }
        });
    }
}

async fn answer(
    mut app: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    app.call(request).await
}
