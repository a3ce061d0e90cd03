//! The HTTP side, over `http` types alone: what a request says, whether it may become a WebSocket, and every refusal.
//!
//! # Without an adapter
//! `OnlineLayer` (feature `tower`) stands before any service over `http::Request`; it leaves a [`Visit`] and, where the
//! request names a user, an `Arc<Identity>` in the request's extensions. An upgrade takes three steps: decide, answer,
//! drive the socket once the server lets go of it.
//! ```
//! use herenow::{Io, http::{Refusal, Visit}};
//! use http::{Request, Response};
//! use tokio::net::TcpStream;
//!
//! /// `released` is the server's: the socket, and what was read beyond the request.
//! async fn ws<B, F>(request: &Request<B>, released: F) -> Result<Response<()>, Refusal>
//! where
//!     F: Future<Output = Option<(TcpStream, bytes::Bytes)>> + Send + 'static,
//! {
//!     let visit = request.extensions().get::<Visit>().cloned();
//!     let visit = visit.ok_or_else(|| Refusal::misconfigured("is `OnlineLayer` around this service?"))?;
//!     let admission = visit.upgrade(request.version(), false).await?; // refused before any 101
//!     let response = admission.response(); // 101, with the headers of the handshake
//!     tokio::spawn(async move {
//!         if let Some((socket, early)) = released.await {
//!             admission.drive(Io::from(socket), early).await; // online until it ends, however it ends
//!         }
//!     });
//!     Ok(response)
//! }
//! ```
//! With hyper the last step is `herenow::hyper::drive` (feature `hyper`), which takes what `hyper::upgrade::on(request)`
//! returns; that module has a server too. Whole programs, with hyper and in a tonic application, are in the repository's
//! `tests/tests/tower`.
//!
//! In tonic it is `Server::builder().layer(OnlineLayer::new(&online).peer(..))`, the peer's address being that of tonic's
//! `TcpConnectInfo`. With `.require_user()` it insists, and answers a call of nobody as gRPC has it: `Unauthenticated`,
//! in place of the HTTP 401 that others get.

mod api;
mod client_js;
mod events;
mod guest;
#[cfg(feature = "tower")]
mod layer;
mod refusal;
mod request;
mod routes;
mod upgrade;
mod visit;

pub use api::{Api, Body};
pub use guest::Guest;
#[cfg(feature = "tower")]
pub use layer::{OnlineLayer, OnlineService, RefusedOr, RequireUserLayer, RequireUserService};
pub use refusal::Refusal;
pub use request::RequestInfo;
pub(crate) use request::list;
pub use routes::Route;
pub use upgrade::{ENVELOPE_PROTOCOL, Handshake, Modes, Protocols, RAW_PROTOCOL, read, wants_visible};
pub use visit::Visit;
