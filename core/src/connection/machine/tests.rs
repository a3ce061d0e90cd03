//! The rules, one by one, on plain values and made-up times.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    Clock, SystemClock,
    connection::codec::{encode_binary, encode_text},
};

const BOTH_PINGS: &[u8] = b"\x81\x0F{\"type\":\"ping\"}\x89\x00";
const FIN: u8 = 0x80;

/// A machine, a clock of its own, and what it said.
struct Peer {
    machine: Machine,
    start: Instant,
    now: Instant,
    sent: Instant,
    active: Instant,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules() -> Rules {
    let timing = policy::Timing { recheck: Duration::ZERO, idle_after: Duration::ZERO, ..Default::default() };
    Rules { timing, inbound: policy::Inbound::default() }
}

/// One masked frame; the mask is zero, as it may be.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..=125 => bytes.push(FIN | len as u8),
        len => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

impl Peer {
    fn new(mode: Mode, first: First, rules: Rules) -> Self {
        let now = SystemClock.now();
        let machine = Machine::new(mode, Arc::new(rules), first, None, now);
        Self { machine, start: now, now, sent: now, active: now }
    }

    fn raw(rules: Rules) -> Self {
        Self::new(Mode::Raw, First::Anything, rules).welcomed(None)
    }

    fn envelope(rules: Rules) -> Self {
        Self::new(Mode::Envelope, First::Anything, rules).welcomed(None)
    }

    fn expiring(mode: Mode, in_seconds: u64) -> Self {
        let peer = Self::new(mode, First::Anything, rules());
        let at = peer.start + secs(in_seconds);
        peer.welcomed(Some(at))
    }

    fn welcomed(mut self, expires: Option<Instant>) -> Self {
        self.machine.welcomed(expires, self.now);
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut out = Vec::new();
        self.machine.handle_bytes(&mut bytes.to_vec(), self.now, &mut out);
        self.note(&out);
        out
    }

    fn text(&mut self, text: &str) -> Vec<Event> {
        self.bytes(&frame(FIN | 1, text.as_bytes()))
    }

    fn json(&mut self, message: Value) -> Vec<Event> {
        self.text(&message.to_string())
    }

    /// Goes to a second of the connection's life, and does what is due on the way, each at its time.
    fn until(&mut self, second: u64) -> Vec<Event> {
        let end = self.start + secs(second);
        let mut all = Vec::new();
        while let Some(due) = self.machine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            all.extend(self.tick());
        }
        self.now = end;
        all
    }

    /// Goes to a second of the connection's life without doing anything on the way: the process stood still.
    fn paused_until(&mut self, second: u64) -> Vec<Event> {
        self.now = self.start + secs(second);
        self.tick()
    }

    fn tick(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        let facts = Facts { last_sent: self.sent, last_activity: self.active };
        self.machine.handle_timeout(self.now, facts, &mut out);
        self.note(&out);
        out
    }

    /// What the driver keeps.
    fn note(&mut self, out: &[Event]) {
        for event in out {
            match event {
                Event::Write(_) => self.sent = self.now,
                Event::Activity => self.active = self.now,
                _ => {}
            }
        }
    }

    fn farewell(&mut self, seconds: u64) {
        self.machine.farewell(self.now + secs(seconds));
    }
}

/// Events in short: what a test compares.
fn short(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Write(bytes) if bytes[..] == *BOTH_PINGS => "pings".to_owned(),
            Event::Write(bytes) if bytes[0] == 0x81 => {
                let start = if bytes[1] == 126 { 4 } else { 2 };
                let message: Value = serde_json::from_slice(&bytes[start..]).unwrap();
                let code = message["error"]["code"].as_str().or(message["code"].as_str()).unwrap_or("");
                format!("{} {code}", message["type"].as_str().unwrap()).trim_end().to_owned()
            }
            Event::Write(bytes) => format!("{:02x}", bytes[0]),
            Event::Message(inbound) => format!("message {}", inbound.body.as_text().unwrap_or("bytes")),
            Event::End(close) => format!("end {}", close.reason()),
            Event::Hello(_) => "hello".to_owned(),
            Event::Refresh { id, .. } => format!("refresh {id}"),
            Event::Ask { id, .. } => format!("ask {id}"),
            Event::Status(word) => format!("status {word}"),
            other => format!("{other:?}").to_lowercase(),
        })
        .collect()
}

macro_rules! assert_events {
    ($events:expr, [$($expected:expr),* $(,)?]) => {
        assert_eq!(short(&$events), Vec::<&str>::from([$($expected),*]))
    };
}

mod ends;
mod messages;
mod model;
mod times;
