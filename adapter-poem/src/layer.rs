//! [`OnlineMiddleware`]: what the core's layer does, for poem.

use std::fmt;

use herenow::{
    OnlineManager, adapter,
    http::{Refusal, RequestInfo, Visit},
};
use poem::{
    Endpoint, Middleware, Request, Result,
    http::{Method, uri::Scheme},
};

use crate::error::Rejection;

/// Finds out who asks, for every endpoint it stands around; [`CurrentUser`](crate::CurrentUser) insists.
///
/// By itself it refuses two different credentials in one request (400), and every request with a credential while the
/// store of tokens does not answer (503): `Option<CurrentUser>` would take both for nobody, since poem drops the error.
///
/// The peer's address, which limits per address go by, is the one of poem's `RemoteAddr`.
///
/// ```
/// use herenow_poem::{CurrentUser, OnlineManager, OnlineMiddleware};
/// use poem::{EndpointExt, Route, get, handler};
///
/// #[handler]
/// async fn me(user: CurrentUser) -> String {
///     user.login_id().to_owned()
/// }
///
/// let online = OnlineManager::new();
/// let app = Route::new().at("/me", get(me)).with(OnlineMiddleware::new(&online));
/// ```
#[derive(Clone)]
pub struct OnlineMiddleware {
    manager: OnlineManager,
    verdict: Verdict,
}

/// Which visits do not reach the endpoint.
type Verdict = fn(&Visit) -> Result<(), Refusal>;

impl OnlineMiddleware {
    /// A middleware that asks this manager.
    pub fn new(online: &OnlineManager) -> Self {
        Self { manager: online.clone(), verdict: adapter::refuse_undecided }
    }

    /// Refuses whoever is no valid user, before any handler. Not for routes that upgrade: a browser sees nothing of
    /// its refusals, and [`OnlineUpgrade`](crate::OnlineUpgrade) refuses by itself.
    #[must_use]
    pub fn require_user(mut self) -> Self {
        self.verdict = adapter::refuse_nobody;
        self
    }
}

impl fmt::Debug for OnlineMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnlineMiddleware")
    }
}

impl<E: Endpoint> Middleware<E> for OnlineMiddleware {
    type Output = Identified<E>;

    fn transform(&self, inner: E) -> Identified<E> {
        Identified { inner, middleware: self.clone() }
    }
}

/// An endpoint with [`OnlineMiddleware`] around it.
#[derive(Clone, Debug)]
pub struct Identified<E> {
    inner: E,
    middleware: OnlineMiddleware,
}

impl<E: Endpoint> Endpoint for Identified<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        let (info, uri) = (info(&request), request.uri().clone());
        let visit = adapter::look(&self.middleware.manager, info, &uri, request.extensions_mut()).await;
        (self.middleware.verdict)(&visit).map_err(Rejection)?;
        self.inner.call(request).await
    }
}

/// The method as the client sent it: poem's `get` makes a GET of HEAD, which may not upgrade.
#[derive(Clone)]
pub(crate) struct Sent(pub(crate) Method);

/// What the request says.
pub(crate) fn info(request: &Request) -> RequestInfo {
    let method = request.data().map_or(request.method(), |Sent(method)| method);
    let mut info = RequestInfo::new(method.clone(), request.uri(), request.headers().clone());
    if let Some(peer) = request.remote_addr().as_socket_addr() {
        info = info.with_peer(*peer);
    }
    if *request.scheme() == Scheme::HTTPS {
        info = info.with_secure(true); // HTTP may still be TLS at a proxy.
    }
    info
}
