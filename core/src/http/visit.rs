//! What a layer learns of a request, before any handler: kept in the request's extensions.

use std::sync::Arc;

use ::http::{Extensions, Method, Uri, Version, header};

use super::{Refusal, RequestInfo, read};
use crate::{
    OnlineManager,
    auth::{Found, Identity, OriginDenied, Source, browser_says_foreign},
    connection::Admission,
    manager::Inner,
};

/// Who a request comes from, as far as it says. The layer finds out; an extractor insists.
#[derive(Clone, Debug)]
pub struct Visit {
    manager: OnlineManager,
    request: RequestInfo,
    /// Where the credential stood; `None` for an identity of an earlier layer.
    source: Option<Source>,
    user: Result<Option<Arc<Identity>>, Refusal>,
}

impl Visit {
    /// Looks at a request: an identity that an earlier layer put into the extensions, else the credential, wherever
    /// it stands. Counts as activity of that user. Refuses nothing by itself.
    ///
    /// An identity of an earlier layer is taken as if a cookie had brought it: of an upgrade, a stream or a request
    /// that writes, the builder's `origins` must admit the Origin, if there is one. Without a
    /// [`token_id`](Identity::token_id) all sessions of its user are one: a login policy counts one, a kick that
    /// spares one spares all. It gets no name of its own, since a kick would refuse that for the user's next login
    /// too.
    pub async fn look(
        manager: &OnlineManager,
        request: RequestInfo,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Self {
        let inner = manager.inner();
        // A layer within a layer: the outer one has looked.
        if let Some(visit) = extensions.get::<Self>().filter(|visit| Arc::ptr_eq(visit.inner(), inner)) {
            return visit.clone();
        }
        let (source, user) = match extensions.get::<Arc<Identity>>() {
            Some(earlier) => (None, known(inner, &request, earlier.clone()).await.map(Some)),
            None => find(inner, &request, uri).await,
        };
        if let Ok(Some(identity)) = &user {
            inner.touch_session(&identity.user, Some(identity.token_id));
        }
        Self { manager: manager.clone(), request, source, user }
    }

    /// The user, if the request names one.
    ///
    /// # Errors
    /// The refusal of a credential that is no good: forged, over, ambiguous, or not to be checked now.
    pub fn user(&self) -> Result<Option<Arc<Identity>>, Refusal> {
        self.user.clone()
    }

    /// The user.
    ///
    /// # Errors
    /// As [`user`](Self::user), and 401 where the request names nobody.
    pub fn require_user(&self) -> Result<Arc<Identity>, Refusal> {
        self.user()?.ok_or_else(Refusal::unauthorized)
    }

    /// The user, where a credential that is merely no good counts as nobody.
    ///
    /// # Errors
    /// Ambiguous credentials, and a store that cannot be asked.
    pub fn maybe_user(&self) -> Result<Option<Arc<Identity>>, Refusal> {
        match self.user() {
            Err(refusal) if refusal.status() == 401 || refusal.status() == 403 => Ok(None),
            other => other,
        }
    }

    /// Whether the request came with a one-time ticket: good for what it asks, not for another ticket.
    pub(crate) fn is_by_ticket(&self) -> bool {
        self.source == Some(Source::Ticket)
    }

    /// The manager of the layer.
    pub fn manager(&self) -> &OnlineManager {
        &self.manager
    }

    /// What the request said.
    pub fn request(&self) -> &RequestInfo {
        &self.request
    }

    /// Decides on a WebSocket upgrade; `extended_connect` where HTTP/2 asked with `:protocol = websocket`.
    ///
    /// # Errors
    /// Whatever speaks against it, before any 101. A refusal that a browser is to see is an [`Admission`] all the
    /// same, which says it on the upgraded connection and closes.
    pub async fn upgrade(&self, version: Version, extended_connect: bool) -> Result<Admission, Refusal> {
        let (method, headers) = (self.request.method(), self.request.headers());
        let handshake = read(method, version, headers, extended_connect, &self.inner().config.protocols)?;
        Admission::decide(self, handshake).await
    }

    /// Whether a page of another origin may not ask for this: for what a mere image could ask for, and what is more than
    /// reading.
    pub(crate) fn check_origin(&self) -> Result<(), Refusal> {
        match self.source {
            None => check_unknown(self.inner(), &self.request),
            source => Ok(self.inner().config.origins.check(&self.request, source)?),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        self.manager.inner()
    }
}

/// Who asks may have been found by a cookie or not: programs, which send no Origin, pass.
fn check_unknown(inner: &Inner, request: &RequestInfo) -> Result<(), Refusal> {
    if browser_says_foreign(request) && !request.headers().contains_key(header::ORIGIN) {
        return Err(OriginDenied.into());
    }
    Ok(inner.config.origins.check(request, None)?)
}

/// An earlier layer may have it from a cookie, so the Origin counts wherever it does with one of ours.
async fn known(
    inner: &Inner,
    request: &RequestInfo,
    identity: Arc<Identity>,
) -> Result<Arc<Identity>, Refusal> {
    if is_risky(request, Some(Source::Cookie)) {
        check_unknown(inner, request)?;
    }
    let identity = Arc::unwrap_or_clone(identity).seen_at(inner.clock.utc());
    not_denied(inner, Arc::new(identity)).await
}

/// Where the credential stands, and whose it is.
async fn find(
    inner: &Inner,
    request: &RequestInfo,
    uri: &Uri,
) -> (Option<Source>, Result<Option<Arc<Identity>>, Refusal>) {
    match inner.config.sources.find(uri, request.headers()) {
        Ok(found) => (found.source(), whose(inner, request, found).await),
        Err(ambiguous) => (None, Err(ambiguous.into())),
    }
}

async fn whose(inner: &Inner, request: &RequestInfo, found: Found) -> Result<Option<Arc<Identity>>, Refusal> {
    // Before any work on the token: a page of another origin learns nothing about it.
    if is_risky(request, found.source()) {
        inner.config.origins.check(request, found.source())?;
    }
    if found.malformed.is_some() {
        return Err(Refusal::unauthorized());
    }
    let Some(credential) = found.credential else { return Ok(None) };
    let identity = match credential.source {
        Source::Ticket => inner.redeem(&credential).await?,
        _ => inner.authenticate(credential, request).await?,
    };
    not_denied(inner, Arc::new(identity)).await.map(Some)
}

async fn not_denied(inner: &Inner, identity: Arc<Identity>) -> Result<Arc<Identity>, Refusal> {
    match inner.denied(&identity).await {
        Some(denial) => Err(crate::Refused::from(denial).into()),
        None => Ok(identity),
    }
}

/// A page of another origin can make a browser send these with the victim's cookie, or read what comes back.
fn is_risky(request: &RequestInfo, source: Option<Source>) -> bool {
    let upgrades = request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT;
    let streams = request.header("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    upgrades || (source == Some(Source::Cookie) && (writes || streams))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderMap;

    use super::*;

    async fn status(method: Method, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let online = OnlineManager::builder().build().unwrap();
        let mut all = HeaderMap::new();
        for (name, value) in headers.iter().chain(&[("host", "app.example")]) {
            all.insert(*name, value.parse().unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(Identity::new("alice")));
        let uri = Uri::from_static("/presence/kick");
        let visit = Visit::look(&online, RequestInfo::new(method, &uri, all), &uri, &extensions).await;
        visit.user().err().map(|refusal| refusal.status().into())
    }

    #[tokio::test]
    async fn a_page_of_another_origin_does_not_write_for_a_user_whom_an_earlier_layer_found() {
        let (foreign, own) = (("origin", "https://evil.example"), ("origin", "https://app.example"));
        let stream = ("accept", "text/event-stream");
        assert_eq!(status(Method::POST, &[foreign]).await, Some(403));
        assert_eq!(status(Method::GET, &[foreign, stream]).await, Some(403));
        for passes in
            [status(Method::POST, &[own]), status(Method::POST, &[]), status(Method::GET, &[stream])]
        {
            assert_eq!(passes.await, None);
        }
        assert_eq!(status(Method::GET, &[foreign]).await, None);
    }
}
