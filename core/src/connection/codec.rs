//! RFC 6455 frames as the server writes them, and what the [decoder](super::decoder) makes of a client's.
//!
//! No extension is negotiated, so the three reserved bits are always zero.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use crate::close::{Close, MAX_REASON};

/// The longest payload of a control frame (RFC 6455, 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// What a frame is, by the low half of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpCode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl OpCode {
    /// The opcode of four bits; `None` for the reserved ones.
    pub(crate) fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A whole message or control frame from a client. Borrows from the driver's buffer, except where it came in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    /// A frame of a message that goes on: only its rate matters.
    Fragment {
        empty: bool,
    },
    Ping(Cow<'a, [u8]>),
    Pong,
    /// No code where the frame was empty.
    Close {
        code: Option<u16>,
        reason: Cow<'a, str>,
    },
}

/// How a client broke RFC 6455 or a limit. Nothing after it can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    Unmasked,
    ReservedBits,
    UnknownOpCode,
    /// A control frame in fragments or over 125 bytes.
    BadControl,
    NothingToContinue,
    /// A new message inside a fragmented one.
    Interleaved,
    /// A length that is not in its shortest form, or has its highest bit set.
    BadLength,
    /// A close frame of one byte, or with a code that must not be sent.
    BadClose,
    NotUtf8,
    TooLarge,
}

impl Violation {
    /// The close frame that answers it.
    pub(crate) fn close(self) -> Close {
        match self {
            Self::NotUtf8 => Close::INVALID_UTF8,
            Self::TooLarge => Close::TOO_LARGE,
            _ => Close::PROTOCOL_ERROR,
        }
    }
}

/// The longest header of a frame without a mask: two bytes, eight of length.
const HEAD: usize = 10;

/// The header of an unmasked frame, at the end of what it may take; with where it begins.
fn head(op: OpCode, len: usize) -> ([u8; HEAD], usize) {
    let mut head = [0; HEAD];
    let first = match len {
        ..=125 => {
            head[9] = len as u8;
            8
        }
        126..=0xFFFF => {
            head[7] = 126;
            head[8..].copy_from_slice(&(len as u16).to_be_bytes());
            6
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&(len as u64).to_be_bytes());
            0
        }
    };
    head[first] = 0x80 | op.bits();
    (head, first)
}

/// One unmasked frame, header and payload in one piece of memory.
pub(crate) fn encode(op: OpCode, payload: &[u8]) -> Bytes {
    let (head, first) = head(op, payload.len());
    let mut frame = Vec::with_capacity(HEAD - first + payload.len());
    frame.extend_from_slice(&head[first..]);
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}

/// The same of a payload that `write` makes, about so many bytes: it is written behind the room for its header.
pub(crate) fn encode_with(op: OpCode, about: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = Vec::with_capacity(HEAD + about);
    frame.resize(HEAD, 0);
    write(&mut frame);
    let (head, first) = head(op, frame.len() - HEAD);
    frame[first..HEAD].copy_from_slice(&head[first..]);
    Bytes::from(frame).slice(first..)
}

/// A text frame.
pub(crate) fn encode_text(payload: &str) -> Bytes {
    encode(OpCode::Text, payload.as_bytes())
}

/// A binary frame.
pub(crate) fn encode_binary(payload: &[u8]) -> Bytes {
    encode(OpCode::Binary, payload)
}

/// One frame of ours: never masked, never in fragments.
pub(crate) fn next_frame<'a>(frames: &mut &'a [u8]) -> Option<(OpCode, &'a [u8])> {
    let op = OpCode::read(*frames.first()? & 0x0F)?;
    let (header, len): (usize, usize) = match *frames.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?).try_into().ok()?),
        len => (2, usize::from(len)),
    };
    let payload = frames.get(header..header.checked_add(len)?)?;
    frames.advance(header + len);
    Some((op, payload))
}

/// A close frame: the code, and the reason cut at a character where it is over 123 bytes.
pub(crate) fn encode_close(close: &Close) -> Bytes {
    let reason = close.reason();
    let mut payload = Vec::with_capacity(MAX_CONTROL);
    payload.extend_from_slice(&close.code().to_be_bytes());
    payload.extend_from_slice(cut(reason).as_bytes());
    encode(OpCode::Close, &payload)
}

fn cut(reason: &str) -> &str {
    let end = (0..=reason.len().min(MAX_REASON)).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}

/// The answer to a client's close frame: its own code, or none where it gave none.
pub(crate) fn encode_close_echo(code: Option<u16>) -> Bytes {
    match code {
        Some(code) => encode(OpCode::Close, &code.to_be_bytes()),
        None => encode(OpCode::Close, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_in_its_shortest_form() {
        for (len, head) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (127, vec![0x82, 126, 0, 127]),
            (65_535, vec![0x82, 126, 0xFF, 0xFF]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = encode_binary(&vec![7; len]);
            assert_eq!(frame[..head.len()], head, "{len}");
            assert_eq!(frame.len(), head.len() + len);
        }
    }

    #[test]
    fn text_goes_out_as_a_final_text_frame() {
        assert_eq!(encode_text("hé")[..], [0x81, 3, b'h', 0xC3, 0xA9]);
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        assert_eq!(encode_close(&Close::KICKED)[..], *b"\x88\x08\x11\x47kicked");
        assert_eq!(encode_close(&Close::NORMAL)[..], *b"\x88\x02\x03\xE8");
        assert_eq!(encode_close_echo(None)[..], *b"\x88\x00");
        assert_eq!(cut(&"é".repeat(100)).len(), 122);
    }
}
