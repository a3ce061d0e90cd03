//! What goes out before a close frame, so that the client knows why and whether to come back.

use std::time::Duration;

use bytes::Bytes;

use super::codec::encode_text;
use crate::{
    Close,
    protocol::{Mode, ServerMessage},
};

/// What a kicked client in raw mode receives before its close frame.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RawKick {
    /// The JSON text frame `{"type":"kicked",…}`. The default.
    #[default]
    Json,
    /// Nothing but the close frame.
    Nothing,
    /// The application's own text.
    Text(String),
}

/// The frame before the close frame, if there is one.
pub(crate) fn frame(close: &Close, message: &str, mode: Mode, raw: &RawKick) -> Option<Bytes> {
    let is_kick = matches!(close.code(), 4000..=4099 | 4409 | 4423..=4425);
    match (mode, raw) {
        (Mode::Envelope, _) if is_kick => Some(ServerMessage::kicked(close, message).to_frame()),
        (Mode::Envelope, _) if close.code() >= 4000 => Some(ServerMessage::goodbye(close, None).to_frame()),
        (Mode::Raw, RawKick::Json) if is_kick => Some(ServerMessage::kicked(close, message).to_frame()),
        (Mode::Raw, RawKick::Text(text)) if is_kick => Some(encode_text(text)),
        _ => None,
    }
}

/// The farewell of a node that drains: come back after `delay`.
pub(crate) fn drain(mode: Mode, delay: Duration) -> Option<Bytes> {
    (mode == Mode::Envelope).then(|| ServerMessage::goodbye(&Close::DRAIN, Some(delay)).to_frame())
}
