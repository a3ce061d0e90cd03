//! The upgrade: a request with a token, and whether the answer is the right one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herenow::{
    Clock as _, SystemClock,
    auth::{Identity, JwtKeys},
};
use sha1::{Digest as _, Sha1};

use super::{Dialect, Error, SECRET};

/// Every client's nonce: it says who answers, and here it is known who does.
const KEY: &str = "aGVyZW5vdy1iZW5jaC1rMQ==";
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Longer heads are no answer of a server here.
const LONGEST_HEAD: usize = 16 * 1024;

/// A server, and how it speaks.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) dialect: Dialect,
    keys: JwtKeys,
}

impl Target {
    pub(crate) fn new(port: u16, dialect: Dialect) -> Result<Self, Error> {
        Ok(Self { port, dialect, keys: JwtKeys::hs256(SECRET.as_bytes())? })
    }

    pub(super) fn request(&self, user: usize) -> String {
        let identity = Identity::new(format!("u{user}"));
        let token = self.keys.issue(&identity, TOKEN_LIFE, SystemClock.utc());
        let subprotocol = self
            .dialect
            .subprotocol()
            .map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"))
            .unwrap_or_default();
        format!(
            "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{subprotocol}\
             Authorization: Bearer {}\r\n\r\n",
            self.dialect.path(),
            self.port,
            token.expose()
        )
    }
}

/// How long the head of a good answer is; none when its end has not come yet.
pub(super) fn accepted(bytes: &[u8], dialect: Dialect) -> Result<Option<usize>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err(refused(bytes)) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(refused(bytes));
    }
    let (mut accept, mut subprotocol) = (None, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("sec-websocket-accept") {
            accept = Some(value.trim());
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            subprotocol = Some(value.trim());
        }
    }
    if accept != Some(accept_of(KEY).as_str()) {
        return Err(format!("the answer to the upgrade has a wrong Sec-WebSocket-Accept: {accept:?}"));
    }
    if subprotocol != dialect.subprotocol() {
        return Err(format!(
            "the server chose the subprotocol {subprotocol:?}, not {:?}",
            dialect.subprotocol()
        ));
    }
    Ok(Some(end + 4))
}

fn refused(bytes: &[u8]) -> String {
    let begin = bytes.get(..bytes.len().min(600)).unwrap_or_default();
    format!("the upgrade was not answered with 101 but: {}", String::from_utf8_lossy(begin))
}

/// What proves that a server understood this key.
pub(crate) fn accept_of(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &str) -> String {
        format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {}\r\n{lines}\r\n", accept_of(KEY))
    }

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_follows_the_head_is_left_for_the_frames() {
        let answer = answer("");
        let bytes = [answer.as_bytes(), b"\x81\x01x"].concat();
        assert_eq!(accepted(&bytes, Dialect::Raw), Ok(Some(answer.len())));
        assert_eq!(accepted(&bytes[..20], Dialect::Raw), Ok(None));
    }

    #[test]
    fn an_envelope_needs_its_subprotocol_chosen() {
        assert!(accepted(answer("").as_bytes(), Dialect::Envelope).is_err());
        let chosen = answer("Sec-WebSocket-Protocol: herenow.v1.json\r\n");
        assert_eq!(accepted(chosen.as_bytes(), Dialect::Envelope), Ok(Some(chosen.len())));
    }

    #[test]
    fn a_refusal_is_told_as_it_came() {
        let error = accepted(b"HTTP/1.1 429 Too Many Requests\r\n\r\nslow down", Dialect::Raw).unwrap_err();
        assert!(error.contains("429") && error.contains("slow down"), "{error}");
        let wrong = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n";
        assert!(accepted(wrong, Dialect::Raw).is_err());
    }
}
