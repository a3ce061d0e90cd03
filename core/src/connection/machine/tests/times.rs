//! What happens because time passes: heartbeats, silence, tokens, idleness.

use super::*;

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
