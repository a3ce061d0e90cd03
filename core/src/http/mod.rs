//! The HTTP side, over `http` types alone: what a request says, whether it may become a WebSocket, and every refusal.

mod api;
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
pub use layer::{OnlineLayer, OnlineService, RequireUserLayer, RequireUserService};
pub use refusal::Refusal;
pub use request::RequestInfo;
pub(crate) use request::list;
pub use routes::Route;
pub use upgrade::{ENVELOPE_PROTOCOL, Handshake, Modes, Protocols, RAW_PROTOCOL, read, wants_visible};
pub use visit::Visit;
