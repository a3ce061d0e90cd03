//! Every answer of "no" before a 101, and the close code it becomes where a browser is to see it.

use std::{borrow::Cow, time::Duration};

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;

use crate::{
    Close,
    auth::{Ambiguous, AuthError, OriginDenied},
    error::{InvalidInput, Refused},
};

/// When to come back to a store that failed or a node that is full, where nobody knows better.
const LATER: Duration = Duration::from_secs(5);

/// A refusal as data: HTTP status and body, and the close code for a visible refusal.
///
/// The body is `{"code":401,"content":"…"}`. Whatever is missing, forged, unknown or revoked has one and the same body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    close: Close,
    http_only: bool,
    closing: bool,
}

impl Refusal {
    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        close: Close,
    ) -> Self {
        let message = message.into();
        Self { status, code, message, retry_after: None, close, http_only: false, closing: false }
    }

    fn after(mut self, retry: Duration) -> Self {
        self.retry_after = Some(retry);
        self
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_frame", message, Close::BAD_FRAME)
    }

    /// 400: the handshake breaks RFC 6455. Always HTTP, since there is nothing to upgrade.
    pub(crate) fn bad_handshake(message: &'static str) -> Self {
        Self { http_only: true, closing: true, ..Self::bad_request(message) }
    }

    /// 400: none of the subprotocols offered is spoken here.
    pub fn subprotocol(message: impl Into<Cow<'static, str>>) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "subprotocol", message, Close::SUBPROTOCOL);
        Self { http_only: true, closing: true, ..refusal }
    }

    /// 400: two different credentials in one request.
    pub fn ambiguous() -> Self {
        Self::bad_request("two different credentials in one request: send one")
    }

    /// 401: no valid token.
    pub fn unauthorized() -> Self {
        let message = "a valid token is needed";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message, Close::UNAUTHORIZED)
    }

    /// 401: a genuine token whose time is over.
    pub fn token_expired() -> Self {
        let message = "token_expired: fetch a new token";
        Self::new(StatusCode::UNAUTHORIZED, "token_expired", message, Close::TOKEN_EXPIRED)
    }

    /// 403: known, and not allowed.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, Close::FORBIDDEN)
    }

    /// 403: the `authorize` policy said no to the action of this name. In a debug build the text names the hook.
    pub fn not_authorized(action: &str) -> Self {
        if cfg!(debug_assertions) {
            let hint =
                "OnlineManager::builder().authorize(..) decides; `policy::members_see_members()` is one";
            return Self::forbidden(format!("not allowed: {action} ({hint})"));
        }
        Self::forbidden("not allowed")
    }

    /// 403: a page from an origin that is not allowed.
    pub fn origin_denied() -> Self {
        let message = "this origin is not allowed";
        Self::new(StatusCode::FORBIDDEN, "origin_denied", message, Close::ORIGIN_DENIED)
    }

    /// 403: the user is banned.
    pub fn banned() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this user is banned", Close::BANNED)
    }

    /// 404: there is no such thing.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "not found", Close::FORBIDDEN)
    }

    /// 408: the body did not come in time. Ends the connection: the rest of it may still come.
    pub fn body_timeout() -> Self {
        let message = "the body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message, Close::POLICY).closing()
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("the body is over {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit_exceeded", message, Close::TOO_BIG)
    }

    /// 426: this is for WebSockets of version 13. Always HTTP.
    pub fn upgrade_required() -> Self {
        let message = "this is a WebSocket, version 13: connect with `new WebSocket(url)`";
        let refusal =
            Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message, Close::PROTOCOL_ERROR);
        Self { http_only: true, closing: true, ..refusal }
    }

    /// 429: the login policy admits no further session of the user.
    pub fn too_many_devices() -> Self {
        let message = "the user is logged in on as many devices as allowed";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "limit_exceeded", message, Close::TOO_MANY_DEVICES)
    }

    /// 429: as many connections of the user or the address as allowed.
    pub fn too_many_connections() -> Self {
        let message = "too many connections";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "limit_exceeded", message, Close::RATE_LIMITED)
    }

    /// 429: too many requests in too short a time.
    pub fn rate_limited(retry: Duration) -> Self {
        let message = "too many requests";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message, Close::RATE_LIMITED)
            .after(retry)
    }

    /// 500: something here failed; the log says what.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", Close::INTERNAL)
    }

    /// 500: the application is put together in a way that cannot work; the text says what to change.
    pub fn misconfigured(message: &'static str) -> Self {
        tracing::error!("{message}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message, Close::INTERNAL)
    }

    /// 503: the node shuts down.
    pub fn draining(retry: Duration) -> Self {
        let message = "this node is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_available", message, Close::DRAIN).after(retry)
    }

    /// 503: the node holds as many connections as it may.
    pub fn full(retry: Duration) -> Self {
        let message = "this node is full";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_available", message, Close::OVERLOADED).after(retry)
    }

    /// 503: a store that is needed does not answer.
    pub fn store_down(retry: Duration) -> Self {
        let message = "a store that is needed does not answer";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_available", message, Close::OVERLOADED).after(retry)
    }

    /// Ends the HTTP/1.1 connection with the response. For every refused upgrade: a proxy that overlooked the status
    /// would take what follows for a tunnel.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closing = true;
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The slug, as `error.code` of a visible refusal has it (`docs/PROTOCOL.md`, section 2); the close reason may say more.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When to come back, where coming back helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The close code of a visible refusal.
    pub fn close(&self) -> &Close {
        &self.close
    }

    /// Whether it may be shown as a close code after an upgrade; a handshake that is none cannot.
    pub fn may_be_visible(&self) -> bool {
        !self.http_only
    }

    /// The JSON body.
    pub fn body(&self) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            code: u16,
            content: &'a str,
        }
        let body = Body { code: self.status.as_u16(), content: &self.message };
        serde_json::to_vec(&body).unwrap_or_default().into()
    }

    /// The headers, without those that the framework writes itself.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if let Some(retry) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry)));
        }
        if self.closing {
            // Without `upgrade` beside it, even on a 426: proxies that overlook a status go by this header.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers
    }

    /// The whole response.
    pub fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers();
        response
    }
}

/// Rounded up: who comes back too early is refused again.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthorized => Self::unauthorized(),
            AuthError::Expired => Self::token_expired(),
            AuthError::Forbidden => Self::forbidden("not allowed"),
            AuthError::Unavailable(problem) => {
                tracing::warn!(?problem, "the authenticator is unavailable");
                Self::store_down(LATER)
            }
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(problem) => problem.into(),
            // A kicked token is a revoked one: the same answer as for an unknown one.
            Refused::Kicked => Self::unauthorized(),
            Refused::Banned => Self::banned(),
            Refused::TooManyDevices => Self::too_many_devices(),
            Refused::TooManyConnections => Self::too_many_connections(),
            Refused::Full => Self::full(LATER),
            Refused::Application(message) => Self::forbidden(message),
            Refused::Unavailable => Self::store_down(LATER),
            Refused::ShutDown => Self::draining(LATER),
        }
    }
}

impl From<InvalidInput> for Refusal {
    fn from(problem: InvalidInput) -> Self {
        Self::bad_request(problem.to_string())
    }
}

impl From<Ambiguous> for Refusal {
    fn from(_: Ambiguous) -> Self {
        Self::ambiguous()
    }
}

impl From<OriginDenied> for Refusal {
    fn from(_: OriginDenied) -> Self {
        Self::origin_denied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_millis(1500);

    #[test]
    fn the_table_of_refusals() {
        for (refusal, status, close) in [
            (Refusal::bad_request("no"), 400, 4400),
            (Refusal::ambiguous(), 400, 4400),
            (Refusal::subprotocol("no"), 400, 4406),
            (Refusal::unauthorized(), 401, 4401),
            (Refusal::token_expired(), 401, 4301),
            (Refusal::forbidden("no"), 403, 4403),
            (Refusal::not_authorized("Kick"), 403, 4403),
            (Refusal::origin_denied(), 403, 4403),
            (Refusal::banned(), 403, 4425),
            (Refusal::not_found(), 404, 4403),
            (Refusal::upgrade_required(), 426, 1002),
            (Refusal::body_timeout(), 408, 1008),
            (Refusal::too_many_devices(), 429, 4429),
            (Refusal::too_many_connections(), 429, 4529),
            (Refusal::rate_limited(RETRY), 429, 4529),
            (Refusal::internal(), 500, 4500),
            (Refusal::draining(RETRY), 503, 4302),
            (Refusal::full(RETRY), 503, 4503),
            (Refusal::store_down(RETRY), 503, 4503),
        ] {
            assert_eq!((refusal.status().as_u16(), refusal.close().code()), (status, close), "{refusal:?}");
            let body: serde_json::Value = serde_json::from_slice(&refusal.body()).unwrap();
            assert_eq!(body, serde_json::json!({"code": status, "content": refusal.message()}));
            let headers = refusal.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
            assert_eq!(headers.contains_key(header::SEC_WEBSOCKET_VERSION), status == 426);
            assert!(status != 503 || headers[header::RETRY_AFTER] == "2");
            assert_eq!(refusal.clone().closing().headers()[header::CONNECTION], "close");
            assert_eq!(refusal.into_response().status(), status);
        }
    }

    #[test]
    fn only_a_broken_handshake_is_never_visible() {
        assert!(
            !Refusal::upgrade_required().may_be_visible() && !Refusal::bad_handshake("no").may_be_visible()
        );
        assert!(Refusal::unauthorized().may_be_visible() && Refusal::bad_request("no").may_be_visible());
    }

    #[test]
    fn missing_forged_unknown_and_revoked_look_the_same_and_expired_says_so() {
        let unknown = Refusal::from(AuthError::Unauthorized);
        assert_eq!(
            unknown.clone().into_response().body(),
            Refusal::from(Refused::Kicked).into_response().body()
        );
        assert_eq!(unknown, Refusal::unauthorized());
        let expired = Refusal::from(AuthError::Expired);
        assert!(expired.message().contains("token_expired") && expired.code() == "token_expired");
    }

    #[test]
    fn errors_become_refusals() {
        for (refusal, status) in [
            (Refusal::from(AuthError::Forbidden), 403),
            (AuthError::Unavailable("db1 refused".into()).into(), 503),
            (Refused::Invalid(InvalidInput::Empty { field: "device" }).into(), 400),
            (Refused::Banned.into(), 403),
            (Refused::TooManyDevices.into(), 429),
            (Refused::TooManyConnections.into(), 429),
            (Refused::Application("closed".into()).into(), 403),
            (Refused::Unavailable.into(), 503),
            (Refused::ShutDown.into(), 503),
            (Ambiguous.into(), 400),
            (OriginDenied.into(), 403),
        ] {
            assert_eq!(refusal.status().as_u16(), status, "{refusal:?}");
            assert!(!refusal.message().contains("db1"), "what failed is for the log");
        }
    }

    #[test]
    fn a_debug_build_names_the_hook() {
        let message = Refusal::not_authorized("SeeOnline").message().to_owned();
        assert!(message.contains("SeeOnline") && message.contains("authorize"), "{message}");
    }

    #[test]
    fn text_in_a_refusal_is_json_whatever_it_holds() {
        let refusal = Refusal::forbidden("\"\r\nX: 1\u{0}");
        let body: serde_json::Value = serde_json::from_slice(&refusal.body()).unwrap();
        assert_eq!(body["content"], "\"\r\nX: 1\u{0}");
    }
}
