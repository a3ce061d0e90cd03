//! The reading side of RFC 6455: bytes in, messages and control frames out.

use std::{borrow::Cow, mem};

use super::codec::{Decoded, MAX_CONTROL, OpCode, Violation};

/// The longest frame header a client writes: two bytes, eight of length, four of mask.
const MAX_HEAD: usize = 14;

/// Decodes what one client sends.
///
/// A frame that is whole in the driver's buffer is unmasked there and borrowed from there. Memory of its own is
/// held only for a split frame and a fragmented message, and grows with the bytes that came, never by a length
/// that was only declared.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_frame: usize,
    max_message: usize,
    head: [u8; MAX_HEAD],
    head_len: u8,
    /// The frame that is split, between two reads.
    frame: Option<Box<Frame>>,
    /// The message so far; while no frame is open, it is one whose last fragment has not come.
    message: Option<Box<Message>>,
}

/// A frame whose header is read.
#[derive(Debug)]
struct Frame {
    op: OpCode,
    fin: bool,
    mask: [u8; 4],
    len: usize,
    got: usize,
    /// Of a control frame: the payload so far.
    control: Vec<u8>,
}

#[derive(Debug)]
struct Message {
    text: bool,
    bytes: Vec<u8>,
    /// Of a text: how much of it is known to be UTF-8.
    valid: usize,
}

impl Decoder {
    /// A decoder with its two limits, in bytes.
    pub(crate) fn new(max_frame: usize, max_message: usize) -> Self {
        let head = [0; MAX_HEAD];
        Self { max_frame, max_message, head, head_len: 0, frame: None, message: None }
    }

    /// Whether a frame or a message has begun and is not whole.
    pub(crate) fn is_mid_message(&self) -> bool {
        self.head_len > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// Takes the next thing off the front of `input`; `None` when `input` is used up. Must not be called again after
    /// a violation.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a mut [u8]) -> Option<Result<Decoded<'a>, Violation>> {
        let frame = match self.frame.take() {
            Some(frame) => *frame,
            None => match self.read_head(input)? {
                Ok(frame) => frame,
                Err(violation) => return Some(Err(violation)),
            },
        };
        if input.is_empty() && frame.len > frame.got {
            self.frame = Some(Box::new(frame));
            return None;
        }
        let chunk = take(input, frame.len - frame.got);
        unmask(chunk, frame.mask, frame.got);
        if chunk.len() == frame.len && frame.fin && frame.op != OpCode::Continuation {
            return Some(finish(frame.op, Cow::Borrowed(chunk)));
        }
        self.collect(frame, chunk).transpose()
    }

    /// Keeps a piece of a frame, or the whole frame of a fragmented message.
    fn collect(&mut self, mut frame: Frame, chunk: &[u8]) -> Result<Option<Decoded<'static>>, Violation> {
        frame.got += chunk.len();
        let done = frame.got == frame.len;
        let decoded = if frame.op.is_control() {
            collect_control(&mut frame, chunk, done)
        } else {
            self.collect_data(&frame, chunk, done)
        };
        if !done {
            self.frame = Some(Box::new(frame));
        }
        decoded
    }

    fn read_head(&mut self, input: &mut &mut [u8]) -> Option<Result<Frame, Violation>> {
        self.fill_head(input, 2)?;
        let size = match self.check_head() {
            Ok(size) => size,
            Err(violation) => return Some(Err(violation)),
        };
        self.fill_head(input, size)?;
        self.head_len = 0;
        Some(self.parse_head(size))
    }

    fn fill_head(&mut self, input: &mut &mut [u8], size: usize) -> Option<()> {
        let start = usize::from(self.head_len);
        let bytes = take(input, size.saturating_sub(start));
        self.head[start..start + bytes.len()].copy_from_slice(bytes);
        self.head_len += bytes.len() as u8;
        (usize::from(self.head_len) >= size).then_some(())
    }

    /// Judges the first two bytes; returns how long the header is.
    fn check_head(&self) -> Result<usize, Violation> {
        let [first, second, ..] = self.head;
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let op = OpCode::read(first & 0x0F).ok_or(Violation::UnknownOpCode)?;
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let len = second & 0x7F;
        match op {
            _ if op.is_control() && (first & 0x80 == 0 || usize::from(len) > MAX_CONTROL) => {
                return Err(Violation::BadControl);
            }
            OpCode::Continuation if self.message.is_none() => return Err(Violation::NothingToContinue),
            OpCode::Text | OpCode::Binary if self.message.is_some() => return Err(Violation::Interleaved),
            _ => {}
        }
        Ok(match len {
            126 => 8,
            127 => 14,
            _ => 6,
        })
    }

    fn parse_head(&self, size: usize) -> Result<Frame, Violation> {
        let op = OpCode::read(self.head[0] & 0x0F).ok_or(Violation::UnknownOpCode)?;
        let (length, mask) = self.head[1..size].split_at(size - 5);
        let len = read_length(length)?;
        let so_far = self.message.as_ref().map_or(0, |message| message.bytes.len());
        let room = if op.is_control() { MAX_CONTROL } else { self.max_message.saturating_sub(so_far) };
        let len = usize::try_from(len).map_err(|_| Violation::TooLarge)?;
        if len > room || (!op.is_control() && len > self.max_frame) {
            return Err(Violation::TooLarge);
        }
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        Ok(Frame { op, fin: self.head[0] & 0x80 != 0, mask, len, got: 0, control: Vec::new() })
    }

    fn collect_data(
        &mut self,
        frame: &Frame,
        chunk: &[u8],
        done: bool,
    ) -> Result<Option<Decoded<'static>>, Violation> {
        let message = self.message.get_or_insert_with(|| Box::new(Message::new(frame.op)));
        message.push(chunk)?;
        match (done, frame.fin) {
            (false, _) => Ok(None),
            (true, false) => Ok(Some(Decoded::Fragment { empty: frame.len == 0 })),
            (true, true) => self.message.take().map(|message| message.finish()).transpose(),
        }
    }
}

fn collect_control(
    frame: &mut Frame,
    chunk: &[u8],
    done: bool,
) -> Result<Option<Decoded<'static>>, Violation> {
    frame.control.extend_from_slice(chunk);
    if !done {
        return Ok(None);
    }
    finish(frame.op, Cow::Owned(mem::take(&mut frame.control))).map(Some)
}

impl Message {
    fn new(op: OpCode) -> Self {
        Self { text: op == OpCode::Text, bytes: Vec::new(), valid: 0 }
    }

    /// Adds bytes, and refuses a text as soon as no continuation could make it UTF-8.
    fn push(&mut self, chunk: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(chunk);
        if !self.text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Result<Decoded<'static>, Violation> {
        let op = if self.text { OpCode::Text } else { OpCode::Binary };
        finish(op, Cow::Owned(self.bytes))
    }
}

/// Makes of a whole payload what its frame says it is.
fn finish(op: OpCode, payload: Cow<'_, [u8]>) -> Result<Decoded<'_>, Violation> {
    Ok(match op {
        OpCode::Text => Decoded::Text(utf8(payload)?),
        OpCode::Binary | OpCode::Continuation => Decoded::Binary(payload),
        OpCode::Ping => Decoded::Ping(payload),
        OpCode::Pong => Decoded::Pong,
        OpCode::Close => return read_close(payload),
    })
}

fn read_close(payload: Cow<'_, [u8]>) -> Result<Decoded<'_>, Violation> {
    let code = match payload[..] {
        [] => return Ok(Decoded::Close { code: None, reason: Cow::Borrowed("") }),
        [_] => return Err(Violation::BadClose),
        [high, low, ..] => u16::from_be_bytes([high, low]),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::BadClose);
    }
    let reason = match payload {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[2..]),
        Cow::Owned(bytes) => Cow::Owned(bytes[2..].to_vec()),
    };
    Ok(Decoded::Close { code: Some(code), reason: utf8(reason)? })
}

fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Violation> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Violation::NotUtf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Violation::NotUtf8),
    }
}

/// Reads the length: seven bits, or two or eight bytes after them, each only where the shorter form cannot hold it.
fn read_length(bytes: &[u8]) -> Result<u64, Violation> {
    let long = bytes[1..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    match bytes.len() {
        1 => Ok(u64::from(bytes[0] & 0x7F)),
        3 if long > 125 => Ok(long),
        9 if long > 0xFFFF && long >> 63 == 0 => Ok(long),
        _ => Err(Violation::BadLength),
    }
}

/// Splits up to `size` bytes off the front of `input`.
fn take<'a>(input: &mut &'a mut [u8], size: usize) -> &'a mut [u8] {
    let at = size.min(input.len());
    let (front, rest) = mem::take(input).split_at_mut(at);
    *input = rest;
    front
}

/// Removes the mask from a piece of a payload that starts at `offset`.
fn unmask(payload: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut key = [0; 8];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = mask[(offset + index) % 4];
    }
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests;
