//! A tower layer over `http::Request`, for whatever speaks it: axum, tonic, hyper, warp.

use std::{
    fmt,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{Extensions, Method, Request, Response, header, request::Parts};
use bytes::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use super::{RequestInfo, Visit};
use crate::{OnlineManager, auth::Identity};

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
        match visit.user() {
            Ok(Some(identity)) => drop(parts.extensions.insert(identity)),
            Ok(None) => {}
            // Whom an earlier layer named and this one refuses is nobody for whoever comes after it.
            Err(_) => drop(parts.extensions.remove::<Arc<Identity>>()),
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

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, convert::Infallible, future::Ready, sync::Arc, time::Duration};

    use chrono::DateTime;

    use super::*;
    use crate::{
        Builder, OnlineUser,
        auth::{AuthError, Credential, Identity},
    };

    /// Answers with what it finds in the extensions; may be called only once it said that it is ready.
    #[derive(Default)]
    struct Handler {
        ready: bool,
    }

    impl Clone for Handler {
        fn clone(&self) -> Self {
            Self::default()
        }
    }

    impl Service<Request<()>> for Handler {
        type Response = Response<Bytes>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Bytes>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            assert!(self.ready, "called before it was ready");
            let found = request.extensions();
            let name = found.get::<Arc<Identity>>().map_or("nobody", |identity| identity.user.login_id());
            let peer = found.get::<Visit>().and_then(|visit| visit.request().peer());
            std::future::ready(Ok(Response::new(format!("{name} {peer:?}").into())))
        }
    }

    fn builder() -> Builder {
        OnlineManager::builder().authenticator(|credential: Credential, _: RequestInfo| async move {
            match credential.token.expose() {
                "alices" => Ok(Identity::new("alice")),
                _ => Err(AuthError::Unauthorized),
            }
        })
    }

    fn layer() -> OnlineLayer {
        OnlineLayer::new(&builder().build().unwrap())
    }

    fn asked(token: &str) -> Request<()> {
        Request::get("/me").header("authorization", format!("Bearer {token}")).body(()).unwrap()
    }

    async fn answer<S>(mut service: S, request: Request<()>) -> (u16, String)
    where
        S: Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
    {
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        let response = service.call(request).await.unwrap();
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_layer_finds_out_and_refuses_nobody() {
        let service = layer().layer(Handler::default());
        for (token, expected) in [("alices", "alice None"), ("forged", "nobody None")] {
            assert_eq!(answer(service.clone(), asked(token)).await, (200, expected.to_owned()));
        }
        let anonymous = Request::get("/").body(()).unwrap();
        assert_eq!(answer(service, anonymous).await.1, "nobody None");
    }

    #[tokio::test]
    async fn an_identity_of_an_earlier_layer_counts_before_the_token() {
        let mut request = asked("forged");
        request.extensions_mut().insert(Arc::new(Identity::new("bob")));
        assert_eq!(answer(layer().layer(Handler::default()), request).await.1, "bob None");
    }

    #[tokio::test]
    async fn an_upgrade_of_another_origin_is_refused_whoever_found_the_user() {
        let mut request = Request::get("/ws")
            .header("host", "app.example")
            .header("origin", "https://evil.example")
            .header("upgrade", "websocket")
            .body(())
            .unwrap();
        request.extensions_mut().insert(Arc::new(Identity::new("bob")));
        let service = layer().require_user().layer(Handler::default());
        assert_eq!(answer(service, request).await.0, 403);
    }

    #[tokio::test]
    async fn the_peer_comes_from_where_the_server_left_it() {
        let peer: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let mut request = asked("alices");
        request.extensions_mut().insert(peer);
        assert_eq!(
            answer(layer().layer(Handler::default()), request.clone()).await.1,
            format!("alice {:?}", Some(peer))
        );
        let blind = layer().peer(|_| None).layer(Handler::default());
        assert_eq!(answer(blind, request).await.1, "alice None");
    }

    #[tokio::test]
    async fn a_layer_that_insists_refuses_before_the_handler() {
        let service = layer().require_user().layer(Handler::default());
        assert_eq!(answer(service.clone(), asked("alices")).await, (200, "alice None".to_owned()));
        let (status, body) = answer(service.clone(), asked("forged")).await;
        assert_eq!((status, body.as_str()), (401, r#"{"code":401,"content":"a valid token is needed"}"#));
        assert_eq!(answer(service, Request::get("/").body(()).unwrap()).await, (status, body));
    }

    #[tokio::test(start_paused = true)]
    async fn an_authenticated_request_counts_as_activity() {
        let online = builder().build().unwrap();
        let since = DateTime::UNIX_EPOCH;
        online
            .mark_online(OnlineUser {
                login_id: "alice".into(),
                token: "alices".into(),
                device: String::new(),
                connect_time: since,
                last_activity: since,
                metadata: HashMap::new(),
            })
            .await;
        let before = online.get_user_sessions("alice").await[0].last_activity;
        tokio::time::advance(Duration::from_secs(1)).await;
        answer(OnlineLayer::new(&online).layer(Handler::default()), asked("alices")).await;
        assert!(online.get_user_sessions("alice").await[0].last_activity > before);
    }
}
