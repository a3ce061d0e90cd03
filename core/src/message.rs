//! What is pushed: [`PushMessage`], its [`Content`] and its [`MessageType`].

use std::{collections::HashMap, fmt};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::PushError;

/// What a message is for. Independent of its [`Content`]: a `Notification` may carry text, JSON or bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MessageType {
    /// Plain text; the default.
    #[default]
    Text,
    /// Bytes.
    Binary,
    /// A notice that one was logged out. It ends nothing by itself: a connection ends only by
    /// [`kick_out`](crate::OnlineManager::kick_out).
    KickOut,
    /// A notice of the system.
    Notification,
    /// The application's own word: `[a-z][A-Za-z0-9_-]{0,31}`, none of the built-in ones.
    Custom(String),
}

impl MessageType {
    /// The word on the wire (`kind` of a push).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
            Self::KickOut => "kickOut",
            Self::Notification => "notification",
            Self::Custom(word) => word,
        }
    }

    /// The type of a word on the wire; any unknown one is the application's own.
    pub fn from_word(word: &str) -> Self {
        match word {
            "text" => Self::Text,
            "binary" => Self::Binary,
            "kickOut" => Self::KickOut,
            "notification" => Self::Notification,
            own => Self::Custom(own.to_owned()),
        }
    }

    fn check(&self) -> Result<(), PushError> {
        let Self::Custom(word) = self else { return Ok(()) };
        let shape = word.len() <= 32
            && word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if shape && matches!(Self::from_word(word), Self::Custom(_)) {
            Ok(())
        } else {
            Err(PushError::BadKind(word.clone()))
        }
    }
}

/// The payload of a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Text: one WebSocket text frame in raw mode, a JSON string in an envelope.
    Text(String),
    /// JSON, serialized once: a text frame in raw mode, itself in an envelope.
    Json(Box<RawValue>),
    /// Bytes: a binary frame in raw mode, base64 in an envelope.
    Binary(Bytes),
}

impl Content {
    /// Serializes a value as the JSON content of a message.
    ///
    /// # Errors
    /// [`PushError::NotJson`] if the value cannot be written as JSON.
    ///
    /// ```
    /// # use herenow::Content;
    /// let content = Content::json(&serde_json::json!({"unread": 3}))?;
    /// # Ok::<(), herenow::PushError>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PushError> {
        let text = serde_json::to_string(value).map_err(|error| PushError::NotJson(error.to_string()))?;
        RawValue::from_string(text).map(Self::Json).map_err(|error| PushError::NotJson(error.to_string()))
    }

    /// The payload's bytes, as raw mode sends them.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Json(json) => json.get().as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload as text, where it is text or JSON.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(json) => Some(json.get()),
            Self::Binary(_) => None,
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.as_bytes() == other.as_bytes()
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// Compares with text, as tests of applications like to.
impl PartialEq<str> for Content {
    fn eq(&self, other: &str) -> bool {
        self.as_text() == Some(other)
    }
}

impl PartialEq<&str> for Content {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// One message: the same `message_id` for every receiver of a push.
///
/// ```
/// use herenow::{MessageType, PushMessage};
///
/// let message = PushMessage::new("Maintenance at noon")
///     .kind(MessageType::Notification)
///     .metadata("severity", "low");
/// assert_eq!(message.content, "Maintenance at noon");
/// ```
#[derive(Clone, PartialEq)]
#[allow(clippy::exhaustive_structs)] // Applications write it as a literal.
pub struct PushMessage {
    /// A UUIDv7, so ids sort by time.
    pub message_id: String,
    /// The payload.
    pub content: Content,
    /// What it is for.
    pub message_type: MessageType,
    /// When it was made.
    pub timestamp: DateTime<Utc>,
    /// Facts that go out beside the payload in envelope mode; at most 16 keys and 4 KiB.
    pub metadata: HashMap<String, String>,
}

impl PushMessage {
    /// A message with a fresh id and the time of now; bytes become [`MessageType::Binary`], all else
    /// [`MessageType::Text`].
    #[allow(clippy::disallowed_methods)] // A message is made by the application, at its own time.
    pub fn new(content: impl Into<Content>) -> Self {
        let content = content.into();
        let message_type = match content {
            Content::Binary(_) => MessageType::Binary,
            _ => MessageType::Text,
        };
        let message_id = Uuid::now_v7().to_string();
        Self { message_id, content, message_type, timestamp: Utc::now(), metadata: HashMap::new() }
    }

    /// Sets what it is for.
    #[must_use]
    pub fn kind(mut self, kind: MessageType) -> Self {
        self.message_type = kind;
        self
    }

    /// Adds one fact to the metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether it can be sent at all: its kind is a word, it fits into `max_bytes`, its metadata is bounded.
    pub(crate) fn check(&self, max_bytes: usize) -> Result<(), PushError> {
        self.message_type.check()?;
        let size = self.content.as_bytes().len();
        if size > max_bytes {
            return Err(PushError::TooLarge { size, limit: max_bytes });
        }
        crate::limits::check_metadata(&self.metadata)?;
        Ok(())
    }
}

/// Payloads stay out of logs.
impl fmt::Debug for PushMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushMessage")
            .field("message_id", &self.message_id)
            .field("message_type", &self.message_type)
            .field("bytes", &self.content.as_bytes().len())
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl<C: Into<Content>> From<C> for PushMessage {
    fn from(content: C) -> Self {
        Self::new(content)
    }
}
