//! [`UserKey`]: who a user is, and [`UserRef`], the same for a look.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use ecow::EcoString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names a user: the account system it belongs to and its login id in there.
///
/// Strings convert into a key of the *default account*, so an application with one account system never meets
/// this type: every method takes `impl Into<UserKey>` or [`impl NamesUser`](NamesUser), which strings are too. Keys of
/// different accounts never equal each other, and users, counts and pushes of one account never see another's.
///
/// Login ids of at most 15 bytes stand in the key itself; clones share the text of longer ones.
///
/// ```
/// use herenow::UserKey;
///
/// let alice = UserKey::from("alice");
/// let tenant_alice = UserKey::in_account("tenant-1", "alice");
/// assert_eq!(alice.login_id(), tenant_alice.login_id());
/// assert_ne!(alice, tenant_alice);
/// ```
#[derive(Clone)]
pub struct UserKey {
    /// One pointer, since most keys have none.
    account: Option<Arc<EcoString>>,
    login_id: EcoString,
}

impl UserKey {
    /// A user of the default account.
    pub fn new(login_id: impl AsRef<str>) -> Self {
        Self { account: None, login_id: login_id.as_ref().into() }
    }

    /// A user of a named account; an empty name is the default account.
    pub fn in_account(account: impl AsRef<str>, login_id: impl AsRef<str>) -> Self {
        let account = Some(account.as_ref()).filter(|name| !name.is_empty());
        Self { account: account.map(|name| Arc::new(name.into())), ..Self::new(login_id) }
    }

    /// The login id, as the application knows it.
    pub fn login_id(&self) -> &str {
        &self.login_id
    }

    /// The account's name; `None` is the default account.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref().map(EcoString::as_str)
    }

    pub(crate) fn by_ref(&self) -> UserRef<'_> {
        UserRef { account: self.account(), login_id: &self.login_id }
    }
}

/// Names a user for a look, which needs no key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserRef<'a> {
    account: Option<&'a str>,
    login_id: &'a str,
}

impl<'a> UserRef<'a> {
    pub(crate) fn login_id(self) -> &'a str {
        self.login_id
    }

    pub(crate) fn to_key(self) -> UserKey {
        UserKey::in_account(self.account.unwrap_or(""), self.login_id)
    }
}

/// As few steps as will do: ids of the default account are hashed as they are.
impl Hash for UserRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(account) = self.account {
            account.hash(state);
        }
        state.write(self.login_id.as_bytes());
    }
}

impl Hash for UserKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.by_ref().hash(state);
    }
}

impl PartialEq for UserKey {
    fn eq(&self, other: &Self) -> bool {
        self.by_ref() == other.by_ref()
    }
}

impl Eq for UserKey {}

impl PartialOrd for UserKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UserKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.by_ref().cmp(&other.by_ref())
    }
}

impl<'a> From<&'a UserKey> for UserRef<'a> {
    fn from(key: &'a UserKey) -> Self {
        key.by_ref()
    }
}

/// So that maps of keys are asked without one.
impl hashbrown::Equivalent<UserKey> for UserRef<'_> {
    fn equivalent(&self, key: &UserKey) -> bool {
        *self == key.by_ref()
    }
}

/// What names a user to a method that looks one up: a string, for the default account, or a [`UserKey`], by value or
/// by reference. A look copies neither. All of them convert into a `UserKey`; nothing else can be one.
pub trait NamesUser: sealed::Named + Into<UserKey> + Send + Sync {}

impl<T: sealed::Named + Into<UserKey> + Send + Sync> NamesUser for T {}

mod sealed {
    use super::{UserKey, UserRef};

    pub trait Named {
        fn named(&self) -> UserRef<'_>;
    }

    impl Named for &str {
        fn named(&self) -> UserRef<'_> {
            UserRef { account: None, login_id: self }
        }
    }

    impl Named for String {
        fn named(&self) -> UserRef<'_> {
            UserRef { account: None, login_id: self }
        }
    }

    impl Named for &String {
        fn named(&self) -> UserRef<'_> {
            UserRef { account: None, login_id: self }
        }
    }

    impl Named for UserKey {
        fn named(&self) -> UserRef<'_> {
            self.by_ref()
        }
    }

    impl Named for &UserKey {
        fn named(&self) -> UserRef<'_> {
            self.by_ref()
        }
    }
}

impl From<&str> for UserKey {
    fn from(login_id: &str) -> Self {
        Self::new(login_id)
    }
}

impl From<String> for UserKey {
    fn from(login_id: String) -> Self {
        Self::new(login_id)
    }
}

impl From<&String> for UserKey {
    fn from(login_id: &String) -> Self {
        Self::new(login_id)
    }
}

impl From<&UserKey> for UserKey {
    fn from(key: &UserKey) -> Self {
        key.clone()
    }
}

/// For logs: escaped, so that a login id cannot forge a log line.
impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account() {
            Some(account) => write!(f, "{account:?}/{:?}", self.login_id),
            None => write!(f, "{:?}", self.login_id),
        }
    }
}

/// How a key is written and read.
#[derive(Serialize, Deserialize)]
#[serde(rename = "UserKey")]
struct Written<T> {
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    account: Option<T>,
    login_id: T,
}

impl Serialize for UserKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { account: self.account(), login_id: self.login_id() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UserKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { account, login_id } = Written::<String>::deserialize(deserializer)?;
        Ok(Self::in_account(account.unwrap_or_default(), login_id))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::{sealed::Named, *};

    fn keys() -> [UserKey; 4] {
        let long = "a login id that no key has room for";
        [
            "u1".into(),
            long.into(),
            UserKey::in_account("tenant", "u1"),
            UserKey::in_account("a tenant of a long name", long),
        ]
    }

    #[test]
    fn a_look_finds_what_a_key_finds() {
        let hasher = hashbrown::DefaultHashBuilder::default();
        for key in keys() {
            assert_eq!(hasher.hash_one(&key), hasher.hash_one(key.by_ref()));
            assert_eq!(key.by_ref().to_key(), key);
            let known: hashbrown::HashMap<UserKey, ()> = keys().map(|key| (key, ())).into_iter().collect();
            assert!(known.contains_key(&key.by_ref()) && known.len() == keys().len());
        }
        let named = |user: &dyn Named| hasher.hash_one(user.named());
        let (text, key) = ("u1".to_owned(), UserKey::from("u1"));
        assert!([named(&"u1"), named(&text), named(&&text), named(&&key)].iter().all(|n| *n == named(&key)));
    }

    #[test]
    fn keys_come_by_account_first_and_read_as_they_were_written() {
        let mut sorted = keys();
        sorted.sort();
        let accounts = sorted.each_ref().map(UserKey::account);
        assert_eq!(accounts, [None, None, Some("a tenant of a long name"), Some("tenant")]);
        for key in keys() {
            let written = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<UserKey>(&written).unwrap(), key, "{written}");
        }
        assert_eq!(serde_json::to_string(&keys()[0]).unwrap(), r#"{"login_id":"u1"}"#);
    }

    #[test]
    fn a_key_is_small() {
        assert_eq!(size_of::<UserKey>(), 24);
    }
}
