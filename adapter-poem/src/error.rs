//! [`Rejection`]: a refusal of the core as poem answers it.

use herenow::http::Refusal;
use poem::{Body, Response, ResponseParts, error::ResponseError, http};

herenow::adapter_rejection!("`.with(OnlineMiddleware::new(&online))` around this route");

impl Rejection {
    /// The server keeps the socket for itself.
    pub(crate) fn no_upgrade() -> Self {
        Self(Refusal::misconfigured(
            "this server does not upgrade: is it `herenow_poem::serve` or `poem::Server`, and does nothing else take \
             the upgrade of this request?",
        ))
    }
}

impl ResponseError for Rejection {
    fn status(&self) -> http::StatusCode {
        self.0.status()
    }

    fn as_response(&self) -> Response {
        response(self.0.clone().into_response())
    }
}

/// A response of the core as one of poem's.
pub(crate) fn response(of: http::Response<impl Into<Body>>) -> Response {
    let (parts, body) = of.into_parts();
    let http::response::Parts { status, version, headers, extensions, .. } = parts;
    Response::from_parts(ResponseParts { status, version, headers, extensions }, body.into())
}
