//! Who somebody is, by what it shows, and whether it may come in and do things.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::inner::Inner;
use crate::{
    auth::{
        Action, AuthError, Credential, Identity, Validity, allowed, authenticate, decode_ticket, ticket_key,
    },
    http::RequestInfo,
    kick::Denial,
    protocol::{ErrorCode, WireError},
};

impl Inner {
    /// Asks the authenticator, under the deadline; takes no identity whose time is over.
    pub(crate) async fn authenticate(
        &self,
        credential: Credential,
        request: &RequestInfo,
    ) -> Result<Identity, AuthError> {
        let since = self.clock.utc();
        let asked = authenticate(&*self.authenticator, credential, request);
        let answer = tokio::time::timeout(self.config.authenticator_deadline, asked).await;
        let identity =
            answer.map_err(|_| AuthError::Unavailable("no answer in time".into()))??.seen_at(since);
        match identity.expires_at {
            Some(end) if end <= self.clock.utc() => Err(AuthError::Expired),
            _ => Ok(identity),
        }
    }

    /// Takes a one-time ticket: it is good once, on any node.
    pub(crate) async fn redeem(&self, credential: &Credential) -> Result<Identity, AuthError> {
        let key = ticket_key(credential.token.expose());
        match self.in_time(self.engine.take_once(&key)).await {
            Ok(Some(stored)) => self.still_good(decode_ticket(&stored).ok_or(AuthError::Unauthorized)?).await,
            Ok(None) => Err(AuthError::Unauthorized),
            Err(error) => Err(AuthError::Unavailable(error.to_string())),
        }
    }

    /// A ticket is worth what the token is that it was issued for, now.
    async fn still_good(&self, identity: Identity) -> Result<Identity, AuthError> {
        if identity.expires_at.is_some_and(|end| end <= self.clock.utc()) {
            return Err(AuthError::Expired);
        }
        let asked = self.authenticator.recheck(&identity);
        match tokio::time::timeout(self.config.authenticator_deadline, asked).await {
            Ok(Validity::Valid) => Ok(identity),
            Ok(Validity::Expired) => Err(AuthError::Expired),
            Ok(Validity::Revoked) => Err(AuthError::Unauthorized),
            Ok(Validity::Unavailable) | Err(_) => Err(AuthError::Unavailable("no answer in time".into())),
        }
    }

    /// A token that came in-band: the user may not change.
    pub(crate) async fn refreshed_identity(
        &self,
        credential: Credential,
        old: &Identity,
    ) -> Result<Arc<Identity>, WireError> {
        let refused = |code, why: &'static str| WireError::new(code, why);
        let mut identity = match self.authenticate(credential, &RequestInfo::default()).await {
            Ok(identity) => identity,
            Err(AuthError::Expired) => {
                return Err(refused(ErrorCode::TokenExpired, "the token's time is over"));
            }
            Err(AuthError::Forbidden) => return Err(refused(ErrorCode::Forbidden, "not allowed")),
            Err(AuthError::Unavailable(_)) => return Err(refused(ErrorCode::Timeout, "try again")),
            Err(_) => return Err(refused(ErrorCode::Unauthorized, "the token is not valid")),
        };
        if identity.user != old.user {
            return Err(refused(
                ErrorCode::Forbidden,
                "the token is another user's; open a new connection for it",
            ));
        }
        if self.denied(&identity).await.is_some() {
            return Err(refused(ErrorCode::Unauthorized, "the token is not valid"));
        }
        identity.device = identity.device.or_else(|| old.device.clone());
        identity.data = identity.data.or_else(|| old.data.clone());
        Ok(Arc::new(identity))
    }

    /// Why somebody is refused: by this node's entries, else by the cluster's.
    pub(crate) async fn denied(&self, identity: &Identity) -> Option<Denial> {
        self.denied_at(identity, self.clock.utc()).await
    }

    pub(crate) async fn denied_at(&self, identity: &Identity, at: DateTime<Utc>) -> Option<Denial> {
        match self.deny.find(identity, at) {
            Some(denial) => Some(denial),
            None => self.denied_by_cluster(identity).await,
        }
    }

    /// By the cluster's entries alone. A store that does not answer denies nobody: the recheck asks again.
    pub(crate) async fn denied_by_cluster(&self, identity: &Identity) -> Option<Denial> {
        if !self.engine.is_clustered() {
            return None;
        }
        self.in_time(self.engine.is_denied(identity)).await.ok()?
    }

    pub(crate) async fn allowed(&self, who: &Identity, action: &Action) -> bool {
        allowed(&*self.authorizer, who, action).await
    }
}
