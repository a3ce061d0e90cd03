//! What happens when nothing happens.
//!
//! Bytes that come in only note the time; a timer that fires too early for what it has since learnt sets itself
//! again. So the hot path touches no deadline.

use std::time::Duration;

use bytes::Bytes;

use super::{Decoded, Event, Facts, Instant, Machine, Mode, Phase, Timer};
use crate::{
    Close,
    clock::later,
    protocol::{ServerMessage, millis},
};

const PING: &[u8] = b"\x89\x00";
/// The JSON ping, and after it the WebSocket's: one write, and either answer will do.
const BOTH_PINGS: &[u8] = b"\x81\x0F{\"type\":\"ping\"}\x89\x00";
const JSON_PING: &[u8] = BOTH_PINGS.split_at(BOTH_PINGS.len() - PING.len()).0;

impl Machine {
    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due. The driver should have read what the socket had, so that a peer is not gone for our own
    /// lateness.
    pub(crate) fn handle_timeout(&mut self, now: Instant, facts: Facts, out: &mut Vec<Event>) {
        while let Some((timer, due)) = self.timers.pop(now) {
            self.handle_timer(timer, due, now, facts, out);
        }
    }

    /// Since when the socket takes no byte while some wait for it; `None` where none wait. May be told again and again.
    pub(crate) fn backlog(&mut self, stalled_since: Option<Instant>) {
        let Some(since) = stalled_since.filter(|_| !self.is_ending()) else {
            return self.timers.stop(Timer::Write);
        };
        let due = later(since, self.rules.timing.write_timeout);
        // A later deadline stands already where this process had stood still.
        if self.timers.get(Timer::Write).is_none_or(|set| set < due) {
            self.timers.set(Timer::Write, due);
        }
    }

    /// While the handler's queue is full, the socket is not read, so the peer cannot be found silent. Afterwards every
    /// deadline of its own begins anew.
    pub(crate) fn suspend_reading(&mut self, on: bool, now: Instant) {
        if self.suspended == on || self.is_ending() {
            return;
        }
        self.suspended = on;
        self.timers.stop(Timer::Message);
        if on {
            self.timers.stop(Timer::Life);
        } else {
            self.last_inbound = self.timers.moment(now);
            let wait = if self.pinged { self.rules.timing.pong_timeout } else { self.rules.timing.heartbeat };
            self.timers.set(Timer::Life, later(now, wait));
            self.watch_message(now);
        }
    }

    /// What runs from the upgrade on.
    pub(super) fn start(&mut self, now: Instant) {
        if self.phase == Phase::AwaitingHello {
            self.timers.set(Timer::Hello, later(now, self.rules.timing.hello_timeout));
        } else {
            self.expect_life(now);
        }
        self.set_expiry();
    }

    /// What runs from `welcome` on.
    pub(super) fn start_open(&mut self, expires: Option<Instant>, now: Instant) {
        self.timers.stop(Timer::Hello);
        self.expect_life(now);
        let timing = &self.rules.timing;
        if self.mode == Mode::Envelope {
            self.timers.set(Timer::Quiet, later(now, timing.heartbeat));
        }
        for (timer, period) in [(Timer::Recheck, timing.recheck), (Timer::Idle, timing.idle_after)] {
            if !period.is_zero() {
                self.timers.set(timer, later(now, period));
            }
        }
        self.expires = expires;
        self.set_expiry();
        self.set_notice(now);
    }

    fn expect_life(&mut self, now: Instant) {
        if !self.listens {
            self.timers.set(Timer::Life, later(now, self.rules.timing.heartbeat));
        }
    }

    /// A refreshed token may live for less than the notice: it is announced after half its life, not at once, or the
    /// client would do nothing but refresh.
    pub(super) fn refresh_expiry(&mut self, expires: Option<Instant>, now: Instant) {
        self.expires = expires;
        self.set_expiry();
        let half_life = expires.map_or(Duration::ZERO, |at| at.saturating_duration_since(now) / 2);
        self.set_notice(later(now, half_life));
    }

    fn set_expiry(&mut self) {
        let grace = match self.mode {
            Mode::Envelope if !self.listens => self.rules.timing.expiry_grace,
            _ => Duration::ZERO,
        };
        match self.expires {
            Some(at) => self.timers.set(Timer::Expiry, later(at, grace)),
            None => self.timers.stop(Timer::Expiry),
        }
    }

    fn set_notice(&mut self, earliest: Instant) {
        match self.expires {
            Some(at) if self.mode == Mode::Envelope && !self.listens => {
                let notice = at.checked_sub(self.rules.timing.expiry_notice).unwrap_or(earliest);
                self.timers.set(Timer::Notice, notice.max(earliest));
            }
            _ => self.timers.stop(Timer::Notice),
        }
    }

    /// Any byte is life.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_inbound = self.timers.moment(now);
        self.pinged = false;
    }

    pub(super) fn message_ended(&mut self, decoded: &Decoded<'_>) {
        let whole = matches!(decoded, Decoded::Text(_) | Decoded::Binary(_));
        if whole || !self.decoder.is_mid_message() {
            self.timers.stop(Timer::Message);
        }
    }

    /// Times a message that has begun and is not whole.
    pub(super) fn watch_message(&mut self, now: Instant) {
        if self.is_ending() || self.suspended {
            return;
        }
        if !self.decoder.is_mid_message() {
            self.timers.stop(Timer::Message);
        } else if !self.timers.is_set(Timer::Message) {
            self.timers.set(Timer::Message, later(now, self.rules.timing.message_timeout));
        }
    }

    fn handle_timer(&mut self, timer: Timer, due: Instant, now: Instant, facts: Facts, out: &mut Vec<Event>) {
        let timing = &self.rules.timing;
        match timer {
            Timer::Farewell => out.push(Event::Abort),
            Timer::Expiry => self.end(Close::TOKEN_EXPIRED, out),
            Timer::Hello => self.deadline(timer, due, now, timing.hello_timeout, Close::AUTH_TIMEOUT, out),
            Timer::Write => self.deadline(timer, due, now, timing.write_timeout, Close::SLOW_CONSUMER, out),
            Timer::Message => self.deadline(timer, due, now, timing.message_timeout, Close::POLICY, out),
            Timer::Life if self.pinged => self.handle_silence(due, now, out),
            Timer::Life => self.handle_life(now, out),
            Timer::Quiet => self.handle_quiet(now, facts.last_sent, out),
            Timer::Notice => self.notify_expiry(now, out),
            Timer::Recheck => {
                self.timers.set(timer, later(now, timing.recheck));
                out.push(Event::Recheck);
            }
            Timer::Idle => self.handle_idle(now, facts.last_activity, out),
        }
    }

    /// Ends the connection, unless it is we who slept: then the peer gets the whole time again.
    fn deadline(
        &mut self,
        timer: Timer,
        due: Instant,
        now: Instant,
        limit: Duration,
        close: Close,
        out: &mut Vec<Event>,
    ) {
        if overslept(due, now, limit) {
            self.timers.set(timer, later(now, limit));
        } else {
            self.end(close, out);
        }
    }

    fn handle_silence(&mut self, due: Instant, now: Instant, out: &mut Vec<Event>) {
        if overslept(due, now, self.rules.timing.pong_timeout) {
            self.ping(now, out);
        } else {
            self.end(Close::NO_PONG, out);
        }
    }

    fn handle_life(&mut self, now: Instant, out: &mut Vec<Event>) {
        let due = later(self.timers.instant(self.last_inbound), self.rules.timing.heartbeat);
        if due > now {
            self.timers.set(Timer::Life, due);
        } else {
            self.ping(now, out);
        }
    }

    fn ping(&mut self, now: Instant, out: &mut Vec<Event>) {
        let timing = &self.rules.timing;
        self.pinged = true;
        self.timers.set(Timer::Life, later(now, timing.pong_timeout));
        if self.mode == Mode::Envelope && self.timers.is_set(Timer::Quiet) {
            self.timers.set(Timer::Quiet, later(now, timing.heartbeat));
        }
        let pings = if self.mode == Mode::Envelope { BOTH_PINGS } else { PING };
        out.push(Event::Write(Bytes::from_static(pings)));
    }

    /// Lets a browser see that the server is there. Where the peer is about to be pinged anyway, one write does both.
    fn handle_quiet(&mut self, now: Instant, last_sent: Instant, out: &mut Vec<Event>) {
        let heartbeat = self.rules.timing.heartbeat;
        let due = later(last_sent, heartbeat);
        self.timers.set(Timer::Quiet, if due > now { due } else { later(now, heartbeat) });
        if due > now {
            return;
        }
        let ping_soon = later(self.timers.instant(self.last_inbound), heartbeat) <= later(now, heartbeat / 8);
        if ping_soon && !self.pinged && !self.suspended && !self.listens {
            self.ping(now, out);
        } else {
            out.push(Event::Write(Bytes::from_static(JSON_PING)));
        }
    }

    fn notify_expiry(&mut self, now: Instant, out: &mut Vec<Event>) {
        let Some(at) = self.expires else { return };
        let expires_in = millis(at.saturating_duration_since(now));
        out.push(Event::Write(ServerMessage::AuthExpiring { expires_in }.to_frame()));
    }

    /// Activity may come by ways the machine does not see, so it looks again after each period.
    fn handle_idle(&mut self, now: Instant, last_activity: Instant, out: &mut Vec<Event>) {
        let period = self.rules.timing.idle_after;
        let due = later(last_activity, period);
        if due > now {
            return self.timers.set(Timer::Idle, due);
        }
        self.timers.set(Timer::Idle, later(now, period));
        let since = self.timers.moment(last_activity);
        if self.idle_since.replace(since) != Some(since) {
            out.push(Event::Idle);
        }
    }
}

/// Whether a tick is so late that this process must have stood still.
fn overslept(due: Instant, now: Instant, limit: Duration) -> bool {
    now.saturating_duration_since(due) > limit / 2
}
