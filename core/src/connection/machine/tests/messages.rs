//! What comes from a peer, and what becomes of it.

use super::*;

#[test]
fn a_machine_is_small() {
    assert!(size_of::<Machine>() <= 208, "{}", size_of::<Machine>());
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
