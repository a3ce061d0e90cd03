//! herenow for actix-web: who is here, real-time push and kick-out.
//!
//! [`OnlineMiddleware`] finds out who asks, [`OnlineUpgrade`] makes a connection of a WebSocket request, [`CurrentUser`],
//! [`MaybeUser`] and [`Online`] are for every other handler, [`routes()`] has the REST routes ready made. Everything of
//! [`herenow`] is here too, so an application needs this crate alone. It is a translation and holds no rules of its own.
//!
//! # Smallest program
//! ```no_run
//! use actix_web::{App, HttpResponse, HttpServer, web};
//! use herenow_actix::{
//!     OnlineManager, OnlineMiddleware, OnlineUpgrade, auth::{AuthError, Credential, Identity}, http::RequestInfo, policy,
//! };
//!
//! async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
//!     match credential.token.expose() {
//!         "alices-secret" => Ok(Identity::new("alice")),
//!         _ => Err(AuthError::Unauthorized),
//!     }
//! }
//!
//! async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
//!     upgrade.start() // online until the socket ends
//! }
//!
//! # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
//! let app = move || {
//!     App::new()
//!         .wrap(OnlineMiddleware::new(&online))
//!         .route("/ws", web::get().to(ws))
//!         .service(web::scope("/presence").configure(herenow_actix::routes()))
//! };
//! herenow_actix::tune(HttpServer::new(app)).bind("127.0.0.1:3000")?.run().await?;
//! # Ok(()) }
//! ```
//!
//! # One manager
//! The closure of `HttpServer::new` runs once for each worker. Make the manager before it and move a clone in: a manager
//! made inside knows the users of its own worker and nobody else's. Where that happens, a warning says so.
//!
//! # Which server
//! | | an ordinary `HttpServer`, through [`tune`] | [`serve()`] |
//! |---|---|---|
//! | memory of an idle connection | about 12 KiB | about 2 KiB |
//! | a kicked client that does not read | gets nothing any more, its TCP connection ends within 15 s; [`KickReport::lingering`] counts it | is cut at the kick's deadline |
//! | TLS, HTTP/2, Unix sockets | as actix has them | HTTP/1.1 over TCP: TLS in front |
//! | actix's `max_connections` | counts WebSockets too | counts what is none; herenow's limits count WebSockets |
//!
//! Both run the same application: routes, middleware, extractors and app data are actix's as ever.
//!
//! # Middleware
//! A route that upgrades must not stand behind [`OnlineMiddleware::require_user`] or another middleware that refuses: a
//! browser sees nothing of an HTTP 401 to a WebSocket. [`OnlineUpgrade`] refuses by itself, visibly where the client can
//! see it. A middleware that waits for the whole body of a response waits for ever where it is a connection.
//!
//! `Upgrade: websocket` in a `POST` makes actix wait for a body without end. [`OnlineMiddleware`] refuses such a request,
//! so wrap the whole application and not only a scope of it.
//!
//! # Features
//! | feature | what |
//! |---|---|
//! | `jwt` | JSON Web Tokens as an [`Authenticator`](auth::Authenticator) |
//! | `rustls-0_23` | [`tune`] reaches the sockets below TLS |

mod error;
mod extract;
mod handover;
mod layer;
mod managers;
mod routes;
mod serve;
mod translate;
mod tune;
mod upgrade;

pub use error::Rejection;
pub use extract::{CurrentUser, MaybeUser, Online};
pub use herenow;
pub use herenow::*;
pub use layer::OnlineMiddleware;
pub use routes::{routes, routes_with_admin};
pub use serve::serve;
pub use tune::{on_connect, tune, tune_socket};
pub use upgrade::{GuestUpgrade, OnlineUpgrade};

#[cfg(test)]
mod tests;

/// The quick start, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
