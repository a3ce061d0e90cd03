//! What the [`Machine`](super::Machine) wants done, and what it must be told.

use bytes::Bytes;

use super::inbound::Inbound;
use crate::{
    Close,
    auth::Token,
    clock::Instant,
    protocol::{Ask, Hello},
};

/// One thing for the driver to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// Write these whole frames on the control lane.
    Write(Bytes),
    /// The first message came: authenticate and welcome, or end.
    Hello(Hello),
    /// A new token came: authenticate, reply, and call `refreshed`.
    Refresh { id: u64, token: Token },
    /// The client has so many pushes.
    Ack(u64),
    /// The client set its status.
    Status(String),
    /// For the application's handler.
    Message(Inbound),
    /// A request about channels: answer it, after what came before it.
    Ask { id: u64, ask: Ask },
    /// The client did something. Precedes what it did.
    Activity,
    /// The peer's close frame came. Where it is not the answer to ours, `echo` answers it; nothing may come between.
    PeerClosed { code: Option<u16>, echo: Option<Bytes> },
    /// Look at the credential again.
    Recheck,
    /// Nothing was done for `idle_after`: the connection is away.
    Idle,
    /// Say goodbye, write the close frame, and call `farewell`.
    End(Close),
    /// Cut the socket.
    Abort,
}

/// What the driver knows better than the machine, at the time of a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// When the last frame was written, a push for one.
    pub(crate) last_sent: Instant,
    /// When the user last did something, over this connection or by an authenticated request.
    pub(crate) last_activity: Instant,
}
