//! [`ConnectError`]: what is wrong with a configuration or a Redis, and what to do about it. [`Unavailable`]: why a
//! command was not carried out.

use std::convert::Infallible;

use herenow::cluster::EngineError;

/// An engine could not be made, or its Redis cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration contradicts itself, or cannot be read.
    #[error("the configuration for Redis cannot be used: {0}")]
    Config(String),
    /// Nobody answers there.
    #[error(
        "cannot reach Redis at {address}: {reason}; is it running, and is the address right? \
         `connect_lazily` starts without it and goes on trying"
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the attempt came to.
        reason: String,
    },
    /// Redis does not accept the user or the password.
    #[error(
        "Redis at {address} does not let us in: {reason}; give user and password in the URL, \
         as in `redis://user:password@host:6379/`"
    )]
    Refused {
        /// Host and port.
        address: String,
        /// What Redis said.
        reason: String,
    },
    /// The server is a replica: what is written there is lost, or refused.
    #[error("Redis at {address} is a replica; give the address of its master, or of its sentinels")]
    Replica {
        /// Host and port.
        address: String,
    },
    /// The server can do less than is needed, or forbids it.
    #[error(
        "Redis at {address} cannot do what is needed: {reason}; it has to be Redis 6.2 or newer, and the user allowed \
         scripts, publishing and subscribing, and all commands on the keys and channels of the prefix"
    )]
    Unsuitable {
        /// Host and port.
        address: String,
        /// What Redis said.
        reason: String,
    },
    /// Keys of the same prefix are laid out otherwise. Nothing was overwritten.
    #[error(
        "the keys of prefix `{prefix}` have layout `{found}`, and this version writes `{own}`: give this cluster \
         another prefix, or stop all of its nodes and delete the keys"
    )]
    Layout {
        /// The prefix of all keys.
        prefix: String,
        /// What is there.
        found: String,
        /// What this version writes.
        own: String,
    },
    /// There is no tokio runtime to work in.
    #[error("connect to Redis within a tokio runtime: the engine's tasks run in it")]
    NoRuntime,
}

impl From<Infallible> for ConnectError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A command was not carried out, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// There is no connection, or it broke before the answer came.
    #[error("there is no connection to Redis")]
    Down,
    /// No answer within the command's time.
    #[error("Redis did not answer in time")]
    Late,
    /// Redis holds as much as it may.
    #[error("the memory of Redis is full")]
    Full,
    /// Redis answered with an error, or with what was not expected.
    #[error("Redis refused: {0}")]
    Refused(String),
}

impl From<Unavailable> for EngineError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Full => Self::Full,
            other => Self::Unavailable(other.to_string()),
        }
    }
}
