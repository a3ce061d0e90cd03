//! The load generator: one thread, one epoll, minimal parsing.
//!
//! [`Crowd`] is what workloads use: connections to one server, which count what they are told and answer what they are
//! asked. It shares its process with the runner, and its core with nobody.

mod client;
mod clock;
mod crowd;
mod dialect;
mod frame;
mod handshake;
mod machine;
mod socket;
mod tally;

pub(crate) use clock::now;
pub(crate) use crowd::{Crowd, Ending, PATIENCE};
pub(crate) use dialect::Dialect;
pub(crate) use handshake::{Target, accept_of};
pub(crate) use machine::{pin, raise_descriptor_limit, room_for};
pub(crate) use tally::Tally;

/// Signs the tokens of the clients.
pub(crate) const SECRET: &str = "the bench signs its tokens with this secret";

/// What a workload can fail with; its text says what came and what did not.
pub(crate) type Error = Box<dyn std::error::Error>;
