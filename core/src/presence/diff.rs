//! What a change of presence changed: the only thing events are made from.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Status, UserKey};

/// Why something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// A connection became present, or a session was marked online by hand.
    Connect,
    /// A connection ended: closed by either side, or lost with the network.
    Disconnect,
    /// The heartbeat was not answered, or a socket took no byte for too long.
    Timeout,
    /// Kicked out or banned.
    Kicked,
    /// Another session took its place.
    Replaced,
    /// The token's time was over, or it was revoked.
    Expired,
    /// Logged out: `mark_offline`, `mark_offline_all`.
    LoggedOut,
    /// The node stopped, or died.
    Shutdown,
    /// The user's status changed, by hand or by idle time.
    Status,
    /// A connection subscribed to a channel.
    Subscribe,
    /// A connection left a channel by its own will, or was not allowed in it any more.
    Unsubscribe,
    /// The user is back in a channel after a disconnect.
    Reconnect,
}

impl Cause {
    /// Every cause, for metrics and clients that mirror the list.
    pub const ALL: [Self; 12] = [
        Self::Connect,
        Self::Disconnect,
        Self::Timeout,
        Self::Kicked,
        Self::Replaced,
        Self::Expired,
        Self::LoggedOut,
        Self::Shutdown,
        Self::Status,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Reconnect,
    ];

    /// The word on the wire and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Timeout => "timeout",
            Self::Kicked => "kicked",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::LoggedOut => "loggedOut",
            Self::Shutdown => "shutdown",
            Self::Status => "status",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Reconnect => "reconnect",
        }
    }

    /// Whether a user who left for this reason may come back unnoticed within the grace period.
    ///
    /// A clean close of the client (1000, or no code) is a `Disconnect` too, and is handled where the code is known.
    pub fn allows_grace(self) -> bool {
        matches!(self, Self::Disconnect | Self::Timeout | Self::Shutdown)
    }
}

/// One user before and after a change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diff {
    /// Whose.
    pub user: UserKey,
    /// The status before.
    pub before: Status,
    /// The status after.
    pub after: Status,
    /// Why.
    pub cause: Cause,
    /// When; of an offline that grace held back, the time of the disconnect.
    pub at: DateTime<Utc>,
    /// The user's public data, where an identity carried some.
    pub data: Option<Arc<RawValue>>,
}
