//! From what the load generator sends to what sa-token-core knows.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sa_token_core::WsTokenExtractor;
use serde::Deserialize;

/// The subject of the JWT, which is the opaque token of that user here. sa-token-core checks a WebSocket's token by looking it
/// up among the logins and not by its signature, and its `JwtManager` reads no `iat` with a fraction, as the bench's have. So the
/// signature is not checked: that time is a gift to it.
pub(super) struct TokenOfSubject;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[async_trait]
impl WsTokenExtractor for TokenOfSubject {
    async fn extract_token(
        &self,
        headers: &HashMap<String, String>,
        _query: &HashMap<String, String>,
    ) -> Option<String> {
        subject(headers.get("authorization")?)
    }
}

fn subject(authorization: &str) -> Option<String> {
    let claims = authorization.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims.sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_of_a_token_is_read() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u7","iat":1.5}"#);
        assert_eq!(subject(&format!("Bearer e30.{claims}.x")).as_deref(), Some("u7"));
        assert_eq!(subject("Bearer opaque"), None);
        assert_eq!(subject("Basic e30.e30.x"), None);
    }
}
