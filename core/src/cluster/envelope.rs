//! What travels between nodes: JSON with a version, so that a mixed cluster refuses what it cannot read.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    Close, Content, KickReport, MessageType, PushMessage, Session, Status, Target, UserKey,
    auth::TokenId,
    connection::ConnectionId,
    kick::{DenyEntry, KickOut},
    resume::Moved,
};

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    body: T,
}

/// A frame that is none of ours, or of another version: ignored and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

fn encode<T: Serialize>(body: &T) -> Bytes {
    // Maps with string keys and derived types: writing them cannot fail.
    serde_json::to_vec(&Versioned { v: VERSION, body }).unwrap_or_default().into()
}

fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, Unreadable> {
    let versioned: Versioned<T> = serde_json::from_slice(frame).map_err(|_| Unreadable)?;
    if versioned.v == VERSION { Ok(versioned.body) } else { Err(Unreadable) }
}

/// A push on its way to another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Routed {
    pub(crate) target: Target,
    message: Carried,
}

/// A message on its way to another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    id: String,
    kind: String,
    at: DateTime<Utc>,
    body: Body,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    metadata: HashMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Body {
    Text(String),
    Json(String),
    Binary(String),
}

impl Routed {
    pub(crate) fn encode(target: &Target, message: &PushMessage) -> Bytes {
        encode(&Self { target: target.clone(), message: message.into() })
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<(Target, PushMessage), Unreadable> {
        let Self { target, message } = decode(frame)?;
        Ok((target, message.try_into()?))
    }
}

impl From<&PushMessage> for Carried {
    fn from(message: &PushMessage) -> Self {
        let body = match &message.content {
            Content::Text(text) => Body::Text(text.clone()),
            Content::Json(json) => Body::Json(json.get().to_owned()),
            Content::Binary(bytes) => Body::Binary(BASE64_STANDARD.encode(bytes)),
        };
        Self {
            id: message.message_id.clone(),
            kind: message.message_type.as_str().to_owned(),
            at: message.timestamp,
            body,
            metadata: message.metadata.clone(),
        }
    }
}

impl TryFrom<Carried> for PushMessage {
    type Error = Unreadable;

    fn try_from(carried: Carried) -> Result<Self, Unreadable> {
        let content = match carried.body {
            Body::Text(text) => Content::Text(text),
            Body::Json(text) => Content::Json(RawValue::from_string(text).map_err(|_| Unreadable)?),
            Body::Binary(text) => {
                Content::Binary(BASE64_STANDARD.decode(text).map_err(|_| Unreadable)?.into())
            }
        };
        Ok(Self {
            message_id: carried.id,
            content,
            message_type: MessageType::from_word(&carried.kind),
            timestamp: carried.at,
            metadata: carried.metadata,
        })
    }
}

/// A question from one node to another.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // One at a time, on its way to the wire.
pub(crate) enum Query {
    /// Take and close what the target names; deny entries that the cluster's store may not hold come along.
    Kick { target: Target, kick: KickOut, deny: Vec<DenyEntry> },
    /// Another session took their place.
    Replace { user: UserKey, connections: Vec<ConnectionId> },
    /// End the sessions of a user, or one of them, without a deny entry.
    LogOut { user: UserKey, token: Option<TokenId> },
    /// The user's sessions here.
    Sessions(UserKey),
    /// Sockets here.
    Connections,
    /// Say a status on every connection of the user here.
    Say { user: UserKey, status: Status },
    /// Lift the bans of a user.
    LiftBan(UserKey),
    /// The token of a connection here.
    TokenOf(ConnectionId),
    /// Close a user's connections here, after what waits for them.
    Close { user: UserKey, close: Close },
    /// Say a last word to whoever waits here as this user, and close; `keep_until` where it is to be kept if nobody
    /// hears it.
    Finish { user: UserKey, last: Carried, close: Close, keep_until: Option<DateTime<Utc>> },
    /// Count as activity.
    Touch { user: UserKey, token: Option<TokenId> },
    /// When users were last here.
    LastSeen(Vec<UserKey>),
    /// A client comes back to another node: what its connection here is in, or with `take` all of it, which is here no more
    /// then.
    Resume { token: String, user: UserKey, seq: u64, take: bool },
}

/// The answer to a [`Query`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Kicked(KickReport),
    Sessions(Vec<Session>),
    Connections(usize),
    Token(Option<TokenId>),
    /// So many connections were told a last word.
    Finished(usize),
    LastSeen(Vec<Option<DateTime<Utc>>>),
    Resume(Option<Box<Moved>>),
    Done,
    /// The question could not be read: another version, or noise.
    Unreadable,
}

impl Query {
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Unreadable> {
        decode(frame)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Unreadable> {
        decode(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_content_survives_the_way_to_another_node() {
        let json = Content::json(&serde_json::json!({"a": [1, 2]})).unwrap();
        for content in [Content::from("text"), json, Content::from(vec![0u8, 255, 7])] {
            let message =
                PushMessage::new(content).kind(MessageType::Custom("own".into())).metadata("k", "v");
            let target = Target::user("u").except_user("v");
            let (to, back) = Routed::decode(&Routed::encode(&target, &message)).unwrap();
            assert_eq!((to, back), (target, message));
        }
    }

    #[test]
    fn noise_and_other_versions_are_refused() {
        assert!(Routed::decode(b"\xff\x00").is_err());
        assert_eq!(Query::decode(br#"{"v":9,"body":"Connections"}"#).unwrap_err(), Unreadable);
        assert!(Query::decode(br#"{"v":1,"body":"Connections"}"#).is_ok());
    }
}
