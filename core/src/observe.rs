//! What can be watched: the names of all metrics (through the `metrics` facade) and the few helpers that record them.
//!
//! Labels come from fixed sets; a user, a channel or a token is never one. Spans carry no payload and no token.

use crate::{Cause, PushReport, Target};

/// Gauge: present connections.
pub const CONNECTIONS: &str = "herenow_connections";
/// Gauge: distinct users online on this node, grace period included.
pub const USERS: &str = "herenow_users_online";
/// Counter, `target`: pushes attempted.
pub const PUSHES: &str = "herenow_pushes_total";
/// Counter, `result` = `enqueued` | `dropped`: deliveries to connections.
pub const DELIVERIES: &str = "herenow_deliveries_total";
/// Counter, `cause`: connections that ended.
pub const ENDED: &str = "herenow_connections_ended_total";
/// Counter, `code`: connections that were refused.
pub const REFUSED: &str = "herenow_refused_total";
/// Counter, `complete` = `true` | `false`: kicks.
pub const KICKS: &str = "herenow_kicks_total";
/// Counter: calls of message pushers that failed, hung or panicked.
pub const PUSHER_FAILURES: &str = "herenow_pusher_failures_total";
/// Counter: handlers that panicked.
pub const HANDLER_PANICS: &str = "herenow_handler_panics_total";
/// Counter: commands dropped because a lane was hopelessly behind.
pub const LANE_DROPS: &str = "herenow_lane_drops_total";
/// Counter: frames of other nodes that could not be read.
pub const UNREADABLE: &str = "herenow_cluster_unreadable_total";
/// Counter: last-seen records dropped because the application's store was behind.
pub const LAST_SEEN_DROPS: &str = "herenow_last_seen_drops_total";

pub(crate) fn pushed(target: &Target, report: &PushReport) {
    metrics::counter!(PUSHES, "target" => target.word()).increment(1);
    metrics::counter!(DELIVERIES, "result" => "enqueued").increment(report.enqueued as u64);
    metrics::counter!(DELIVERIES, "result" => "dropped").increment(report.dropped as u64);
}

pub(crate) fn ended(cause: Cause) {
    metrics::counter!(ENDED, "cause" => cause.as_str()).increment(1);
}

pub(crate) fn kicked(complete: bool) {
    metrics::counter!(KICKS, "complete" => if complete { "true" } else { "false" }).increment(1);
}

pub(crate) fn refused(code: u16) {
    metrics::counter!(REFUSED, "code" => code.to_string()).increment(1);
}

pub(crate) fn population(users: usize, connections: usize) {
    metrics::gauge!(USERS).set(users as f64);
    metrics::gauge!(CONNECTIONS).set(connections as f64);
}
