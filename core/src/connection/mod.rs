//! One socket: its frames, its rules, its bounded outbox, its task.
//!
//! Bytes go `driver` → `decoder` → `machine` (rules, no I/O) and back through `conn` (the write side, one mutex).
//! `admission` → `join` → `guard` is the life of a connection in the registry.

mod admission;
mod back;
mod batch;
mod bounds;
pub(crate) mod codec;
mod conn;
mod decoder;
mod driver;
mod event;
pub(crate) mod farewell;
mod guard;
mod handler;
mod hooks;
mod id;
mod inbound;
mod io;
mod join;
mod machine;
mod out;
mod outbox;
mod outgoing;
mod parting;
mod place;
mod quota;
mod rate;
mod source;
pub(crate) mod sse;
mod timers;
mod work;

pub use admission::Admission;
pub(crate) use back::Claimed;
pub(crate) use batch::Batch;
pub(crate) use bounds::Bounds;
pub(crate) use conn::{Conn, Fate, Opening, Sent};
pub use farewell::RawKick;
pub use handler::{Connection, Ended, HandlerError, Reply, SendError, Socket};
pub use hooks::Hooks;
pub(crate) use id::Place;
pub use id::{ConnectionId, NotAConnectionId};
pub use inbound::{Body, Inbound};
pub use io::{Io, PushIo, Taker};
pub(crate) use machine::Rules;
pub use outgoing::Outgoing;
pub(crate) use parting::Parting;
pub(crate) use quota::Quota;
