//! One connection: what it has heard, and what it answers.

use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use rustix::fd::OwnedFd;

use super::{
    Dialect, Tally,
    dialect::{self, Welcome},
    frame::{self, Frame},
    handshake,
};
use crate::serve::control::MARK;

/// An acknowledgement goes out after so many pushes … (client/src/resume.ts)
const ACK_EVERY: u64 = 16;
/// … or so long after one, whichever is first.
pub(super) const ACK_AFTER: Duration = Duration::from_secs(3);
/// The mark stands within so many bytes of a message, envelope and all.
const NEAR: usize = 512;
/// A split rest that needed more than this gives its memory back.
const KEPT: usize = 4096;

/// The close code of a connection that ended without a close frame.
pub(super) const NO_CODE: u16 = 1006;
/// The close code of a close frame that has none.
const EMPTY_CLOSE: u16 = 1005;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Connecting,
    Upgrading,
    /// Upgraded, and not yet let in by the protocol above.
    Greeting,
    Ready,
    Over,
}

/// What all connections of a crowd share while one of them is read.
pub(super) struct Wire {
    pub(super) dialect: Dialect,
    pub(super) tally: Tally,
    /// Deliveries since the round began.
    pub(super) round: u64,
    /// What the connection answers, masked.
    pub(super) out: Vec<u8>,
    /// When each message was ordered, in their order; latencies are counted while there is one.
    pub(super) ordered: Vec<Instant>,
    /// In microseconds.
    pub(super) latency: hdrhistogram::Histogram<u64>,
    /// When the bytes at hand were read; only where latencies are counted.
    pub(super) read_at: Option<Instant>,
    mark: Finder<'static>,
}

impl Wire {
    pub(super) fn new(dialect: Dialect, latency: hdrhistogram::Histogram<u64>) -> Self {
        Self {
            dialect,
            tally: Tally::default(),
            round: 0,
            out: Vec::new(),
            ordered: Vec::new(),
            latency,
            read_at: None,
            mark: Finder::new(MARK),
        }
    }

    fn is_marked(&self, payload: &[u8]) -> bool {
        self.mark.find(payload.get(..NEAR).unwrap_or(payload)).is_some()
    }

    fn answer(&mut self, opcode: u8, payload: &[u8]) {
        self.out.extend_from_slice(&frame::masked(opcode, payload));
    }
}

pub(super) struct Client {
    /// None once it is over.
    pub(super) socket: Option<OwnedFd>,
    pub(super) user: usize,
    pub(super) stage: Stage,
    pub(super) is_reading: bool,
    /// Deliveries since the round began.
    pub(super) deliveries: usize,
    /// Frames of a presence feed since the round began.
    pub(super) feed: u32,
    /// The begin of a frame whose end has not come yet.
    rest: Vec<u8>,
    /// The count of pushes, as docs/PROTOCOL.md has it, and up to where it was acknowledged.
    seq: u64,
    said: u64,
    is_kept: bool,
    /// When the first push came that is not acknowledged yet.
    pub(super) owes_since: Option<Instant>,
    /// It is in the queue of those who acknowledge by time.
    pub(super) ack_waits: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd, user: usize) -> Self {
        Self {
            socket: Some(socket),
            user,
            stage: Stage::Connecting,
            is_reading: true,
            deliveries: 0,
            feed: 0,
            rest: Vec::new(),
            seq: 0,
            said: 0,
            is_kept: false,
            owes_since: None,
            ack_waits: false,
        }
    }

    /// Takes what was read. What it answers is in `wire.out` then.
    pub(super) fn hear(&mut self, bytes: &[u8], wire: &mut Wire) -> Result<(), String> {
        if self.rest.is_empty() {
            let used = self.take(bytes, wire)?;
            self.rest.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let used = self.take(&rest, wire)?;
        rest.drain(..used);
        if !rest.is_empty() || rest.capacity() <= KEPT {
            self.rest = rest;
        }
        Ok(())
    }

    /// Takes whole frames, and says how many bytes they were.
    fn take(&mut self, bytes: &[u8], wire: &mut Wire) -> Result<usize, String> {
        let mut used = 0;
        while self.stage != Stage::Over {
            let left = bytes.get(used..).unwrap_or_default();
            if self.stage == Stage::Upgrading {
                let Some(head) = handshake::accepted(left, wire.dialect)? else { break };
                used += head;
                self.upgraded(wire);
                continue;
            }
            let Some(frame) = frame::first(left)? else { break };
            used += frame.size;
            self.frame(&frame, wire)?;
        }
        Ok(used)
    }

    fn upgraded(&mut self, wire: &mut Wire) {
        self.stage = match wire.dialect {
            Dialect::Raw => Stage::Ready,
            Dialect::Envelope | Dialect::SocketIo => Stage::Greeting,
        };
        if wire.dialect == Dialect::Envelope {
            wire.answer(frame::TEXT, br#"{"type":"hello","client":"herenow-bench"}"#);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, wire: &mut Wire) -> Result<(), String> {
        match frame.opcode {
            frame::TEXT | frame::BINARY => match wire.dialect {
                Dialect::Raw => self.deliver(frame.payload, wire),
                Dialect::Envelope => self.envelope(frame.payload, wire)?,
                Dialect::SocketIo => self.packet(frame.payload, wire)?,
            },
            frame::PING => {
                wire.tally.pings += 1;
                wire.answer(frame::PONG, frame.payload);
            }
            frame::CLOSE => {
                let code = frame.payload.first_chunk().map_or(EMPTY_CLOSE, |code| u16::from_be_bytes(*code));
                wire.answer(frame::CLOSE, frame.payload.get(..2).unwrap_or_default());
                self.over(code, wire);
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts a message of the bench; others are none of its business.
    fn deliver(&mut self, payload: &[u8], wire: &mut Wire) {
        if !wire.is_marked(payload) {
            return;
        }
        if let (Some(read_at), Some(ordered)) = (wire.read_at, wire.ordered.get(self.deliveries)) {
            let late = read_at.saturating_duration_since(*ordered);
            wire.latency.saturating_record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
        }
        self.deliveries += 1;
        wire.round += 1;
        wire.tally.deliveries += 1;
    }

    fn envelope(&mut self, payload: &[u8], wire: &mut Wire) -> Result<(), String> {
        let contains = |what: &str| memchr::memmem::find(payload, what.as_bytes()).is_some();
        match dialect::kind(payload) {
            b"push" => {
                self.deliver(payload, wire);
                self.count(1, wire);
            }
            b"ping" => wire.answer(frame::TEXT, br#"{"type":"pong"}"#),
            b"welcome" => {
                let welcome: Welcome = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
                (self.seq, self.said) = (welcome.seq, welcome.seq);
                self.is_kept = welcome.resume_token.is_some();
                self.stage = Stage::Ready;
            }
            b"presence" => {
                self.feed += 1;
                match contains("\"events\":[]") {
                    true => wire.tally.amounts += 1,
                    false => wire.tally.events += 1,
                }
            }
            b"presenceState" => {
                self.feed += 1;
                wire.tally.lists += 1;
            }
            b"reply" if !contains("\"error\":") => wire.tally.replies += 1,
            b"reply" | b"error" => {
                wire.tally.refusal.get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
            }
            b"gap" => {
                let gap: Gap = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
                wire.tally.gaps += gap.count;
                self.count(gap.count, wire);
            }
            _ => {}
        }
        Ok(())
    }

    fn packet(&mut self, payload: &[u8], wire: &mut Wire) -> Result<(), String> {
        match payload {
            [b'0', ..] => wire.answer(frame::TEXT, b"40"),
            [b'2', ..] => {
                wire.tally.pings += 1;
                wire.answer(frame::TEXT, b"3");
            }
            [b'4', b'0', ..] => self.stage = Stage::Ready,
            [b'4', b'2', ..] => self.deliver(payload, wire),
            [b'4', b'4', ..] => return Err(format!("refused: {}", String::from_utf8_lossy(payload))),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, pushes: u64, wire: &mut Wire) {
        self.seq += pushes;
        if self.is_kept && self.seq - self.said >= ACK_EVERY {
            self.acknowledge(wire);
        }
    }

    /// Whether it has pushes that it has not acknowledged.
    pub(super) fn owes(&self) -> bool {
        self.is_kept && self.seq != self.said && self.stage == Stage::Ready
    }

    pub(super) fn acknowledge(&mut self, wire: &mut Wire) {
        self.said = self.seq;
        self.owes_since = None;
        wire.answer(frame::TEXT, format!(r#"{{"type":"ack","seq":{}}}"#, self.seq).as_bytes());
    }

    pub(super) fn over(&mut self, code: u16, wire: &mut Wire) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.rest = Vec::new();
            *wire.tally.closed.entry(code).or_default() += 1;
        }
    }
}

#[derive(serde::Deserialize)]
struct Gap {
    count: u64,
}
