//! What an authenticator may look at of a request.

use std::{fmt, net::SocketAddr, sync::Arc};

use ::http::{HeaderMap, HeaderName, Method, Uri, header, request::Parts};

/// What a request says beside its credential. A clone shares everything.
///
/// It has no query, so that a ticket or token in there reaches no log by way of it; `Debug` shows the names of headers
/// and none of their values.
#[derive(Clone, Default)]
pub struct RequestInfo {
    method: Method,
    path: Arc<str>,
    host: Option<Arc<str>>,
    headers: Arc<HeaderMap>,
    peer: Option<SocketAddr>,
    secure: Option<bool>,
}

impl RequestInfo {
    /// What a request line and headers say.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Self {
        let host = host(uri, &headers).map(Arc::from);
        let headers = Arc::new(headers);
        Self { method, path: uri.path().into(), host, headers, peer: None, secure: None }
    }

    /// Adds the address of the peer: of the socket, not of a header that anyone can write.
    #[must_use]
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Adds whether the browser's connection is TLS. Behind a proxy the server does not know: leave it out.
    #[must_use]
    pub fn with_secure(mut self, secure: bool) -> Self {
        self.secure = Some(secure);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host and port that the request was sent to: HTTP/2's authority, or the one `Host` header.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first value of a header, where it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The address of the peer, where the adapter knows it.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether the browser's connection is TLS, where that is known.
    pub fn secure(&self) -> Option<bool> {
        self.secure
    }
}

impl From<&Parts> for RequestInfo {
    fn from(parts: &Parts) -> Self {
        Self::new(parts.method.clone(), &parts.uri, parts.headers.clone())
    }
}

impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Two `Host` headers name no host: what follows one of them might check the other.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut said = headers.get_all(header::HOST).iter();
    match (uri.authority(), said.next(), said.next()) {
        (Some(authority), _, _) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

/// The entries of a header that is a list, over all its lines. Lines that are not visible ASCII are passed over.
pub(crate) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;

    #[test]
    fn neither_query_nor_header_values_show() {
        let mut headers = HeaderMap::new();
        for name in [header::AUTHORIZATION, header::COOKIE, header::SEC_WEBSOCKET_PROTOCOL, header::REFERER] {
            headers.insert(name, HeaderValue::from_static("s3cret"));
        }
        let info = RequestInfo::new(Method::GET, &Uri::from_static("/ws?token=s3cret"), headers);
        let shown = format!("{info:?}");
        assert!(!shown.contains("s3cret") && shown.contains("/ws") && shown.contains("cookie"), "{shown}");
        assert_eq!(info.path(), "/ws");
    }

    #[test]
    fn the_host_is_the_authority_or_the_one_host_header() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("a.example"));
        let of = |uri: &'static str, headers: &HeaderMap| {
            RequestInfo::new(Method::GET, &Uri::from_static(uri), headers.clone()).host().map(str::to_owned)
        };
        assert_eq!(of("/", &headers).as_deref(), Some("a.example"));
        assert_eq!(of("https://b.example:8443/", &headers).as_deref(), Some("b.example:8443"));
        headers.append(header::HOST, HeaderValue::from_static("c.example"));
        assert_eq!(of("/", &headers), None);
    }

    #[test]
    fn a_list_spans_lines() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive, ,"));
        headers.append(header::CONNECTION, HeaderValue::from_static(" Upgrade"));
        assert_eq!(list(&headers, header::CONNECTION).collect::<Vec<_>>(), ["keep-alive", "Upgrade"]);
    }
}
