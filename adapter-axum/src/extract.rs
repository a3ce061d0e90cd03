//! What a handler may ask for: [`CurrentUser`], [`MaybeUser`], [`Online`].

use std::{ops::Deref, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use herenow::{OnlineManager, auth::Identity, http::Visit};

use crate::error::Rejection;

/// The user who asks. Refuses the request with 401 where there is none.
#[derive(Clone, Debug)]
pub struct CurrentUser(Arc<Identity>);

impl CurrentUser {
    /// The login id, as the application knows it.
    pub fn login_id(&self) -> &str {
        self.0.user.login_id()
    }

    /// Everything the authenticator learnt.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0
    }
}

impl Deref for CurrentUser {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(visit(parts)?.require_user()?))
    }
}

/// The user who asks, if it is one: a credential that is no good counts as nobody.
///
/// Still refuses two different credentials in one request, and where the store of tokens cannot be asked.
#[derive(Clone, Debug)]
pub struct MaybeUser(
    /// The user.
    pub Option<CurrentUser>,
);

impl<S: Send + Sync> FromRequestParts<S> for MaybeUser {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(visit(parts)?.maybe_user()?.map(CurrentUser)))
    }
}

/// The manager of the layer.
#[derive(Clone, Debug)]
pub struct Online(
    /// The manager.
    pub OnlineManager,
);

impl Deref for Online {
    type Target = OnlineManager;

    fn deref(&self) -> &OnlineManager {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Online {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self(visit(parts)?.manager().clone()))
    }
}

/// What the layer learnt of the request.
pub(crate) fn visit(parts: &Parts) -> Result<&Visit, Rejection> {
    parts.extensions.get().ok_or_else(Rejection::missing_layer)
}
