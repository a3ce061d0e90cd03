//! Who is meant: [`Target`] of a push or a kick, and whom it leaves out.

use serde::{Deserialize, Serialize};

use crate::{
    UserKey,
    auth::{Identity, TokenId},
    connection::ConnectionId,
    error::InvalidInput,
    limits::{MAX_DEVICE, MAX_LOGIN_ID, MAX_TOKEN, check_name, check_user},
};

/// Whom a push or a kick is for.
///
/// ```
/// use herenow::Target;
///
/// let everybody_else = Target::everyone().except_user("alice");
/// let one_phone = Target::device("alice", "ios");
/// # let _ = (everybody_else, one_phone);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Target {
    pub(crate) scope: Scope,
    #[serde(default, skip_serializing_if = "Except::is_empty")]
    pub(crate) except: Except,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    User(UserKey),
    Users(Vec<UserKey>),
    Device(UserKey, String),
    Token(TokenId),
    Connection(ConnectionId),
    /// Everyone of one account; `None` is the default account.
    Account(Option<String>),
    AllAccounts,
}

/// Whom a target leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Except {
    users: Vec<UserKey>,
    connections: Vec<ConnectionId>,
    tokens: Vec<TokenId>,
    /// Everyone who is not of this account; an empty name is the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outside: Option<String>,
}

impl Target {
    fn of(scope: Scope) -> Self {
        Self { scope, except: Except::default() }
    }

    /// Every connection of one user.
    pub fn user(user: impl Into<UserKey>) -> Self {
        Self::of(Scope::User(user.into()))
    }

    /// Every connection of several users; a user named twice is meant once.
    pub fn users<U: Into<UserKey>>(users: impl IntoIterator<Item = U>) -> Self {
        let mut keys: Vec<UserKey> = users.into_iter().map(Into::into).collect();
        keys.sort();
        keys.dedup();
        Self::of(Scope::Users(keys))
    }

    /// The connections of one user that carry this device label.
    pub fn device(user: impl Into<UserKey>, device: impl Into<String>) -> Self {
        Self::of(Scope::Device(user.into(), device.into()))
    }

    /// The connections opened with this token; a handle (`tok_…`) does as well.
    pub fn token(token: impl AsRef<str>) -> Self {
        Self::of(Scope::Token(TokenId::of(token.as_ref())))
    }

    /// One connection.
    pub fn connection(id: ConnectionId) -> Self {
        Self::of(Scope::Connection(id))
    }

    /// Everyone of the default account.
    pub fn everyone() -> Self {
        Self::of(Scope::Account(None))
    }

    /// Everyone of a named account; an empty name is the default account.
    pub fn account(name: impl Into<String>) -> Self {
        Self::of(Scope::Account(Some(name.into()).filter(|name| !name.is_empty())))
    }

    /// Everyone of every account.
    pub fn all_accounts() -> Self {
        Self::of(Scope::AllAccounts)
    }

    /// Leaves out a user.
    pub fn except_user(mut self, user: impl Into<UserKey>) -> Self {
        self.except.users.push(user.into());
        self
    }

    /// Leaves out a connection: the sender's own of a push; of a kick its whole session, so that "end all others" ends
    /// no tab of the one that asks.
    pub fn except_connection(mut self, id: ConnectionId) -> Self {
        self.except.connections.push(id);
        self
    }

    /// Leaves out the session of a token (or handle).
    pub fn except_token(mut self, token: impl AsRef<str>) -> Self {
        self.except.tokens.push(TokenId::of(token.as_ref()));
        self
    }

    /// Leaves out everybody of other accounts, whatever the target names; an empty name is the default account. For
    /// tokens and connections whose account is not known.
    pub fn within_account(mut self, name: impl Into<String>) -> Self {
        self.except.outside = Some(name.into());
        self
    }

    /// The word for metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self.scope {
            Scope::User(_) => "user",
            Scope::Users(_) => "users",
            Scope::Device(..) => "device",
            Scope::Token(_) => "token",
            Scope::Connection(_) => "connection",
            Scope::Account(_) | Scope::AllAccounts => "everyone",
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        match &self.scope {
            Scope::User(user) => check_user(user),
            Scope::Users(users) => users.iter().try_for_each(check_user),
            Scope::Device(user, device) => {
                check_user(user)?;
                check_name("device", device, MAX_DEVICE)
            }
            Scope::Account(Some(account)) => check_name("account", account, MAX_LOGIN_ID),
            Scope::Token(_) | Scope::Connection(_) | Scope::Account(None) | Scope::AllAccounts => Ok(()),
        }
    }
}

/// A token as applications hand it in: there, and not longer than one can be.
pub(crate) fn check_token(token: &str) -> Result<(), InvalidInput> {
    check_name("token", token, MAX_TOKEN)
}

impl From<UserKey> for Target {
    fn from(user: UserKey) -> Self {
        Self::user(user)
    }
}

impl From<&str> for Target {
    fn from(login_id: &str) -> Self {
        Self::user(login_id)
    }
}

impl From<String> for Target {
    fn from(login_id: String) -> Self {
        Self::user(login_id)
    }
}

impl Except {
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.connections.is_empty()
            && self.tokens.is_empty()
            && self.outside.is_none()
    }

    pub(crate) fn leaves_out(&self, id: ConnectionId, identity: &Identity) -> bool {
        !self.is_empty()
            && (self.connections.contains(&id)
                || self.leaves_out_user(&identity.user)
                || self.tokens.contains(&identity.token_id))
    }

    pub(crate) fn leaves_out_user(&self, user: &UserKey) -> bool {
        let is_outside = |account: &String| user.account().unwrap_or_default() != account;
        self.users.contains(user) || self.outside.as_ref().is_some_and(is_outside)
    }

    /// Whether nobody of the account is left out, where one is named.
    pub(crate) fn is_account_alone(&self) -> bool {
        self.users.is_empty() && self.connections.is_empty() && self.tokens.is_empty()
    }

    /// The account that is not left.
    pub(crate) fn account(&self) -> Option<String> {
        self.outside.clone()
    }

    pub(crate) fn add_tokens(&mut self, tokens: Vec<TokenId>) {
        self.tokens.extend(tokens);
    }

    pub(crate) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    pub(crate) fn connections(&self) -> &[ConnectionId] {
        &self.connections
    }
}
