//! What a client sent to the application.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One message of a client, as the application's handler gets it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inbound {
    /// The request's id in envelope mode; with one, the handler's reply goes back under it.
    pub id: Option<u64>,
    /// The payload.
    pub body: Body,
    /// The channel it concerns, where the client named one.
    pub channel: Option<String>,
}

/// The payload of an [`Inbound`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Body {
    /// A text frame in raw mode.
    Text(String),
    /// A binary frame in raw mode.
    Binary(Bytes),
    /// The `data` of a `message` in envelope mode.
    Json(Box<RawValue>),
}

impl Inbound {
    pub(crate) fn raw(body: Body) -> Self {
        Self { id: None, body, channel: None }
    }

    /// Reads the payload as JSON, whatever frame it came in.
    ///
    /// # Errors
    /// The payload is not JSON, or is not a `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body.as_bytes())
    }
}

impl Body {
    /// The payload's bytes; of JSON, its text.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
            Self::Json(json) => json.get().as_bytes(),
        }
    }

    /// The payload where it is text or JSON.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(json) => Some(json.get()),
            Self::Binary(_) => None,
        }
    }
}

/// Payloads stay out of logs.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
            Self::Json(_) => "Json",
        };
        write!(f, "{kind}({} bytes)", self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_as_json_and_shows_in_no_log() {
        let inbound = Inbound::raw(Body::Text("[1,\"s3cret\"]".into()));
        assert_eq!(inbound.json::<(u8, String)>().unwrap(), (1, "s3cret".to_owned()));
        assert_eq!(inbound.body.as_text(), Some("[1,\"s3cret\"]"));
        assert!(!format!("{inbound:?}").contains("s3cret"));
    }
}
