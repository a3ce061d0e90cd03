//! Group 5: fragments, and what may stand between them.

use super::case::{ANY_CHOPS, Case, Chops, FIN, expect_all, expect_clean_close, expect_end, open, send};
use crate::{
    Server,
    client::{BINARY, CONTINUATION, Heard, PING, PONG, TEXT, masked},
};

fn heard(text: &str) -> Heard {
    Heard::Text(text.to_owned())
}

/// A text in so many fragments.
fn fragments(texts: &[&str]) -> Vec<Vec<u8>> {
    let last = texts.len() - 1;
    let first = |n| match n {
        0 => TEXT,
        _ if n == last => FIN | CONTINUATION,
        _ => CONTINUATION,
    };
    texts.iter().enumerate().map(|(n, text)| masked(first(n), text.as_bytes())).collect()
}

/// 5.1, 5.2: a control frame is always whole, and that is known at the first fragment.
pub async fn a_fragmented_control_frame_is_refused(server: &Server) {
    for op in [PING, PONG] {
        let pieces = [masked(op, b"one "), masked(FIN | CONTINUATION, b"two ")];
        for chops in ANY_CHOPS {
            let name = format!("{op} {chops:?}");
            Case::new(name, pieces.clone()).chopped(chops).ends(1002).run(server).await;
        }
        Case::new("only the first", [pieces[0].clone()]).ends(1002).run(server).await;
    }
}

/// 5.3–5, 6.1.2, 6.1.3: empty ones too.
pub async fn fragments_come_back_as_one_message(server: &Server) {
    let texts: [&[&str]; 5] =
        [&["one ", "two "], &["", "", ""], &["", "middle", ""], &["a", "", "b"], &["", "end"]];
    for (texts, chops) in texts.iter().flat_map(|texts| ANY_CHOPS.map(|chops| (texts, chops))) {
        let case = Case::new(format!("{texts:?} {chops:?}"), fragments(texts)).chopped(chops);
        case.hears([heard(&texts.concat())]).run(server).await;
    }
    let bytes = [masked(BINARY, b"\xff"), masked(FIN | CONTINUATION, b"\x00")];
    Case::new("bytes", bytes).hears([Heard::Binary(vec![0xff, 0])]).run(server).await;
}

/// 5.6–8: a ping is answered before the message it stands in.
pub async fn a_ping_between_fragments_is_answered_at_once(server: &Server) {
    for chops in ANY_CHOPS {
        let mut frames = fragments(&["one ", "two "]);
        frames.insert(1, masked(FIN | PING, b"between"));
        frames.insert(2, masked(FIN | PONG, b"unasked"));
        let case = Case::new(format!("{chops:?}"), frames).chopped(chops);
        case.hears([Heard::Pong(b"between".to_vec()), heard("one two ")]).run(server).await;
    }
}

/// 5.19, 5.20: the second half comes only when the first ping is answered.
pub async fn a_message_may_stop_between_fragments(server: &Server) {
    for chops in ANY_CHOPS {
        let (mut client, name) = (open(server).await, format!("{chops:?}"));
        let mut pieces = fragments(&["one ", "two ", "three ", "four ", "five"]);
        let mut later = pieces.split_off(2);
        pieces.push(masked(FIN | PING, b"first"));
        send(&mut client, &pieces, chops).await;
        expect_all(&mut client, &name, &[Heard::Pong(b"first".to_vec())]).await;
        later.insert(2, masked(FIN | PING, b"second"));
        send(&mut client, &later, chops).await;
        let whole = heard("one two three four five");
        expect_all(&mut client, &name, &[Heard::Pong(b"second".to_vec()), whole]).await;
        expect_clean_close(client, &name).await;
    }
}

/// 5.9–14, 5.16, 5.17: there is nothing to continue at the start.
pub async fn a_continuation_of_nothing_is_refused(server: &Server) {
    for (first, chops) in
        [0, FIN].into_iter().flat_map(|fin| ANY_CHOPS.map(|chops| (fin | CONTINUATION, chops)))
    {
        let name = format!("{first:#x} {chops:?}");
        let stray = masked(first, b"of nothing");
        let text = masked(FIN | TEXT, b"a text of its own");
        Case::new(&name, [stray.clone(), text]).chopped(chops).ends(1002).run(server).await;
        let again = [vec![stray], fragments(&["one ", "two "])].concat();
        Case::new(&name, again.iter().chain(&again).cloned()).chopped(chops).ends(1002).run(server).await;
        Case::new(&name, [vec![first, 0x80]]).ends(1002).run(server).await;
    }
}

/// 5.15: nor is there after a message that is whole.
pub async fn a_continuation_after_a_message_is_refused(server: &Server) {
    for (first, chops) in
        [0, FIN].into_iter().flat_map(|fin| ANY_CHOPS.map(|chops| (fin | CONTINUATION, chops)))
    {
        let (mut client, name) = (open(server).await, format!("{first:#x} {chops:?}"));
        send(&mut client, &fragments(&["one ", "two "]), chops).await;
        expect_all(&mut client, &name, &[heard("one two ")]).await;
        let stray = [masked(first, b"three "), masked(FIN | TEXT, b"four ")];
        send(&mut client, &stray, chops).await;
        expect_end(&mut client, &name, &[], 1002).await;
    }
}

/// 5.18: one message has to end before the next one begins.
pub async fn a_message_within_a_message_is_refused(server: &Server) {
    for (outer, inner) in [(TEXT, TEXT), (TEXT, BINARY), (BINARY, TEXT), (BINARY, BINARY)] {
        for (fin, chops) in [(FIN, Chops::Whole), (FIN, Chops::Octets(1)), (0, Chops::Frames)] {
            let frames = [masked(outer, b"one "), masked(fin | inner, b"two ")];
            let case = Case::new(format!("{inner} in {outer}"), frames);
            case.chopped(chops).ends(1002).run(server).await;
        }
    }
}
