//! Signed tokens that can be taken back.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use herenow::{
    BuildError, Clock, SystemClock,
    auth::{
        AuthError, Authenticator, Credential, Identity, JwtAuthenticator, JwtKeys, Token, TokenId, Validity,
    },
    http::RequestInfo,
};
use parking_lot::Mutex;

/// Every conformance-server has the same, so that tokens outlive a restart.
const SECRET: &[u8] = b"the secret of every conformance-server";

/// Issues tokens, takes them, and forgets those that were revoked. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    keys: JwtKeys,
    authenticator: JwtAuthenticator,
    revoked: Arc<Mutex<HashSet<TokenId>>>,
}

impl Tokens {
    pub(super) fn new() -> Result<Self, BuildError> {
        let keys = JwtKeys::hs256(SECRET)?;
        Ok(Self { authenticator: keys.authenticator(), keys, revoked: Arc::default() })
    }

    pub(super) fn issue(&self, identity: &Identity, ttl: Duration) -> Token {
        self.keys.issue(identity, ttl, SystemClock.utc())
    }

    /// The authenticator knows the token no more; nothing else happens.
    pub(super) fn revoke(&self, token: &str) {
        self.revoked.lock().insert(TokenId::of(token));
    }

    fn is_revoked(&self, token: TokenId) -> bool {
        self.revoked.lock().contains(&token)
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(
        &self,
        credential: Credential,
        request: &RequestInfo,
    ) -> Result<Identity, AuthError> {
        if self.is_revoked(credential.token.id()) {
            return Err(AuthError::Unauthorized);
        }
        self.authenticator.authenticate(credential, request).await
    }

    async fn recheck(&self, identity: &Identity) -> Validity {
        match self.is_revoked(identity.token_id) {
            true => Validity::Revoked,
            false => self.authenticator.recheck(identity).await,
        }
    }
}
