//! [`Rejection`]: a refusal of the core as axum answers it.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use herenow::http::Refusal;

herenow::adapter_rejection!("`OnlineLayer` added to this router");

impl Rejection {
    /// The server keeps the socket for itself.
    pub(crate) fn no_upgrade() -> Self {
        Self(Refusal::misconfigured(
            "this server does not upgrade: with hyper, is it `serve_connection_with_upgrades`?",
        ))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.into_response().map(Body::from)
    }
}
