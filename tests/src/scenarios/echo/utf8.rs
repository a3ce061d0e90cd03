//! Group 6: what is UTF-8 and what is not, and how early it is found out.

use super::{
    case::{Case, Chops, FIN, expect_all, expect_clean_close, expect_end, open, send},
    sequences::{dies_at, invalid, laid_out, valid},
};
use crate::{
    Server,
    client::{CONTINUATION, Client, Heard, PING, TEXT, masked},
};

/// A text with characters of one to three bytes.
const MIXED: &str = "Größe: 5 µm, ναῦς, 帆, €";

fn heard(text: &str) -> Heard {
    Heard::Text(text.to_owned())
}

/// Fragments of one byte each, and an empty one that says that it was the last.
fn byte_by_byte(bytes: &[u8]) -> Vec<Vec<u8>> {
    let pieces = bytes.iter().map(|byte| masked(CONTINUATION, &[*byte]));
    [masked(TEXT, b"")].into_iter().chain(pieces).chain([masked(FIN | CONTINUATION, b"")]).collect()
}

/// The text comes back, sent whole and in fragments that end within its characters.
async fn comes_back(client: &mut Client, text: &str) {
    client.text(text).await;
    send(client, &byte_by_byte(text.as_bytes()), Chops::Whole).await;
    expect_all(client, text, &[heard(text), heard(text)]).await;
}

/// 6.1.1, 6.2.1–4.
pub async fn a_text_may_be_cut_anywhere(server: &Server) {
    let mut client = open(server).await;
    comes_back(&mut client, "").await;
    comes_back(&mut client, MIXED).await;
    for at in 0..=MIXED.len() {
        let (one, two) = MIXED.as_bytes().split_at(at);
        send(&mut client, &[masked(TEXT, one), masked(FIN | CONTINUATION, two)], Chops::Whole).await;
        expect_all(&mut client, MIXED, &[heard(MIXED)]).await;
        let frame = masked(FIN | TEXT, MIXED.as_bytes());
        send(&mut client, &[frame[..6 + at].to_vec(), frame[6 + at..].to_vec()], Chops::Frames).await;
        expect_all(&mut client, MIXED, &[heard(MIXED)]).await;
    }
    expect_clean_close(client, MIXED).await;
}

/// 6.5, 6.7, 6.9, 6.11, 6.22, 6.23.
pub async fn text_at_every_edge_of_unicode_comes_back(server: &Server) {
    let mut client = open(server).await;
    for text in valid() {
        comes_back(&mut client, &text).await;
    }
    expect_clean_close(client, "edges").await;
}

/// Every code point there is.
pub async fn the_whole_of_unicode_comes_back(server: &Server) {
    let mut client = open(server).await;
    for plane in 0..=16 {
        let text: String = (plane << 16..(plane + 1) << 16).filter_map(char::from_u32).collect();
        client.text(&text).await;
        expect_all(&mut client, &format!("plane {plane}"), &[Heard::Text(text)]).await;
    }
    expect_clean_close(client, "Unicode").await;
}

/// 6.6: a text that ends within a character is none.
pub async fn the_beginning_of_a_text_is_one_only_where_a_character_ends(server: &Server) {
    let text = "ναῦς";
    for end in 1..=text.len() {
        for frames in
            [vec![masked(FIN | TEXT, &text.as_bytes()[..end])], byte_by_byte(&text.as_bytes()[..end])]
        {
            let case = Case::new(format!("{end} bytes"), frames);
            match text.get(..end) {
                Some(text) => case.hears([heard(text)]).run(server).await,
                None => case.ends(1007).run(server).await,
            }
        }
    }
}

/// 6.3, 6.8, 6.10–21: whole, and in fragments of one byte.
pub async fn what_is_no_text_ends_its_connection(server: &Server) {
    for (kind, all) in invalid() {
        for bytes in all {
            for (before, after) in [("", ""), ("ναῦς", "behind")] {
                let bytes = [before.as_bytes(), &bytes, after.as_bytes()].concat();
                for frames in [vec![masked(FIN | TEXT, &bytes)], byte_by_byte(&bytes)] {
                    Case::new(format!("{kind}: {bytes:x?}"), frames).ends(1007).run(server).await;
                }
            }
        }
    }
}

/// 6.4: nothing is waited for once a byte has come after which it can be no text, and no byte before that one is
/// objected to.
pub async fn what_can_be_no_text_any_more_ends_its_connection_at_once(server: &Server) {
    let long = [laid_out(0x11_0000, 4), b"behind".to_vec()].concat();
    let others = invalid().into_iter().flat_map(|(_, all)| all);
    for bytes in others.chain([long]) {
        let bytes = ["ναῦς".as_bytes(), &bytes].concat();
        if let Some(at) = dies_at(&bytes) {
            dies_in_fragments(server, &bytes, at).await;
            dies_in_chops(server, &bytes, at).await;
        }
    }
}

/// 6.4.1, 6.4.2: the answer to a ping shows that all before the byte was taken.
async fn dies_in_fragments(server: &Server, bytes: &[u8], at: usize) {
    let (mut client, name) = (open(server).await, format!("{bytes:x?} at {at}"));
    send(&mut client, &[masked(TEXT, &bytes[..at]), masked(FIN | PING, b"?")], Chops::Whole).await;
    expect_all(&mut client, &name, &[Heard::Pong(b"?".to_vec())]).await;
    client.write(&masked(CONTINUATION, &bytes[at..=at])).await;
    expect_end(&mut client, &name, &[], 1007).await;
}

/// 6.4.3, 6.4.4: within one frame, of which the rest never comes.
async fn dies_in_chops(server: &Server, bytes: &[u8], at: usize) {
    let frame = masked(FIN | TEXT, &[bytes, b"never sent"].concat());
    let (before, fatal) = (frame[..6 + at].to_vec(), frame[6 + at..=6 + at].to_vec());
    let case = Case::new(format!("{bytes:x?} at {at}"), [before, fatal]);
    case.chopped(Chops::Frames).ends(1007).run(server).await;
}

/// Bytes that are no text are good as bytes.
pub async fn bytes_need_not_be_text(server: &Server) {
    let mut client = open(server).await;
    for bytes in invalid().into_iter().flat_map(|(_, all)| all) {
        client.send(crate::client::BINARY, &bytes).await;
        expect_all(&mut client, "bytes", &[Heard::Binary(bytes)]).await;
    }
    expect_clean_close(client, "bytes").await;
}
