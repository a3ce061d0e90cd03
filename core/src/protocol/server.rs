//! What the server sends in envelope mode.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use base64::{display::Base64Display, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    error::{ErrorCode, WireError, millis},
    presence::{Presence, PresenceState},
};
use crate::{
    Close, Content, PushMessage,
    connection::codec::{OpCode, encode_with},
};

/// One message to a client. All times and durations are milliseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ServerMessage<'a> {
    /// The answer to `hello`; always the first message.
    Welcome(Welcome<'a>),
    /// The result of a request; `null` where there is nothing to say.
    Reply {
        /// The request's id.
        id: u64,
        /// Its result.
        result: Option<&'a RawValue>,
    },
    /// The refusal of a request.
    #[serde(rename = "reply")]
    Refusal {
        /// The request's id.
        id: u64,
        /// Why.
        error: WireError,
    },
    /// A pushed message.
    Push(PushFrame<'a>),
    /// Who is in a channel: the answer to `subscribePresence`, and sent wherever events alone do not lead on.
    PresenceState(PresenceState<'a>),
    /// What happened in a channel, or to users that are watched.
    Presence(Presence<'a>),
    /// The end of the connection by a kick-out, a ban or a login elsewhere; the close frame follows.
    Kicked {
        /// The code of the close frame.
        code: u16,
        /// The reason of the close frame.
        reason: &'a str,
        /// For people.
        message: &'a str,
        /// Whether to come back.
        reconnect: bool,
    },
    /// Any other end that the server chooses; the close frame follows.
    Goodbye {
        /// The code of the close frame.
        code: u16,
        /// The reason of the close frame.
        reason: &'a str,
        /// Whether to come back.
        reconnect: bool,
        /// When to come back at the earliest.
        #[serde(skip_serializing_if = "Option::is_none")]
        reconnect_in_ms: Option<u64>,
    },
    /// Stands where pushes were dropped for a slow client.
    Gap {
        /// How many.
        count: u64,
    },
    /// The token's time is over soon; `auth` refreshes it.
    AuthExpiring {
        /// In how many milliseconds.
        expires_in: u64,
    },
    /// Something is wrong that is not tied to a request.
    Error {
        /// What, for programs.
        code: ErrorCode,
        /// What, for developers.
        message: Cow<'a, str>,
    },
    /// Is the client there? Sent where the server has sent nothing else.
    Ping,
    /// The answer to a client's `ping`.
    Pong,
}

/// What a client learns first.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct Welcome<'a> {
    /// The connection's id: no secret.
    pub connection: &'a str,
    /// The user's login id.
    pub user: &'a str,
    /// What resumes the stream after a reconnect: a secret. None where the server keeps nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<&'a str>,
    /// Whether this connection goes on where an earlier one ended.
    pub resumed: bool,
    /// How many pushes the stream had so far.
    pub seq: u64,
    /// When the token's time is over, in milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// The server's time, in milliseconds since 1970.
    pub server_time: i64,
    /// When the client should count the server as gone.
    pub heartbeat: Heartbeat,
    /// What the client may not exceed.
    pub limits: Limits,
}

/// The rhythm of a connection, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct Heartbeat {
    /// The server sends something at least this often.
    pub interval: u64,
    /// How long after a ping an answer may take.
    pub timeout: u64,
}

/// What one connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs)] // Written as a literal.
pub struct Limits {
    /// The largest frame a client may send, in bytes.
    pub max_frame: usize,
    /// How many channels it may subscribe to.
    pub max_channels: usize,
}

/// A pushed message, the same bytes for every receiver.
#[derive(Clone, Debug, Serialize)]
pub struct PushFrame<'a> {
    mid: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a HashMap<String, String>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ack: bool,
}

#[derive(Clone, Copy, Debug)]
struct Data<'a>(&'a Content);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Content::Text(text) => serializer.serialize_str(text),
            Content::Json(json) => json.serialize(serializer),
            Content::Binary(bytes) => serializer.collect_str(&Base64Display::new(bytes, &BASE64_STANDARD)),
        }
    }
}

impl<'a> PushFrame<'a> {
    fn new(message: &'a PushMessage, channel: Option<&'a str>) -> Self {
        Self {
            mid: &message.message_id,
            kind: message.message_type.as_str(),
            channel,
            data: Data(&message.content),
            encoding: matches!(message.content, Content::Binary(_)).then_some("base64"),
            time: message.timestamp.timestamp_millis(),
            metadata: Some(&message.metadata).filter(|metadata| !metadata.is_empty()),
            ack: false,
        }
    }
}

impl<'a> ServerMessage<'a> {
    /// A push of `message`.
    pub fn push(message: &'a PushMessage) -> Self {
        Self::Push(PushFrame::new(message, None))
    }

    /// A push of `message` to the subscribers of a channel.
    pub fn push_in(message: &'a PushMessage, channel: &'a str) -> Self {
        Self::Push(PushFrame::new(message, Some(channel)))
    }

    /// The same push, with the wish that the client acknowledges it at once; of other messages, the same.
    #[must_use]
    pub fn asking_for_ack(mut self) -> Self {
        if let Self::Push(push) = &mut self {
            push.ack = true;
        }
        self
    }

    /// The frame before the close frame of a kick-out, with a text for people.
    pub fn kicked(close: &'a Close, message: &'a str) -> Self {
        Self::Kicked { code: close.code(), reason: close.reason(), message, reconnect: close.reconnect() }
    }

    /// The frame before any other close frame of the server's; with `reconnect_in`, when to come back at the earliest.
    pub fn goodbye(close: &'a Close, reconnect_in: Option<Duration>) -> Self {
        let (code, reason, reconnect) = (close.code(), close.reason(), close.reconnect());
        Self::Goodbye { code, reason, reconnect, reconnect_in_ms: reconnect_in.map(millis) }
    }

    /// An error: the refusal of request `id` where there is one, a frame of its own otherwise.
    pub fn refuse(id: Option<u64>, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        match id {
            Some(id) => Self::Refusal { id, error: WireError::new(code, message) },
            None => Self::Error { code, message: message.into() },
        }
    }

    /// The message as a WebSocket text frame.
    pub fn to_frame(&self) -> Bytes {
        encode_with(OpCode::Text, self.about(), |frame| {
            // Every field is a string, a number or valid JSON already, and every key is a string: nothing can fail.
            let written = serde_json::to_writer(frame, self);
            debug_assert!(written.is_ok(), "{written:?}");
        })
    }

    /// About how many bytes it takes.
    fn about(&self) -> usize {
        /// What a push has beside its content; other messages are seldom longer.
        const REST: usize = 160;
        match self {
            Self::Push(push) => REST + push.data.0.as_bytes().len(),
            _ => REST,
        }
    }
}
