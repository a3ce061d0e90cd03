//! One-time tickets, for clients that can send neither a header nor a message first. The engine keeps them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Identity, TokenId};

/// How long a ticket may wait to be used.
pub(crate) const TICKET_TTL: Duration = Duration::from_secs(30);

/// A new ticket: 256 random bits that stand in a URL as they are.
pub(crate) fn new_ticket() -> String {
    random_text()
}

/// 256 random bits as unpadded base64url, 43 characters.
pub(crate) fn random_text() -> String {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bits)
}

/// The name the engine keeps a ticket under: whoever reads the store finds no ticket there.
pub(crate) fn key(text: &str) -> String {
    format!("ticket:{}", TokenId::hash(text))
}

/// The identity as the engine keeps it.
pub(crate) fn encode(identity: &Identity) -> Vec<u8> {
    serde_json::to_vec(identity).unwrap_or_default()
}

/// The identity that was kept; `None` where the bytes are none, which is a ticket nobody gave out.
pub(crate) fn decode(bytes: &[u8]) -> Option<Identity> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserKey;
    use chrono::DateTime;
    use serde_json::value::RawValue;

    #[test]
    fn tickets_are_long_differ_and_need_no_escaping() {
        let (one, two) = (new_ticket(), new_ticket());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn the_key_does_not_show_the_ticket() {
        let ticket = new_ticket();
        assert!(key(&ticket).starts_with("ticket:") && !key(&ticket).contains(&ticket));
        assert_eq!(key(&ticket), key(&ticket));
    }

    #[test]
    fn an_identity_comes_back_whole() {
        let identity = Identity::new(UserKey::in_account("t", "小明"))
            .token_id(TokenId::hash("x"))
            .device("web")
            .data(RawValue::from_string(r#"{"a":[1]}"#.to_owned()).unwrap())
            .issued_at(DateTime::from_timestamp(1_700_000_000, 999_999_999).unwrap())
            .expires_at(DateTime::from_timestamp(1_700_000_100, 5).unwrap())
            .scope("admin");
        let back = decode(&encode(&identity)).unwrap();
        assert_eq!(format!("{identity:?}"), format!("{back:?}"));
        assert_eq!(back.token_id, identity.token_id);
    }

    #[test]
    fn bytes_that_are_no_identity_are_no_ticket() {
        assert!(decode(b"").is_none() && decode(b"{}").is_none() && decode(b"\xff").is_none());
    }
}
