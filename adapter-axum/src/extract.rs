//! What a handler may ask for: [`CurrentUser`], [`MaybeUser`], [`Online`].

use axum::{extract::FromRequestParts, http::request::Parts};
use herenow::http::Visit;

use crate::error::Rejection;

herenow::adapter_extractors!();

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self::of(visit(parts)?)?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeUser {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self::of(visit(parts)?)?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Online {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self::of(visit(parts)?)?)
    }
}

/// What the layer learnt of the request.
pub(crate) fn visit(parts: &Parts) -> Result<&Visit, Rejection> {
    parts.extensions.get().ok_or_else(Rejection::missing_layer)
}
