//! What is kept for clients that come back.

use std::time::Duration;

use crate::error::BuildError;

/// How much of what was pushed to a connection is kept, so that a client that reconnects receives what it missed
/// (`docs/PROTOCOL.md`, section 8). Envelope mode and server-sent events only.
///
/// While a client is connected its last pushes are kept as bytes shared by all receivers, until it acknowledges them;
/// a connection that was never pushed to keeps nothing. Of one user, at most 8 connections are kept, or as many as
/// `max_connections_per_user` lets it have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Written as a literal with `..Default::default()`.
pub struct Resume {
    /// Messages of one connection. Default 64; zero: nobody resumes.
    pub messages: usize,
    /// Bytes of one connection, WebSocket headers included. Default 256 KiB.
    pub bytes: usize,
    /// How long after its end a connection may be resumed. Default 120 s; after a client's own 1001, which a page says
    /// that unloads, the grace period where that is shorter.
    pub time: Duration,
    /// Bytes of all connections of the node, each counted as if it shared nothing. Beyond it, what ended first is
    /// given up, then nothing more is kept. Default 64 MiB.
    pub in_all: usize,
}

impl Default for Resume {
    fn default() -> Self {
        Self { messages: 64, bytes: 256 * 1024, time: Duration::from_secs(120), in_all: 64 * 1024 * 1024 }
    }
}

impl Resume {
    /// Nobody resumes, and nothing is kept.
    pub fn off() -> Self {
        Self { messages: 0, ..Self::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.messages > 0
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.is_on() && (self.bytes == 0 || self.time.is_zero() || self.in_all < self.bytes) {
            return Err(BuildError::Contradiction(
                "`resume` needs `bytes` and `time` above zero and `in_all` no less than `bytes`; `Resume::off()` \
                 switches it off",
            ));
        }
        Ok(())
    }
}
