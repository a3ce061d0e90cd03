//! What a handler may ask for: [`CurrentUser`], [`MaybeUser`], [`Online`].

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload};
use herenow::http::Visit;

use crate::error::Rejection;

herenow::adapter_extractors!();

macro_rules! from_request {
    ($($type:ident)*) => {$(
        impl FromRequest for $type {
            type Error = Rejection;
            type Future = Ready<Result<Self, Rejection>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(visit(request).and_then(|visit| Ok(Self::of(&visit)?)))
            }
        }
    )*};
}

from_request!(CurrentUser MaybeUser Online);

/// What the middleware learnt of the request.
pub(crate) fn visit(request: &HttpRequest) -> Result<Visit, Rejection> {
    request.extensions().get::<Visit>().cloned().ok_or_else(Rejection::missing_layer)
}
