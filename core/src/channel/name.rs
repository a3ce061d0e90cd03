//! What names a channel: [`ChannelKey`], the account and the name in it.

use std::{fmt, hash::Hash, sync::Arc};

use hashbrown::Equivalent;
use serde::{Deserialize, Serialize};

use crate::{
    UserKey,
    error::InvalidInput,
    limits::{MAX_CHANNEL, MAX_LOGIN_ID, check_name},
};

/// Names a channel: the account it belongs to and its name in there, 1 to 255 bytes without control characters.
///
/// Strings convert into a key of the *default account*, as with [`UserKey`]. Channels of different accounts never
/// meet, whatever their names.
///
/// Clones share their text.
///
/// ```
/// use herenow::ChannelKey;
///
/// let lobby = ChannelKey::from("lobby");
/// let tenants = ChannelKey::in_account("tenant-1", "lobby");
/// assert_eq!(lobby.name(), tenants.name());
/// assert_ne!(lobby, tenants);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Arc<str>>,
    name: Arc<str>,
}

impl ChannelKey {
    /// A channel of the default account.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { account: None, name: name.into() }
    }

    /// A channel of a named account; an empty name is the default account.
    pub fn in_account(account: impl AsRef<str>, name: impl Into<Arc<str>>) -> Self {
        let account = Some(account.as_ref()).filter(|name| !name.is_empty()).map(Arc::from);
        Self { account, name: name.into() }
    }

    /// A channel of the same account as the user.
    pub(crate) fn beside(user: &UserKey, name: impl Into<Arc<str>>) -> Self {
        Self { account: user.account().map(Arc::from), name: name.into() }
    }

    /// The name, as clients say it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's name; `None` is the default account.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        if let Some(account) = self.account() {
            check_name("account", account, MAX_LOGIN_ID)?;
        }
        check_channel(&self.name)
    }
}

/// A channel's name as clients and applications hand it in.
pub(crate) fn check_channel(name: &str) -> Result<(), InvalidInput> {
    check_name("channel", name, MAX_CHANNEL)
}

impl From<&str> for ChannelKey {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for ChannelKey {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<&String> for ChannelKey {
    fn from(name: &String) -> Self {
        Self::new(name.as_str())
    }
}

impl From<&ChannelKey> for ChannelKey {
    fn from(key: &ChannelKey) -> Self {
        key.clone()
    }
}

/// For logs: escaped, so that a name cannot forge a log line.
impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account() {
            Some(account) => write!(f, "{account:?}/#{:?}", self.name),
            None => write!(f, "#{:?}", self.name),
        }
    }
}

/// A channel's key that is only looked up: nothing is allocated for it.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Named<'a> {
    account: Option<&'a str>,
    name: &'a str,
}

impl<'a> Named<'a> {
    pub(crate) fn new(account: Option<&'a str>, name: &'a str) -> Self {
        Self { account: account.filter(|account| !account.is_empty()), name }
    }
}

impl<'a> From<&'a ChannelKey> for Named<'a> {
    fn from(key: &'a ChannelKey) -> Self {
        Self { account: key.account(), name: key.name() }
    }
}

impl Equivalent<ChannelKey> for Named<'_> {
    fn equivalent(&self, key: &ChannelKey) -> bool {
        self.name == &*key.name && self.account == key.account()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_look_up_by_parts_finds_what_was_filed_by_key() {
        let hasher = hashbrown::DefaultHashBuilder::default();
        for key in [ChannelKey::from("lobby"), ChannelKey::in_account("tenant", "lobby")] {
            let named = Named::new(key.account(), key.name());
            assert_eq!(hasher.hash_one(&key), hasher.hash_one(named));
            assert!(named.equivalent(&key));
        }
        assert!(!Named::new(Some("tenant"), "lobby").equivalent(&"lobby".into()));
        assert!(Named::new(Some(""), "lobby").equivalent(&"lobby".into()));
    }

    #[test]
    fn names_are_checked_as_all_names_are() {
        assert!(ChannelKey::from("房间/1").check().is_ok());
        for bad in [String::new(), "a\nb".into(), "x".repeat(256)] {
            assert!(ChannelKey::from(bad.as_str()).check().is_err(), "{bad:?}");
        }
        assert!(ChannelKey::in_account("a\u{202e}", "lobby").check().is_err());
    }
}
