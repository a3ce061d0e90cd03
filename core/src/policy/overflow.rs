//! What happens to a client that reads more slowly than it is pushed to.

use crate::error::BuildError;

/// What gives way when a connection's outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The connection ends with 4508 `slow_consumer`; the client comes back and fetches what it missed. The default.
    #[default]
    Disconnect,
    /// The oldest waiting pushes are dropped.
    DropOldest,
    /// The new push is dropped.
    DropNewest,
}

/// The bounds of a connection's outbox: what waits in memory because the socket takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Written as a literal with `..Default::default()`.
pub struct Outbox {
    /// Messages. Default 1,024.
    pub messages: usize,
    /// Bytes, WebSocket headers included. Default 1 MiB.
    pub bytes: usize,
    /// What gives way. Default [`Overflow::Disconnect`].
    pub overflow: Overflow,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { messages: 1024, bytes: 1024 * 1024, overflow: Overflow::default() }
    }
}

impl Outbox {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.messages == 0 || self.bytes == 0 {
            return Err(BuildError::Contradiction("the outbox must hold at least one message and one byte"));
        }
        Ok(())
    }
}
