//! Group 9: large messages, many messages, many small pieces. No figures, only that all of it comes back.

use super::case::{Chops, FIN, expect_all, expect_clean_close, open, send};
use crate::{
    Server,
    client::{BINARY, CONTINUATION, Client, Heard, TEXT, masked},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The pattern that all payloads of this group repeat. Masking it once is enough, since the mask has four bytes.
fn pattern(op: u8) -> Vec<u8> {
    if op == TEXT { (b'0'..b'0' + 64).collect() } else { (0xc0..=0xff).collect() }
}

fn part(pattern: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = pattern.repeat(len.div_ceil(pattern.len()));
    bytes.truncate(len);
    bytes
}

fn heard(op: u8, len: usize) -> Heard {
    let payload = part(&pattern(op), len);
    match op {
        TEXT => Heard::Text(String::from_utf8(payload).expect("these are letters")),
        _ => Heard::Binary(payload),
    }
}

/// A frame with so much of the pattern; what `masked` does, but quick in a debug build.
fn frame(first: u8, op: u8, len: usize) -> Vec<u8> {
    let piece = masked(first, &pattern(op));
    let (mask, payload) = piece[2..].split_at(4);
    let head = match u16::try_from(len) {
        Ok(_) if len <= 125 => vec![first, 0x80 | len as u8],
        Ok(len) => [&[first, 0xfe][..], &len.to_be_bytes()].concat(),
        Err(_) => [&[first, 0xff][..], &len.to_be_bytes()].concat(),
    };
    [&head, mask, &part(payload, len)].concat()
}

async fn comes_back(client: &mut Client, op: u8, len: usize, frames: &[Vec<u8>], chops: Chops) {
    send(client, frames, chops).await;
    expect_all(client, &format!("{len} bytes of {op}, {chops:?}"), &[heard(op, len)]).await;
}

/// 9.1, 9.2.
pub async fn large_messages_come_back(server: &Server) {
    let mut client = open(server).await;
    for op in [TEXT, BINARY] {
        for len in [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB] {
            comes_back(&mut client, op, len, &[frame(FIN | op, op, len)], Chops::Frames).await;
        }
    }
    expect_clean_close(client, "large").await;
}

/// 9.3, 9.4.
pub async fn large_messages_in_fragments_come_back(server: &Server) {
    let mut client = open(server).await;
    for op in [TEXT, BINARY] {
        for len in [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB] {
            let mut all = frame(CONTINUATION, op, len).repeat(4 * MIB / len);
            let last = all.len() - all.len() / (4 * MIB / len);
            all[0] |= op;
            all[last] |= FIN;
            comes_back(&mut client, op, 4 * MIB, &[all], Chops::Frames).await;
        }
    }
    expect_clean_close(client, "fragments").await;
}

/// 9.5, 9.6.
pub async fn large_messages_in_chops_come_back(server: &Server) {
    let mut client = open(server).await;
    for op in [TEXT, BINARY] {
        for size in [64, 128, 256, 512, KIB, 2 * KIB] {
            let whole = frame(FIN | op, op, MIB);
            comes_back(&mut client, op, MIB, &[whole], Chops::Octets(size)).await;
        }
    }
    expect_clean_close(client, "chops").await;
}

/// 9.7, 9.8.
pub async fn a_thousand_messages_come_back_one_by_one(server: &Server) {
    let mut client = open(server).await;
    for op in [TEXT, BINARY] {
        for len in [0, 16, 64, 256, KIB, 4 * KIB] {
            let (frame, heard) = (frame(FIN | op, op, len), heard(op, len));
            for _ in 0..1000 {
                client.write(&frame).await;
                assert!(client.hear().await == heard, "{len} bytes of {op}");
            }
        }
    }
    expect_clean_close(client, "thousands").await;
}

/// The same without waiting: a thousand in one go, and each comes back in its turn.
pub async fn a_thousand_messages_at_once_come_back_in_order(server: &Server) {
    let mut client = open(server).await;
    let texts = (0..1000).map(|n| n.to_string());
    let frames: Vec<_> = texts.clone().map(|text| masked(FIN | TEXT, text.as_bytes())).collect();
    send(&mut client, &frames, Chops::Whole).await;
    expect_all(&mut client, "at once", &texts.map(Heard::Text).collect::<Vec<_>>()).await;
    expect_clean_close(client, "at once").await;
}
