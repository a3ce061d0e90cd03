//! Every rule of a connection, as a plain value: no I/O, no clock, no lock.
//!
//! The driver feeds bytes and the time, and does what the [`Event`]s say. [`envelope`] has the rules of the messages
//! themselves, [`deadlines`] those of time.

mod deadlines;
mod envelope;

use std::sync::Arc;

use bytes::Bytes;

use super::{
    codec::{Decoded, OpCode, encode, encode_close_echo},
    decoder::Decoder,
    event::{Event, Facts},
    inbound::{Body, Inbound},
    rate::Rate,
    timers::{Moment, Timer, Timers},
};
use crate::{Close, clock::Instant, policy, protocol::Mode};

/// The settings that all connections of a manager share.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) timing: policy::Timing,
    pub(crate) inbound: policy::Inbound,
}

/// One connection's rules and what they have to remember.
#[derive(Debug)]
pub(crate) struct Machine {
    rules: Arc<Rules>,
    decoder: Decoder,
    timers: Timers,
    last_inbound: Moment,
    /// The token's end.
    expires: Option<Instant>,
    /// The last activity before the driver was told that the client is idle.
    idle_since: Option<Moment>,
    frames: Rate,
    control: Rate,
    mode: Mode,
    phase: Phase,
    /// A ping is out, and no byte has come since.
    pinged: bool,
    suspended: bool,
    /// The peer says nothing, ever: it cannot be found silent, and can refresh nothing.
    listens: bool,
}

/// What a peer says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// `hello`, before anything else.
    Hello,
    /// Whatever it likes.
    Anything,
    /// Nothing, then or later: a stream of events.
    Nothing,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first message has not come.
    AwaitingHello,
    /// The first message has come, its credential is being looked at.
    Verifying,
    Open,
    /// The machine said `End`, or our close frame is queued: only the peer's close frame matters.
    Closing,
    /// The peer's close frame came, or nothing it sends can be read.
    Closed,
}

impl Machine {
    /// A connection that has just been upgraded. Where `hello` comes first, it is open once
    /// [`welcomed`](Self::welcomed) says so, and nothing but a pong is written before; `expires` is the end of a token
    /// that the upgrade carried.
    pub(crate) fn new(
        mode: Mode,
        rules: Arc<Rules>,
        first: First,
        expires: Option<Instant>,
        now: Instant,
    ) -> Self {
        let phase = if first == First::Hello { Phase::AwaitingHello } else { Phase::Open };
        let (decoder, timers) =
            (Decoder::new(rules.inbound.max_frame, rules.inbound.max_message), Timers::new(now));
        let mut machine = Self {
            rules,
            decoder,
            last_inbound: timers.moment(now),
            timers,
            expires,
            idle_since: None,
            frames: Rate::default(),
            control: Rate::default(),
            mode,
            phase,
            pinged: false,
            suspended: false,
            listens: first == First::Nothing,
        };
        machine.start(now);
        machine
    }

    /// Takes what the socket gave. The bytes are unmasked in place.
    pub(crate) fn handle_bytes(&mut self, mut input: &mut [u8], now: Instant, out: &mut Vec<Event>) {
        if input.is_empty() || self.phase == Phase::Closed {
            return;
        }
        self.heard(now);
        while self.phase != Phase::Closed {
            match self.decoder.next(&mut input) {
                Some(Ok(decoded)) => self.handle_decoded(decoded, now, out),
                Some(Err(violation)) => {
                    tracing::debug!(?violation, "a client broke the WebSocket protocol");
                    self.end(violation.close(), out);
                    self.phase = Phase::Closed;
                }
                None => break,
            }
        }
        self.watch_message(now);
    }

    /// The identity is known and present: ping, expiry, recheck and idle time start.
    pub(crate) fn welcomed(&mut self, expires: Option<Instant>, now: Instant) {
        if self.is_ending() {
            return;
        }
        self.phase = Phase::Open;
        self.start_open(expires, now);
    }

    /// A token that came in-band was accepted.
    pub(crate) fn refreshed(&mut self, expires: Option<Instant>, now: Instant) {
        if !self.is_ending() {
            self.refresh_expiry(expires, now);
        }
    }

    /// Our close frame is queued: what comes is dropped until the peer's close frame, or `deadline`.
    pub(crate) fn farewell(&mut self, deadline: Instant) {
        self.timers.clear();
        self.timers.set(Timer::Farewell, deadline);
        if self.phase != Phase::Closed {
            self.phase = Phase::Closing;
        }
    }

    /// Whether nothing that the peer sends is looked at any more.
    pub(crate) fn is_deaf(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }

    fn handle_decoded(&mut self, decoded: Decoded<'_>, now: Instant, out: &mut Vec<Event>) {
        if let Decoded::Close { code, .. } = decoded {
            return self.handle_close(code, out);
        }
        if self.is_ending() {
            return;
        }
        self.message_ended(&decoded);
        if !self.within_rate(&decoded, now) {
            return self.end(Close::RATE_LIMITED, out);
        }
        match decoded {
            Decoded::Text(text) if self.mode == Mode::Envelope || self.phase != Phase::Open => {
                self.handle_envelope(&text, out);
            }
            Decoded::Text(text) => self.handle_raw(Body::Text(text.into_owned()), out),
            Decoded::Binary(_) if self.mode == Mode::Envelope || self.phase != Phase::Open => {
                self.end(Close::UNSUPPORTED, out);
            }
            Decoded::Binary(bytes) => self.handle_raw(Body::Binary(Bytes::from(bytes.into_owned())), out),
            Decoded::Ping(payload) => out.push(Event::Write(encode(OpCode::Pong, &payload))),
            Decoded::Pong | Decoded::Fragment { .. } | Decoded::Close { .. } => {}
        }
    }

    fn handle_raw(&mut self, body: Body, out: &mut Vec<Event>) {
        out.push(Event::Activity);
        out.push(Event::Message(Inbound::raw(body)));
    }

    fn handle_close(&mut self, code: Option<u16>, out: &mut Vec<Event>) {
        let echo = (!self.is_ending()).then(|| encode_close_echo(code));
        if echo.is_some() {
            self.timers.clear();
        }
        self.phase = Phase::Closed;
        out.push(Event::PeerClosed { code, echo });
    }

    fn within_rate(&mut self, decoded: &Decoded<'_>, now: Instant) -> bool {
        let now = self.timers.nanos(now);
        match decoded {
            Decoded::Ping(_) | Decoded::Pong | Decoded::Fragment { empty: true } => {
                self.control.take(self.rules.inbound.control_per_second, now)
            }
            _ => self.frames.take(self.rules.inbound.frames_per_second, now),
        }
    }

    /// Ends the connection: after this, only the peer's close frame and the farewell's deadline are told.
    fn end(&mut self, close: Close, out: &mut Vec<Event>) {
        if self.is_ending() {
            return;
        }
        self.timers.clear();
        self.phase = Phase::Closing;
        out.push(Event::End(close));
    }
}

#[cfg(test)]
mod tests;
