//! For the tests of applications: a clock that a test moves, connections without a server, several nodes in one
//! process, and the assertion that nobody is left.
//!
//! With `#[tokio::test(start_paused = true)]` and [`builder`], hours pass in milliseconds: grace periods, heartbeats
//! and token expiry move with tokio's paused time.
//!
//! ```
//! use herenow::{KickOut, Target, testing};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = testing::builder().build()?;
//! let mut phone = testing::connect(&online, "u1").await;
//!
//! online.push_to_user("u1", "Hello!").await?;
//! assert_eq!(phone.expect_push().await, "Hello!");
//!
//! let (report, ()) = tokio::join!(online.kick_out("u1", "Bye"), async {
//!     assert_eq!(phone.expect_type("kicked").await["message"], "Bye");
//!     assert_eq!(phone.expect_close().await, (4423, "kicked".to_owned()));
//! });
//! assert!(report?.is_complete());
//! testing::assert_all_gone(&online).await;
//! # Ok(()) }
//! ```
//!
//! Everything here panics where an expectation is not met, after [`PATIENCE`] of tokio's time at the latest.

mod client;
mod clock;
mod connect;
mod frame;
mod node;
mod wait;

pub use client::TestClient;
pub use clock::ManualClock;
pub use connect::{Connect, connect};
pub use frame::Frame;
pub use node::{TestNode, builder, joined_nodes, two_nodes};
pub use wait::{PATIENCE, assert_all_gone, next_event, until};
