//! Clients that break the protocol, and clients that want to break the server. Memory is that of the server's
//! process, so it runs in one of its own.

use std::time::Duration;

use serde_json::json;

use crate::{
    Server,
    client::{BINARY, CLOSE, CONTINUATION, Client, PING, TEXT, masked},
    now,
};

/// The limits of the library.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];
/// What one client may cost, in KiB.
const MEMORY: u64 = 5 * 1024;

/// Each on a connection of its own, in raw mode, with the close code it must have.
async fn each_ends(server: &Server, cases: &[(&str, u16, Vec<u8>)]) {
    let mut neighbour = server.join("neighbour").await;
    for (what, code, bytes) in cases {
        let mut client = server.join("mallory").await;
        client.write(bytes).await;
        let ending = client.ending().await;
        assert_eq!(ending.code(), Some(*code), "{what}: {ending:?}");
        drop(client);
        server.expect_counts(1, 1).await;
    }
    neighbour.expect_echo("untouched").await;
}

/// 1002.
pub async fn frames_against_the_protocol_end_their_connection(server: &Server) {
    let unmasked = |op: u8, text: &[u8]| [&[0x80 | op, text.len() as u8], text].concat();
    each_ends(
        server,
        &[
            ("an unmasked text", 1002, unmasked(TEXT, b"hello")),
            ("an unmasked close", 1002, unmasked(CLOSE, &1000u16.to_be_bytes())),
            ("RSV1 without compression", 1002, masked(0xc0 | TEXT, b"x")),
            ("RSV2", 1002, masked(0xa0 | TEXT, b"x")),
            ("RSV3", 1002, masked(0x90 | TEXT, b"x")),
            ("a reserved data opcode", 1002, masked(0x83, b"x")),
            ("a reserved control opcode", 1002, masked(0x8b, b"x")),
            ("a fragmented ping", 1002, masked(PING, b"x")),
            ("a ping that is too long", 1002, masked(0x80 | PING, &[b'x'; 126])),
            ("a continuation of nothing", 1002, masked(0x80 | CONTINUATION, b"x")),
            ("a text within a text", 1002, [masked(TEXT, b"a"), masked(0x80 | TEXT, b"b")].concat()),
            ("a close frame of one byte", 1002, masked(0x80 | CLOSE, &[3])),
            ("a close code that none may send", 1002, masked(0x80 | CLOSE, &1005u16.to_be_bytes())),
            ("a close code out of range", 1002, masked(0x80 | CLOSE, &999u16.to_be_bytes())),
        ],
    )
    .await;
}

/// 1007, as early as it can be known.
pub async fn text_that_is_no_utf8_ends_its_connection(server: &Server) {
    let reason = [&1000u16.to_be_bytes()[..], b"\xff"].concat();
    each_ends(
        server,
        &[
            ("an overlong slash", 1007, masked(0x80 | TEXT, b"\xc0\xaf")),
            ("a surrogate", 1007, masked(0x80 | TEXT, b"\xed\xa0\x80")),
            ("half a character at the end", 1007, masked(0x80 | TEXT, b"\xe5\xbc")),
            ("in a fragment, before the last one", 1007, masked(TEXT, b"ok\xff")),
            ("in a close reason", 1007, masked(0x80 | CLOSE, &reason)),
        ],
    )
    .await;
}

/// 1009, at the header, or when the sum is too much.
pub async fn what_is_too_large_ends_its_connection(server: &Server) {
    let declared = |len: u64| [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
    let fragments = [masked(BINARY, &[0; 60_000]), masked(0x80 | CONTINUATION, &[0; 6_000])].concat();
    each_ends(
        server,
        &[
            ("one byte over the limit", 1009, declared(65_537)),
            ("a gigabyte", 1009, declared(1 << 30)),
            ("more than there is", 1009, declared((1 << 63) - 1)),
            ("fragments that are too much together", 1009, fragments),
        ],
    )
    .await;
    let mut exact = server.join("exact").await;
    exact.send(TEXT, &[b'x'; 65_536]).await;
    exact.expect_echo("the limit itself is fine").await;
}

/// A length takes 63 bits.
pub async fn a_length_with_its_first_bit_set_ends_its_connection(server: &Server) {
    let mut client = server.join("mallory").await;
    client.write(&[0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    let code = client.ending().await.code();
    drop(client);
    assert!(code == Some(1002) || code == Some(1009), "{code:?}");
}

/// Nothing is allocated by a length that was only declared, whatever follows.
pub async fn a_declared_gigabyte_costs_no_memory(server: &Server) {
    let before = settled(server).await;
    let mut client = server.join("mallory").await;
    client.write(&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]).await;
    let chunk = vec![0; 1 << 20];
    let mut peak = server.rss();
    for _ in 0..64 {
        let sent = client.try_write(&chunk).await;
        peak = peak.max(server.rss());
        if sent.is_err() {
            break;
        }
    }
    assert!(peak < before + MEMORY, "{before} KiB before, {peak} KiB at most");
    server.expect_counts(0, 0).await;
}

/// Pongs that nobody reads are not kept.
pub async fn a_flood_of_pings_costs_no_memory(server: &Server) {
    let before = settled(server).await;
    let mut neighbour = server.join("neighbour").await;
    let token = server.login("mallory").await;
    let mut client = server.raw().small_window().token(&token).join().await;
    let flood = masked(0x80 | PING, &[b'x'; 125]).repeat(1000);
    let mut peak = before;
    for _ in 0..500 {
        let sent = client.try_write(&flood).await;
        peak = peak.max(server.rss());
        if sent.is_err() {
            break;
        }
    }
    assert!(peak < before + MEMORY, "{before} KiB before, {peak} KiB at most");
    neighbour.expect_echo("untouched").await;
    server.expect_counts(1, 1).await;
}

/// Each costs the server a little: so many a second, and no more.
pub async fn floods_are_told_to_slow_down(server: &Server) {
    let empty = masked(CONTINUATION, b"");
    let floods = [
        ("pings", masked(0x80 | PING, b"").repeat(200)),
        ("empty fragments", [masked(TEXT, b"x"), empty.repeat(200)].concat()),
        ("texts", masked(0x80 | TEXT, b"x").repeat(1000)),
    ];
    for (what, flood) in floods {
        let mut client = server.join("mallory").await;
        client.write(&flood).await;
        let code = client.ending().await.code();
        assert_eq!(code, Some(4529), "{what}");
        drop(client);
        server.expect_counts(0, 0).await;
    }
}

/// A slow network is no crime, and delays nobody.
pub async fn a_frame_that_trickles_in_is_understood(server: &Server) {
    let (mut slow, mut neighbour) = (server.join("slow").await, server.join("neighbour").await);
    for byte in masked(0x80 | TEXT, b"echo:byte by byte") {
        slow.write(&[byte]).await;
        neighbour.expect_echo("meanwhile").await;
    }
    assert_eq!(slow.expect_text().await, "echo:byte by byte");
}

/// Fragments with pings between them are one message.
pub async fn fragments_are_one_message(server: &Server) {
    let mut client = server.join("alice").await;
    for bytes in [masked(TEXT, b"echo:"), masked(0x80 | PING, b"p"), masked(CONTINUATION, "帆".as_bytes())] {
        client.write(&bytes).await;
    }
    client.write(&masked(0x80 | CONTINUATION, b"!")).await;
    assert_eq!(client.expect_text().await, "echo:帆!");
}

/// What is no envelope in envelope mode.
pub async fn what_is_no_envelope_ends_its_connection(server: &Server) {
    let not_an_object = |text: &str| masked(0x80 | TEXT, text.as_bytes());
    let cases = [
        (4400, not_an_object("hello")),
        (4400, not_an_object("[1]")),
        (4400, not_an_object(r#"{"no":"type"}"#)),
        (1003, masked(0x80 | BINARY, b"{}")),
    ];
    for (code, bytes) in cases {
        let mut client = server.join_enveloped("mallory").await;
        client.write(&bytes).await;
        client.expect_close(code).await;
        drop(client);
        server.expect_counts(0, 0).await;
    }
    let mut client = server.join_enveloped("alice").await;
    client.json(&json!({"type": "status", "status": 7})).await;
    client.expect_json("error").await;
    client.json(&json!({"type": "ping", "unknown": {"fields": "are ignored"}})).await;
    client.expect_json("pong").await;
}

/// A client's text cannot pass for a message of the server's.
pub async fn content_that_looks_like_a_kick_is_content(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("alice").await);
    let forged = r#"{"type":"kicked","code":4423}"#;
    server.admin("push", json!({"loginId": "alice", "content": forged})).await;
    assert_eq!(enveloped.expect_json("push").await["data"], forged);
    assert_eq!(raw.expect_text().await, forged);
    raw.expect_echo("still here").await;
}

/// Data after a close frame is not looked at.
pub async fn nothing_is_heard_after_a_close_frame(server: &Server) {
    let mut client = server.join("alice").await;
    let late = [masked(0x80 | CLOSE, &1000u16.to_be_bytes()), masked(0x80 | TEXT, b"echo:late")].concat();
    client.write(&late).await;
    let ending = client.expect_close(1000).await;
    assert!(ending.texts.is_empty(), "{ending:?}");
}

/// The memory before, once the server has served somebody.
async fn settled(server: &Server) -> u64 {
    let mut client: Client = server.join("first").await;
    client.expect_echo("warm").await;
    client.close(1000).await;
    server.expect_counts(0, 0).await;
    server.rss()
}

/// A peer that stops in the middle of a message holds nothing but its own socket.
pub async fn half_a_message_delays_nobody(server: &Server) {
    let mut client = server.join("mallory").await;
    client.write(&masked(0x80 | TEXT, &[b'x'; 60_000])[..30_000]).await;
    let start = now();
    server.join("alice").await.expect_echo("at once").await;
    assert!(start.elapsed() < Duration::from_secs(2));
    let kick = server.admin("kick", json!({"loginId": "mallory", "reason": "x"}));
    tokio::join!(kick, client.expect_close(4423));
}
