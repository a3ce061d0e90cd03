//! Any steps against a model, and what no rule expects.

use proptest::prelude::*;

use super::*;

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
