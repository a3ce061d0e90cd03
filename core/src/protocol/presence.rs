//! What watchers are sent: who is in a channel, and what happened.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Status;

/// Who is in a channel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct PresenceState<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The count of the frame before the next `presence`. What that tells may be in here already.
    pub ver: u64,
    /// Connections.
    pub client_amount: usize,
    /// Distinct users.
    pub user_amount: usize,
    /// The users; none where there are more than are listed.
    pub users: Vec<PresenceUser<'a>>,
    /// Whether there are too many users to list: from here on there are amounts only.
    pub more: bool,
}

/// One user of a [`PresenceState`].
#[derive(Clone, Debug, Serialize)]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct PresenceUser<'a> {
    /// The login id.
    pub id: &'a str,
    /// The user's public data.
    pub data: UserData<'a>,
    /// The user's status.
    pub status: &'a Status,
}

/// What happened, in order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct Presence<'a> {
    /// Where; nothing where users are watched.
    #[serde(flatten)]
    pub place: Option<PresencePlace<'a>>,
    /// What; nothing where there are amounts only.
    pub events: Vec<PresenceEvent<'a>>,
}

/// The channel of a [`Presence`], as it is after its events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct PresencePlace<'a> {
    /// The channel.
    pub channel: &'a str,
    /// One more than that of the frame before.
    pub ver: u64,
    /// Connections.
    pub client_amount: usize,
    /// Distinct users.
    pub user_amount: usize,
}

/// One thing that happened to a user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct PresenceEvent<'a> {
    /// `join`, `leave`, `online`, `offline` or `update`.
    pub action: &'a str,
    /// Why.
    pub cause: &'a str,
    /// To whom.
    pub user: PresenceOf<'a>,
    /// The user's status after it.
    pub status: &'a Status,
    /// When the user was last here, in milliseconds since 1970, where it is offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<i64>,
    /// When, in milliseconds since 1970; of an `offline` that the grace period held back, the time of the disconnect.
    pub time: i64,
}

/// The user of a [`PresenceEvent`].
#[derive(Clone, Debug, Serialize)]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct PresenceOf<'a> {
    /// The login id.
    pub id: &'a str,
    /// The user's public data.
    pub data: UserData<'a>,
}

/// A user's public data; `""` where there is none.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)] // A name for what it holds.
pub struct UserData<'a>(
    /// The data.
    pub Option<&'a RawValue>,
);

impl Serialize for UserData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(data) => data.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }
}
