//! The error types of the public API.

use std::time::Duration;

/// An id, a label or a map that cannot be taken; the text says which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The field must not be empty.
    #[error("{field} is empty: give every user, token and channel a name")]
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// The field is longer than its limit.
    #[error("{field} is {size} bytes long; the limit is {limit}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The field has a control character or a character that turns the direction of text.
    #[error("{field} contains a control or bidirectional character, which logs and pages would show wrongly")]
    Control {
        /// Which field.
        field: &'static str,
    },
    /// The map has more keys than its limit.
    #[error("{field} has {count} keys; the limit is {limit}")]
    TooMany {
        /// Which field.
        field: &'static str,
        /// How many it has.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a push was not attempted. Nobody being there is no error: see [`PushReport`](crate::PushReport).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A login id, device or token that cannot exist.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The content is over `max_push` of the builder.
    #[error("the message is {size} bytes long; the limit is {limit} (builder: `max_push`)")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A custom message type that is no word, or a built-in one.
    #[error("message type {0:?} must match [a-z][A-Za-z0-9_-]{{0,31}} and be no built-in word")]
    BadKind(String),
    /// The content cannot be written as JSON.
    #[error("the content cannot be written as JSON: {0}")]
    NotJson(String),
    /// The manager was shut down.
    #[error("the OnlineManager was shut down")]
    ShutDown,
    /// Nobody was reached; only from [`PushReport::ok_or_offline`](crate::PushReport::ok_or_offline).
    #[error("nobody was reached: {offline} of the users named are offline")]
    Offline {
        /// How many users were named and are not there.
        offline: usize,
    },
}

/// Why a kick was not attempted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KickError {
    /// A login id, device or token that cannot exist.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The connection to be left out is not there: nobody knows whose session to spare.
    #[error("connection {0} is to be left out, and is not there")]
    UnknownConnection(crate::ConnectionId),
    /// A target that kick-out does not take.
    #[error("{0}")]
    BadTarget(&'static str),
}

/// Why a session was not marked online, or a connection not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A login id, token, device or metadata that cannot be taken.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The token was kicked out, or is older than a kick of its user.
    #[error("this token was kicked out; log in again for a new one")]
    Kicked,
    /// The user is banned.
    #[error("this user is banned")]
    Banned,
    /// The login policy refuses a further session.
    #[error("the login policy admits no further session of this user")]
    TooManyDevices,
    /// A limit on connections is reached.
    #[error("too many connections")]
    TooManyConnections,
    /// The node holds as many connections as it may.
    #[error("this node is full")]
    Full,
    /// The application's `on_connect` said no.
    #[error("refused by the application: {0}")]
    Application(String),
    /// The cluster's store did not answer, and the policy is to refuse then.
    #[error("the cluster's store is unavailable")]
    Unavailable,
    /// The node drains or was shut down.
    #[error("this node is shutting down")]
    ShutDown,
}

/// A combination of settings that cannot work, found by [`Builder::build`](crate::Builder::build).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A duration that must not be zero is.
    #[error("`{0}` must be longer than zero")]
    Zero(&'static str),
    /// Two settings contradict each other; the text names both.
    #[error("{0}")]
    Contradiction(&'static str),
    /// One setting is over what another allows.
    #[error("`{name}` is {value:?}, which is over `{bound_name}`, {bound:?}")]
    Over {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: Duration,
        /// The setting that bounds it.
        bound_name: &'static str,
        /// The bound.
        bound: Duration,
    },
    /// A setting that cannot be read, an allowed origin for one.
    #[error("`{name}`: {problem}")]
    Unreadable {
        /// The setting.
        name: &'static str,
        /// What is wrong with it, and what it should look like.
        problem: String,
    },
}
