//! [`serve`]: a server of actix's own parts that gives a socket away when it becomes a connection.

use std::{
    fmt,
    future::{Future, ready},
    io,
    marker::PhantomData,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_http::{HttpService, Protocol, Request, error::DispatchError};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
#[cfg(feature = "rustls-0_23")]
use actix_tls::accept::{TlsError, rustls_0_23};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Response},
    rt::net::TcpStream,
};
use herenow::{
    Io,
    adapter::{HEAD_TIMEOUT, LAST_REQUESTS},
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::handover::Lent;

/// Serves an application as `HttpServer` does, HTTP/1.1, with routing, middleware and extractors as ever; but a socket
/// that becomes a connection leaves actix. So it costs a tenth of the memory, and a client that does not read can be
/// cut: neither needs [`tune`](crate::tune).
///
/// `app` is what `HttpServer::new` takes, and runs once for each worker. What an application sees of its server
/// (`AppConfig`) are the defaults: without a `Host` header, and behind TLS, name host and scheme in the application.
///
/// ```no_run
/// use actix_web::{App, HttpResponse, web};
/// use herenow_actix::{OnlineManager, OnlineMiddleware, OnlineUpgrade};
///
/// async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
///     upgrade.start()
/// }
///
/// #[actix_web::main]
/// async fn main() -> std::io::Result<()> {
///     let online = OnlineManager::new();
///     let shared = online.clone();
///     let app = move || App::new().wrap(OnlineMiddleware::new(&shared)).route("/ws", web::get().to(ws));
///     let listener = std::net::TcpListener::bind("127.0.0.1:3000")?;
///     herenow_actix::serve(listener, app)
///         .until(async move {
///             let _ = actix_web::rt::signal::ctrl_c().await;
///             online.shutdown(std::time::Duration::from_secs(5)).await;
///         })
///         .await
/// }
/// ```
pub fn serve<F, I, S, B>(listener: TcpListener, app: F) -> Serve<F, I, S, B> {
    Serve {
        listener,
        app,
        workers: None,
        head_timeout: HEAD_TIMEOUT,
        #[cfg(feature = "rustls-0_23")]
        tls: None,
        of: PhantomData,
    }
}

/// A server to be; made by [`serve`].
#[derive(Debug)]
#[must_use = "nothing is served before `until`"]
pub struct Serve<F, I, S, B> {
    listener: TcpListener,
    app: F,
    workers: Option<usize>,
    head_timeout: Duration,
    #[cfg(feature = "rustls-0_23")]
    tls: Option<rustls_0_23::reexports::ServerConfig>,
    of: PhantomData<fn(I, S, B)>,
}

impl<F, I, S, B> Serve<F, I, S, B>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    /// How many threads serve; none is taken for one. Default: as many as the machine runs at once.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers.max(1));
        self
    }

    /// How long a client may take for the head of its first request. Default 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Serves over TLS. Default: plain TCP.
    #[cfg(feature = "rustls-0_23")]
    pub fn rustls_0_23(mut self, mut config: rustls_0_23::reexports::ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.tls = Some(config);
        self
    }

    /// Serves until the future resolves, then lets open requests end within 10 s. Upgraded sockets are not requests:
    /// close them in that future, by [`OnlineManager::shutdown`](herenow::OnlineManager::shutdown).
    ///
    /// # Errors
    /// The listener cannot be served, or a worker does not start.
    pub async fn until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let mut server = Server::build().shutdown_timeout(LAST_REQUESTS.as_secs()).shutdown_signal(shutdown);
        if let Some(workers) = self.workers {
            server = server.workers(workers);
        }
        let (app, timeout, stopping) = (self.app, self.head_timeout, server.graceful_shutdown_signal());
        #[cfg(feature = "rustls-0_23")]
        if let Some(config) = self.tls {
            let service = move || {
                rustls_0_23::Acceptor::new(config.clone())
                    .map_err(TlsError::into_service_error)
                    .map(|tls| lend(tls, |tls| tls.get_ref().0, Io::boxed))
                    .and_then(Self::http(&app, timeout, &stopping).map_err(TlsError::Service))
            };
            return server.listen("herenow", self.listener, service)?.run().await;
        }
        let service = move || {
            fn_service(|tcp: TcpStream| ready(Ok(lend(tcp, |tcp| tcp, Io::Tcp))))
                .and_then(Self::http(&app, timeout, &stopping))
        };
        server.listen("herenow", self.listener, service)?.run().await
    }

    fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
        app: &F,
        head_timeout: Duration,
        stopping: &GracefulShutdownSignal,
    ) -> impl ServiceFactory<Arrived<T>, Config = (), Response = (), Error = DispatchError, InitError = ()>
    + use<T, F, I, S, B> {
        let (app, stopping) = (app().into_factory(), stopping.clone());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .on_connect_ext(|lent: &Lent<T>, extensions| drop(extensions.insert(lent.handover.clone())))
            .finish(map_config(app.map_err(|error| error.into().error_response()), |()| AppConfig::default()))
    }
}

/// A connection as actix's HTTP takes it.
type Arrived<T> = (Lent<T>, Protocol, Option<SocketAddr>);

fn lend<T>(io: T, tcp: fn(&T) -> &TcpStream, into: fn(T) -> Io) -> Arrived<T> {
    // Without it a push waits for the acknowledgement of the one before.
    let _ = tcp(&io).set_nodelay(true);
    let peer = tcp(&io).peer_addr().ok();
    (Lent::new(io, into), Protocol::Http1, peer)
}
