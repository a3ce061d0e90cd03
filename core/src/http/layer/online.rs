//! [`OnlineLayer`]: finds out who asks.

use std::{
    fmt,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use ::http::{Extensions, Request, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use super::RequireUserLayer;
use crate::{
    OnlineManager, adapter,
    http::{RequestInfo, Visit},
};

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

    /// Refuses whoever is no valid user, before the handler; a gRPC call as gRPC has it, see [`RequireUserLayer`].
    ///
    /// Routes that upgrade must not stand behind it: a browser sees nothing of an HTTP refusal of an upgrade, so
    /// they refuse by themselves. In a debug build a warning says so.
    pub fn require_user(self) -> RequireUserLayer {
        RequireUserLayer::new(self)
    }

    pub(super) async fn look(&self, parts: &mut Parts) -> Visit {
        let request = RequestInfo::from(&*parts);
        let request = match (self.peer)(&parts.extensions) {
            Some(peer) => request.with_peer(peer),
            None => request,
        };
        adapter::look(&self.manager, request, &parts.uri, &mut parts.extensions).await
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
pub(super) type Answer<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

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

/// The service that said it is ready; a fresh clone waits in its place.
pub(super) fn take_ready<S: Clone>(inner: &mut S) -> S {
    let fresh = inner.clone();
    mem::replace(inner, fresh)
}
