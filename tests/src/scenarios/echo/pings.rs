//! Group 2: pings and pongs.

use super::case::{Case, Chops, FIN, each};
use crate::{
    Server,
    client::{Heard, PING, PONG, masked},
};

fn ping(payload: &[u8]) -> Vec<u8> {
    masked(FIN | PING, payload)
}

fn pong(payload: &[u8]) -> Heard {
    Heard::Pong(payload.to_vec())
}

/// 2.1–4, 2.6: as long as a control frame may be.
pub async fn a_ping_is_answered_with_its_payload(server: &Server) {
    for payload in [&b""[..], b"are you there?", b"\xff\x00\xfe\x80\x7f", &[0xfe; 124], &[0xfe; 125]] {
        for chops in [Chops::Whole, Chops::Octets(1)] {
            let case = Case::new(format!("{payload:?} {chops:?}"), [ping(payload)]);
            case.chopped(chops).hears([pong(payload)]).run(server).await;
        }
    }
}

/// 2.5: and not a byte longer; found out at the header.
pub async fn a_ping_that_is_too_long_is_refused(server: &Server) {
    let frame = ping(&[0xfe; 126]);
    let cases = [
        Case::new("126 bytes", [frame.clone()]),
        Case::new("126 bytes by byte", [frame.clone()]).chopped(Chops::Octets(1)),
        Case::new("only the header of 126 bytes", [frame[..8].to_vec()]),
        Case::new("a pong of 126 bytes", [masked(FIN | PONG, &[0xfe; 126])]),
    ];
    each(server, cases.map(|case| case.ends(1002))).await;
}

/// 2.7–9.
pub async fn a_pong_that_nobody_asked_for_is_no_ones_business(server: &Server) {
    for payload in [&b""[..], b"unasked"] {
        let unasked = masked(FIN | PONG, payload);
        each(
            server,
            [
                Case::new("only a pong", [unasked.clone()]),
                Case::new("and a ping", [unasked, ping(b"asked")]).hears([pong(b"asked")]),
            ],
        )
        .await;
    }
}

/// 2.10, 2.11.
pub async fn many_pings_are_answered_in_order(server: &Server) {
    for chops in [Chops::Whole, Chops::Frames, Chops::Octets(1)] {
        let payloads = (0..10).map(|n| format!("{n}th").into_bytes());
        let case = Case::new(format!("{chops:?}"), payloads.clone().map(|payload| ping(&payload)));
        case.chopped(chops).hears(payloads.map(Heard::Pong)).run(server).await;
    }
}
