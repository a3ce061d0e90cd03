//! JSON Web Tokens (feature `jwt`): an authenticator, and keys that issue what it takes.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

use super::{AuthError, Authenticator, Credential, Identity, Token, TokenId, Validity, ticket::random_text};
use crate::{Clock, SystemClock, UserKey, error::BuildError, http::RequestInfo};

/// The shortest secret: as long as the hash it keys (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;
/// The longest life of a token that is issued here; beyond it, times lose their fractions.
const MAX_TTL: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// An [`Authenticator`] of signed tokens.
///
/// Claims: `sub` is the login id, `tenant` the account, `device` and `data` (any JSON) go into the identity, `scope`
/// (words in a string) or `scopes` (a list) into its scopes. `exp` is required; it, `iat` and `nbf` may have
/// fractions. A token is over at its `exp`, without leeway; a kick refuses tokens by their `iat`, and an `iat`
/// in whole seconds counts as the end of its second.
///
/// ```
/// use herenow::auth::JwtAuthenticator;
///
/// let authenticator = JwtAuthenticator::hs256(b"at least thirty-two bytes of secret")?;
/// # let _ = authenticator;
/// # Ok::<(), herenow::BuildError>(())
/// ```
#[derive(Clone)]
pub struct JwtAuthenticator {
    key: DecodingKey,
    validation: Validation,
    clock: Arc<dyn Clock>,
}

impl JwtAuthenticator {
    /// Takes tokens signed with HMAC-SHA-256 and this secret.
    ///
    /// # Errors
    /// The secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, BuildError> {
        check_secret(secret)?;
        Ok(Self::new(DecodingKey::from_secret(secret), Validation::new(Algorithm::HS256)))
    }

    /// Takes tokens that this key verifies, by the algorithms, issuers and audiences of `validation`.
    ///
    /// Its `leeway` (60 s as the crate has it) counts for `nbf` only. A token that names an audience is refused
    /// unless `validation` does too. A text of an ECDSA token can be changed into another valid one, so these
    /// tokens are named by what is signed: kick them by user or by handle, not by their text.
    pub fn new(key: DecodingKey, mut validation: Validation) -> Self {
        // The crate judges times in whole seconds and by its own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.insert("exp".to_owned());
        Self { key, validation, clock: Arc::new(SystemClock) }
    }

    /// Takes tokens without `exp` too. Default: refused, since such a token never ends by itself.
    #[must_use]
    pub fn allow_missing_exp(mut self) -> Self {
        self.validation.required_spec_claims.remove("exp");
        self
    }

    /// Judges times by another clock. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn read(&self, text: &str) -> Result<Identity, AuthError> {
        let token = jsonwebtoken::decode::<Claims>(text, &self.key, &self.validation)
            .map_err(|_| AuthError::Unauthorized)?;
        let name = name_of(token.header.alg.family(), text);
        let nbf = token.claims.nbf.clone();
        let identity = token.claims.identity().ok_or(AuthError::Unauthorized)?.token_id(name);
        self.check_times(&identity, nbf)?;
        Ok(identity)
    }

    fn check_times(&self, identity: &Identity, nbf: Option<Number>) -> Result<(), AuthError> {
        let now = self.clock.utc();
        if identity.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::Expired);
        }
        let Some(nbf) = nbf else { return Ok(()) };
        let nbf = moment(&nbf).ok_or(AuthError::Unauthorized)?;
        let early = (nbf - now).to_std().is_ok_and(|wait| wait > Duration::from_secs(self.validation.leeway));
        if early { Err(AuthError::Unauthorized) } else { Ok(()) }
    }
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthenticator")
            .field("algorithms", &self.validation.algorithms)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, credential: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        self.read(credential.token.expose())
    }

    async fn recheck(&self, identity: &Identity) -> Validity {
        match identity.expires_at {
            Some(end) if end <= self.clock.utc() => Validity::Expired,
            _ => Validity::Valid,
        }
    }
}

/// ECDSA signs `s` and `-s` alike, so only what is signed names such a token for good.
fn name_of(family: AlgorithmFamily, text: &str) -> TokenId {
    match (family, text.rsplit_once('.')) {
        (AlgorithmFamily::Ec, Some((signed, _))) => TokenId::hash(signed),
        _ => TokenId::hash(text),
    }
}

fn check_secret(secret: &[u8]) -> Result<(), BuildError> {
    if secret.len() >= MIN_SECRET {
        return Ok(());
    }
    let problem =
        format!("{} bytes long; HS256 needs a random secret of {MIN_SECRET} at least", secret.len());
    Err(BuildError::Unreadable { name: "secret", problem })
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: Option<Number>,
    exp: Option<Number>,
    nbf: Option<Number>,
    device: Option<String>,
    tenant: Option<String>,
    data: Option<Box<RawValue>>,
    scope: Option<String>,
    scopes: Option<Vec<String>>,
}

impl Claims {
    /// `None` where a time cannot be read: no token becomes immortal by an absurd one.
    fn identity(self) -> Option<Identity> {
        let mut identity = Identity::new(UserKey::in_account(self.tenant.unwrap_or_default(), self.sub));
        identity.device = self.device.map(Arc::from);
        identity.data = self.data.map(Arc::from);
        identity.issued_at = self.iat.map(|iat| issued(&iat).ok_or(())).transpose().ok()?;
        identity.expires_at = self.exp.map(|exp| moment(&exp).ok_or(())).transpose().ok()?;
        identity.scopes = self.scopes.unwrap_or_default();
        identity
            .scopes
            .extend(self.scope.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned));
        Some(identity)
    }
}

/// Seconds since 1970, to the microsecond.
fn moment(seconds: &Number) -> Option<DateTime<Utc>> {
    match seconds.as_i64() {
        Some(whole) => DateTime::from_timestamp(whole, 0),
        None => DateTime::from_timestamp_micros((seconds.as_f64()? * 1e6).round() as i64),
    }
}

/// In whole seconds it may have been any moment of its second; the last one keeps a fresh login after a kick.
fn issued(seconds: &Number) -> Option<DateTime<Utc>> {
    let at = moment(seconds)?;
    match at.timestamp_subsec_nanos() {
        0 => DateTime::from_timestamp(at.timestamp(), 999_999_999),
        _ => Some(at),
    }
}

/// Keys that issue tokens which [`JwtAuthenticator`] takes.
///
/// ```
/// use std::time::Duration;
/// use herenow::{Clock, SystemClock, auth::{Identity, JwtKeys}};
///
/// let keys = JwtKeys::hs256(b"at least thirty-two bytes of secret")?;
/// let login = Identity::new("alice").device("web");
/// let token = keys.issue(&login, Duration::from_secs(3600), SystemClock::default().utc());
/// let authenticator = keys.authenticator();
/// # let _ = (token, authenticator);
/// # Ok::<(), herenow::BuildError>(())
/// ```
#[derive(Clone)]
pub struct JwtKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl JwtKeys {
    /// Signs with HMAC-SHA-256 and this secret.
    ///
    /// # Errors
    /// The secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, BuildError> {
        check_secret(secret)?;
        Ok(Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) })
    }

    /// The authenticator of these tokens.
    pub fn authenticator(&self) -> JwtAuthenticator {
        JwtAuthenticator::new(self.decoding.clone(), Validation::new(Algorithm::HS256))
    }

    /// A token of this identity that is over after `ttl` (100 years at most). Each differs from every other; times are
    /// exact to the microsecond. What the identity says of its own times and token is not looked at.
    pub fn issue(&self, identity: &Identity, ttl: Duration, now: DateTime<Utc>) -> Token {
        let issued = micros(now);
        let issued = if issued % 1_000_000 == 0 { issued + 1 } else { issued }; // else read as a whole second
        let claims = Issued {
            sub: identity.user.login_id(),
            tenant: identity.user.account(),
            iat: seconds(issued),
            exp: seconds(micros(now).saturating_add(ttl.min(MAX_TTL).as_micros() as i64)),
            jti: random_text(),
            device: identity.device.as_deref(),
            data: identity.data.as_deref(),
            scopes: &identity.scopes,
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding);
        Token::new(text.expect("plain claims can be written as JSON, and any secret keys an HMAC"))
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtKeys(<redacted>)")
    }
}

#[derive(Serialize)]
struct Issued<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    iat: f64,
    exp: f64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    scopes: &'a [String],
}

fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Source, authenticate};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: i64 = 1_700_000_000;

    #[derive(Debug)]
    struct At(DateTime<Utc>);

    impl Clock for At {
        fn now(&self) -> crate::Instant {
            SystemClock.now()
        }
        fn utc(&self) -> DateTime<Utc> {
            self.0
        }
    }

    fn at(seconds: i64, nanos: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, nanos).unwrap()
    }

    fn signed(alg: Algorithm, secret: &[u8], claims: &Value) -> Token {
        Token::new(
            jsonwebtoken::encode(&Header::new(alg), claims, &EncodingKey::from_secret(secret)).unwrap(),
        )
    }

    fn good(claims: &Value) -> Token {
        signed(Algorithm::HS256, SECRET, claims)
    }

    fn auth_at(now: DateTime<Utc>) -> JwtAuthenticator {
        JwtAuthenticator::hs256(SECRET).unwrap().clock(Arc::new(At(now)))
    }

    async fn ask(auth: &JwtAuthenticator, token: Token) -> Result<Identity, AuthError> {
        authenticate(auth, Credential::new(token, Source::Header), &RequestInfo::default()).await
    }

    async fn answer(claims: Value) -> Result<Identity, AuthError> {
        ask(&auth_at(at(NOW, 0)), good(&claims)).await
    }

    #[tokio::test]
    async fn the_claims_become_the_identity() {
        let identity = answer(json!({
            "sub": "alice", "exp": NOW + 60, "iat": NOW - 5, "tenant": "acme", "device": "web",
            "data": {"name": "A"}, "scope": "read write", "scopes": ["admin"], "jti": 7, "other": []
        }))
        .await
        .unwrap();
        assert_eq!(identity.user, UserKey::in_account("acme", "alice"));
        assert_eq!(identity.device_label(), "web");
        assert_eq!(identity.data.as_ref().unwrap().get(), r#"{"name":"A"}"#);
        assert!(["read", "write", "admin"].iter().all(|scope| identity.has_scope(scope)));
        assert_eq!(identity.expires_at, Some(at(NOW + 60, 0)));
        assert!(!identity.token_id.is_unset());
    }

    #[tokio::test]
    async fn a_token_is_over_at_its_exp_to_the_fraction() {
        let token = || good(&json!({"sub": "a", "exp": NOW as f64 + 0.25}));
        assert!(ask(&auth_at(at(NOW, 249_999_000)), token()).await.is_ok());
        let over = auth_at(at(NOW, 250_000_000));
        assert_eq!(ask(&over, token()).await.unwrap_err(), AuthError::Expired);
        let identity = Identity::new("a").expires_at(at(NOW, 250_000_000));
        assert_eq!(over.recheck(&identity).await, Validity::Expired);
        assert_eq!(auth_at(at(NOW, 0)).recheck(&identity).await, Validity::Valid);
    }

    #[tokio::test]
    async fn a_forged_token_is_unauthorized_even_when_it_is_over() {
        let other = signed(Algorithm::HS256, &[7; 32], &json!({"sub": "a", "exp": 1}));
        assert_eq!(ask(&auth_at(at(NOW, 0)), other).await.unwrap_err(), AuthError::Unauthorized);
    }

    #[tokio::test]
    async fn an_iat_in_whole_seconds_counts_as_the_end_of_its_second() {
        for (iat, nanos) in [(json!(NOW), 999_999_999), (json!(NOW as f64 + 0.5), 500_000_000)] {
            let identity = answer(json!({"sub": "a", "exp": NOW + 9, "iat": iat})).await.unwrap();
            assert_eq!(identity.issued_at, Some(at(NOW, nanos)));
        }
        assert_eq!(answer(json!({"sub": "a", "exp": NOW + 9})).await.unwrap().issued_at, None);
    }

    #[tokio::test]
    async fn exp_is_required_unless_told_otherwise() {
        assert_eq!(answer(json!({"sub": "a"})).await.unwrap_err(), AuthError::Unauthorized);
        let lenient = auth_at(at(NOW, 0)).allow_missing_exp();
        assert!(ask(&lenient, good(&json!({"sub": "a"}))).await.is_ok());
        assert_eq!(
            ask(&lenient, good(&json!({"sub": "a", "exp": 1}))).await.unwrap_err(),
            AuthError::Expired
        );
    }

    #[tokio::test]
    async fn claims_that_make_no_sense_are_unauthorized() {
        for claims in [
            json!({"exp": NOW + 9}),
            json!({"sub": "", "exp": NOW + 9}),
            json!({"sub": "a\u{0}", "exp": NOW + 9}),
            json!({"sub": 5, "exp": NOW + 9}),
            json!({"sub": "a", "exp": "soon"}),
            json!({"sub": "a", "exp": 1e300}),
            json!({"sub": "a", "exp": NOW + 9, "iat": 1e300}),
            json!({"sub": "a", "exp": NOW + 9, "iat": "now"}),
            json!({"sub": "a", "exp": NOW + 9, "nbf": NOW + 61}),
            json!({"sub": "a", "exp": NOW + 9, "aud": "somebody else"}),
            json!({"sub": "a", "exp": NOW + 9, "device": "d".repeat(65)}),
            json!([]),
        ] {
            assert_eq!(answer(claims.clone()).await.unwrap_err(), AuthError::Unauthorized, "{claims}");
        }
        assert!(answer(json!({"sub": "a", "exp": NOW + 99, "nbf": NOW + 60})).await.is_ok());
    }

    #[tokio::test]
    async fn the_algorithm_is_ours_to_choose() {
        let claims = json!({"sub": "a", "exp": NOW + 9});
        let (none, body) = (URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#), claims.to_string());
        let unsigned = format!("{none}.{}.", URL_SAFE_NO_PAD.encode(body));
        for token in [signed(Algorithm::HS512, SECRET, &claims), Token::new(unsigned), Token::new("a.b.c")] {
            assert_eq!(ask(&auth_at(at(NOW, 0)), token).await.unwrap_err(), AuthError::Unauthorized);
        }
        // A public RSA key is known to all; as a secret of HMAC it must verify nothing.
        let public = [0xc5; 256];
        let key = DecodingKey::from_rsa_raw_components(&public, &[1, 0, 1]);
        let auth =
            JwtAuthenticator::new(key, Validation::new(Algorithm::RS256)).clock(Arc::new(At(at(NOW, 0))));
        let forged = signed(Algorithm::HS256, &public, &claims);
        assert_eq!(ask(&auth, forged).await.unwrap_err(), AuthError::Unauthorized);
    }

    #[tokio::test]
    async fn one_token_has_one_text() {
        let text = good(&json!({"sub": "a", "exp": NOW + 9})).expose().to_owned();
        let last = text.chars().last().unwrap();
        // The last character of 32 bytes carries two bits that no byte has.
        let accepted =
            ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_', '=']).filter(|&c| c != last);
        for c in accepted {
            let other = Token::new(format!("{}{c}", &text[..text.len() - 1]));
            assert!(ask(&auth_at(at(NOW, 0)), other).await.is_err(), "{c}");
        }
    }

    #[test]
    fn an_ecdsa_token_is_named_by_what_is_signed() {
        assert_eq!(name_of(AlgorithmFamily::Ec, "h.p.s1"), name_of(AlgorithmFamily::Ec, "h.p.s2"));
        assert_ne!(name_of(AlgorithmFamily::Hmac, "h.p.s1"), name_of(AlgorithmFamily::Hmac, "h.p.s2"));
    }

    #[tokio::test]
    async fn what_the_keys_issue_the_authenticator_takes() {
        let keys = JwtKeys::hs256(SECRET).unwrap();
        let now = at(NOW, 123_456_789);
        let identity = Identity::new(UserKey::in_account("acme", "小明"))
            .device("web")
            .data(RawValue::from_string("[1]".to_owned()).unwrap())
            .scope("two words");
        let issue = || keys.issue(&identity, Duration::from_millis(1500), now);
        assert_ne!(issue().id(), issue().id());
        let auth = keys.authenticator().clock(Arc::new(At(now)));
        let back = ask(&auth, issue()).await.unwrap();
        assert_eq!((&back.user, back.device_label()), (&identity.user, "web"));
        assert_eq!(back.scopes, ["two words"]);
        assert_eq!(back.issued_at, Some(at(NOW, 123_456_000)));
        assert_eq!(back.expires_at, Some(at(NOW, 123_456_000) + TimeDelta::milliseconds(1500)));
        let forever = keys.issue(&identity, Duration::MAX, now);
        assert!(ask(&auth, forever).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_issued_on_the_full_second_is_no_whole_second() {
        let keys = JwtKeys::hs256(SECRET).unwrap();
        let token = keys.issue(&Identity::new("a"), Duration::from_secs(9), at(NOW, 0));
        let issued_at = ask(&auth_at(at(NOW, 0)), token).await.unwrap().issued_at;
        assert_eq!(issued_at, Some(at(NOW, 1_000)));
    }

    #[test]
    fn a_short_secret_is_refused_and_the_text_says_how_long_it_must_be() {
        for error in [JwtKeys::hs256(b"short").unwrap_err(), JwtAuthenticator::hs256(b"short").unwrap_err()] {
            assert!(error.to_string().contains("32"), "{error}");
        }
    }

    #[test]
    fn keys_show_nowhere() {
        let keys = JwtKeys::hs256(SECRET).unwrap();
        assert!(!format!("{keys:?} {:?}", keys.authenticator()).contains("0123"));
    }
}
