//! Who is meant: [`Target`] of a push or a kick, and whom it leaves out.

use std::sync::Arc;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use crate::{
    ChannelKey, UserKey,
    auth::{Identity, TokenId},
    cluster::Reach,
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
/// let rest_of_the_room = Target::channel("lobby").except_user("alice");
/// # let _ = (everybody_else, one_phone, rest_of_the_room);
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
    /// Every subscriber of a channel.
    Channel(ChannelKey),
    /// The connections that a kick found in a channel, in order.
    Connections(Vec<ConnectionId>),
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
    /// Every subscriber of one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ChannelKey>,
    /// The connections of this node that were subscribed when the push began; each node looks by itself.
    #[serde(skip)]
    subscribed: Option<Arc<HashSet<ConnectionId>>>,
}

impl Target {
    /// Which other nodes hold connections of it.
    pub(crate) fn reach(&self) -> Reach<'_> {
        match &self.scope {
            Scope::User(user) | Scope::Device(user, _) => Reach::User(user),
            Scope::Users(users) => Reach::Users(users),
            Scope::Connection(id) => Reach::Node(id.node()),
            Scope::Channel(channel) => Reach::Channel(channel),
            // A token's user is not known here.
            Scope::Token(_) | Scope::Account(_) | Scope::AllAccounts => Reach::Everyone,
            Scope::Connections(_) => Reach::Everyone, // A kick's alone, which asks instead.
        }
    }

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

    /// Every connection that is subscribed to a channel of the default account. In envelope mode the push names the
    /// channel.
    pub fn channel(name: impl Into<ChannelKey>) -> Self {
        Self::of(Scope::Channel(name.into()))
    }

    /// Every connection that is subscribed to a channel of a named account; an empty name is the default account.
    pub fn channel_in(account: impl AsRef<str>, name: impl Into<Arc<str>>) -> Self {
        Self::of(Scope::Channel(ChannelKey::in_account(account, name)))
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

    /// Leaves out every connection that is subscribed to a channel of the target's account; where the target names no
    /// account, of the default one. Of a push; a kick does not take it.
    ///
    /// ```
    /// use herenow::Target;
    ///
    /// let not_in_the_room = Target::user("alice").except_channel("room 7"); // A hint, unless she looks at it already.
    /// # let _ = not_in_the_room;
    /// ```
    pub fn except_channel(mut self, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let mut channels: Vec<ChannelKey> = match &self.scope {
            Scope::User(user) | Scope::Device(user, _) => vec![ChannelKey::beside(user, name)],
            Scope::Users(users) => users.iter().map(|user| ChannelKey::beside(user, name.clone())).collect(),
            Scope::Account(Some(account)) => vec![ChannelKey::in_account(account, name)],
            Scope::Channel(channel) => {
                vec![ChannelKey::in_account(channel.account().unwrap_or_default(), name)]
            }
            _ => vec![ChannelKey::new(name)],
        };
        channels.sort();
        channels.dedup();
        self.except.channels.extend(channels);
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
            Scope::Connection(_) | Scope::Connections(_) => "connection",
            Scope::Channel(_) => "channel",
            Scope::Account(_) | Scope::AllAccounts => "everyone",
        }
    }

    /// The channel that is meant, where one is.
    pub(crate) fn channel_name(&self) -> Option<Arc<str>> {
        match &self.scope {
            Scope::Channel(channel) => Some(channel.shared_name()),
            _ => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        self.except.channels.iter().try_for_each(ChannelKey::check)?;
        match &self.scope {
            Scope::User(user) => check_user(user),
            Scope::Users(users) => users.iter().try_for_each(check_user),
            Scope::Device(user, device) => {
                check_user(user)?;
                check_name("device", device, MAX_DEVICE)
            }
            Scope::Account(Some(account)) => check_name("account", account, MAX_LOGIN_ID),
            Scope::Channel(channel) => channel.check(),
            Scope::Token(_)
            | Scope::Connection(_)
            | Scope::Connections(_)
            | Scope::Account(None)
            | Scope::AllAccounts => Ok(()),
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

impl From<ChannelKey> for Target {
    fn from(channel: ChannelKey) -> Self {
        Self::channel(channel)
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
            && self.channels.is_empty()
    }

    pub(crate) fn leaves_out(&self, id: ConnectionId, identity: &Identity) -> bool {
        !self.is_empty()
            && (self.connections.contains(&id)
                || self.subscribed.as_ref().is_some_and(|ids| ids.contains(&id))
                || self.leaves_out_user(&identity.user)
                || self.tokens.contains(&identity.token_id))
    }

    pub(crate) fn leaves_out_user(&self, user: &UserKey) -> bool {
        let is_outside = |account: &String| user.account().unwrap_or_default() != account;
        self.users.contains(user) || self.outside.as_ref().is_some_and(is_outside)
    }

    /// Whether nobody of the account is left out, where one is named.
    pub(crate) fn is_account_alone(&self) -> bool {
        self.users.is_empty()
            && self.connections.is_empty()
            && self.tokens.is_empty()
            && self.channels.is_empty()
    }

    /// The channels whose subscribers are left out.
    pub(crate) fn channels(&self) -> &[ChannelKey] {
        &self.channels
    }

    /// Leaves out these connections of this node, as those that are subscribed now.
    pub(crate) fn add_subscribed(&mut self, subscribed: HashSet<ConnectionId>) {
        self.subscribed = Some(Arc::new(subscribed));
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
