//! Whether a load balancer should send clients to this node.

use bytes::Bytes;
use http::Response;
use serde::Serialize;

use super::ok;
use crate::{OnlineManager, Refused, cluster::Health, http::Refusal};

#[derive(Serialize)]
struct Ready {
    engine: Health,
}

/// A node that only lost sight of the others is ready, unless it refuses logins for that: were it not, a Redis that is away
/// would take every node out.
pub(super) fn answer(online: &OnlineManager) -> Result<Response<Bytes>, Refusal> {
    let engine = online.engine_health();
    if online.is_shut_down() {
        return Err(Refused::ShutDown.into());
    }
    online.inner().engine_allows()?;
    ok(&Ready { engine })
}
