//! [`OnlineUpgrade`] and [`GuestUpgrade`]: from a request to a connection that herenow drives.

use std::convert::Infallible;

use axum::{body::Body, extract::FromRequestParts, http::request::Parts, response::Response};
use herenow::{
    Admission,
    http::{Guest, RequestInfo},
    hyper::{drive, is_extended_connect},
};
use hyper::upgrade::OnUpgrade;

use crate::{error::Rejection, extract::visit, layer::peer};

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

    fn of(admission: Admission, on_upgrade: Option<OnUpgrade>) -> Result<Self, Rejection> {
        Ok(Self { admission, on_upgrade: on_upgrade.ok_or_else(Rejection::no_upgrade)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnlineUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let admission = visit(parts)?.upgrade(parts.version, is_extended_connect(&parts.extensions)).await?;
        Self::of(admission, parts.extensions.remove())
    }
}

/// A WebSocket request of somebody without a token: the application says who it is. Needs no layer.
///
/// ```
/// use axum::{extract::{Path, State}, response::Response};
/// use herenow_axum::{GuestUpgrade, OnlineManager, Rejection, auth::Identity};
///
/// async fn by_link(
///     State(online): State<OnlineManager>,
///     Path(reader): Path<String>,
///     guest: GuestUpgrade,
/// ) -> Result<Response, Rejection> {
///     Ok(guest.admit(&online, Identity::new(reader).device("link")).await?.start())
/// }
/// # let online = OnlineManager::new();
/// # let _: axum::Router =
/// #     axum::Router::new().route("/read/{reader}", axum::routing::any(by_link)).with_state(online);
/// ```
#[derive(Debug)]
#[must_use = "nothing is decided until `admit(..)` or `wait(..)`"]
pub struct GuestUpgrade {
    guest: Guest,
    socket: Option<OnUpgrade>,
}

impl GuestUpgrade {
    herenow::adapter_guest!();
}

impl<S: Send + Sync> FromRequestParts<S> for GuestUpgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let guest = Guest::new(info(parts), parts.version, is_extended_connect(&parts.extensions));
        Ok(Self { guest, socket: parts.extensions.remove() })
    }
}

fn info(parts: &Parts) -> RequestInfo {
    let info = RequestInfo::from(parts);
    match peer(&parts.extensions) {
        Some(peer) => info.with_peer(peer),
        None => info,
    }
}
