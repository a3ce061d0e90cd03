//! What speaks against a request, as the JSON that herenow's own refusals have.

use std::fmt;

use actix_web::{HttpRequest, HttpResponse, ResponseError, error::JsonPayloadError, http::StatusCode};
use herenow::auth::StoreError;
use serde_json::json;

/// A status, and a text that says what to do.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) StatusCode, pub(crate) String);

impl Problem {
    pub(crate) fn new(status: StatusCode, text: &str) -> Self {
        Self(status, text.to_owned())
    }

    /// A body that is not what the route reads.
    pub(crate) fn of_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
        let text = match &error {
            JsonPayloadError::ContentType => "send the header `Content-Type: application/json`".to_owned(),
            other => format!("the body must be JSON as the README shows: {other}"),
        };
        Self(error.status_code(), text).into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.0).json(json!({"code": self.0.as_u16(), "content": self.1}))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer: try again in a moment")
    }
}
