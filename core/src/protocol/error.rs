//! What a request was refused for.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize, de::IntoDeserializer};

/// The codes of `reply.error` and of the `error` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// No valid credential.
    Unauthorized,
    /// The credential's time is over.
    TokenExpired,
    /// Known, and not allowed.
    Forbidden,
    /// A browser from an origin that is not on the list.
    OriginDenied,
    /// Not a message, or one with missing or wrong fields.
    BadFrame,
    /// No such type of message.
    UnknownType,
    /// No such channel.
    UnknownChannel,
    /// Subscribed already.
    AlreadySubscribed,
    /// Not subscribed.
    NotSubscribed,
    /// A field or a count over its limit.
    LimitExceeded,
    /// Too often; temporary.
    TooManyRequests,
    /// The server does not offer it.
    NotAvailable,
    /// It took too long; temporary.
    Timeout,
    /// Something in the server failed; temporary.
    Internal,
}

impl ErrorCode {
    /// Every code, for clients that mirror the list.
    pub const ALL: &'static [Self] = &[
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Forbidden,
        Self::OriginDenied,
        Self::BadFrame,
        Self::UnknownType,
        Self::UnknownChannel,
        Self::AlreadySubscribed,
        Self::NotSubscribed,
        Self::LimitExceeded,
        Self::TooManyRequests,
        Self::NotAvailable,
        Self::Timeout,
        Self::Internal,
    ];

    /// The code of a word on the wire; any unknown one is `internal`.
    pub fn from_word(word: &str) -> Self {
        let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
        Self::deserialize(word).unwrap_or(Self::Internal)
    }

    /// Whether the same request may succeed later.
    pub fn temporary(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Timeout | Self::Internal)
    }
}

/// The `error` of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WireError {
    /// What it is, for programs.
    pub code: ErrorCode,
    /// What it is and what to do about it, for developers.
    pub message: Cow<'static, str>,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// How long to wait before it may, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl WireError {
    /// An error of a code; whether it is temporary follows from the code.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), temporary: code.temporary(), retry_after_ms: None }
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(millis(wait));
        self
    }
}

/// Whole milliseconds, as every duration on the wire.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
