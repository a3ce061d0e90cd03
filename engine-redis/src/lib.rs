//! Several nodes of [herenow] over Redis: users are online on any of them, and are pushed to, kicked and counted
//! as if there were one.
//!
//! # Smallest program
//! ```no_run
//! use herenow::OnlineManager;
//! use herenow_redis::RedisEngine;
//!
//! # async fn program() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = RedisEngine::connect("redis://127.0.0.1/").await?;
//! let online = OnlineManager::builder().engine(engine).build()?;
//! online.push_to_user("alice", "Hello, wherever you are!").await?;
//! # Ok(()) }
//! ```
//! Redis 6.2 or newer, alone or behind Sentinel, or several that share the load ([`RedisConfig::sharded`]); or a Redis
//! Cluster of 7.0 or newer ([`Server::cluster`]).
//!
//! # What is in Redis
//! A directory that can be lost: who is online on which node, who is in which channel, which node wants to hear of what.
//! The nodes' own tables are the truth, and each writes its part again where it is missing. A node holds a *lease* and
//! beats once a second; when the lease is over, the others take its users out. Nothing is stored per connection, and
//! nothing is refreshed per user.
//!
//! While Redis is away every node goes on with its own users, [`Health::Down`](herenow::cluster::Health) says so, and
//! nobody goes offline for it.
//!
//! # Features
//! | feature | what |
//! |---|---|
//! | `tls` | `rediss://`: TLS, by the public certificates or a CA of one's own |
//!
//! # Map
//! `link` connections, and who is connected · `lease`, `health` what their answers mean · `upkeep` what follows a loss ·
//! `frame`, `inbox` what nodes send each other · `route`, `receipts` pushes · `ask` questions and kicks · `directory` who
//! is online · `shards` several Redis · [`observe`] metrics

mod ask;
mod cluster;
mod config;
mod directory;
mod engine;
mod error;
mod frame;
mod health;
mod inbox;
mod keys;
mod lease;
mod link;
mod marks;
pub mod observe;
mod queue;
mod receipts;
mod record;
mod route;
mod script;
mod shard;
mod shards;
mod slots;
mod upkeep;

pub use config::{RedisConfig, Server};
pub use engine::RedisEngine;
pub use error::ConnectError;

/// The quick start, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
