//! What several nodes do over a real Redis, which each test starts for itself.

#![allow(clippy::unwrap_used)] // Helpers of tests are no `#[test]` functions.

mod denied;
mod directory;
mod emptied;
mod kicks;
mod layout;
mod link;
mod outage;
mod pushes;
mod reaping;
mod redis_cluster;
mod resync;
mod sentinel;
mod shards;
mod slow;
mod start;
mod support;
mod sweep;
#[cfg(feature = "tls")]
mod tls;
