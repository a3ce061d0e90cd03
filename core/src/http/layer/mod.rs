//! Tower layers over `http::Request`, for whatever speaks it: axum, tonic, hyper, warp.

mod body;
mod grpc;
mod online;
mod require_user;

pub use body::RefusedOr;
pub use online::{OnlineLayer, OnlineService};
pub use require_user::{RequireUserLayer, RequireUserService};

#[cfg(test)]
mod tests;
