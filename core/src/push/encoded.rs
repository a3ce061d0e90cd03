//! A message as bytes on the wire: at most two frames, each made on first need and shared by all receivers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    Content, PushError, PushMessage, Target,
    connection::{
        Batch,
        codec::{encode_binary, encode_text},
    },
    protocol::{Mode, ServerMessage},
    resume::Acks,
};

#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) message: Arc<PushMessage>,
    /// The channel it is published to.
    channel: Option<Arc<str>>,
    /// Who waits for clients to acknowledge it.
    pub(crate) acks: Option<Arc<Acks>>,
    raw: OnceLock<Bytes>,
    envelope: OnceLock<Bytes>,
}

impl Encoded {
    pub(crate) fn new(message: Arc<PushMessage>) -> Self {
        Self { message, channel: None, acks: None, raw: OnceLock::new(), envelope: OnceLock::new() }
    }

    /// For a target, whose channel the envelope names.
    pub(crate) fn to(target: &Target, message: PushMessage) -> Self {
        Self { channel: target.channel_name(), ..Self::new(Arc::new(message)) }
    }

    /// Clients are asked to acknowledge it at once.
    pub(crate) fn with_acks(mut self, acks: Option<Arc<Acks>>) -> Self {
        self.acks = acks;
        self
    }

    /// The frame alone, as one delivery.
    pub(crate) fn batch(&self, mode: Mode) -> Batch {
        let one = Batch::one(self.frame(mode).clone());
        match &self.acks {
            Some(acks) => one.with_acks(vec![(0, acks.clone())]),
            None => one,
        }
    }

    /// Whether each frame fits into an empty outbox: one that never does would end every connection with a backlog.
    ///
    /// # Errors
    /// [`PushError::TooLarge`], with the size of the frame.
    pub(crate) fn check(&self, limit: usize) -> Result<(), PushError> {
        // Escapes make six bytes of one, base64 four of three: what is far from the limit need not be encoded to know.
        if self.message.content.as_bytes().len() < limit / 8 {
            return Ok(());
        }
        let size = self.frame(Mode::Raw).len().max(self.frame(Mode::Envelope).len());
        if size > limit { Err(PushError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// The frame, WebSocket header included, as a connection of this mode receives it.
    pub(crate) fn frame(&self, mode: Mode) -> &Bytes {
        match mode {
            Mode::Raw => self.raw.get_or_init(|| match &self.message.content {
                Content::Text(text) => encode_text(text),
                Content::Json(json) => encode_text(json.get()),
                Content::Binary(bytes) => encode_binary(bytes),
            }),
            Mode::Envelope => self.envelope.get_or_init(|| {
                let push = match &self.channel {
                    Some(channel) => ServerMessage::push_in(&self.message, channel),
                    None => ServerMessage::push(&self.message),
                };
                if self.acks.is_some() { push.asking_for_ack() } else { push }.to_frame()
            }),
        }
    }
}
