//! [`tune`]: what an ordinary `HttpServer` has to be told, since it keeps its sockets for itself.

use std::{any::Any, fmt::Debug, sync::Once, time::Duration};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::{
    Error, HttpRequest, HttpServer,
    body::MessageBody,
    dev::{AppConfig, Extensions, Response},
    rt::net::TcpStream,
};
use socket2::SockRef;

/// How long a client may leave unread what was sent, before the kernel ends its connection.
const USER_TIMEOUT: Duration = Duration::from_secs(15);
/// What actix gathers before it writes. Its own 32 KiB stay with a connection for good, once they were filled.
const WRITE_BUFFER: usize = 4096;

/// Left in a connection's extensions.
struct Tuned;

/// Sets up a server for connections that stay: call it before `bind` or `listen`.
///
/// | what | why |
/// |---|---|
/// | [`on_connect`] | `TCP_USER_TIMEOUT` of 15 s: actix never lets go of a client that does not read; `TCP_NODELAY` |
/// | `h1_write_buffer_size(4096)` | half the memory of a connection |
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
        .h1_write_buffer_size(WRITE_BUFFER)
        .client_disconnect_timeout(Duration::ZERO)
        .h1_allow_half_closed(false)
}

/// What [`tune`] does to every connection. TLS connections are known with the feature `rustls-0_23`; for those of
/// another library call [`tune_socket`] beside it.
pub fn on_connect(io: &dyn Any, extensions: &mut Extensions) {
    static UNKNOWN: Once = Once::new();
    match tcp(io) {
        Some(socket) => tune_socket(socket),
        None => UNKNOWN.call_once(|| {
            tracing::warn!(
                "no TCP socket was found in a connection, so a client that does not read holds it: switch on \
                 herenow-actix's feature `rustls-0_23`, or call `tune_socket` in `on_connect`"
            );
        }),
    }
    extensions.insert(Tuned);
}

/// Sets `TCP_USER_TIMEOUT` (on Linux and Android) and `TCP_NODELAY`.
pub fn tune_socket(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(USER_TIMEOUT));
}

fn tcp(io: &dyn Any) -> Option<&TcpStream> {
    #[cfg(feature = "rustls-0_23")]
    if let Some(tls) = io.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<TcpStream>>() {
        return Some(tls.get_ref().0);
    }
    io.downcast_ref()
}

/// Tells the developer, once, of a server that was not set up.
pub(crate) fn warn_if_missing(request: &HttpRequest) {
    static MISSING: Once = Once::new();
    if request.conn_data::<Tuned>().is_none() {
        MISSING.call_once(|| {
            tracing::warn!(
                "a client that does not read holds its connection to this server for ever: wrap the server as \
                 `herenow_actix::tune(HttpServer::new(..))` before `bind`, or use `herenow_actix::serve`"
            );
        });
    }
}
