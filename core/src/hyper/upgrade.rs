//! From hyper's upgrade to a connection that herenow drives.

use ::http::Extensions;
use ::hyper::{
    ext::Protocol,
    upgrade::{OnUpgrade, Upgraded},
};
use bytes::Bytes;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade};
use tokio::net::TcpStream;

use crate::{Admission, Io};

/// Waits until hyper lets go of the socket, then serves the connection until it ends. To be spawned on tokio, once the
/// response is made.
///
/// The connection gets a task of its own, so that an idle one keeps nothing of the upgrade. Dropped before the upgrade,
/// it gives the place back; where the client is gone before, so does this.
///
/// ```
/// # use herenow::Admission;
/// fn start<B>(request: &mut http::Request<B>, admission: Admission) -> http::Response<String> {
///     let response = admission.response().map(|()| String::new());
///     tokio::spawn(herenow::hyper::drive(hyper::upgrade::on(request), admission));
///     response
/// }
/// ```
pub async fn drive(on_upgrade: OnUpgrade, admission: Admission) {
    match on_upgrade.await {
        Ok(upgraded) => {
            let (io, leftover) = io(upgraded);
            tokio::spawn(admission.drive(io, leftover));
        }
        Err(error) => tracing::debug!(?error, "the client was gone before the upgrade"),
    }
}

/// What [`Admission::drive`] wants: the transport, and the bytes that came with the request. The TCP stream itself where
/// it is one, with `TCP_NODELAY`; TLS and HTTP/2 in a box, which feeds its early bytes by itself.
///
/// It finds the stream where the server was given a `TokioIo<TcpStream>` of hyper-util's.
///
/// ```
/// # async fn switched(upgraded: hyper::upgrade::Upgraded, admission: herenow::Admission) {
/// let (io, leftover) = herenow::hyper::io(upgraded);
/// admission.drive(io, leftover).await;
/// # }
/// ```
pub fn io(upgraded: Upgraded) -> (Io, Bytes) {
    match plain_tcp(upgraded) {
        Ok((stream, leftover)) => {
            // Without it a push waits for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            (Io::Tcp(stream), leftover)
        }
        Err(upgraded) => (Io::boxed(TokioIo::new(upgraded)), Bytes::new()),
    }
}

/// As a server that speaks both versions wraps it, and as one of hyper's own HTTP/1 does.
fn plain_tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>()?;
            Ok((parts.io.into_inner(), parts.read_buf))
        }
    }
}

/// Whether a request of HTTP/2 asks for a WebSocket, with `:protocol = websocket` (RFC 8441): what
/// [`Visit::upgrade`](crate::http::Visit::upgrade) and [`Guest::new`](crate::http::Guest::new) want to know.
///
/// ```
/// let mut connect = http::Request::connect("https://app.example/ws").body(()).unwrap();
/// assert!(!herenow::hyper::is_extended_connect(connect.extensions()));
/// connect.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
/// assert!(herenow::hyper::is_extended_connect(connect.extensions()));
/// ```
pub fn is_extended_connect(extensions: &Extensions) -> bool {
    extensions.get::<Protocol>().is_some_and(|asked| asked.as_str() == "websocket")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ::http::{Request, Response, StatusCode};
    use ::hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;
    use crate::hyper::Connections;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nearly";

    /// Upgrades, and says what became of the socket.
    async fn switch(
        found: mpsc::UnboundedSender<(Io, Bytes)>,
        request: Request<Incoming>,
    ) -> Result<Response<String>, Infallible> {
        let upgrades = ::hyper::upgrade::on(request);
        tokio::spawn(async move { found.send(io(upgrades.await.unwrap())).unwrap() });
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        Ok(response.header("connection", "upgrade").header("upgrade", "x").body(String::new()).unwrap())
    }

    #[tokio::test]
    async fn a_plain_tcp_stream_is_itself_again_with_what_came_early_whichever_server_had_it() {
        for speaks_both in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.write_all(HEAD).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
            let (found, mut finds) = mpsc::unbounded_channel();
            let service = service_fn(move |request| switch(found.clone(), request));
            let connections = Connections::new();
            if speaks_both {
                connections.serve(stream, service);
            } else {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection.with_upgrades());
            }
            let (io, leftover) = finds.recv().await.unwrap();
            let Io::Tcp(stream) = io else { panic!("it is boxed, {speaks_both}") };
            assert!(stream.nodelay().unwrap());
            assert_eq!(&leftover[..], b"early");
        }
    }

    #[tokio::test]
    async fn any_other_transport_is_boxed_and_feeds_what_came_early() {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(HEAD).await.unwrap();
        let (found, mut finds) = mpsc::unbounded_channel();
        let connections = Connections::new();
        connections.serve(server, service_fn(move |request| switch(found.clone(), request)));
        let (io, leftover) = finds.recv().await.unwrap();
        let Io::Dyn(mut boxed) = io else { panic!("it is no TCP stream") };
        let mut early = [0; 5];
        boxed.read_exact(&mut early).await.unwrap();
        assert_eq!((&early, leftover.is_empty()), (b"early", true));
    }
}
