//! [`OnlineUpgrade`] and [`GuestUpgrade`]: from a request to a connection that herenow drives.

use std::fmt;

use herenow::{
    Admission, Io,
    adapter::Bytes,
    http::Guest,
    hyper::{drive, is_extended_connect},
};
use hyper::upgrade::OnUpgrade;
use poem::{FromRequest, Request, RequestBody, Response, Result};

use crate::{
    error::{Rejection, response},
    extract::visit,
    layer::info,
};

/// A WebSocket request that may become a connection; whatever speaks against it is refused before, with 400, 401,
/// 403, 426, 429 or 503 and a JSON body.
///
/// Dropped without [`start`](Self::start) or [`serve`](Self::serve), it gives its place back. Where nothing but the
/// hooks is to say, [`OnlineEndpoint`](crate::OnlineEndpoint) needs no handler.
///
/// ```
/// use herenow_poem::{OnlineUpgrade, Reply};
/// use poem::{Response, Route, handler};
///
/// #[handler]
/// async fn ws(upgrade: OnlineUpgrade) -> Response {
///     upgrade
///         .on_message(|connection, inbound| async move {
///             println!("{:?} says {inbound:?}", connection.user());
///             Ok(Reply::None)
///         })
///         .start()
/// }
/// # let _ = Route::new().at("/ws", ws);
/// ```
#[must_use = "nothing is upgraded until `start()` or `serve(..)` makes the response"]
pub struct OnlineUpgrade {
    pub(crate) admission: Admission,
    socket: Waiting,
}

impl OnlineUpgrade {
    herenow::adapter_upgrade! {
        /// ```
        /// # use herenow_poem::OnlineUpgrade;
        /// # use poem::{Response, Route, handler};
        /// #[handler]
        /// async fn numbered(upgrade: OnlineUpgrade) -> Response {
        ///     upgrade.serve(|mut socket| async move {
        ///         let mut count = 0;
        ///         while socket.recv().await.is_some() {
        ///             count += 1;
        ///             let _ = socket.send(format!("{count} messages so far"));
        ///         }
        ///     })
        /// }
        /// # let _ = Route::new().at("/ws", numbered);
        /// ```
        Response
    }

    /// Upgrades: the user is online from then on until the socket ends, however it ends. Needs a tokio runtime.
    pub fn start(self) -> Response {
        let upgrades = response(self.admission.response());
        match self.socket {
            Waiting::Hyper(on_upgrade) => tokio::spawn(drive(on_upgrade, self.admission)),
            Waiting::Poem(on_upgrade) => tokio::spawn(drive_boxed(on_upgrade, self.admission)),
        };
        upgrades
    }

    fn of(admission: Admission, socket: Option<Waiting>) -> Result<Self, Rejection> {
        Ok(Self { admission, socket: socket.ok_or_else(Rejection::no_upgrade)? })
    }
}

impl fmt::Debug for OnlineUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineUpgrade").field("admission", &self.admission).finish_non_exhaustive()
    }
}

impl<'a> FromRequest<'a> for OnlineUpgrade {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let admission =
            visit(request)?.upgrade(request.version(), is_extended_connect(request.extensions())).await;
        Ok(Self::of(admission.map_err(Rejection)?, Waiting::of(request))?)
    }
}

/// A WebSocket request of somebody without a token: the application says who it is. Needs no middleware.
///
/// ```
/// use herenow_poem::{GuestUpgrade, OnlineManager, auth::Identity};
/// use poem::{EndpointExt, Response, Result, Route, handler, web::{Data, Path}};
///
/// #[handler]
/// async fn by_link(
///     Data(online): Data<&OnlineManager>,
///     Path(reader): Path<String>,
///     guest: GuestUpgrade,
/// ) -> Result<Response> {
///     Ok(guest.admit(online, Identity::new(reader).device("link")).await?.start())
/// }
/// # let _ = Route::new().at("/read/:reader", by_link).data(OnlineManager::new());
/// ```
#[must_use = "nothing is decided until `admit(..)` or `wait(..)`"]
pub struct GuestUpgrade {
    guest: Guest,
    socket: Option<Waiting>,
}

impl GuestUpgrade {
    herenow::adapter_guest!();
}

impl fmt::Debug for GuestUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestUpgrade").field("guest", &self.guest).finish_non_exhaustive()
    }
}

impl<'a> FromRequest<'a> for GuestUpgrade {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let guest = Guest::new(info(request), request.version(), is_extended_connect(request.extensions()));
        Ok(Self { guest, socket: Waiting::of(request) })
    }
}

/// The socket, once hyper lets go of it.
enum Waiting {
    /// As hyper has it, from [`serve`](crate::serve()): what it becomes can be a plain TCP stream again.
    Hyper(OnUpgrade),
    /// As poem's own server wraps it.
    Poem(poem::OnUpgrade),
}

/// Where [`serve`](crate::serve()) leaves the upgrade, before poem takes it.
#[derive(Clone)]
pub(crate) struct Kept(pub(crate) OnUpgrade);

impl Waiting {
    fn of(request: &Request) -> Option<Self> {
        let of_poem = request.take_upgrade().ok()?; // Whoever took it before us has the socket.
        Some(match request.data::<Kept>() {
            Some(Kept(on_upgrade)) => Self::Hyper(on_upgrade.clone()),
            None => Self::Poem(of_poem),
        })
    }
}

async fn drive_boxed(on_upgrade: poem::OnUpgrade, admission: Admission) {
    match on_upgrade.await {
        Ok(upgraded) => drop(tokio::spawn(admission.drive(Io::boxed(upgraded), Bytes::new()))),
        Err(error) => tracing::debug!(?error, "the client was gone before the upgrade"),
    }
}

#[cfg(test)]
mod tests {
    use herenow::hyper::{Connections, io};
    use poem::{Route, endpoint::make, http::StatusCode, listener::TcpAcceptor};
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn a_plain_tcp_stream_is_driven_as_one_with_what_came_early() {
        let (found, mut finds) = mpsc::unbounded_channel();
        let endpoint = make(move |request: Request| {
            let (found, socket) = (found.clone(), Waiting::of(&request));
            async move {
                let Some(Waiting::Hyper(on_upgrade)) = socket else { return StatusCode::BAD_GATEWAY.into() };
                tokio::spawn(async move { found.send(io(on_upgrade.await.unwrap())).unwrap() });
                let upgrades = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
                upgrades.header("connection", "Upgrade").header("upgrade", "x").finish()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Route::new().at("/", endpoint);
        let server = crate::serve_with_acceptor(TcpAcceptor::from_tokio(listener).unwrap(), app);
        tokio::spawn(server.until(std::future::pending()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nearly")
            .await
            .unwrap();
        let (io, leftover) =
            tokio::time::timeout(Connections::HEAD_TIMEOUT, finds.recv()).await.unwrap().unwrap();
        let Io::Tcp(stream) = io else { panic!("it is boxed") };
        assert!(stream.nodelay().unwrap());
        assert_eq!(&leftover[..], b"early");
    }
}
