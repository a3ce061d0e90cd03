//! The three ways in which servers here speak to their clients.

use serde::{Deserialize, Serialize};

use crate::design::Design;

/// How a server's frames are to be read and answered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Dialect {
    /// A data frame is the payload.
    #[serde(rename = "raw")]
    Raw,
    /// `herenow.v1.json`, as docs/PROTOCOL.md has it.
    #[serde(rename = "envelope")]
    Envelope,
    /// Engine.IO 4 over WebSocket, Socket.IO 5 in it.
    #[serde(rename = "socket.io")]
    SocketIo,
}

impl Dialect {
    /// What a design's clients may speak.
    pub(crate) fn of(design: Design) -> &'static [Self] {
        match design {
            Design::HerenowAxum | Design::HerenowPoem | Design::HerenowActix | Design::HerenowActixServe => {
                &[Self::Raw, Self::Envelope]
            }
            Design::Socketioxide | Design::SocketIo => &[Self::SocketIo],
            _ => &[Self::Raw],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Envelope => "envelope",
            Self::SocketIo => "socket.io",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Raw | Self::Envelope => "/ws",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    pub(super) fn subprotocol(self) -> Option<&'static str> {
        (self == Self::Envelope).then_some("herenow.v1.json")
    }
}

/// What a text frame of an envelope says first: its `type`.
pub(super) fn kind(frame: &[u8]) -> &[u8] {
    const BEFORE: &[u8] = b"{\"type\":\"";
    let Some(rest) = frame.strip_prefix(BEFORE) else { return b"" };
    memchr::memchr(b'"', rest).and_then(|end| rest.get(..end)).unwrap_or_default()
}

/// The part of `welcome` that counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Welcome {
    pub(super) seq: u64,
    /// Without one nothing is kept, and nothing is to be acknowledged.
    pub(super) resume_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_frame_stands_first() {
        assert_eq!(kind(br#"{"type":"push","mid":"x"}"#), b"push");
        assert_eq!(kind(br#"{"bench":"x"}"#), b"");
        assert_eq!(kind(br#"{"type":"pu"#), b"");
    }
}
