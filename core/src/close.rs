//! Why a connection ends: the one table of close codes (`docs/PROTOCOL.md`, section 5).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The longest reason a close frame carries: 125 bytes of payload (RFC 6455, 5.5) less two of the code.
pub const MAX_REASON: usize = 123;

/// What a client does after a close code it knows nothing else about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Do not come back.
    Stop,
    /// Come back, with back-off.
    BackOff,
    /// Come back at once, or after `reconnectInMs`.
    AtOnce,
    /// Fetch a new token, then come back.
    RefreshToken,
    /// Fetch a new token once, then stop.
    RefreshOnce,
}

/// A close code with its reason, as it stands in the close frame.
///
/// ```
/// use herenow::Close;
///
/// assert_eq!(Close::KICKED.code(), 4423);
/// assert_eq!(Close::KICKED.reason(), "kicked");
/// assert!(!Close::KICKED.reconnect());
/// assert!(Close::SLOW_CONSUMER.reconnect());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Close {
    code: u16,
    reason: Cow<'static, str>,
}

impl Advice {
    /// What a client does after a code.
    pub fn of(code: u16) -> Self {
        match code {
            1001 | 1006 | 1011..=1013 => Self::BackOff,
            4301 => Self::RefreshToken,
            4302 => Self::AtOnce,
            4401 | 4403 => Self::RefreshOnce,
            4500..=4599 => Self::BackOff,
            4100..=4199 => Self::BackOff,
            4200..=4299 => Self::AtOnce,
            _ => Self::Stop,
        }
    }
}

macro_rules! closes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $reason:literal;)*) => {
        impl Close {
            $($(#[$doc])* pub const $name: Self = Self { code: $code, reason: Cow::Borrowed($reason) };)*

            /// Every code of the table, for clients that mirror it.
            pub const TABLE: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

closes! {
    /// The client is done, or the application is.
    NORMAL = 1000, "";
    /// The endpoint goes away: a browser that reloads, a server that stops.
    GOING_AWAY = 1001, "going_away";
    /// The peer broke RFC 6455.
    PROTOCOL_ERROR = 1002, "protocol_error";
    /// A kind of frame this endpoint does not take.
    UNSUPPORTED = 1003, "unsupported";
    /// A text frame that is not UTF-8.
    INVALID_UTF8 = 1007, "invalid_utf8";
    /// The application's policy forbids the frame.
    POLICY = 1008, "policy_violation";
    /// A frame or message over the limit.
    TOO_LARGE = 1009, "too_large";
    /// The token's time is over (a genuine one, at the upgrade too).
    TOKEN_EXPIRED = 4301, "token_expired";
    /// The node drains; the farewell says when to come back.
    DRAIN = 4302, "drain";
    /// A frame that is not an envelope.
    BAD_FRAME = 4400, "bad_frame";
    /// Missing, forged, unknown or revoked credential: one answer for all.
    UNAUTHORIZED = 4401, "unauthorized";
    /// Known, and not allowed.
    FORBIDDEN = 4403, "forbidden";
    /// A browser from an origin that is not on the list.
    ORIGIN_DENIED = 4403, "origin_denied";
    /// No subprotocol in common.
    SUBPROTOCOL = 4406, "subprotocol";
    /// Another session took this one's place.
    REPLACED = 4409, "replaced";
    /// The session this connection waited for is over.
    SESSION_ENDED = 4410, "session_ended";
    /// A field of an envelope over its limit.
    TOO_BIG = 4413, "too_big";
    /// Kicked out.
    KICKED = 4423, "kicked";
    /// Logged out.
    LOGGED_OUT = 4424, "logged_out";
    /// Banned.
    BANNED = 4425, "banned";
    /// The login policy admits no further session.
    TOO_MANY_DEVICES = 4429, "too_many_devices";
    /// Something in the server failed, a handler's panic for one.
    INTERNAL = 4500, "internal";
    /// The node is full, or a store it needs is down.
    OVERLOADED = 4503, "overloaded";
    /// No answer to the heartbeat.
    NO_PONG = 4504, "no_pong";
    /// The first message did not come in time.
    AUTH_TIMEOUT = 4507, "auth_timeout";
    /// The client reads more slowly than it is pushed to.
    SLOW_CONSUMER = 4508, "slow_consumer";
    /// Too many frames in too short a time.
    RATE_LIMITED = 4529, "rate_limited";
}

impl Close {
    /// A code of the application's own range, 4000–4299, with a reason.
    ///
    /// Returns `None` for a code outside that range: the rest of the table belongs to this crate. A reason longer
    /// than [`MAX_REASON`] bytes is cut at a character.
    pub fn app(code: u16, reason: impl Into<String>) -> Option<Self> {
        (4000..=4299).contains(&code).then(|| Self { code, reason: Cow::Owned(cut(reason.into())) })
    }

    /// The code in the close frame.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason in the close frame: a slug, or the application's own text.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What a client does after it.
    pub fn advice(&self) -> Advice {
        Advice::of(self.code)
    }

    /// The `reconnect` flag that goes out beside it.
    pub fn reconnect(&self) -> bool {
        !matches!(self.advice(), Advice::Stop)
    }
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let close = Close::app(4000, "é".repeat(100)).unwrap();
        assert_eq!(close.reason().len(), 122);
    }

    #[test]
    fn an_application_cannot_take_a_code_of_ours() {
        assert_eq!(Close::app(4423, "mine"), None);
        assert_eq!(Close::app(1000, "mine"), None);
    }
}
