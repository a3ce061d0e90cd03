//! actix speaks `http` 0.2 and the core `http` 1: the one place where both meet.

use actix_web::{HttpRequest, HttpResponse, body::BoxBody, http::StatusCode, http::Version};
use herenow::http::{Refusal, RequestInfo};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri, header};

/// What a request says, and its target as it came.
///
/// # Errors
/// 400 for what one version of `http` takes and the other does not: nothing of a request is passed over.
pub(crate) fn request(request: &HttpRequest) -> Result<(RequestInfo, Uri), Refusal> {
    let uri: Uri = request.uri().to_string().parse().map_err(unreadable)?;
    let method = Method::from_bytes(request.method().as_str().as_bytes()).map_err(unreadable)?;
    let mut headers = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(unreadable)?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(unreadable)?);
    }
    let mut info = RequestInfo::new(method, &uri, headers);
    if let Some(peer) = request.peer_addr() {
        info = info.with_peer(peer);
    }
    if request.app_config().secure() {
        info = info.with_secure(true); // HTTP may still be TLS at a proxy.
    }
    Ok((info, uri))
}

fn unreadable<E>(_: E) -> Refusal {
    Refusal::bad_request("the request line or a header cannot be read")
}

/// The version of a request, as far as it matters to an upgrade.
pub(crate) fn version(version: Version) -> http::Version {
    match version {
        Version::HTTP_11 => http::Version::HTTP_11,
        _ => http::Version::HTTP_10, // actix upgrades no other, and HTTP/2 not at all.
    }
}

/// A response of the core.
pub(crate) fn response(response: Response<BoxBody>) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    // actix writes `Connection` by a flag alone, whatever the header says.
    if status == StatusCode::SWITCHING_PROTOCOLS {
        answer.upgrade("websocket");
    } else if parts.headers.get(header::CONNECTION).is_some_and(|said| said == "close") {
        answer.force_close();
    }
    answer.body(body)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::{
        http::{ConnectionType, header as actix},
        test::TestRequest,
    };

    use super::*;

    #[test]
    fn every_line_of_a_request_comes_across() {
        let peer: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let asked = TestRequest::post()
            .uri("/a%2Fb?x=%20")
            .insert_header(("host", "app.example"))
            .append_header(("sec-websocket-key", "one"))
            .append_header(("sec-websocket-key", "two"))
            .append_header(("x-latin", actix::HeaderValue::from_bytes(b"\xe9").unwrap()))
            .peer_addr(peer)
            .to_http_request();
        let (info, uri) = request(&asked).unwrap();
        assert_eq!((info.method(), info.path(), info.host()), (&Method::POST, "/a%2Fb", Some("app.example")));
        assert_eq!((uri.query(), info.peer()), (Some("x=%20"), Some(peer)));
        assert_eq!(info.headers().get_all(header::SEC_WEBSOCKET_KEY).iter().count(), 2);
        assert_eq!(info.headers()["x-latin"].as_bytes(), b"\xe9");
    }

    #[test]
    fn a_refusal_keeps_its_status_and_headers_and_closes_where_it_says_so() {
        let refusal = Refusal::full(std::time::Duration::from_secs(7)).closing();
        let answer = response(refusal.into_response().map(BoxBody::new));
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("retry-after").unwrap().as_bytes()),
            (503, b"7".as_slice())
        );
        assert_eq!(answer.head().connection_type(), ConnectionType::Close);
    }
}
