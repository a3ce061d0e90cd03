//! A refusal as a gRPC client understands it: HTTP 200 with headers and nothing else (`Trailers-Only`).

use ::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::http::Refusal;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Calls of gRPC, and of its variant for browsers.
const GRPC: &[u8] = b"application/grpc";
const GRPC_WEB: &[u8] = b"application/grpc-web";

/// What a `grpc-message` must not hold as itself; beyond ASCII everything is encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The content type to answer with; `None` where this is no call of gRPC. Clients of gRPC-Web insist on their own.
pub(super) fn content_type(asked: &HeaderMap) -> Option<HeaderValue> {
    let asked = asked.get(header::CONTENT_TYPE)?;
    if begins_with(asked, GRPC_WEB) {
        return Some(asked.clone());
    }
    begins_with(asked, GRPC).then(|| HeaderValue::from_static("application/grpc"))
}

fn begins_with(value: &HeaderValue, media_type: &[u8]) -> bool {
    value.as_bytes().get(..media_type.len()).is_some_and(|start| start.eq_ignore_ascii_case(media_type))
}

/// The refusal, in headers alone.
pub(super) fn refused(refusal: &Refusal, content_type: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(STATUS, HeaderValue::from(status(refusal)));
    let message = utf8_percent_encode(refusal.message(), ENCODED).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(MESSAGE, message);
    }
    response
}

fn status(refusal: &Refusal) -> u16 {
    match refusal.status().as_u16() {
        400 => 3,  // INVALID_ARGUMENT
        401 => 16, // UNAUTHENTICATED
        403 => 7,  // PERMISSION_DENIED
        429 => 8,  // RESOURCE_EXHAUSTED
        503 => 14, // UNAVAILABLE
        _ => 13,   // INTERNAL
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(refusal: &Refusal) -> Response<Bytes> {
        refused(refusal, HeaderValue::from_static("application/grpc"))
    }

    #[test]
    fn every_refusal_has_a_code_of_grpc() {
        for (refusal, expected) in [
            (Refusal::ambiguous(), "3"),
            (Refusal::unauthorized(), "16"),
            (Refusal::banned(), "7"),
            (Refusal::rate_limited(Duration::ZERO), "8"),
            (Refusal::store_down(Duration::ZERO), "14"),
            (Refusal::internal(), "13"),
            (Refusal::not_found(), "13"),
        ] {
            let response = answered(&refusal);
            assert_eq!(
                (response.status().as_u16(), &response.headers()[STATUS]),
                (200, &expected.parse().unwrap())
            );
            assert!(response.body().is_empty() && response.headers().len() == 3, "{response:?}");
        }
    }

    #[test]
    fn a_message_is_percent_encoded() {
        let response = answered(&Refusal::forbidden("100 % \"no\"~\r\n\u{7f}Jørn"));
        assert_eq!(response.headers()[MESSAGE], "100 %25 \"no\"~%0D%0A%7FJ%C3%B8rn");
    }

    #[test]
    fn only_calls_of_grpc_are_answered_as_such() {
        for (asked, expected) in [
            ("application/grpc", Some("application/grpc")),
            ("Application/GRPC+proto; q=1", Some("application/grpc")),
            ("application/grpc-web+proto", Some("application/grpc-web+proto")),
            ("application/json", None),
            ("application/gr", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asked));
            let found = content_type(&headers);
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{asked}");
        }
        assert_eq!(content_type(&HeaderMap::new()), None);
    }
}
