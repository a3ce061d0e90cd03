//! What can be watched: the names of all metrics (through the `metrics` facade). Labels come from fixed sets.

use herenow::cluster::Health;

/// Gauge: 0 while the engine is up, 1 degraded, 2 down.
pub const HEALTH: &str = "herenow_redis_health";
/// Gauge: nodes whose lease holds, this one included; of several Redis, by the one that said so last.
pub const NODES: &str = "herenow_redis_nodes";
/// Counter, `of` = `commands` | `heartbeat` | `subscriber`: connections opened, so all but the first are losses.
pub const CONNECTS: &str = "herenow_redis_connects_total";
/// Counter: leases that were lost, by being cut off, stopped, or replaced, or since Redis lost them.
pub const LEASES_LOST: &str = "herenow_redis_leases_lost_total";
/// Counter: how often the subscription was found to hear nothing.
pub const DEAF: &str = "herenow_redis_deaf_total";
/// Counter: how often all that this node has was written again.
pub const SYNCS: &str = "herenow_redis_syncs_total";
/// Counter: pushes that found no room on their way out.
pub const REFUSED: &str = "herenow_redis_refused_total";
/// Counter, `what` = `push` | `question` | `event` | `receipt` | `unreadable`: what came in and found no room, or could not
/// be read.
pub const DROPPED: &str = "herenow_redis_dropped_total";

pub(crate) fn health(health: Health) {
    let rank = match health {
        Health::Up => 0.0,
        Health::Degraded => 1.0,
        _ => 2.0,
    };
    metrics::gauge!(HEALTH).set(rank);
}

pub(crate) fn dropped(what: &'static str) {
    metrics::counter!(DROPPED, "what" => what).increment(1);
    tracing::debug!(what, "dropped what came from another node");
}

pub(crate) fn connected(of: &'static str) {
    metrics::counter!(CONNECTS, "of" => of).increment(1);
}
