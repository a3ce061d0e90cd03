//! Groups 3 and 4: bits and opcodes that mean nothing yet.

use super::case::{ANY_CHOPS, Case, Chops, FIN, expect_all, expect_end, open, send};
use crate::{
    Server,
    client::{BINARY, CLOSE, Heard, PING, PONG, TEXT, masked},
};

const HELLO: &str = "fine so far";

/// A frame that must not be, as the first thing on a connection and after a message, in every kind of pieces; the ping
/// behind it is not answered.
async fn is_refused(server: &Server, name: &str, frame: &[u8]) {
    let frames = [frame.to_vec(), masked(FIN | PING, b"unheard")];
    for chops in ANY_CHOPS {
        let name = format!("{name}, {chops:?}");
        Case::new(&name, frames.clone()).chopped(chops).ends(1002).run(server).await;
        let mut client = open(server).await;
        client.text(HELLO).await;
        expect_all(&mut client, &name, &[Heard::Text(HELLO.to_owned())]).await;
        send(&mut client, &frames, chops).await;
        expect_end(&mut client, &name, &[], 1002).await;
    }
}

/// 3.1–7: no extension was negotiated, so none of the three bits has a meaning, on any frame.
pub async fn a_reserved_bit_is_refused(server: &Server) {
    for rsv in 1..=7u8 {
        for op in [TEXT, BINARY, PING, PONG, CLOSE] {
            let payload: &[u8] = if op == CLOSE { &1000u16.to_be_bytes() } else { b"payload" };
            is_refused(server, &format!("RSV {rsv}, opcode {op}"), &masked(FIN | rsv << 4 | op, payload))
                .await;
        }
    }
}

/// 4.1.1–5, 4.2.1–5.
pub async fn a_reserved_opcode_is_refused(server: &Server) {
    for op in (3..=7).chain(11..=15) {
        for payload in [&b""[..], b"payload"] {
            is_refused(server, &format!("opcode {op}, {payload:?}"), &masked(FIN | op, payload)).await;
        }
    }
}

/// Two bytes are enough to know it: nothing is waited for.
pub async fn what_is_reserved_is_refused_at_the_header(server: &Server) {
    for first in [FIN | 0x40 | TEXT, FIN | 0x20 | BINARY, FIN | 0x10 | PING, FIN | 3, 7, FIN | 11, 15] {
        let case = Case::new(format!("{first:#x}"), [vec![first, 0xff]]).chopped(Chops::Octets(1));
        case.ends(1002).run(server).await;
    }
}
