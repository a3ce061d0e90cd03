//! Frames of RFC 6455, from the client's side.

use bytes::{Buf as _, BytesMut};

use super::Heard;

/// The opcode of a fragment that goes on.
pub const CONTINUATION: u8 = 0;
/// The opcode of a text.
pub const TEXT: u8 = 1;
/// The opcode of bytes.
pub const BINARY: u8 = 2;
/// The opcode of a close frame.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of the server's, which never fragments.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Unpublished.
pub struct Frame {
    /// Its opcode.
    pub op: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Takes a frame off the front, if it is there whole.
    ///
    /// # Panics
    /// The server broke RFC 6455.
    pub(super) fn take(buffer: &mut BytesMut) -> Option<Self> {
        let (first, second) = (*buffer.first()?, *buffer.get(1)?);
        assert_eq!(second & 0x80, 0, "a server never masks");
        assert_eq!(first & 0x70, 0, "no extension was negotiated");
        assert_eq!(first & 0x80, 0x80, "this server never fragments");
        let (head, len) = match second {
            126 => (4, usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?) as usize),
            short => (2, usize::from(short)),
        };
        let op = first & 0x0f;
        assert!(op < 8 || len <= 125, "a control frame is at most 125 bytes long");
        if buffer.len() < head + len {
            return None;
        }
        buffer.advance(head);
        Some(Self { op, payload: buffer.split_to(len).to_vec() })
    }

    pub(super) fn heard(self) -> Heard {
        match self.op {
            TEXT => Heard::Text(String::from_utf8(self.payload).expect("a server's text is UTF-8")),
            BINARY => Heard::Binary(self.payload),
            PING => Heard::Ping(self.payload),
            PONG => Heard::Pong(self.payload),
            CLOSE => close(&self.payload),
            op => panic!("a server has no opcode {op}"),
        }
    }
}

fn close(payload: &[u8]) -> Heard {
    match payload {
        [] => Heard::Close(1005, String::new()),
        [high, low, reason @ ..] => {
            let reason = String::from_utf8(reason.to_vec()).expect("a close reason is UTF-8");
            Heard::Close(u16::from_be_bytes([*high, *low]), reason)
        }
        [_] => panic!("a close frame carries no single byte"),
    }
}

/// A client's frame: `first` is FIN, RSV and opcode together.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
