//! A message as bytes on the wire: at most two frames, each made on first need and shared by all receivers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    Content, PushMessage,
    connection::codec::{encode_binary, encode_text},
    protocol::{Mode, ServerMessage},
};

#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) message: Arc<PushMessage>,
    raw: OnceLock<Bytes>,
    envelope: OnceLock<Bytes>,
}

impl Encoded {
    pub(crate) fn new(message: Arc<PushMessage>) -> Self {
        Self { message, raw: OnceLock::new(), envelope: OnceLock::new() }
    }

    /// The frame, WebSocket header included, as a connection of this mode receives it.
    pub(crate) fn frame(&self, mode: Mode) -> &Bytes {
        match mode {
            Mode::Raw => self.raw.get_or_init(|| match &self.message.content {
                Content::Text(text) => encode_text(text),
                Content::Json(json) => encode_text(json.get()),
                Content::Binary(bytes) => encode_binary(bytes),
            }),
            Mode::Envelope => self.envelope.get_or_init(|| ServerMessage::push(&self.message).to_frame()),
        }
    }
}
