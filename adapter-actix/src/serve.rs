//! [`serve`]: a server of actix's own parts that gives a socket away when it becomes a connection.

use std::{fmt::Debug, future::ready, io, net::TcpListener};

use actix_http::{HttpService, Protocol, Request};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, map_config};
use actix_web::dev::{AppConfig, Response, fn_service};
use actix_web::{Error, body::MessageBody, rt::net::TcpStream};

use crate::handover::Lent;

/// Adds an application to a server, as `HttpServer` does, over HTTP/1.1 and plain TCP; but a socket that becomes a
/// connection leaves actix. So it costs a sixth of the memory, and a client that does not read can be cut: there is
/// nothing to [`tune`](crate::tune).
///
/// Routing, middleware, extractors and app data are as ever. `app` is what `HttpServer::new` takes, and runs once for
/// each worker; the other settings are the server's own. A client has 5 s for the head of its first request, and a
/// connection is kept alive for 5 s between two. What an application sees of its server (`AppConfig`) are the defaults.
///
/// Upgraded sockets are no requests for actix: neither its limit of connections nor its graceful shutdown counts them.
/// Close them by [`OnlineManager::shutdown`](herenow::OnlineManager::shutdown) before the server ends, as here:
///
/// ```no_run
/// use actix_web::{App, HttpResponse, dev::Server, rt::signal, web};
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
///     let server = Server::build().workers(2).shutdown_timeout(10).shutdown_signal(async move {
///         let _ = signal::ctrl_c().await;
///         online.shutdown(std::time::Duration::from_secs(5)).await;
///     });
///     let listener = std::net::TcpListener::bind("127.0.0.1:3000")?;
///     herenow_actix::serve(server, listener, app)?.run().await
/// }
/// ```
///
/// # Errors
/// The listener is no good.
pub fn serve<F, I, S, B>(server: ServerBuilder, listener: TcpListener, app: F) -> io::Result<ServerBuilder>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let stopping = server.graceful_shutdown_signal();
    server.listen("herenow", listener, move || {
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .h1_allow_half_closed(false)
            .on_connect_ext(|lent: &Lent, extensions| _ = extensions.insert(lent.handover.clone()))
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(|tcp: TcpStream| {
            herenow::adapter::tune(&tcp);
            let peer = tcp.peer_addr().ok();
            ready(Ok((Lent::new(tcp), Protocol::Http1, peer)))
        })
        .and_then(http)
    })
}
