//! What a client sends in envelope mode.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{ask::Ask, error::ErrorCode};
use crate::{
    Status,
    auth::Token,
    error::InvalidInput,
    limits::{MAX_CHANNEL, MAX_DEVICE, MAX_METADATA_BYTES, MAX_TOKEN, check_name},
    resume::Asked,
};

/// One message of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientMessage {
    /// The first message; answered with `welcome`.
    Hello(Hello),
    /// A new token for the same user.
    Auth {
        /// Names the request in its reply.
        id: u64,
        /// The new token.
        token: Token,
    },
    /// What the user does: `online`, `away` or a custom word of at most 32 bytes.
    Status {
        /// The word.
        status: String,
    },
    /// For the application's handler.
    Message {
        /// Where it wants a reply.
        id: Option<u64>,
        /// Any JSON.
        data: Box<RawValue>,
        /// The channel it concerns.
        channel: Option<String>,
    },
    /// How many pushes the client has; may be forgotten.
    Ack {
        /// The count after `welcome.seq`.
        seq: u64,
    },
    /// Answered with `pong`.
    Ping,
    /// The answer to `ping`.
    Pong,
    /// A request about channels, or about users that are watched; always answered.
    Ask {
        /// Names the request in its reply.
        id: u64,
        /// What is asked for.
        ask: Ask,
    },
    /// A type the protocol does not have.
    Unknown {
        /// Where it wants a reply.
        id: Option<u64>,
        /// The type.
        kind: String,
    },
}

/// The first message of a client in envelope mode.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Hello {
    /// The credential, where the upgrade carried none.
    pub token: Option<Token>,
    /// The device's label, used where the identity has none.
    pub device: Option<String>,
    /// The user's public data, used where the identity has none and the builder allows it; at most 4 KiB.
    pub data: Option<Box<RawValue>>,
    /// Which software it is, for logs; at most 64 bytes.
    pub client: Option<String>,
    pub(crate) resume: Option<Asked>,
}

/// What `resume` carries.
#[derive(Deserialize)]
struct Resume<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    seq: u64,
}

/// A text that is no message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct BadFrame {
    /// The request's id, where it can be read.
    pub id: Option<u64>,
    /// How bad it is.
    pub fault: Fault,
    /// What to do about it.
    pub message: Cow<'static, str>,
}

/// How far a text is from being a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not a JSON object with a `type`; whoever sends it speaks another protocol.
    NotAnEnvelope,
    /// A field is missing or is of the wrong kind.
    Field,
    /// A field is over its limit.
    TooBig,
}

impl Fault {
    /// The code that tells the client.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooBig => ErrorCode::LimitExceeded,
            _ => ErrorCode::BadFrame,
        }
    }
}

impl ClientMessage {
    /// Reads one text frame. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`BadFrame`], with a text that tells the client's developer what to send instead.
    pub fn parse(text: &str) -> Result<Self, BadFrame> {
        let fields = Fields::read(text).ok_or_else(not_an_envelope)?;
        let kind: Cow<'_, str> = read(fields.kind).map(|Text(kind)| kind).ok_or_else(not_an_envelope)?;
        match &*kind {
            "hello" => fields.hello().map(Self::Hello),
            "auth" => fields.auth(),
            "status" => fields.status(),
            "message" => fields.message(),
            "subscribe" => fields.ask("subscribe", Fields::subscribe),
            "unsubscribe" => fields.ask("unsubscribe", Fields::unsubscribe),
            "subscribePresence" => fields.ask("subscribePresence", Fields::subscribe_presence),
            "unsubscribePresence" => fields.ask("unsubscribePresence", Fields::unsubscribe_presence),
            "hereNow" => fields.ask("hereNow", Fields::here_now),
            "watch" => fields.ask("watch", Fields::watch),
            "unwatch" => fields.ask("unwatch", Fields::unwatch),
            "publish" => fields.ask("publish", Fields::publish),
            "ack" => fields.ack(),
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            other => Ok(fields.other(other)),
        }
    }
}

/// Every field of every message, unread: one pass over the text, and no message is refused for a field of another.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    device: Option<&'a RawValue>,
    #[serde(borrow)]
    client: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) channel: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) channels: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) users: Option<&'a RawValue>,
    #[serde(borrow, rename = "includeUsers")]
    pub(super) include_users: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) distinct: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) limit: Option<&'a RawValue>,
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    #[serde(borrow)]
    resume: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub(super) data: Option<&'a RawValue>,
}

/// `null` is data like any other; everywhere else it is the same as no field.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A string that is borrowed where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

pub(super) fn read<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        // Without this, an array of the fields in their order would do as well.
        let object = text.trim_start().starts_with('{');
        serde_json::from_str(text).ok().filter(|_| object)
    }

    fn hello(&self) -> Result<Hello, BadFrame> {
        let data = self.data.filter(|data| data.get() != "null");
        let size = data.map_or(0, |data| data.get().len());
        if size > MAX_METADATA_BYTES {
            return Err(self.invalid(InvalidInput::TooLong {
                field: "data",
                size,
                limit: MAX_METADATA_BYTES,
            }));
        }
        Ok(Hello {
            token: self.name("token", self.token, MAX_TOKEN)?.map(Token::new),
            device: self.label("device", self.device)?,
            data: data.map(ToOwned::to_owned),
            client: self.label("client", self.client)?,
            resume: self.resume()?,
        })
    }

    fn resume(&self) -> Result<Option<Asked>, BadFrame> {
        const NEEDS: &str =
            "`resume` needs `token`, of an earlier `welcome`, and `seq`, the count of pushes received";
        if self.resume.is_none() {
            return Ok(None);
        }
        let Resume { token, seq } = read(self.resume).ok_or_else(|| self.fault(NEEDS))?;
        check_name("resume.token", &token, MAX_TOKEN).map_err(|error| self.invalid(error))?;
        Ok(Some(Asked { token: Token::new(token.into_owned()), seq }))
    }

    fn auth(&self) -> Result<ClientMessage, BadFrame> {
        let id = self.required_id("auth")?;
        let token = self.name("token", self.token, MAX_TOKEN)?;
        let token = token.ok_or_else(|| self.fault("`auth` needs `token`: the new token, a string"))?;
        Ok(ClientMessage::Auth { id, token: Token::new(token) })
    }

    fn status(&self) -> Result<ClientMessage, BadFrame> {
        const NEEDS: &str =
            "`status` needs `status`: `online`, `away` or a word of your own, at most 32 bytes";
        let status = self.name("status", self.status, Status::MAX_WORD)?;
        match status {
            Some(status) if status == Status::Offline.as_str() => {
                Err(self.fault("`offline` is no status a client can set: close the connection instead"))
            }
            Some(status) => Ok(ClientMessage::Status { status }),
            None => Err(self.fault(NEEDS)),
        }
    }

    fn message(&self) -> Result<ClientMessage, BadFrame> {
        let id = self.optional_id()?;
        let data =
            self.data.ok_or_else(|| self.fault("`message` needs `data`: any JSON for the application"))?;
        let channel = self.name("channel", self.channel, MAX_CHANNEL)?;
        Ok(ClientMessage::Message { id, data: data.to_owned(), channel })
    }

    fn ack(&self) -> Result<ClientMessage, BadFrame> {
        let seq =
            read(self.seq).ok_or_else(|| self.fault("`ack` needs `seq`: the count of pushes received"))?;
        Ok(ClientMessage::Ack { seq })
    }

    fn other(&self, kind: &str) -> ClientMessage {
        ClientMessage::Unknown { id: self.readable_id(), kind: kind.to_owned() }
    }

    pub(super) fn readable_id(&self) -> Option<u64> {
        read(self.id).filter(|id| *id > 0)
    }

    fn optional_id(&self) -> Result<Option<u64>, BadFrame> {
        let id = self.readable_id();
        if self.id.is_some() && id.is_none() {
            return Err(self.fault("`id` must be an integer above zero"));
        }
        Ok(id)
    }

    pub(super) fn required_id(&self, kind: &str) -> Result<u64, BadFrame> {
        self.optional_id()?.ok_or_else(|| self.fault(format!("`{kind}` needs `id`: an integer above zero")))
    }

    /// A string that may be missing, but otherwise keeps the rules of a name.
    pub(super) fn name(
        &self,
        field: &'static str,
        value: Option<&'a RawValue>,
        limit: usize,
    ) -> Result<Option<String>, BadFrame> {
        if value.is_none() {
            return Ok(None);
        }
        let Some(Text(text)) = read(value) else {
            return Err(self.fault(format!("`{field}` must be a string")));
        };
        check_name(field, &text, limit).map_err(|error| self.invalid(error))?;
        Ok(Some(text.into_owned()))
    }

    /// A short name; an empty one is none.
    fn label(&self, field: &'static str, value: Option<&'a RawValue>) -> Result<Option<String>, BadFrame> {
        self.name(field, value.filter(|value| value.get() != "\"\""), MAX_DEVICE)
    }

    pub(super) fn fault(&self, message: impl Into<Cow<'static, str>>) -> BadFrame {
        BadFrame { id: self.readable_id(), fault: Fault::Field, message: message.into() }
    }

    pub(super) fn invalid(&self, error: InvalidInput) -> BadFrame {
        let fault = match error {
            InvalidInput::TooLong { .. } => Fault::TooBig,
            _ => Fault::Field,
        };
        BadFrame { fault, ..self.fault(error.to_string()) }
    }
}

fn not_an_envelope() -> BadFrame {
    let message = "send one JSON object with a `type` per text frame, such as {\"type\":\"ping\"}";
    BadFrame { id: None, fault: Fault::NotAnEnvelope, message: Cow::Borrowed(message) }
}
