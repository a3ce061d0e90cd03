//! [`OnlineLayer`]: the core's layer, told where axum keeps the peer's address.

use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Extensions};
use herenow::{
    OnlineManager,
    http::{OnlineService, RequireUserLayer},
};
use tower_layer::Layer;

/// Finds out who asks, for every route it stands before; [`CurrentUser`](crate::CurrentUser) insists.
///
/// The peer's address, which limits per address go by, is known where the application is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
///
/// ```
/// use axum::{Router, routing::get};
/// use herenow_axum::{CurrentUser, OnlineLayer, OnlineManager};
///
/// let online = OnlineManager::new();
/// let app: Router = Router::new()
///     .route("/me", get(|user: CurrentUser| async move { user.login_id().to_owned() }))
///     .layer(OnlineLayer::new(&online));
/// ```
#[derive(Clone, Debug)]
pub struct OnlineLayer(herenow::http::OnlineLayer);

impl OnlineLayer {
    /// A layer that asks this manager. It refuses nothing by itself.
    pub fn new(online: &OnlineManager) -> Self {
        Self(herenow::http::OnlineLayer::new(online).peer(peer))
    }

    /// Refuses whoever is no valid user, before any handler. Not for routes that upgrade: a browser sees nothing of
    /// its refusals, and [`OnlineUpgrade`](crate::OnlineUpgrade) refuses by itself.
    pub fn require_user(self) -> RequireUserLayer {
        self.0.require_user()
    }
}

impl<S> Layer<S> for OnlineLayer {
    type Service = OnlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}
