//! For servers on hyper, with a framework or without one: from hyper's upgrade to a connection, and a server of
//! connections that does not wait for ever.
//!
//! [`drive`] serves the connection once hyper lets go of the socket, [`io`] is the half of it that takes the socket
//! apart. [`Connections`] speaks HTTP/1.1 and HTTP/2 and cuts whoever never finishes the head of a request.
//!
//! ```no_run
//! use std::{convert::Infallible, net::SocketAddr};
//!
//! use bytes::Bytes;
//! use herenow::{
//!     OnlineManager, http::{Refusal, RequestInfo, Visit}, hyper::{Connections, drive, is_extended_connect},
//! };
//! use http_body_util::Full;
//! use hyper::{Request, Response, body::Incoming, service::service_fn};
//!
//! async fn ws(
//!     online: &OnlineManager,
//!     peer: SocketAddr,
//!     request: Request<Incoming>,
//! ) -> Result<Response<Full<Bytes>>, Refusal> {
//!     let (uri, headers) = (request.uri().clone(), request.headers().clone());
//!     let info = RequestInfo::new(request.method().clone(), &uri, headers).with_peer(peer);
//!     let visit = Visit::look(online, info, &uri, request.extensions()).await;
//!     let connect = is_extended_connect(request.extensions());
//!     let admission = visit.upgrade(request.version(), connect).await?; // refused before any 101
//!     let response = admission.response().map(|()| Full::default()); // 101, with the headers of the handshake
//!     tokio::spawn(drive(hyper::upgrade::on(request), admission)); // online until it ends, however it ends
//!     Ok(response)
//! }
//!
//! # #[tokio::main] async fn main() -> std::io::Result<()> {
//! let online = OnlineManager::new();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! let shutdown = async {
//!     let _ = tokio::signal::ctrl_c().await;
//!     online.shutdown(std::time::Duration::from_secs(5)).await;
//! };
//! Connections::new()
//!     .accept(listener, shutdown, |connections, (stream, peer)| {
//!         let online = online.clone();
//!         let service = service_fn(move |request| {
//!             let online = online.clone();
//!             async move {
//!                 let answered = ws(&online, peer, request).await;
//!                 let refused = |refusal: Refusal| refusal.into_response().map(Full::new);
//!                 Ok::<_, Infallible>(answered.unwrap_or_else(refused))
//!             }
//!         });
//!         connections.serve(stream, service);
//!     })
//!     .await;
//! # Ok(()) }
//! ```
//!
//! With feature `tower`, `OnlineLayer` looks in place of this function; hyper-util's `TowerToHyperService` makes a
//! service of hyper's of what it stands around.

mod accept;
mod asked;
mod connections;
mod upgrade;

pub use accept::Accept;
pub use connections::{BoxError, Connections};
pub use upgrade::{drive, io, is_extended_connect};
