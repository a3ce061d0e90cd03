//! One suite for every adapter and engine of herenow.
//!
//! - [`server`]: the `conformance-server`, in this process or as a binary
//! - [`client`]: a WebSocket client that can misbehave
//! - [`Server`]: a running server as the scenarios see it
//! - [`Cluster`]: several of them, on one engine
//! - [`scenarios`]: every behaviour once, as plain async functions; [`suite!`] makes tests of them for one adapter

pub mod client;
mod cluster;
mod harness;
pub mod scenarios;
pub mod server;
mod suite;

pub use cluster::{ADAPTERS, Cluster};
pub use harness::{PATIENCE, Server, eventually, now, utc_millis};
