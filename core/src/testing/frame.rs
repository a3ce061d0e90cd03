//! The client's side of RFC 6455: masked frames out, plain ones in.

use bytes::{Buf, Bytes, BytesMut};

use crate::connection::codec::{OpCode, encode};

/// Any key will do where nothing is secret.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

/// One frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// A WebSocket ping; answered by itself.
    Ping(Bytes),
    /// The answer to a ping of the client's.
    Pong(Bytes),
    /// The last one; 1005 where it has no code.
    Close(u16, String),
}

impl Frame {
    /// The first whole frame of what came; it is taken out.
    pub(super) fn take(buf: &mut BytesMut) -> Option<Self> {
        let (short, length) = (usize::from(*buf.get(1)? & 0x7f), |range| buf.get(range).map(number));
        let (header, payload) = match short {
            126 => (4, length(2..4)?),
            127 => (10, length(2..10)?),
            short => (2, short),
        };
        if buf.len() < header + payload {
            return None;
        }
        let op = OpCode::read(buf[0] & 0x0f);
        buf.advance(header);
        Some(Self::of(op, buf.split_to(payload).freeze()))
    }

    fn of(op: Option<OpCode>, payload: Bytes) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the server sends UTF-8");
        match op {
            Some(OpCode::Text) => Self::Text(text(&payload)),
            Some(OpCode::Binary) => Self::Binary(payload),
            Some(OpCode::Ping) => Self::Ping(payload),
            Some(OpCode::Pong) => Self::Pong(payload),
            Some(OpCode::Close) if payload.len() >= 2 => {
                Self::Close(number(&payload[..2]) as u16, text(&payload[2..]))
            }
            Some(OpCode::Close) => Self::Close(1005, String::new()),
            Some(OpCode::Continuation) | None => panic!("the server sent a frame that it never sends"),
        }
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A frame as a client sends it.
pub(super) fn masked(op: OpCode, payload: &[u8]) -> Vec<u8> {
    let plain = encode(op, payload);
    let mut frame = plain[..plain.len() - payload.len()].to_vec();
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A close frame as a client sends it; without a code where there is none.
pub(super) fn masked_close(code: Option<u16>) -> Vec<u8> {
    masked(OpCode::Close, &code.map(u16::to_be_bytes).into_iter().flatten().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_come_one_by_one_and_only_whole() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(length);
            let sent = encode(OpCode::Text, text.as_bytes());
            let mut buf = BytesMut::from(&sent[..sent.len() - 1]);
            assert_eq!(Frame::take(&mut buf), None);
            buf.extend_from_slice(&sent[sent.len() - 1..]);
            assert_eq!(Frame::take(&mut buf), Some(Frame::Text(text)));
            assert!(buf.is_empty());
        }
    }
}
