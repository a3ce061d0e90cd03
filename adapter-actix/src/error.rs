//! [`Rejection`]: a refusal of the core as actix answers it.

use actix_web::{HttpResponse, ResponseError, body::BoxBody, http::StatusCode};

use crate::translate;

herenow::adapter_rejection!("the route behind `.wrap(OnlineMiddleware::new(&online))`");

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        self.error_response().status()
    }

    fn error_response(&self) -> HttpResponse {
        translate::response(self.0.clone().into_response().map(BoxBody::new))
    }
}
