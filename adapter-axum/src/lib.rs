//! herenow for axum: who is here, real-time push and kick-out.
//!
//! [`OnlineLayer`] finds out who asks, [`OnlineUpgrade`] makes a connection of a WebSocket request, [`GuestUpgrade`] one of
//! somebody without a token, [`CurrentUser`], [`MaybeUser`] and [`Online`] are for every other handler, [`routes()`] has
//! the REST routes ready made. Everything of [`herenow`] is here too, so an application needs this crate alone. It is a
//! translation and holds no rules of its own.
//!
//! # Smallest program
//! ```no_run
//! use axum::{Router, response::Response, routing::any};
//! use herenow_axum::{
//!     OnlineLayer, OnlineManager, OnlineUpgrade, auth::{AuthError, Credential, Identity}, http::RequestInfo, policy,
//! };
//!
//! async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
//!     match credential.token.expose() {
//!         "alices-secret" => Ok(Identity::new("alice")),
//!         _ => Err(AuthError::Unauthorized),
//!     }
//! }
//!
//! async fn ws(upgrade: OnlineUpgrade) -> Response {
//!     upgrade.start() // online until the socket ends
//! }
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
//! let app = Router::new()
//!     .route("/ws", any(ws))
//!     .nest("/presence", herenow_axum::routes())
//!     .layer(OnlineLayer::new(&online));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! # HTTP/2
//! WebSockets over HTTP/2 (RFC 8441) are an extended `CONNECT`, so mount the route with
//! [`any`](axum::routing::any), as for HTTP/1.1. `axum::serve` offers them where axum's feature `http2` is on; browsers
//! speak HTTP/2 over TLS only, so it is the TLS server in front that has to switch them on (hyper:
//! `http2().enable_connect_protocol()`). Where it does not, browsers open an HTTP/1.1 connection for the WebSocket.
//!
//! # Layers
//! [`serve`] is `axum::serve` with a deadline for request heads: that one lets a client that never finishes its head hold
//! a socket for ever.
//!
//! A route that upgrades must not stand behind [`OnlineLayer::require_user`] or another layer that refuses: a browser
//! sees nothing of an HTTP 401 to a WebSocket. [`OnlineUpgrade`] refuses by itself, visibly where the client can see it.

mod error;
mod extract;
mod layer;
mod routes;
mod serve;
mod upgrade;

pub use error::Rejection;
pub use extract::{CurrentUser, MaybeUser, Online};
pub use herenow;
pub use herenow::*;
pub use layer::OnlineLayer;
pub use routes::{routes, routes_with_admin};
pub use serve::{Serve, serve};
pub use upgrade::{GuestUpgrade, OnlineUpgrade};

#[cfg(test)]
mod tests;

/// The quick start, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
