//! Who is here: [`OnlineUser`], [`Session`] and [`Status`].

use std::{collections::HashMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{InvalidInput, UserKey, auth::TokenId, limits::check_name};

/// One session of a user: the shape applications write by hand for
/// [`OnlineManager::mark_online`](crate::OnlineManager::mark_online), and read back from
/// [`get_user_sessions`](crate::OnlineManager::get_user_sessions).
///
/// What comes back carries a *handle* in `token` (`tok_…`, a part of the token's hash): it is accepted wherever a
/// token is, and gives nothing away. `token` is left out of `Serialize` and redacted in `Debug`.
#[derive(Clone, PartialEq, Serialize)]
#[allow(clippy::exhaustive_structs)] // Applications write it as a literal.
pub struct OnlineUser {
    /// The user's login id, at most 128 bytes, no control characters.
    pub login_id: String,
    /// The credential this session was opened with, at most 4,096 bytes.
    #[serde(skip_serializing)]
    pub token: String,
    /// A label such as `web`, `ios` or `desktop`; at most 64 bytes; empty where unknown.
    pub device: String,
    /// When the session was opened.
    pub connect_time: DateTime<Utc>,
    /// When the user last did something: an application frame, `update_activity`, or an authenticated request.
    pub last_activity: DateTime<Utc>,
    /// Private facts of the application: at most 16 keys and 4 KiB; never sent to other users.
    pub metadata: HashMap<String, String>,
}

impl OnlineUser {
    /// The same session in a named account.
    pub fn in_account(self, account: impl Into<String>) -> AccountUser {
        AccountUser { account: Some(account.into()), user: self }
    }
}

impl fmt::Debug for OnlineUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineUser")
            .field("login_id", &self.login_id)
            .field("token", &"<redacted>")
            .field("device", &self.device)
            .field("connect_time", &self.connect_time)
            .field("last_activity", &self.last_activity)
            .field("metadata", &self.metadata)
            .finish()
    }
}

/// One session of a user as others may see it: the connections of one token, on all nodes together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Session {
    /// The token's handle: names the session for a push or a kick, and is no credential.
    pub handle: TokenId,
    /// The device's label; empty where unknown.
    pub device: String,
    /// What this session alone would make its user.
    pub status: Status,
    /// When its first connection was opened.
    pub connect_time: DateTime<Utc>,
    /// When the user last did something on it.
    pub last_activity: DateTime<Utc>,
    /// Private facts of the application, from a mark by hand.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub metadata: HashMap<String, String>,
}

impl Session {
    /// Takes in another connection of the same token: the oldest connect time, the latest activity, the more awake
    /// status.
    pub(crate) fn merge(&mut self, other: Self) {
        self.connect_time = self.connect_time.min(other.connect_time);
        self.last_activity = self.last_activity.max(other.last_activity);
        if self.status == Status::Away {
            self.status = other.status;
        }
        self.metadata.extend(other.metadata);
    }
}

/// An [`OnlineUser`] with the account it belongs to; made by [`OnlineUser::in_account`] or from a plain
/// `OnlineUser` (default account).
#[derive(Clone, Debug, PartialEq)]
pub struct AccountUser {
    pub(crate) account: Option<String>,
    pub(crate) user: OnlineUser,
}

impl AccountUser {
    /// The key of the user this session belongs to.
    pub fn key(&self) -> UserKey {
        UserKey::in_account(self.account.as_deref().unwrap_or(""), self.user.login_id.as_str())
    }
}

impl From<OnlineUser> for AccountUser {
    fn from(user: OnlineUser) -> Self {
        Self { account: None, user }
    }
}

/// What others see of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Status {
    /// At least one connection is there and not away.
    Online,
    /// Every connection is away, by hand or by idle time.
    Away,
    /// No connection, and the grace period is over.
    #[default]
    Offline,
    /// The application's own word (`busy`, `in a call`); counts as online.
    Custom(Arc<str>),
}

impl Status {
    /// The longest custom word, in bytes.
    pub const MAX_WORD: usize = 32;

    /// The word on the wire: `online`, `away`, `offline` or the custom one.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
            Self::Custom(word) => word,
        }
    }

    /// What a node or a client may say of a user.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        match self {
            Self::Custom(word) => check_name("status", word, Self::MAX_WORD),
            _ => Ok(()),
        }
    }

    /// Whether the user counts as here: everything but [`Status::Offline`].
    pub fn is_online(&self) -> bool {
        *self != Self::Offline
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        match word {
            "online" => Self::Online,
            "away" => Self::Away,
            "offline" => Self::Offline,
            custom => Self::Custom(custom.into()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::from(word.as_str()))
    }
}
