//! [`serve`]: `axum::serve` with a deadline for request heads, which that one has not.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, response::Response};
use herenow::hyper::Connections;
use hyper::{body::Incoming, service::service_fn};
use tokio::net::TcpListener;
use tower_service::Service;

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
    Serve { listener, app, connections: Connections::new() }
}

/// A server to be; made by [`serve`].
#[derive(Debug)]
#[must_use = "nothing is served before `until`"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    connections: Connections,
}

impl Serve {
    /// How long a client may take for the head of a request, from the connection on. Default 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.connections = self.connections.head_timeout(timeout);
        self
    }

    /// Serves until the future resolves, then lets open requests end within 10 s. Upgraded sockets are not requests:
    /// close them in that future, by [`OnlineManager::shutdown`](herenow::OnlineManager::shutdown).
    ///
    /// # Errors
    /// None once it runs; the type leaves room for it.
    pub async fn until(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let Self { listener, app, connections } = self;
        let accepted = |connections: &Connections, (stream, peer)| {
            let app = app.clone();
            connections.serve(stream, service_fn(move |request| answer(app.clone(), peer, request)));
        };
        connections.accept(listener, shutdown, accepted).await;
        Ok(())
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
