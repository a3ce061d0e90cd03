//! The messages of `herenow.v1.json`, as `docs/PROTOCOL.md` states them: what clients send, what they are sent, and
//! what goes wrong.
//!
//! Every message has a fixture under `protocol/fixtures/`, which other clients' tests may read as well.

mod ask;
mod client;
mod error;
mod presence;
mod server;

pub use ask::Ask;
pub use client::{BadFrame, ClientMessage, Fault, Hello};
pub(crate) use error::millis;
pub use error::{ErrorCode, WireError};
pub use presence::{
    Presence, PresenceEvent, PresenceOf, PresencePlace, PresenceState, PresenceUser, UserData,
};
pub use server::{Heartbeat, Limits, PushFrame, ServerMessage, Welcome};

/// The subprotocol that selects [`Mode::Envelope`].
pub const ENVELOPE: &str = "herenow.v1.json";

/// The subprotocol that selects [`Mode::Raw`], as having none does.
pub const RAW: &str = "herenow.v1.raw";

/// What the frames of a connection carry; negotiated by the subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Pushed contents as they are; what a client sends is the application's.
    Raw,
    /// The JSON messages of this module.
    Envelope,
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
