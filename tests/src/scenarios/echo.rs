//! The groups of Autobahn's cases, over a socket, against `/echo`.

use crate::{
    Server,
    client::{BINARY, CLOSE, CONTINUATION, Client, Heard, PING, TEXT, masked},
};

/// As Autobahn wants it.
pub const OPTIONS: &[&str] = &["--max-message", "20000000"];

async fn echo(server: &Server) -> Client {
    server.upgrade("/echo").open().await
}

/// Groups 1 and 9: every length class, whole and in pieces of the network.
pub async fn every_length_comes_back_as_it_is(server: &Server) {
    let mut client = echo(server).await;
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1_000_000, 16_000_000] {
        client.send(TEXT, &vec![b'*'; size]).await;
        assert!(client.hear().await == Heard::Text("*".repeat(size)), "a text of {size}");
        client.send(BINARY, &vec![0xfe; size]).await;
        assert!(client.hear().await == Heard::Binary(vec![0xfe; size]), "{size} bytes");
    }
    let frame = masked(0x80 | TEXT, &[b'*'; 200]);
    for chunk in frame.chunks(7) {
        client.write(chunk).await;
    }
    assert_eq!(client.hear().await, Heard::Text("*".repeat(200)));
}

/// Group 2: the payload of a ping comes back in order, and an unasked pong is no one's business.
pub async fn pings_are_answered_with_their_payload(server: &Server) {
    let mut client = echo(server).await;
    for payload in [&b""[..], b"hello", b"\x00\xff\xfe", &[0xfe; 125]] {
        client.send(PING, payload).await;
        assert_eq!(client.hear().await, Heard::Pong(payload.to_vec()));
    }
    client.send(crate::client::PONG, b"unasked").await;
    for n in 0..10u8 {
        client.send(PING, &[n]).await;
    }
    for n in 0..10u8 {
        assert_eq!(client.hear().await, Heard::Pong(vec![n]));
    }
}

/// Group 5: fragments, empty ones among them, with pings between.
pub async fn fragments_come_back_as_one_message(server: &Server) {
    let mut client = echo(server).await;
    let frames = [
        masked(TEXT, b""),
        masked(CONTINUATION, b"one"),
        masked(0x80 | PING, b"?"),
        masked(CONTINUATION, b""),
    ];
    for frame in frames {
        client.write(&frame).await;
    }
    assert_eq!(client.hear().await, Heard::Pong(b"?".to_vec()));
    client.write(&masked(0x80 | CONTINUATION, b"two")).await;
    assert_eq!(client.hear().await, Heard::Text("onetwo".to_owned()));
    let text = "Hello-µ@ßöäüàá-UTF-8!!";
    client.write(&masked(TEXT, b"")).await;
    for byte in text.bytes() {
        client.write(&masked(CONTINUATION, &[byte])).await;
    }
    client.write(&masked(0x80 | CONTINUATION, b"")).await;
    assert_eq!(client.hear().await, Heard::Text(text.to_owned()));
}

/// Group 6: what is UTF-8 and what is not, to the last code point.
pub async fn every_valid_text_comes_back(server: &Server) {
    let mut client = echo(server).await;
    for text in
        ["\u{0}", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{ffff}", "\u{10000}", "\u{10ffff}", "\u{fffd}"]
    {
        client.text(text).await;
        assert_eq!(client.hear().await, Heard::Text(text.to_owned()));
    }
    for invalid in
        [&b"\xc0\x80"[..], b"\xf4\x90\x80\x80", b"\xed\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\xfe", b"a\x80"]
    {
        let mut client = echo(server).await;
        client.send(TEXT, invalid).await;
        client.expect_close(1007).await;
    }
}

/// Group 7: which close codes may be sent, and what is answered.
pub async fn close_codes_are_answered_as_the_rfc_says(server: &Server) {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let ending = echo(server).await.close(code).await;
        assert_eq!(ending.code(), Some(code));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let ending = echo(server).await.close(code).await;
        assert_eq!(ending.code(), Some(1002), "{code} may not be sent");
    }
    let mut client = echo(server).await;
    let reason = [&1000u16.to_be_bytes()[..], &[b'*'; 123]].concat();
    client.send(CLOSE, &reason).await;
    assert_eq!(client.ending().await.code(), Some(1000));
}
