//! [`tune`]: what an ordinary `HttpServer` has to be told, since it keeps its sockets for itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{any::Any, fmt::Debug, time::Duration};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::{AppConfig, Extensions, Response};
use actix_web::{Error, HttpRequest, HttpServer, body::MessageBody, rt::net::TcpStream};

/// Left in a connection's extensions.
struct Tuned;

/// Sets up a server for connections that stay: call it before `bind` or `listen`.
///
/// | what | why |
/// |---|---|
/// | [`on_connect`] | `TCP_USER_TIMEOUT` of 15 s: actix never lets go of a client that does not read, so the kernel does |
/// | `tcp_nodelay(true)` | else a push waits for the acknowledgement of the one before |
/// | `h1_write_buffer_size(4096)` | actix's own 32 KiB stay with a connection once they were filled |
/// | `client_disconnect_timeout(0)` | no second between our close frame and the end of the connection |
/// | `h1_allow_half_closed(false)` | a closed page that only listened is noticed at once |
///
/// An application that has an `on_connect` of its own calls [`on_connect`] in there, since a server has one at most:
///
/// ```no_run
/// use actix_web::{App, HttpServer};
///
/// # fn main() -> std::io::Result<()> {
/// let server = herenow_actix::tune(HttpServer::new(App::new)).on_connect(|io, extensions| {
///     herenow_actix::on_connect(io, extensions);
///     // … and what the application wants to know of a connection.
/// });
/// server.bind("127.0.0.1:3000")?;
/// # Ok(()) }
/// ```
pub fn tune<F, I, S, B>(server: HttpServer<F, I, S, B>) -> HttpServer<F, I, S, B>
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
    server
        .on_connect(on_connect)
        .tcp_nodelay(true)
        .h1_write_buffer_size(4096)
        .client_disconnect_timeout(Duration::ZERO)
        .h1_allow_half_closed(false)
}

/// What [`tune`] does to every connection. It finds the socket below TLS with the feature `rustls-0_23`; below TLS of
/// another library, hand it to [`tune_socket`].
pub fn on_connect(io: &dyn Any, extensions: &mut Extensions) {
    #[cfg(feature = "rustls-0_23")]
    if let Some(tls) = io.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<TcpStream>>() {
        return tune_socket(tls.get_ref().0, extensions);
    }
    if let Some(socket) = io.downcast_ref() {
        tune_socket(socket, extensions);
    }
}

/// Sets `TCP_USER_TIMEOUT` (on Linux and Android) and `TCP_NODELAY`.
pub fn tune_socket(socket: &TcpStream, extensions: &mut Extensions) {
    herenow::adapter::tune(socket);
    extensions.insert(Tuned);
}

/// Tells the developer, once, of a socket that nobody tuned.
pub(crate) fn warn_if_missing(request: &HttpRequest) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if request.conn_data::<Tuned>().is_none() && !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "clients that do not read can hold their sockets: `herenow_actix::tune(HttpServer::new(..))` before `bind`"
        );
    }
}
