//! What several nodes do over a real Redis, which each test starts for itself.

#![allow(clippy::unwrap_used)] // Helpers of tests are no `#[test]` functions.

mod directory;
mod kicks;
mod link;
mod pushes;
mod redis_cluster;
mod sentinel;
mod shards;
mod start;
mod support;
#[cfg(feature = "tls")]
mod tls;
