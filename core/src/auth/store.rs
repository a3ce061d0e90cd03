//! Opaque tokens: random texts whose meaning stands in a store.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use super::{AuthError, Authenticator, Credential, Identity, Token, TokenId, Validity, ticket::random_text};
use crate::{Clock, SystemClock, http::RequestInfo};

/// The store did not answer, or not with sense. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token store failed: {0}")]
pub struct StoreError(String);

impl StoreError {
    /// A failure, in words that hold no token.
    pub fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string())
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Where tokens stand with whom they belong to, under their hashes: one's own database, or [`MemoryTokens`].
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Whose token it is; `None` for an unknown or revoked one. One whose time is over may still be there:
    /// [`Identity::expires_at`] is looked at afterwards.
    ///
    /// # Errors
    /// The store did not answer.
    async fn get(&self, id: TokenId) -> Result<Option<Identity>, StoreError>;

    /// Revokes a token; an unknown one is no error.
    ///
    /// # Errors
    /// The store did not answer.
    async fn remove(&self, id: TokenId) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn get(&self, id: TokenId) -> Result<Option<Identity>, StoreError> {
        (**self).get(id).await
    }

    async fn remove(&self, id: TokenId) -> Result<(), StoreError> {
        (**self).remove(id).await
    }
}

/// An [`Authenticator`] over a [`TokenStore`]: a token counts while it stands there, and a kick removes it.
#[derive(Clone, Debug)]
pub struct OpaqueTokens<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S: TokenStore> OpaqueTokens<S> {
    /// Takes the tokens of this store, by the machine's clock.
    pub fn new(store: S) -> Self {
        Self { store, clock: Arc::new(SystemClock) }
    }

    /// Judges expiry by another clock. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn is_over(&self, identity: &Identity) -> bool {
        identity.expires_at.is_some_and(|end| end <= self.clock.utc())
    }
}

#[async_trait]
impl<S: TokenStore> Authenticator for OpaqueTokens<S> {
    async fn authenticate(&self, credential: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        let id = credential.token.id();
        let identity = self.store.get(id).await?.ok_or(AuthError::Unauthorized)?;
        if self.is_over(&identity) {
            return Err(AuthError::Expired);
        }
        Ok(identity.token_id(id))
    }

    async fn recheck(&self, identity: &Identity) -> Validity {
        match self.store.get(identity.token_id).await {
            Ok(Some(stored)) if self.is_over(&stored) => Validity::Expired,
            Ok(Some(_)) => Validity::Valid,
            Ok(None) if self.is_over(identity) => Validity::Expired,
            Ok(None) => Validity::Revoked,
            Err(problem) => {
                tracing::warn!(%problem, "a token could not be checked again");
                Validity::Unavailable
            }
        }
    }

    async fn revoke(&self, identity: &Identity) -> Result<(), AuthError> {
        Ok(self.store.remove(identity.token_id).await?)
    }
}

/// A bounded [`TokenStore`] in memory, for one process. Clones are the same store.
///
/// When it is full, the token whose end is nearest gives way, so those whose time is over go first; tokens without
/// an end go last, the oldest of them first.
///
/// ```
/// use herenow::auth::{Identity, MemoryTokens, OpaqueTokens};
///
/// let tokens = MemoryTokens::new();
/// let token = tokens.issue(Identity::new("alice"), None);
/// let authenticator = OpaqueTokens::new(tokens.clone()); // for `OnlineManager::builder().authenticator(..)`
/// tokens.revoke(&token);
/// # let _ = authenticator;
/// ```
#[derive(Clone, Debug)]
pub struct MemoryTokens {
    shelf: Arc<Mutex<Shelf>>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryTokens {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

impl MemoryTokens {
    /// An empty store of at most 100,000 tokens, by the machine's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store of at most 100,000 tokens, by another clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let shelf = Shelf { capacity: 100_000, ..Shelf::default() };
        Self { shelf: Arc::new(Mutex::new(shelf)), clock }
    }

    /// How many tokens it keeps at most, one at least. Default 100,000.
    #[must_use]
    pub fn capacity(self, tokens: usize) -> Self {
        self.shelf.lock().set_capacity(tokens);
        self
    }

    /// A new random token of 256 bits, issued now; it ends after `ttl`, or never.
    pub fn issue(&self, identity: Identity, ttl: Option<Duration>) -> Token {
        let now = self.clock.utc();
        let mut identity = identity.issued_at(now);
        identity.expires_at = ttl.and_then(|ttl| now.checked_add_signed(TimeDelta::from_std(ttl).ok()?));
        let token = Token::new(random_text());
        self.insert(&token, identity);
        token
    }

    /// Stores a token that came from elsewhere; one that is there is replaced.
    pub fn insert(&self, token: &Token, identity: Identity) {
        let id = token.id();
        self.shelf.lock().put(id, identity.token_id(id));
    }

    /// Revokes a token; whether it was there.
    pub fn revoke(&self, token: &Token) -> bool {
        self.shelf.lock().take(token.id())
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn get(&self, id: TokenId) -> Result<Option<Identity>, StoreError> {
        Ok(self.shelf.lock().tokens.get(&id).map(|(_, identity)| identity.clone()))
    }

    async fn remove(&self, id: TokenId) -> Result<(), StoreError> {
        self.shelf.lock().take(id);
        Ok(())
    }
}

/// Tokens in the order in which they give way: by their end, then by age.
type Place = (DateTime<Utc>, u64);

#[derive(Default)]
struct Shelf {
    capacity: usize,
    tokens: HashMap<TokenId, (Place, Identity)>,
    order: BTreeMap<Place, TokenId>,
    count: u64,
}

impl Shelf {
    fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        self.make_room(self.capacity);
    }

    fn put(&mut self, id: TokenId, identity: Identity) {
        self.take(id);
        self.make_room(self.capacity.saturating_sub(1));
        self.count += 1;
        let place = (identity.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC), self.count);
        self.order.insert(place, id);
        self.tokens.insert(id, (place, identity));
    }

    fn take(&mut self, id: TokenId) -> bool {
        let Some((place, _)) = self.tokens.remove(&id) else { return false };
        self.order.remove(&place).is_some()
    }

    fn make_room(&mut self, leave: usize) {
        while self.tokens.len() > leave {
            let Some((_, id)) = self.order.pop_first() else { return };
            self.tokens.remove(&id);
        }
    }
}

/// Neither names nor tokens: how many there are.
impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} tokens", self.tokens.len(), self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Source, authenticate};

    /// A clock whose wall time is what the test says.
    #[derive(Debug)]
    struct Wall(Mutex<DateTime<Utc>>);

    impl Clock for Wall {
        fn now(&self) -> crate::Instant {
            SystemClock.now()
        }
        fn utc(&self) -> DateTime<Utc> {
            *self.0.lock()
        }
    }

    fn setup() -> (Arc<Wall>, MemoryTokens, OpaqueTokens<MemoryTokens>) {
        let wall = Arc::new(Wall(Mutex::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap())));
        let tokens = MemoryTokens::with_clock(wall.clone());
        let auth = OpaqueTokens::new(tokens.clone()).clock(wall.clone());
        (wall, tokens, auth)
    }

    async fn ask(auth: &dyn Authenticator, token: &Token) -> Result<Identity, AuthError> {
        let credential = Credential::new(token.clone(), Source::Header);
        authenticate(auth, credential, &RequestInfo::default()).await
    }

    #[tokio::test]
    async fn an_issued_token_counts_until_it_is_revoked() {
        let (wall, tokens, auth) = setup();
        let token = tokens.issue(Identity::new("alice"), None);
        let identity = ask(&auth, &token).await.unwrap();
        assert_eq!((identity.user.login_id(), identity.token_id), ("alice", token.id()));
        assert_eq!(identity.issued_at, Some(wall.utc()));
        assert_eq!(auth.recheck(&identity).await, Validity::Valid);
        auth.revoke(&identity).await.unwrap();
        assert_eq!(auth.recheck(&identity).await, Validity::Revoked);
        assert_eq!(ask(&auth, &token).await.unwrap_err(), AuthError::Unauthorized);
        assert!(!tokens.revoke(&token));
    }

    #[tokio::test]
    async fn a_token_is_over_at_its_end_and_says_so() {
        let (wall, tokens, auth) = setup();
        let token = tokens.issue(Identity::new("alice"), Some(Duration::from_millis(500)));
        let identity = ask(&auth, &token).await.unwrap();
        *wall.0.lock() += TimeDelta::milliseconds(499);
        assert_eq!(auth.recheck(&identity).await, Validity::Valid);
        *wall.0.lock() += TimeDelta::milliseconds(1);
        assert_eq!(auth.recheck(&identity).await, Validity::Expired);
        assert_eq!(ask(&auth, &token).await.unwrap_err(), AuthError::Expired);
    }

    #[tokio::test]
    async fn a_handle_or_a_guess_is_no_token() {
        let (_, tokens, auth) = setup();
        let token = tokens.issue(Identity::new("alice"), None);
        for guess in [token.id().to_string(), "x".to_owned()] {
            assert_eq!(ask(&auth, &Token::new(guess)).await.unwrap_err(), AuthError::Unauthorized);
        }
    }

    #[tokio::test]
    async fn when_full_expired_tokens_give_way_first_and_those_without_end_last() {
        let (_, tokens, auth) = setup();
        let tokens = tokens.capacity(2);
        let forever = tokens.issue(Identity::new("a"), None);
        let short = tokens.issue(Identity::new("b"), Some(Duration::ZERO));
        let long = tokens.issue(Identity::new("c"), Some(Duration::from_secs(9)));
        assert_eq!(ask(&auth, &short).await.unwrap_err(), AuthError::Unauthorized);
        assert!(ask(&auth, &forever).await.is_ok() && ask(&auth, &long).await.is_ok());
        let later = tokens.issue(Identity::new("d"), None);
        assert!(ask(&auth, &long).await.is_err() && ask(&auth, &later).await.is_ok());
        assert_eq!(format!("{:?}", tokens.shelf.lock()), "2 of 2 tokens");
    }

    #[tokio::test]
    async fn a_token_stored_twice_stands_there_once() {
        let (_, tokens, auth) = setup();
        let token = Token::new("from elsewhere");
        tokens.insert(&token, Identity::new("a"));
        tokens.insert(&token, Identity::new("b"));
        assert_eq!(ask(&auth, &token).await.unwrap().user.login_id(), "b");
        let shelf = tokens.shelf.lock();
        assert_eq!((shelf.tokens.len(), shelf.order.len()), (1, 1));
    }

    #[tokio::test]
    async fn a_store_that_fails_is_told_from_an_unknown_token() {
        struct Down;
        #[async_trait]
        impl TokenStore for Down {
            async fn get(&self, _: TokenId) -> Result<Option<Identity>, StoreError> {
                Err(StoreError::new("connection refused"))
            }
            async fn remove(&self, _: TokenId) -> Result<(), StoreError> {
                Err(StoreError::new("connection refused"))
            }
        }
        let auth = OpaqueTokens::new(Arc::new(Down));
        let identity = Identity::new("alice");
        assert!(matches!(ask(&auth, &Token::new("x")).await, Err(AuthError::Unavailable(_))));
        assert_eq!(auth.recheck(&identity).await, Validity::Unavailable);
        assert!(auth.revoke(&identity).await.is_err());
    }
}
