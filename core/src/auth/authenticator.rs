//! The trait an application answers "whose token is this?" with, and closures in its place.

use std::future::Future;

use async_trait::async_trait;

use super::{Identity, Source, Token};
use crate::http::RequestInfo;

/// A token and where in the request it stood.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// The secret.
    pub token: Token,
    /// Where it stood.
    pub source: Source,
}

impl Credential {
    /// A credential from a source; for tests of one's own authenticator.
    pub fn new(token: Token, source: Source) -> Self {
        Self { token, source }
    }
}

/// Why a credential was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Missing, forged, unknown or revoked: one answer for all, so that nobody learns which.
    #[error("no valid token")]
    Unauthorized,
    /// Genuine, and its time is over: the client fetches a new one.
    #[error("the token's time is over")]
    Expired,
    /// Genuine, and not allowed here.
    #[error("not allowed")]
    Forbidden,
    /// The authenticator could not find out; the text is for the log, never for the client.
    #[error("the authenticator is unavailable: {0}")]
    Unavailable(String),
}

/// What a credential that was taken once is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// As good as before.
    Valid,
    /// Its time is over.
    Expired,
    /// Taken back: its connections end at once.
    Revoked,
    /// The authenticator could not find out.
    Unavailable,
}

/// Finds out whose credential it is.
///
/// An async closure is one too:
///
/// ```
/// use herenow::auth::{AuthError, Authenticator, Credential, Identity};
/// use herenow::http::RequestInfo;
///
/// fn is_authenticator(_: &impl Authenticator) {}
/// is_authenticator(&async |credential: Credential, _: RequestInfo| match credential.token.expose() {
///     "alice's secret" => Ok(Identity::new("alice")),
///     _ => Err(AuthError::Unauthorized),
/// });
/// # // (An application looks the token up instead of comparing it.)
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The identity behind a credential.
    ///
    /// Leave [`Identity::token_id`] at its default unless several texts name one token.
    ///
    /// # Errors
    /// [`AuthError::Unauthorized`] for whatever is missing, forged, unknown or revoked, [`AuthError::Expired`] for
    /// a genuine token whose time is over, [`AuthError::Unavailable`] where the answer could not be had.
    async fn authenticate(
        &self,
        credential: Credential,
        request: &RequestInfo,
    ) -> Result<Identity, AuthError>;

    /// What the credential of an open connection is worth now; asked every `recheck`. Default: [`Validity::Valid`].
    async fn recheck(&self, _identity: &Identity) -> Validity {
        Validity::Valid
    }

    /// Takes the credential back, beside a kick-out. Default: does nothing, since the kick keeps a deny entry.
    ///
    /// # Errors
    /// Whatever kept it from being taken back; the kick's report says so.
    async fn revoke(&self, _identity: &Identity) -> Result<(), AuthError> {
        Ok(())
    }
}

#[async_trait]
impl<F, Fut> Authenticator for F
where
    F: Fn(Credential, RequestInfo) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Identity, AuthError>> + Send,
{
    async fn authenticate(
        &self,
        credential: Credential,
        request: &RequestInfo,
    ) -> Result<Identity, AuthError> {
        self(credential, request.clone()).await
    }
}

/// Knows nobody: what stands where no authenticator was set.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        Err(AuthError::Unauthorized)
    }
}

/// Asks the authenticator, names the token, and takes no identity whose names could not be stored or shown.
pub(crate) async fn authenticate(
    authenticator: &dyn Authenticator,
    credential: Credential,
    request: &RequestInfo,
) -> Result<Identity, AuthError> {
    let token_id = credential.token.id();
    let mut identity = authenticator.authenticate(credential, request).await?;
    if identity.token_id.is_unset() {
        identity.token_id = token_id;
    }
    identity.check().map_err(|problem| {
        tracing::warn!(%problem, "the authenticator's identity cannot be taken");
        AuthError::Unauthorized
    })?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TokenId;

    fn bearer(text: &str) -> Credential {
        Credential::new(Token::new(text), Source::Header)
    }

    #[tokio::test]
    async fn a_closure_authenticates_and_its_identity_is_named_after_the_token() {
        let auth = |credential: Credential, _: RequestInfo| async move {
            Ok(Identity::new(credential.token.expose().to_owned()))
        };
        let identity = authenticate(&auth, bearer("alice"), &RequestInfo::default()).await.unwrap();
        assert_eq!(identity.user.login_id(), "alice");
        assert_eq!(identity.token_id, TokenId::hash("alice"));
        assert_eq!(auth.recheck(&identity).await, Validity::Valid);
        assert_eq!(auth.revoke(&identity).await, Ok(()));
    }

    #[tokio::test]
    async fn a_name_that_the_authenticator_gave_the_token_stays() {
        let named = TokenId::hash("family");
        let auth = move |_: Credential, _: RequestInfo| async move { Ok(Identity::new("a").token_id(named)) };
        let identity = authenticate(&auth, bearer("text"), &RequestInfo::default()).await.unwrap();
        assert_eq!(identity.token_id, named);
    }

    #[tokio::test]
    async fn an_identity_with_an_impossible_name_is_nobody() {
        let auth = async |_: Credential, _: RequestInfo| Ok(Identity::new("a\nb"));
        let answer = authenticate(&auth, bearer("text"), &RequestInfo::default()).await;
        assert_eq!(answer.unwrap_err(), AuthError::Unauthorized);
    }

    #[tokio::test]
    async fn without_an_authenticator_nobody_is_known() {
        let answer = authenticate(&Nobody, bearer("text"), &RequestInfo::default()).await;
        assert_eq!(answer.unwrap_err(), AuthError::Unauthorized);
    }

    #[test]
    fn a_credential_shows_its_source_and_not_its_token() {
        let shown = format!("{:?}", bearer("s3cret"));
        assert!(shown.contains("Header") && !shown.contains("s3cret"), "{shown}");
    }
}
