//! Group 7: close frames.

use super::case::{ANY_CHOPS, Case, Chops, FIN, each};
use crate::{
    Server,
    client::{CLOSE, CONTINUATION, Heard, PING, TEXT, masked},
};

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(FIN | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

fn heard(text: &str) -> Heard {
    Heard::Text(text.to_owned())
}

fn text(text: &str) -> Vec<u8> {
    masked(FIN | TEXT, text.as_bytes())
}

/// 7.1.1: what was said before it is answered before it.
pub async fn a_message_before_a_close_frame_comes_back(server: &Server) {
    for chops in ANY_CHOPS {
        let case = Case::new(format!("{chops:?}"), [text("a last word"), close(1000, b"")]);
        case.chopped(chops).hears([heard("a last word")]).ends(1000).run(server).await;
    }
}

/// 7.1.6: however long it takes, and nothing that comes after it is heard.
pub async fn long_messages_before_a_close_frame_come_back(server: &Server) {
    let long = "0123456789abcdef".repeat(16_384);
    let frames = [text(&long), text("a last word"), close(1000, b""), masked(FIN | PING, b"?")];
    let case = Case::new("a long message", frames).hears([heard(&long), heard("a last word")]);
    case.ends(1000).run(server).await;
}

/// 7.1.2–5: whatever it is.
pub async fn nothing_after_a_close_frame_is_heard(server: &Server) {
    let cases = [
        ("a second one", close(1000, b"")),
        ("one with another code", close(1001, b"")),
        ("a ping", masked(FIN | PING, b"?")),
        ("a text", text("a last word")),
        ("half a text", masked(TEXT, b"half")),
        ("what is no text", masked(FIN | TEXT, b"\xff")),
        ("what is no frame", vec![0xff; 20]),
    ];
    for (name, late) in cases {
        for chops in [Chops::Whole, Chops::Frames] {
            let case = Case::new(format!("{name} {chops:?}"), [close(1000, b""), late.clone()]);
            case.chopped(chops).ends(1000).run(server).await;
        }
    }
    let pieces = [masked(TEXT, b"half"), close(1000, b""), masked(FIN | CONTINUATION, b"the rest")];
    each(server, [Case::new("the rest of a message", pieces).ends(1000)]).await;
}

/// 7.3.1, 7.3.3–5: the answer carries the same code, or none where there was none.
pub async fn a_close_frame_is_answered_whatever_its_length(server: &Server) {
    let cases = [
        Case::new("empty", [masked(FIN | CLOSE, b"")]).ends(1005),
        Case::new("only a code", [close(1000, b"")]).ends(1000),
        Case::new("a reason", [close(1000, b"a last word")]).ends(1000),
        Case::new("the longest reason", [close(1000, &[b'*'; 123])]).ends(1000),
        Case::new("a reason by byte", [close(1001, "ναῦς".as_bytes())]).chopped(Chops::Octets(1)).ends(1001),
    ];
    each(server, cases).await;
}

/// 7.3.2, 7.3.6, 7.5.1.
pub async fn a_close_frame_that_is_none_is_refused(server: &Server) {
    let cases = [
        Case::new("half a code", [masked(FIN | CLOSE, b"a")]).ends(1002),
        Case::new("a reason of 124 bytes", [close(1000, &[b'*'; 124])]).ends(1002),
        Case::new("in fragments", [masked(CLOSE, &1000u16.to_be_bytes())]).ends(1002),
        Case::new("a reason that is no text", [close(1000, b"no\xed\xa0\x80text")]).ends(1007),
        Case::new("a reason that ends within a character", [close(1000, b"\xce")]).ends(1007),
    ];
    each(server, cases).await;
}

/// 7.7.1–13, and what IANA has listed since.
pub async fn a_code_that_may_be_sent_is_answered_with_itself(server: &Server) {
    let listed = (1000..=1003).chain(1007..=1014);
    let free = [3000, 3001, 3999, 4000, 4001, 4999];
    each(server, listed.chain(free).map(|code| Case::new(code.to_string(), [close(code, b"")]).ends(code)))
        .await;
}

/// 7.9.1–9, 7.13.1, 7.13.2: those of no connection, of nobody, and of nothing.
pub async fn a_code_that_may_not_be_sent_is_refused(server: &Server) {
    let unlisted = [0, 1, 999, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 32_768, 65_535];
    let codes = (1004..=1006).chain(unlisted);
    each(server, codes.map(|code| Case::new(code.to_string(), [close(code, b"")]).ends(1002))).await;
}
