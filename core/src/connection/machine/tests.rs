//! The rules, one by one, on plain values and made-up times.

use std::time::Duration;

use proptest::prelude::*;
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

#[test]
fn a_machine_is_small() {
    assert!(size_of::<Machine>() <= 300, "{}", size_of::<Machine>());
}

#[test]
fn raw_text_and_bytes_go_to_the_application() {
    let mut peer = Peer::raw(rules());
    assert_events!(peer.text("hi"), ["activity", "message hi"]);
    assert_events!(peer.bytes(&frame(FIN | 2, b"\xFF")), ["activity", "message bytes"]);
    assert_events!(peer.text("{\"type\":\"hello\"}"), ["activity", "message {\"type\":\"hello\"}"]);
}

#[test]
fn a_ping_is_answered_and_is_no_activity() {
    let mut peer = Peer::raw(rules());
    let out = peer.bytes(&frame(FIN | 9, b"abc"));
    assert!(matches!(&out[..], [Event::Write(pong)] if pong[..] == *b"\x8A\x03abc"));
    assert_events!(peer.bytes(&frame(FIN | 10, b"")), []);
    let mut peer = Peer::envelope(rules());
    assert_events!(peer.json(json!({"type": "ping"})), ["pong"]);
    assert_events!(peer.json(json!({"type": "pong"})), []);
    assert_events!(peer.json(json!({"type": "ack", "seq": 1})), ["ack(1)"]);
}

#[test]
fn envelope_messages_become_events() {
    let mut peer = Peer::envelope(rules());
    assert_events!(peer.json(json!({"type": "message", "data": [1]})), ["activity", "message [1]"]);
    assert_events!(peer.json(json!({"type": "status", "status": "away"})), ["activity", "status away"]);
    assert_events!(peer.json(json!({"type": "auth", "id": 7, "token": "t"})), ["refresh 7"]);
    assert_events!(peer.json(json!({"type": "subscribe", "id": 8, "channel": "a"})), ["activity", "ask 8"]);
}

#[test]
fn wrong_requests_are_answered_and_the_connection_goes_on() {
    let mut peer = Peer::envelope(rules());
    assert_events!(peer.json(json!({"type": "subscribe", "id": 1, "channel": ""})), ["reply bad_frame"]);
    assert_events!(peer.json(json!({"type": "subscribe", "channel": "a"})), ["error bad_frame"]);
    assert_events!(peer.json(json!({"type": "dance", "id": 1})), ["reply unknown_type"]);
    assert_events!(peer.json(json!({"type": "dance"})), ["error unknown_type"]);
    assert_events!(peer.json(json!({"type": "hello"})), ["error bad_frame"]);
    assert_events!(peer.json(json!({"type": "auth", "id": 2})), ["reply bad_frame"]);
    assert_events!(peer.json(json!({"type": "status", "status": "x".repeat(33)})), ["error limit_exceeded"]);
    assert_events!(peer.json(json!({"type": "ping"})), ["pong"]);
}

#[test]
fn another_protocol_ends_the_connection() {
    assert_events!(Peer::envelope(rules()).text("hi"), ["error bad_frame", "end bad_frame"]);
    assert_events!(Peer::envelope(rules()).bytes(&frame(FIN | 2, b"x")), ["end unsupported"]);
}

#[test]
fn violations_end_with_the_code_that_fits_and_nothing_after_them_is_read() {
    for (bytes, end) in [
        (encode_text("unmasked").to_vec(), "end protocol_error"),
        (encode_binary(b"unmasked").to_vec(), "end protocol_error"),
        (frame(FIN | 0x40 | 1, b"x"), "end protocol_error"),
        (frame(FIN | 1, b"\xFF"), "end invalid_utf8"),
        (frame(FIN | 8, &1005u16.to_be_bytes()), "end protocol_error"),
        (vec![FIN | 2, 0xFF, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0], "end too_large"),
    ] {
        let mut peer = Peer::raw(rules());
        assert_events!(peer.bytes(&[bytes, frame(FIN | 1, b"more")].concat()), [end]);
        assert_events!(peer.text("more"), []);
        peer.farewell(2);
        assert_events!(peer.until(2), ["abort"]);
    }
}

#[test]
fn before_hello_nothing_else_is_said() {
    let waiting = || Peer::new(Mode::Envelope, First::Hello, rules());
    assert_events!(
        waiting().json(json!({"type": "message", "data": 1})),
        ["error bad_frame", "end bad_frame"]
    );
    assert_events!(
        waiting().json(json!({"type": "auth", "id": 1, "token": "t"})),
        ["error bad_frame", "end bad_frame"]
    );
    assert_events!(
        waiting().json(json!({"type": "hello", "token": 1})),
        ["error bad_frame", "end bad_frame"]
    );
    let big = json!({"type": "hello", "device": "x".repeat(65)});
    assert_events!(waiting().json(big), ["error limit_exceeded", "end too_big"]);
    assert_events!(waiting().bytes(&frame(FIN | 2, b"x")), ["end unsupported"]);
}

#[test]
fn hello_comes_once_and_pings_before_welcome_wait() {
    let mut peer = Peer::new(Mode::Envelope, First::Hello, rules());
    assert_events!(peer.json(json!({"type": "ping"})), []);
    assert_events!(peer.bytes(&frame(FIN | 9, b"")), ["8a"]);
    assert_events!(peer.json(json!({"type": "hello"})), ["hello"]);
    let mut peer = peer.welcomed(None);
    assert_events!(peer.json(json!({"type": "message", "data": 1})), ["activity", "message 1"]);
    let mut peer = Peer::new(Mode::Envelope, First::Hello, rules());
    peer.json(json!({"type": "hello"}));
    assert_events!(peer.json(json!({"type": "hello"})), ["error bad_frame", "end bad_frame"]);
}

#[test]
fn in_raw_mode_a_first_message_is_a_hello_as_well() {
    let mut peer = Peer::new(Mode::Raw, First::Hello, rules());
    assert_events!(peer.json(json!({"type": "hello", "token": "t"})), ["hello"]);
    let mut peer = peer.welcomed(None);
    assert_events!(peer.text("hi"), ["activity", "message hi"]);
    assert_events!(Peer::new(Mode::Raw, First::Hello, rules()).text("hi"), ["end bad_frame"]);
}

#[test]
fn a_client_that_does_not_say_hello_is_timed_out() {
    let mut peer = Peer::new(Mode::Envelope, First::Hello, rules());
    assert_events!(peer.until(9), []);
    peer.json(json!({"type": "ping"}));
    assert_events!(peer.until(10), ["end auth_timeout"]);
    let mut peer = Peer::new(Mode::Envelope, First::Hello, rules()).welcomed(None);
    assert_events!(peer.until(29), []);
}

#[test]
fn a_silent_peer_is_pinged_and_then_gone_after_forty_seconds() {
    let mut peer = Peer::raw(rules());
    assert_events!(peer.until(29), []);
    assert_events!(peer.until(30), ["89"]);
    assert_events!(peer.until(39), []);
    assert_events!(peer.until(40), ["end no_pong"]);
    assert_eq!(peer.machine.poll_timeout(), None);
}

#[test]
fn any_byte_is_life() {
    let mut peer = Peer::raw(rules());
    peer.until(20);
    assert_events!(peer.bytes(&[FIN | 1]), []);
    assert_events!(peer.until(49), []);
    assert_events!(peer.bytes(&[FIN]), []);
    assert_events!(peer.bytes(&[0; 4]), ["activity", "message "]);
    assert_events!(peer.until(78), []);
    assert_events!(peer.until(79), ["89"]);
    assert_events!(peer.bytes(&frame(FIN | 10, b"")), []);
    assert_events!(peer.until(108), []);
    assert_events!(peer.until(109), ["89"]);
}

#[test]
fn a_peer_is_not_gone_because_the_process_stood_still() {
    let mut peer = Peer::raw(rules());
    assert_events!(peer.until(30), ["89"]);
    assert_events!(peer.paused_until(46), ["89"]);
    assert_events!(peer.until(55), []);
    assert_events!(peer.until(56), ["end no_pong"]);
    let mut peer = Peer::raw(rules());
    peer.until(30);
    assert_events!(peer.paused_until(45), ["end no_pong"]);
}

#[test]
fn in_an_envelope_both_pings_go_out_in_one_write() {
    let mut peer = Peer::envelope(rules());
    assert_events!(peer.until(30), ["pings"]);
    assert_events!(peer.until(40), ["end no_pong"]);
}

#[test]
fn an_idle_envelope_connection_costs_one_write_per_interval() {
    let mut peer = Peer::envelope(rules());
    let mut events = Vec::new();
    for second in 1..=300 {
        events.extend(peer.until(second));
        if second % 30 == 1 && second > 1 {
            assert_events!(peer.json(json!({"type": "pong"})), []);
        }
    }
    assert_eq!(short(&events), vec!["pings"; 10]);
}

#[test]
fn a_browser_that_only_talks_still_hears_the_server() {
    let mut peer = Peer::envelope(rules());
    let mut events = Vec::new();
    for second in 1..=60 {
        events.extend(peer.until(second));
        peer.bytes(&frame(FIN | 10, b""));
    }
    assert_eq!(short(&events), vec!["ping"; 2]);
}

#[test]
fn a_push_counts_as_hearing_the_server() {
    let mut peer = Peer::envelope(rules());
    peer.until(20);
    peer.sent = peer.now;
    peer.bytes(&frame(FIN | 10, b""));
    assert_events!(peer.until(45), []);
    peer.bytes(&frame(FIN | 10, b""));
    assert_events!(peer.until(49), []);
    assert_events!(peer.until(50), ["ping"]);
}

#[test]
fn while_reading_is_suspended_silence_is_no_fault() {
    let mut peer = Peer::raw(rules());
    peer.until(30);
    peer.machine.suspend_reading(true, peer.now);
    assert_events!(peer.until(300), []);
    peer.machine.suspend_reading(false, peer.now);
    assert_events!(peer.until(309), []);
    assert_events!(peer.until(310), ["end no_pong"]);
}

#[test]
fn an_envelope_token_is_announced_then_ended_after_its_grace() {
    let mut peer = Peer::expiring(Mode::Envelope, 70);
    assert_events!(peer.until(9), []);
    let out = peer.until(10);
    assert!(matches!(&out[..], [Event::Write(frame)] if frame.ends_with(b"\"expiresIn\":60000}")));
    for second in 11..95 {
        peer.until(second);
        peer.bytes(&frame(FIN | 10, b""));
    }
    assert_events!(peer.until(95), ["end token_expired"]);
}

#[test]
fn a_token_that_ends_soon_is_announced_at_once() {
    let mut peer = Peer::expiring(Mode::Envelope, 5);
    assert_events!(peer.until(1), ["authExpiring"]);
    assert_events!(peer.until(29), []);
    assert_events!(peer.until(30), ["end token_expired"]);
}

#[test]
fn a_refresh_moves_the_end_and_a_short_token_is_not_announced_at_once_again() {
    let mut peer = Peer::expiring(Mode::Envelope, 5);
    peer.until(4);
    peer.machine.refreshed(Some(peer.now + secs(20)), peer.now);
    assert_events!(peer.until(13), []);
    assert_events!(peer.until(14), ["authExpiring"]);
    peer.machine.refreshed(None, peer.now);
    peer.bytes(&frame(FIN | 10, b""));
    assert_events!(peer.until(40), []);
}

#[test]
fn a_raw_connection_ends_with_its_token() {
    let mut peer = Peer::expiring(Mode::Raw, 5);
    assert_events!(peer.until(4), []);
    assert_events!(peer.until(5), ["end token_expired"]);
}

#[test]
fn the_credential_is_rechecked_again_and_again() {
    let mut rules = rules();
    rules.timing.recheck = secs(20);
    let mut peer = Peer::raw(rules);
    assert_events!(peer.until(20), ["recheck"]);
    assert_events!(peer.until(39), ["89"]);
    peer.bytes(&frame(FIN | 10, b""));
    assert_events!(peer.until(40), ["recheck"]);
}

#[test]
fn idle_is_said_once_per_idleness_and_only_activity_ends_it() {
    let mut rules = rules();
    rules.timing.idle_after = secs(10);
    rules.timing.heartbeat = secs(1000);
    let mut peer = Peer::raw(rules);
    peer.until(5);
    peer.text("hi");
    assert_events!(peer.until(14), []);
    assert_events!(peer.until(15), ["idle"]);
    peer.bytes(&frame(FIN | 9, b""));
    assert_events!(peer.until(26), []);
    peer.active = peer.now;
    assert_events!(peer.until(35), []);
    assert_events!(peer.until(36), ["idle"]);
    assert_events!(peer.until(100), []);
}

#[test]
fn a_socket_that_takes_nothing_is_given_up() {
    let mut peer = Peer::raw(rules());
    peer.machine.backlog(Some(peer.start));
    peer.machine.backlog(Some(peer.start + secs(1)));
    assert_events!(peer.until(10), []);
    peer.machine.backlog(None);
    assert_events!(peer.until(20), []);
    peer.machine.backlog(Some(peer.now));
    assert_events!(peer.until(29), []);
    assert_events!(peer.until(30), ["end slow_consumer"]);
}

#[test]
fn a_stalled_write_gets_its_time_again_after_a_pause_of_the_process() {
    let mut peer = Peer::raw(rules());
    let since = peer.start;
    peer.machine.backlog(Some(since));
    assert_events!(peer.paused_until(25), []);
    peer.machine.backlog(Some(since));
    assert_events!(peer.until(29), []);
    assert_events!(peer.until(35), ["89", "end slow_consumer"]);
}

#[test]
fn too_many_frames_end_the_connection() {
    let mut peer = Peer::raw(rules());
    assert_eq!(peer.bytes(&frame(FIN | 1, b"x").repeat(200)).len(), 400);
    assert_events!(peer.text("x"), ["end rate_limited"]);
    for control in [frame(FIN | 9, b""), frame(FIN | 10, b"")] {
        let mut peer = Peer::raw(rules());
        let out = peer.bytes(&control.repeat(41));
        assert_events!(out[out.len() - 1..], ["end rate_limited"]);
    }
}

#[test]
fn empty_fragments_count_as_control_frames() {
    let mut peer = Peer::raw(rules());
    assert_events!(peer.bytes(&[frame(1, b""), frame(0, b"").repeat(39)].concat()), []);
    assert_events!(peer.bytes(&frame(0, b"")), ["end rate_limited"]);
}

#[test]
fn a_message_must_be_whole_in_time() {
    let mut peer = Peer::raw(rules());
    peer.bytes(&frame(1, b"a"));
    for second in 1..30 {
        assert_events!(peer.until(second), []);
        assert_events!(peer.bytes(&frame(0, b"a")), []);
    }
    assert_events!(peer.until(30), ["end policy_violation"]);
}

#[test]
fn every_message_has_its_own_time() {
    let mut peer = Peer::raw(rules());
    for second in 1..100 {
        assert_events!(peer.until(second), []);
        let bytes = [frame(0, b"end"), frame(1, b"begin")].concat();
        let first = if second == 1 { frame(1, b"begin") } else { [&[FIN][..], &bytes[1..]].concat() };
        peer.bytes(&first);
    }
}

#[test]
fn a_close_frame_is_echoed_and_ends_everything() {
    let mut peer = Peer::raw(rules());
    let bytes = [frame(FIN | 8, b"\x03\xE9bye"), frame(FIN | 1, b"late")].concat();
    let out = peer.bytes(&bytes);
    assert!(matches!(&out[..], [Event::PeerClosed { code: Some(1001), echo: Some(echo) }]
        if echo[..] == *b"\x88\x02\x03\xE9"));
    assert_events!(peer.text("late"), []);
    assert_eq!(peer.machine.poll_timeout(), None);
}

#[test]
fn after_our_close_only_theirs_matters() {
    let mut peer = Peer::envelope(rules());
    peer.farewell(2);
    assert_events!(peer.bytes(&[frame(FIN | 1, b"hi"), frame(FIN | 9, b"")].concat()), []);
    assert_events!(peer.until(1), []);
    assert_events!(peer.bytes(&frame(FIN | 8, b"\x03\xE8")), ["peerclosed { code: some(1000), echo: none }"]);
    let mut peer = Peer::envelope(rules());
    peer.farewell(2);
    assert_events!(peer.until(100), ["abort"]);
}

#[test]
fn their_close_after_an_end_is_told_but_not_echoed() {
    let mut peer = Peer::envelope(rules());
    let bytes = [frame(FIN | 1, b"hi"), frame(FIN | 8, b"")].concat();
    assert_events!(
        peer.bytes(&bytes),
        ["error bad_frame", "end bad_frame", "peerclosed { code: none, echo: none }"]
    );
}

#[test]
fn while_reading_is_suspended_a_half_message_is_not_timed() {
    let mut peer = Peer::raw(rules());
    peer.bytes(&frame(1, b"half"));
    peer.machine.suspend_reading(true, peer.now);
    assert_events!(peer.until(100), []);
    peer.machine.suspend_reading(false, peer.now);
    peer.until(120);
    peer.bytes(&frame(FIN | 10, b""));
    assert_events!(peer.until(129), []);
    assert_events!(peer.until(130), ["end policy_violation"]);
}

#[test]
fn after_an_end_nothing_starts_again() {
    let mut peer = Peer::envelope(rules());
    peer.text("hi");
    peer.machine.refreshed(Some(peer.now), peer.now);
    peer.machine.backlog(Some(peer.now));
    let mut peer = peer.welcomed(Some(SystemClock.now()));
    assert_events!(peer.json(json!({"type": "ping"})), []);
    assert_events!(peer.until(1000), []);
}

/// What a client does in the model: some seconds pass, then it sends a pong or nothing.
fn any_steps() -> impl Strategy<Value = Vec<(u64, bool)>> {
    prop::collection::vec((1u64..25, any::<bool>()), 1..40)
}

proptest! {
    /// The model: one number, the second of the last byte. A ping at +30, the end at +40, and nothing else.
    #[test]
    fn pings_and_silence_follow_the_last_byte(steps in any_steps(), envelope in any::<bool>()) {
        let mut peer = if envelope { Peer::envelope(rules()) } else { Peer::raw(rules()) };
        let (mut last, mut now, mut pinged) = (0, 0, false);
        for (wait, speaks) in steps {
            now += wait;
            // Pushes keep the server audible, so that only life is at work.
            peer.sent = peer.start + secs(now);
            let events = short(&peer.until(now));
            let ping_due = !pinged && now >= last + 30;
            let gone = now >= last + 40;
            let mut expected = Vec::new();
            if ping_due {
                expected.push(if envelope { "pings" } else { "89" });
                pinged = true;
            }
            if gone {
                expected.push("end no_pong");
            }
            prop_assert_eq!(events, expected);
            if gone {
                break;
            }
            if speaks {
                prop_assert!(peer.bytes(&frame(FIN | 10, b"")).is_empty());
                (last, pinged) = (now, false);
            }
        }
    }

    #[test]
    fn random_bytes_and_times_never_panic(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0u64..60), 0..20),
        envelope in any::<bool>(),
        first in prop::sample::select(vec![First::Hello, First::Anything, First::Nothing]),
    ) {
        let mode = if envelope { Mode::Envelope } else { Mode::Raw };
        let mut peer = Peer::new(mode, first, rules());
        let (mut second, mut ends) = (0, 0);
        for (bytes, wait) in pieces {
            second += wait;
            let mut events = peer.bytes(&bytes);
            events.extend(peer.until(second));
            ends += events.iter().filter(|event| matches!(event, Event::End(_))).count();
        }
        prop_assert!(ends <= 1);
    }
}

#[test]
fn a_duration_without_end_is_never() {
    let timing = policy::Timing {
        heartbeat: Duration::MAX,
        pong_timeout: Duration::MAX,
        write_timeout: Duration::MAX,
        hello_timeout: Duration::MAX,
        message_timeout: Duration::MAX,
        recheck: Duration::MAX,
        idle_after: Duration::MAX,
        expiry_notice: Duration::MAX,
        expiry_grace: Duration::MAX,
        ..Default::default()
    };
    let rules = || Rules { timing: timing.clone(), inbound: policy::Inbound::default() };
    let mut waiting = Peer::new(Mode::Envelope, First::Hello, rules());
    assert!(waiting.until(1_000_000).is_empty());
    for mut peer in [Peer::raw(rules()), Peer::envelope(rules())] {
        peer.bytes(&frame(0x01, b"half a message"));
        peer.machine.backlog(Some(peer.now));
        assert!(peer.until(1_000_000).is_empty());
    }
}

#[test]
fn who_only_listens_is_pinged_and_never_found_silent() {
    let mut peer = Peer::new(Mode::Envelope, First::Nothing, rules()).welcomed(None);
    assert_events!(peer.until(95), ["ping", "ping", "ping"]);
}

#[test]
fn a_stream_of_events_ends_with_its_token_since_nothing_can_refresh_it() {
    let peer = Peer::new(Mode::Envelope, First::Nothing, rules());
    let at = peer.start + secs(5);
    let mut peer = peer.welcomed(Some(at));
    assert_events!(peer.until(4), []);
    assert_events!(peer.until(5), ["end token_expired"]);
}
