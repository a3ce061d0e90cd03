//! [`Rejection`]: a refusal of the core as axum answers it.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use herenow::http::Refusal;

/// Why an extractor refused: status, headers and JSON body of the [`Refusal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection(pub(crate) Refusal);

impl Rejection {
    /// The request did not come through the layer.
    pub(crate) fn missing_layer() -> Self {
        Self(Refusal::misconfigured(
            "herenow knows nothing of this request: is `OnlineLayer` added to this router?",
        ))
    }

    /// The server keeps the socket for itself.
    pub(crate) fn no_upgrade() -> Self {
        Self(Refusal::misconfigured(
            "this server does not upgrade: with hyper, is it `serve_connection_with_upgrades`?",
        ))
    }

    /// The refusal as data.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.into_response().map(Body::from)
    }
}
