//! What handlers are given, and what they answer.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{batch::Batch, conn::Conn, conn::Sent, farewell, id::ConnectionId, inbound::Inbound};
use crate::{
    Cause, Close, Content, JoinError, OnlineManager, PushMessage, UserKey,
    auth::Identity,
    channel::By,
    clock::later,
    manager::Inner,
    protocol::{ErrorCode, Mode, WireError},
    push::Encoded,
};

/// A handle on one connection: a cheap clone, good from any task.
#[derive(Clone)]
pub struct Connection {
    pub(crate) inner: Arc<Inner>,
    pub(crate) conn: Arc<Conn>,
}

impl Connection {
    /// Its id.
    pub fn id(&self) -> ConnectionId {
        self.conn.id
    }

    /// Whose it is, and what its token allows; a refresh changes it.
    pub fn identity(&self) -> Arc<Identity> {
        self.conn.identity()
    }

    /// The user it belongs to.
    pub fn user(&self) -> &UserKey {
        self.conn.user()
    }

    /// How it frames messages.
    pub fn mode(&self) -> Mode {
        self.conn.mode
    }

    /// The manager it belongs to.
    pub fn manager(&self) -> OnlineManager {
        OnlineManager::of(self.inner.clone())
    }

    /// Whether it takes messages: for a socket, or for a client that is away and may come back to it. From the beginning of a
    /// shutdown on, no.
    pub fn is_open(&self) -> bool {
        !self.conn.is_closing() && !self.inner.is_closing()
    }

    /// Sends a message to this connection alone, after what waits for it.
    ///
    /// # Errors
    /// [`SendError`], when it is closed, its outbox full, or the message cannot be sent.
    pub fn send(&self, message: impl Into<PushMessage>) -> Result<(), SendError> {
        let message = message.into();
        message.check(self.inner.config.max_push)?;
        if self.inner.is_closing() {
            return Err(SendError::Closed); // Its stream may stand for another node to go on with already.
        }
        let encoded = Encoded::new(Arc::new(message));
        let (frame, now) = (encoded.frame(self.conn.mode).clone(), self.inner.clock.now());
        match self.conn.push(&Batch::one(frame), &self.inner.config.bounds, now) {
            Sent::Taken | Sent::Displaced(_) | Sent::Held(_) => Ok(()),
            Sent::Dropped => Err(SendError::Full),
            Sent::Closed => Err(SendError::Closed),
        }
    }

    /// Puts it into a channel of its user's account: it receives what is published there, and its user is a member. In
    /// raw mode too. Nobody is asked for permission: the application says so. In `on_connect` it waits until the
    /// connection is present. A second time changes nothing.
    ///
    /// # Errors
    /// [`JoinError`]: a name that no channel can have, too many channels, a connection that is over.
    ///
    /// ```
    /// use herenow::{Hooks, Refused};
    ///
    /// let hooks = Hooks::default().on_connect(async |connection: herenow::Connection| {
    ///     connection.join("lobby").map_err(|error| Refused::Application(error.to_string()))
    /// });
    /// # let _ = hooks;
    /// ```
    pub fn join(&self, channel: impl AsRef<str>) -> Result<(), JoinError> {
        self.inner.channels.subscribe(&self.conn, channel.as_ref(), By::Application, || ()).map(drop)
    }

    /// Takes it out of a channel; whether it was in.
    pub fn leave(&self, channel: impl AsRef<str>) -> bool {
        self.inner.channels.unsubscribe(&self.conn, channel.as_ref(), || ())
    }

    /// The channels it is in, by name.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.conn.seats.names()
    }

    /// Closes it once what waits for it is written. A second call does nothing.
    pub fn close(&self, close: Close) {
        let now = self.inner.clock.now();
        let frame = farewell::frame(&close, close.reason(), self.conn.mode, &self.inner.config.raw_kick);
        let deadline = later(now, self.inner.config.rules.timing.farewell);
        self.conn.close(close, frame, true, deadline, now);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.conn.id)
            .field("mode", &self.conn.mode)
            .finish_non_exhaustive()
    }
}

/// Why [`Connection::send`] did not send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed or closing.
    #[error("the connection is closed")]
    Closed,
    /// The outbox is full and its policy drops what is new.
    #[error("the connection's outbox is full")]
    Full,
    /// The message itself cannot be sent.
    #[error(transparent)]
    Message(#[from] crate::PushError),
}

/// What a handler answers.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing; a request of envelope mode is answered with an empty result.
    #[default]
    None,
    /// A message to the sender: a frame in raw mode, the `result` of a request in envelope mode.
    Message(Content),
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Message(Content::Text(text.into()))
    }

    /// Bytes, a binary frame; envelope mode has them as base64.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Message(Content::Binary(bytes.into()))
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// [`HandlerError`] with code `internal`, where the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, HandlerError> {
        Content::json(value).map(Self::Message).map_err(|error| HandlerError::internal(error.to_string()))
    }
}

/// A handler's refusal, sent to the client as the `error` of its request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?}")]
pub struct HandlerError(pub(crate) WireError);

impl HandlerError {
    /// An error with a code of the protocol and a text for the developer of the client.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(WireError::new(code, message.into()))
    }

    /// The client may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// The frame cannot be understood.
    pub fn bad_frame(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadFrame, message)
    }

    /// Something failed here; trying again may help.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

impl From<serde_json::Error> for HandlerError {
    fn from(error: serde_json::Error) -> Self {
        Self::bad_frame(error.to_string())
    }
}

impl From<crate::PushError> for HandlerError {
    fn from(error: crate::PushError) -> Self {
        Self::bad_frame(error.to_string())
    }
}

/// How a connection ended, as `on_disconnect` hears it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// The close code: ours, else the peer's, else 1006 (RFC 6455, 7.1.5).
    pub code: u16,
    /// Why.
    pub cause: Cause,
    /// How long it was present.
    pub duration: Duration,
}

/// A connection for applications with a protocol of their own: receive and send by hand.
#[derive(Debug)]
pub struct Socket {
    pub(crate) connection: Connection,
    pub(crate) inbox: mpsc::Receiver<Inbound>,
}

impl Socket {
    /// The next message of the client; `None` once the connection is over. Cancel safe.
    pub async fn recv(&mut self) -> Option<Inbound> {
        self.inbox.recv().await
    }

    /// The handle: `send`, `close`, `identity`.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a message to the client.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send(&self, message: impl Into<PushMessage>) -> Result<(), SendError> {
        self.connection.send(message)
    }
}

/// A handler's future as the driver keeps it.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Reply, HandlerError>> + Send>>;

/// The `result` of a reply in envelope mode.
pub(crate) fn result(reply: Reply) -> Option<Box<RawValue>> {
    let text = match reply {
        Reply::None => return RawValue::from_string("{}".to_owned()).ok(),
        Reply::Message(Content::Json(json)) => return Some(json),
        Reply::Message(Content::Text(text)) => serde_json::to_string(&text),
        Reply::Message(Content::Binary(bytes)) => {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            serde_json::to_string(&BASE64_STANDARD.encode(bytes))
        }
    };
    text.ok().and_then(|text| RawValue::from_string(text).ok())
}
