//! What a handler may ask for: [`CurrentUser`], [`MaybeUser`], [`Online`].

use herenow::http::Visit;
use poem::{FromRequest, Request, RequestBody, Result};

use crate::error::Rejection;

herenow::adapter_extractors!();

impl<'a> FromRequest<'a> for CurrentUser {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::of(visit(request)?).map_err(Rejection)?)
    }
}

impl<'a> FromRequest<'a> for MaybeUser {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::of(visit(request)?).map_err(Rejection)?)
    }
}

impl<'a> FromRequest<'a> for Online {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::of(visit(request)?).map_err(Rejection)?)
    }
}

/// What the middleware learnt of the request.
pub(crate) fn visit(request: &Request) -> Result<&Visit, Rejection> {
    request.data().ok_or_else(Rejection::missing_layer)
}
