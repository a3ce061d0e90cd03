//! Groups 1 and 10: every form of a length.

use super::case::{Case, Chops, FIN, each};
use crate::{
    Server,
    client::{BINARY, CONTINUATION, Heard, TEXT, masked},
};

/// Where the form of a length changes, and beside it.
const LENGTHS: [usize; 9] = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537];

/// Letters or bytes that are not the same everywhere.
fn payload(op: u8, len: usize) -> Vec<u8> {
    let all: Vec<u8> = if op == TEXT { (b' '..=b'~').collect() } else { (0..=250).collect() };
    all.into_iter().cycle().take(len).collect()
}

fn heard(op: u8, payload: Vec<u8>) -> Heard {
    match op {
        TEXT => Heard::Text(String::from_utf8(payload).expect("these are letters")),
        _ => Heard::Binary(payload),
    }
}

/// 1.1.1–7, 1.2.1–7.
pub async fn a_message_of_every_length_comes_back(server: &Server) {
    for (op, len) in [TEXT, BINARY].into_iter().flat_map(|op| LENGTHS.map(|len| (op, len))) {
        let payload = payload(op, len);
        let case = Case::new(format!("{len} bytes of {op}"), [masked(FIN | op, &payload)]);
        case.hears([heard(op, payload)]).run(server).await;
    }
}

/// 1.1.8, 1.2.8, and cuts within the header.
pub async fn a_message_in_chops_comes_back(server: &Server) {
    for (op, len, size) in [(TEXT, 65_536, 997), (BINARY, 65_536, 997), (TEXT, 200, 1), (BINARY, 70_000, 3)] {
        let payload = payload(op, len);
        let case = Case::new(format!("{len} bytes of {op} by {size}"), [masked(FIN | op, &payload)]);
        case.chopped(Chops::Octets(size)).hears([heard(op, payload)]).run(server).await;
    }
}

/// 10.1.1: a library that cuts every message into fragments of 1300 bytes.
pub async fn a_message_in_even_fragments_comes_back(server: &Server) {
    let payload = payload(TEXT, 65_536);
    let mut frames: Vec<_> = payload.chunks(1300).map(|piece| masked(CONTINUATION, piece)).collect();
    let last = frames.len() - 1;
    frames[0][0] |= TEXT;
    frames[last][0] |= FIN;
    each(server, [Case::new("fragments of 1300", frames).hears([heard(TEXT, payload)])]).await;
}

/// RFC 6455, 5.2: the shortest form is the only one.
pub async fn a_length_that_is_not_in_its_shortest_form_is_refused(server: &Server) {
    let long = |len: u8| [&[FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0, len][..], &[0; 4], b"x"].concat();
    let cases = [
        Case::new("1 in two bytes", [[&[FIN | BINARY, 0xfe, 0, 1][..], &[0; 4], b"x"].concat()]),
        Case::new("125 in two bytes", [vec![FIN | BINARY, 0xfe, 0, 125, 0, 0, 0, 0]]),
        Case::new("1 in eight bytes", [long(1)]),
        Case::new("126 in eight bytes", [long(126)]),
        Case::new("2^63 bytes", [vec![FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]),
    ];
    each(server, cases.map(|case| case.ends(1002))).await;
}
