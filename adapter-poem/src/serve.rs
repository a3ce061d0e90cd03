//! [`serve`]: `poem::Server` with a deadline for request heads, which that one has not.

use std::{convert::Infallible, fmt, future::Future, io, sync::Arc, time::Duration};

use herenow::hyper::{Accept, Connections};
use hyper::{body::Incoming, service::service_fn, upgrade::OnUpgrade};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Response,
    endpoint::BoxEndpoint,
    http,
    http::uri::Scheme,
    listener::{Acceptor, Listener},
    web::{LocalAddr, RemoteAddr},
};

use crate::{layer::Sent, upgrade::Kept};

/// Serves an application, HTTP/1.1 and HTTP/2, as `poem::Server` does; beyond that, whoever takes too long for a TLS
/// handshake or the head of a request is cut (`poem::Server` holds such sockets for ever), WebSockets over HTTP/2 are
/// offered, and upgraded sockets that are plain TCP cost less and do not wait for acknowledgements (`TCP_NODELAY`).
///
/// ```no_run
/// use herenow_poem::OnlineManager;
/// use poem::{Route, listener::TcpListener};
///
/// # async fn run(app: Route, online: OnlineManager) -> std::io::Result<()> {
/// herenow_poem::serve(TcpListener::bind("127.0.0.1:3000"), app)
///     .until(async move {
///         let _ = tokio::signal::ctrl_c().await;
///         online.shutdown(std::time::Duration::from_secs(5)).await;
///     })
///     .await
/// # }
/// ```
pub fn serve<L: Listener, E>(listener: L, app: E) -> Serve<L>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let app = Arc::new(app.into_endpoint().map_to_response().boxed());
    Serve { listener, app, connections: Connections::new() }
}

/// [`serve`] on what listens already, as `poem::Server::new_with_acceptor` does: for port 0, where the address is to be
/// asked first, or for a listener of tokio's.
///
/// ```no_run
/// use poem::{Route, listener::TcpAcceptor};
///
/// # async fn run(app: Route) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// println!("http://{}", listener.local_addr()?);
/// herenow_poem::serve_with_acceptor(TcpAcceptor::from_tokio(listener)?, app).until(std::future::pending()).await
/// # }
/// ```
pub fn serve_with_acceptor<A: Acceptor, E>(acceptor: A, app: E) -> Serve<Listening<A>>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    serve(Listening(acceptor), app)
}

/// A server to be; made by [`serve`].
#[must_use = "nothing is served before `until`"]
pub struct Serve<L> {
    listener: L,
    app: App,
    connections: Connections,
}

type App = Arc<BoxEndpoint<'static, Response>>;

impl<L: Listener> Serve<L> {
    /// How long a client may take for the head of a request, from the connection on. Default 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.connections = self.connections.head_timeout(timeout);
        self
    }

    /// Serves until the future resolves, then lets open requests end within 10 s. Upgraded sockets are not requests:
    /// close them in that future, by [`OnlineManager::shutdown`](herenow::OnlineManager::shutdown).
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn until(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let Self { listener, app, connections } = self;
        let acceptor = listener.into_acceptor().await?;
        let accepted = |connections: &Connections, (io, local, remote, scheme): Accepted<_>| {
            let app = app.clone();
            let answer = move |request| {
                let from = (local.clone(), remote.clone(), scheme.clone());
                answer(app.clone(), request, from)
            };
            connections.serve(io, service_fn(answer));
        };
        connections.accept(Listening(acceptor), shutdown, accepted).await;
        Ok(())
    }
}

impl<L> fmt::Debug for Serve<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// A listener that listens already; made by [`serve_with_acceptor`].
#[derive(Debug)]
pub struct Listening<A>(A);

impl<A: Acceptor> Listener for Listening<A> {
    type Acceptor = A;

    async fn into_acceptor(self) -> io::Result<A> {
        Ok(self.0)
    }
}

/// A connection as poem accepts it.
type Accepted<I> = (I, LocalAddr, RemoteAddr, Scheme);

impl<A: Acceptor> Accept for Listening<A> {
    type Accepted = Accepted<A::Io>;

    async fn accept(&mut self) -> io::Result<Self::Accepted> {
        self.0.accept().await
    }
}

async fn answer(
    app: App,
    mut request: http::Request<Incoming>,
    (local, remote, scheme): (LocalAddr, RemoteAddr, Scheme),
) -> Result<http::Response<impl hyper::body::Body<Data: Send, Error = io::Error>>, Infallible> {
    let sent = Sent(request.method().clone());
    request.extensions_mut().insert(sent);
    if let Some(on_upgrade) = request.extensions().get::<OnUpgrade>().cloned() {
        request.extensions_mut().insert(Kept(on_upgrade));
    }
    Ok(app.get_response((request, local, remote, scheme).into()).await.into())
}
