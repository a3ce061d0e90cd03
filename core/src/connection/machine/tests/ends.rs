//! Limits and the ways to the end.

use super::*;

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
