//! `GET /events`: a connection for those who only listen (`docs/PROTOCOL.md`, section 9).

use ::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;

use super::{Body, Refusal, Visit};
use crate::connection::{Admission, sse};

/// What a browser's `EventSource` sends when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";
/// Tells nginx to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Opens the stream. It is spawned on the runtime that answers, and ends with the body.
pub(super) async fn open(visit: &Visit) -> Result<Response<Body>, Refusal> {
    let request = visit.request();
    if request.header(LAST_EVENT_ID) == Some(sse::STOP) {
        return Ok(empty(StatusCode::NO_CONTENT)); // The one answer after which an `EventSource` stays away.
    }
    // With a cookie, a page of another origin could put its visitors online, and end another of their sessions.
    visit.check_origin()?;
    if request.method() == Method::HEAD {
        visit.require_user()?;
        return Ok(stream(Body::Whole(Bytes::new())));
    }
    let asked = request.header(LAST_EVENT_ID).and_then(sse::asked);
    let (events, task) = Admission::decide_events(visit).await?.events(asked);
    tokio::spawn(task);
    Ok(stream(Body::Events(events)))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
