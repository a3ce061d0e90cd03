//! What an authenticator learnt of a credential: [`Identity`], and the names a token goes by.

use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    UserKey,
    error::InvalidInput,
    limits::{MAX_DEVICE, MAX_METADATA_BYTES, check_label, check_user},
};

/// The name of a token wherever one is stored: the first 128 bits of its SHA-256, never the token itself.
///
/// Shown as `tok_` and 32 hexadecimal digits; that handle is accepted wherever a token is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// The id of a token; of a handle (`tok_…`), the id it stands for.
    ///
    /// ```
    /// use herenow::auth::TokenId;
    /// let id = TokenId::of("secret");
    /// assert_eq!(TokenId::of(&id.to_string()), id);
    /// ```
    pub fn of(token: &str) -> Self {
        token.parse().unwrap_or_else(|_| Self::hash(token))
    }

    /// The id of a credential that came over the network: a handle is no credential, so it is hashed like any text.
    pub(crate) fn hash(token: &str) -> Self {
        let digest = Sha256::digest(token.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Whether no token was set yet.
    pub(crate) fn is_unset(self) -> bool {
        self == Self::default()
    }

    /// The bits of the id, for maps whose hasher needs no further mixing.
    pub(crate) fn bits(self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().unwrap_or_default())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut text = *b"tok_00000000000000000000000000000000";
        text[4..].iter_mut().zip(digits).for_each(|(at, digit)| *at = DIGITS[usize::from(digit)]);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Shows only a few digits: enough to tell two apart in a log, too few to use as a handle.
impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tok_{:02x}{:02x}…", self.0[0], self.0[1])
    }
}

/// The text is not `tok_` and 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token handle: `tok_` and 32 hexadecimal digits")]
pub struct NotAHandle;

impl FromStr for TokenId {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let digits =
            text.strip_prefix("tok_").filter(|hex| hex.len() == 32 && hex.is_ascii()).ok_or(NotAHandle)?;
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotAHandle)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAHandle)?;
        }
        Ok(Self(id))
    }
}

impl Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A secret as it came in: redacted in `Debug`, compared in constant time, never serialized.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Wraps a secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the authenticator that has to look at it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The name this secret is stored under.
    pub fn id(&self) -> TokenId {
        TokenId::hash(&self.0)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<redacted>)")
    }
}

/// Who a credential belongs to, and what it allows.
///
/// ```
/// use herenow::auth::Identity;
///
/// let identity = Identity::new("alice").device("web").scope("admin");
/// assert_eq!(identity.user.login_id(), "alice");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The user.
    pub user: UserKey,
    /// The token's name. Left at its default by an authenticator, it becomes the hash of the credential.
    #[serde(default)]
    pub token_id: TokenId,
    /// The device's label, where the token says it; otherwise `hello` or the handler may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Arc<str>>,
    /// Public facts of the user as JSON (GoEasy's `userData`); others see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Arc<RawValue>>,
    /// When the token was issued: a kick of the user refuses tokens from before it. Of an identity that was looked at,
    /// that moment at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// When the token's time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// What the token allows, as the application's `authorize` reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl Identity {
    /// An identity that knows its user and nothing else.
    pub fn new(user: impl Into<UserKey>) -> Self {
        Self {
            user: user.into(),
            token_id: TokenId::default(),
            device: None,
            data: None,
            issued_at: None,
            expires_at: None,
            scopes: Vec::new(),
        }
    }

    /// Sets the device's label.
    #[must_use]
    pub fn device(mut self, device: impl Into<Arc<str>>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Sets the public data of the user.
    #[must_use]
    pub fn data(mut self, data: Box<RawValue>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Sets when the token was issued.
    #[must_use]
    pub fn issued_at(mut self, at: DateTime<Utc>) -> Self {
        self.issued_at = Some(at);
        self
    }

    /// Sets when the token's time is over.
    #[must_use]
    pub fn expires_at(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Adds a scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Names the token where its own text is not its name (several texts of one token, a ticket).
    #[must_use]
    pub fn token_id(mut self, id: TokenId) -> Self {
        self.token_id = id;
        self
    }

    /// Whether the token allows `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// The device's label, empty where none is known.
    pub fn device_label(&self) -> &str {
        self.device.as_deref().unwrap_or("")
    }

    /// A token that was looked at is at least as old as the look, whatever it says of itself: so a kick between the
    /// look and the registration finds it older than itself.
    #[must_use]
    pub(crate) fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        self.issued_at = Some(self.issued_at.map_or(now, |issued| issued.min(now)));
        self
    }

    /// Whether the names in it may be stored and shown.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        check_user(&self.user)?;
        check_label("device", self.device_label(), MAX_DEVICE)?;
        let size = self.data.as_ref().map_or(0, |data| data.get().len());
        if size > MAX_METADATA_BYTES {
            return Err(InvalidInput::TooLong { field: "data", size, limit: MAX_METADATA_BYTES });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_nowhere() {
        let token = Token::new("s3cret-value");
        assert!(!format!("{token:?} {:?} {}", token.id(), token.id()).contains("s3cret"));
    }

    #[test]
    fn a_handle_names_the_token_but_is_none() {
        let id = TokenId::of("secret");
        assert_eq!(TokenId::of(&id.to_string()), id);
        assert_ne!(TokenId::hash(&id.to_string()), id);
    }
}
