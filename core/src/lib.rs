//! Who is here, now: online-user presence, real-time push and kick-out for Rust web applications.
//!
//! This crate holds the state, the pushers, the authentication, the connections and the boundary to other nodes; it
//! knows no web framework. Applications use an adapter (`herenow-axum`), which re-exports it. It is no server of its
//! own, stores no messages, and does no end-to-end encryption.
//!
//! ```text
//! request ─► TokenSource ─► Authenticator ─► Identity ─► policy ─► Admission ─► Connection
//!              adapter: translates its framework's types and nothing else          │
//! socket ◄── bytes ◄── driver (I/O, clock) ◄──► machine (neither) ◄── outbox ◄─────┤
//! app ─► OnlineManager::push_* ─► fan-out over the registry ───────────▲           │
//!              └─► Engine::route ─► (other nodes) ─► their fan-out                 │
//! registry change ─► Diff ─► events ─► app, last seen, channels, other nodes  ◄── guard's Drop
//! ```
//!
//! # Smallest program
//! ```
//! use herenow::{InMemoryPusher, OnlineManager, OnlineUser};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = OnlineManager::builder().pusher(InMemoryPusher::new()).build()?;
//! let mut events = online.events();
//! online.mark_online(OnlineUser {
//!     login_id: "alice".into(),
//!     token: "a token".into(),
//!     device: "web".into(),
//!     connect_time: chrono::Utc::now(),
//!     last_activity: chrono::Utc::now(),
//!     metadata: Default::default(),
//! }).await;
//! println!("{:?}", events.recv().await);
//! online.push_to_user("alice", "Hello!").await?;
//! # Ok(()) }
//! ```
//!
//! # Features
//! | feature | what |
//! |---|---|
//! | `hyper` | servers on hyper: from its upgrade to a connection, and a server that cuts slow heads |
//! | `jwt` | JSON Web Tokens as an [`Authenticator`](auth::Authenticator) |
//! | `tower` | `OnlineLayer`, a tower layer over `http::Request` |
//! | `testing` | a manual clock, in-memory connections and nodes, for the tests of applications |
//!
//! # Map
//! [`auth`] who is asking · [`policy`] what the application decides · [`protocol`] the envelopes on the wire ·
//! [`cluster`] other nodes · [`http`] the handshake and the REST routes, framework-free · [`observe`] metrics

#[doc(hidden)]
pub mod adapter;
pub mod auth;
mod builder;
mod channel;
mod clock;
mod close;
pub mod cluster;
mod config;
mod connection;
mod error;
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;
mod key;
mod kick;
pub mod limits;
mod manager;
mod message;
pub mod observe;
pub mod policy;
mod presence;
pub mod protocol;
mod push;
mod rendezvous;
mod report;
mod resume;
mod room;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod user;

pub use builder::Builder;
pub use channel::{
    ChannelEvents, ChannelKey, HereNow, HereNowChannel, HereNowReport, HereNowUser, JoinError,
};
pub use clock::{Clock, Instant, SystemClock};
pub use close::{Advice, Close, MAX_REASON};
pub use connection::{
    Admission, Body, Connection, ConnectionId, Ended, HandlerError, Hooks, Inbound, Io, NotAConnectionId,
    Outgoing, PushIo, RawKick, Reply, SendError, Socket, Taker,
};
pub use error::{BuildError, InvalidInput, KickError, PushError, Refused};
pub(crate) use key::UserRef;
pub use key::{NamesUser, UserKey};
pub use kick::{Denial, DenyEntry, KickOut};
pub use manager::{Cursor, OnlineManager, Page};
pub use message::{Content, MessageType, PushMessage};
pub use presence::{Cause, Diff, Event, EventKind, Events, LastSeen, NoLastSeen, Notice};
pub use push::{Certainty, InMemoryPusher, MessagePusher, NoOfflineSink, OfflineSink, PushWhen, PusherError};
pub use rendezvous::{FinishError, Finished, Rendezvous};
pub use report::{
    AckReport, Deny, KickReport, Marked, PushReport, Remote, RemoteCounts, RemoteHandle, Revoke,
    ShutdownReport,
};
pub use target::Target;
pub use user::{AccountUser, OnlineUser, Session, Status};
