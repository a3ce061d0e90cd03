//! herenow for poem: who is here, real-time push and kick-out.
//!
//! [`OnlineMiddleware`] finds out who asks, [`OnlineEndpoint`] makes connections of WebSocket requests, and so does
//! [`OnlineUpgrade`] in a handler; [`GuestUpgrade`] is for somebody without a token, [`CurrentUser`], [`MaybeUser`] and
//! [`Online`] are for every other handler, [`routes()`] has the REST routes ready made. Everything of [`herenow`] is here
//! too, so an application needs this crate alone. It is a translation and holds no rules of its own.
//!
//! # Smallest program
//! ```no_run
//! use herenow_poem::{
//!     OnlineEndpoint, OnlineManager, OnlineMiddleware, auth::{AuthError, Credential, Identity}, http::RequestInfo, policy,
//! };
//! use poem::{EndpointExt, Route, listener::TcpListener};
//!
//! async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
//!     match credential.token.expose() {
//!         "alices-secret" => Ok(Identity::new("alice")),
//!         _ => Err(AuthError::Unauthorized),
//!     }
//! }
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
//! let app = Route::new()
//!     .at("/ws", OnlineEndpoint::new()) // online until the socket ends
//!     .nest("/presence", herenow_poem::routes())
//!     .with(OnlineMiddleware::new(&online));
//! herenow_poem::serve(TcpListener::bind("127.0.0.1:3000"), app).until(std::future::pending()).await?;
//! # Ok(()) }
//! ```
//!
//! # Servers
//! [`serve`] takes poem's listeners, TLS included. `poem::Server` serves such an application too, and does less for it:
//!
//! | | [`serve`] | `poem::Server` |
//! |---|---|---|
//! | a client that never finishes a head or a TLS handshake | is cut after 10 s | holds its socket for ever |
//! | a listener of `GET /events` that leaves | is gone at once | is gone with the next ping, up to a heartbeat later |
//! | a kicked client that does not read, over plain TCP | is reset | may still read what its kernel holds by then |
//! | pushes over plain TCP | leave at once (`TCP_NODELAY`) | wait for acknowledgements |
//! | WebSockets over HTTP/2 (RFC 8441) | are offered | are not; browsers open an HTTP/1.1 connection for them |
//!
//! Over TLS it is for the listener to set `TCP_NODELAY`.
//!
//! # Mounting
//! Mount what upgrades with [`Route::at`](poem::Route::at) alone, not within [`get`](poem::get): that one answers the
//! `CONNECT` of HTTP/2 with 405.
//!
//! A route that upgrades must not stand behind [`OnlineMiddleware::require_user`] or other middleware that refuses: a
//! browser sees nothing of an HTTP 401 to a WebSocket. What upgrades refuses by itself, visibly where the client can see
//! it.

mod endpoint;
mod error;
mod extract;
mod layer;
mod routes;
mod serve;
mod upgrade;

pub use endpoint::OnlineEndpoint;
pub use error::Rejection;
pub use extract::{CurrentUser, MaybeUser, Online};
pub use herenow;
pub use herenow::*;
pub use layer::{Identified, OnlineMiddleware};
pub use routes::{routes, routes_with_admin};
pub use serve::{Listening, Serve, serve, serve_with_acceptor};
pub use upgrade::{GuestUpgrade, OnlineUpgrade};

#[cfg(test)]
mod tests;

/// The quick start, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
