//! A tower layer over `http::Request`, for whatever speaks it: axum, tonic, hyper, warp.

use std::{
    fmt,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use ::http::{Extensions, Method, Request, Response, header, request::Parts};
use bytes::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use super::{RequestInfo, Visit};
use crate::OnlineManager;

/// Finds out who asks: authenticates, counts as activity, and puts the [`Visit`] and, where the request names a user,
/// the `Arc<Identity>` into the request's extensions. It refuses nothing by itself.
///
/// An `Arc<Identity>` that an earlier layer put there counts before every credential.
#[derive(Clone)]
pub struct OnlineLayer {
    manager: OnlineManager,
    peer: PeerOf,
}

/// Where a server leaves the address of the peer in a request's extensions.
type PeerOf = fn(&Extensions) -> Option<SocketAddr>;

impl OnlineLayer {
    /// A layer that asks this manager. The peer's address is the `SocketAddr` in the extensions, where there is one.
    pub fn new(manager: &OnlineManager) -> Self {
        Self { manager: manager.clone(), peer: |extensions| extensions.get().copied() }
    }

    /// Says where the server leaves the address of the peer. Default: a plain `SocketAddr` in the extensions.
    #[must_use]
    pub fn peer(mut self, peer: fn(&Extensions) -> Option<SocketAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Refuses whoever is no valid user, before the handler.
    ///
    /// Routes that upgrade must not stand behind it: a browser sees nothing of an HTTP refusal of an upgrade, so
    /// they refuse by themselves. In a debug build a warning says so.
    pub fn require_user(self) -> RequireUserLayer {
        RequireUserLayer(self)
    }

    async fn look(&self, parts: &mut Parts) -> Visit {
        let request = RequestInfo::from(&*parts);
        let request = match (self.peer)(&parts.extensions) {
            Some(peer) => request.with_peer(peer),
            None => request,
        };
        let visit = Visit::look(&self.manager, request, &parts.uri, &parts.extensions).await;
        if let Ok(Some(identity)) = visit.user() {
            parts.extensions.insert(identity);
        }
        parts.extensions.insert(visit.clone());
        visit
    }
}

impl fmt::Debug for OnlineLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnlineLayer")
    }
}

impl<S> Layer<S> for OnlineLayer {
    type Service = OnlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OnlineService { inner, layer: self.clone() }
    }
}

/// The service of [`OnlineLayer`].
#[derive(Clone, Debug)]
pub struct OnlineService<S> {
    inner: S,
    layer: OnlineLayer,
}

/// What the services answer with.
type Answer<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, B> Service<Request<B>> for OnlineService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, layer) = (take_ready(&mut self.inner), self.layer.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            layer.look(&mut parts).await;
            inner.call(Request::from_parts(parts, body)).await
        })
    }
}

/// [`OnlineLayer`] that insists on a user; made by [`OnlineLayer::require_user`].
#[derive(Clone, Debug)]
pub struct RequireUserLayer(OnlineLayer);

impl<S> Layer<S> for RequireUserLayer {
    type Service = RequireUserService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireUserService { inner, layer: self.0.clone() }
    }
}

/// The service of [`RequireUserLayer`].
#[derive(Clone, Debug)]
pub struct RequireUserService<S> {
    inner: S,
    layer: OnlineLayer,
}

impl<S, B, B2> Service<Request<B>> for RequireUserService<S>
where
    S: Service<Request<B>, Response = Response<B2>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    B2: From<Bytes>,
{
    type Response = Response<B2>;
    type Error = S::Error;
    type Future = Answer<Response<B2>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, layer) = (take_ready(&mut self.inner), self.layer.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let visit = layer.look(&mut parts).await;
            warn_of_upgrade(visit.request());
            match visit.require_user() {
                Ok(_) => inner.call(Request::from_parts(parts, body)).await,
                Err(refusal) => Ok(refusal.into_response().map(B2::from)),
            }
        })
    }
}

/// Tells the developer about a route that cannot refuse visibly.
fn warn_of_upgrade(request: &RequestInfo) {
    let upgrades = request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT;
    if cfg!(debug_assertions) && upgrades {
        tracing::warn!(
            path = ?request.path(),
            "a route that upgrades must not stand behind `require_user()`: a browser sees nothing of its refusals"
        );
    }
}

/// The service that said it is ready; a fresh clone waits in its place.
fn take_ready<S: Clone>(inner: &mut S) -> S {
    let fresh = inner.clone();
    mem::replace(inner, fresh)
}
