//! [`OnlineUpgrade`]: from a request to a connection that herenow drives.

use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    http::request::Parts,
    response::Response,
};
use herenow::{Admission, Io};
use hyper::{
    ext::Protocol,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::net::TcpStream;

use crate::{error::Rejection, extract::visit};

/// A WebSocket request that may become a connection; whatever speaks against it is refused before, with 400, 401,
/// 403, 426, 429 or 503 and a JSON body.
///
/// Dropped without [`start`](Self::start) or [`serve`](Self::serve), it gives its place back.
///
/// ```
/// use axum::response::Response;
/// use herenow_axum::{OnlineUpgrade, Reply};
///
/// async fn ws(upgrade: OnlineUpgrade) -> Response {
///     upgrade
///         .on_message(|connection, inbound| async move {
///             println!("{:?} says {inbound:?}", connection.user());
///             Ok(Reply::None)
///         })
///         .start()
/// }
/// # let _: axum::Router = axum::Router::new().route("/ws", axum::routing::any(ws));
/// ```
#[derive(Debug)]
#[must_use = "nothing is upgraded until `start()` or `serve(..)` makes the response"]
pub struct OnlineUpgrade {
    admission: Admission,
    on_upgrade: OnUpgrade,
}

impl OnlineUpgrade {
    herenow::adapter_upgrade! {
        /// ```
        /// # use axum::response::Response;
        /// # use herenow_axum::OnlineUpgrade;
        /// async fn numbered(upgrade: OnlineUpgrade) -> Response {
        ///     upgrade.serve(|mut socket| async move {
        ///         let mut count = 0;
        ///         while socket.recv().await.is_some() {
        ///             count += 1;
        ///             let _ = socket.send(format!("{count} messages so far"));
        ///         }
        ///     })
        /// }
        /// # let _: axum::Router = axum::Router::new().route("/ws", axum::routing::any(numbered));
        /// ```
        Response
    }

    /// Upgrades: the user is online from then on until the socket ends, however it ends. Needs a tokio runtime.
    pub fn start(self) -> Response {
        let response = self.admission.response().map(|()| Body::empty());
        tokio::spawn(drive(self.on_upgrade, self.admission));
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnlineUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let extended = parts.extensions.get::<Protocol>().is_some_and(|asked| asked.as_str() == "websocket");
        let admission = visit(parts)?.upgrade(parts.version, extended).await?;
        let on_upgrade = parts.extensions.remove().ok_or_else(Rejection::no_upgrade)?;
        Ok(Self { admission, on_upgrade })
    }
}

/// Waits until hyper lets go of the socket. The connection gets a task of its own, so that an idle one keeps nothing
/// of the upgrade.
async fn drive(on_upgrade: OnUpgrade, admission: Admission) {
    match on_upgrade.await {
        Ok(upgraded) => {
            let (io, leftover) = transport(upgraded);
            tokio::spawn(admission.drive(io, leftover));
        }
        Err(error) => tracing::debug!(?error, "the client was gone before the upgrade"),
    }
}

/// The TCP stream itself where it is one; TLS and HTTP/2 in a box, which feeds its early bytes by itself.
fn transport(upgraded: Upgraded) -> (Io, Bytes) {
    match plain_tcp(upgraded) {
        Ok((stream, leftover)) => {
            // Without it a push waits for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            (Io::Tcp(stream), leftover)
        }
        Err(upgraded) => (Io::boxed(TokioIo::new(upgraded)), Bytes::new()),
    }
}

/// As `axum::serve` wraps it, and as a server of hyper's own HTTP/1 does.
fn plain_tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>()?;
            Ok((parts.io.into_inner(), parts.read_buf))
        }
    }
}
