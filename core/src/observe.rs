//! What can be watched: the names of all metrics (through the `metrics` facade) and the few helpers that record them.
//!
//! Labels come from fixed sets; a user, a channel or a token is never one. Spans carry no payload and no token.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::{Span, field};

use crate::{Cause, PushReport, Target, UserKey, config::Config, connection::Conn};

/// Gauge: present connections.
pub const CONNECTIONS: &str = "herenow_connections";
/// Gauge: distinct users online on this node, grace period included.
pub const USERS: &str = "herenow_users_online";
/// Counter, `target`: pushes attempted.
pub const PUSHES: &str = "herenow_pushes_total";
/// Counter, `result` = `enqueued` | `dropped` | `held`: deliveries to connections.
pub const DELIVERIES: &str = "herenow_deliveries_total";
/// Counter, `resumed` = `true` | `false`: clients that came back and asked for what they missed.
pub const RESUMES: &str = "herenow_resumes_total";
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

/// The span of one connection's task.
pub(crate) fn connection_span(config: &Config, conn: &Conn) -> Span {
    let span =
        tracing::debug_span!("herenow.connection", mode = ?conn.mode, id = field::Empty, user = field::Empty);
    if config.log_ids {
        span.record("id", field::display(conn.id));
    }
    span
}

/// The user of a connection is known from now on.
pub(crate) fn joined(config: &Config, span: &Span, user: &UserKey) {
    if config.log_ids {
        span.record("user", field::debug(user));
    }
}

/// The span of a push.
pub(crate) fn push_span(config: &Config, target: &Target) -> Span {
    let span = tracing::debug_span!("herenow.push", target = target.word(), whom = field::Empty);
    with_target(config, &span, target);
    span
}

/// The span of a kick-out: the audit trail's.
pub(crate) fn kick_span(config: &Config, target: &Target) -> Span {
    let span = tracing::info_span!("herenow.kick", target = target.word(), whom = field::Empty);
    with_target(config, &span, target);
    span
}

fn with_target(config: &Config, span: &Span, target: &Target) {
    if config.log_ids && !span.is_disabled() {
        span.record("whom", field::debug(target));
    }
}

pub(crate) fn pushed(target: &Target, report: &PushReport) {
    // Literals, one by one: of these the facade keeps the keys, of words that it cannot see it makes them each time.
    match target.word() {
        "user" => metrics::counter!(PUSHES, "target" => "user"),
        "channel" => metrics::counter!(PUSHES, "target" => "channel"),
        "everyone" => metrics::counter!(PUSHES, "target" => "everyone"),
        word => metrics::counter!(PUSHES, "target" => word),
    }
    .increment(1);
    if report.enqueued > 0 {
        metrics::counter!(DELIVERIES, "result" => "enqueued").increment(report.enqueued as u64);
    }
    if report.dropped > 0 {
        metrics::counter!(DELIVERIES, "result" => "dropped").increment(report.dropped as u64);
    }
    if report.held > 0 {
        metrics::counter!(DELIVERIES, "result" => "held").increment(report.held as u64);
    }
}

pub(crate) fn came_back(resumed: bool) {
    metrics::counter!(RESUMES, "resumed" => if resumed { "true" } else { "false" }).increment(1);
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

/// What one manager adds to the gauges, which are of the whole process: a [`Rendezvous`](crate::Rendezvous) is a manager
/// too.
#[derive(Debug, Default)]
pub(crate) struct Population {
    users: AtomicUsize,
    connections: AtomicUsize,
}

static ALL_USERS: AtomicUsize = AtomicUsize::new(0);
static ALL_CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

impl Population {
    pub(crate) fn is(&self, users: usize, connections: usize) {
        if let Some(all) = changed(&self.users, users, &ALL_USERS) {
            metrics::gauge!(USERS).set(all as f64);
        }
        if let Some(all) = changed(&self.connections, connections, &ALL_CONNECTIONS) {
            metrics::gauge!(CONNECTIONS).set(all as f64);
        }
    }
}

impl Drop for Population {
    fn drop(&mut self) {
        self.is(0, 0);
    }
}

/// The new sum, if it is another one. Every change is added once, in whatever order, so the sum is right when all is
/// said.
fn changed(own: &AtomicUsize, now: usize, all: &AtomicUsize) -> Option<usize> {
    if own.load(Ordering::Acquire) == now {
        return None;
    }
    let change = now.wrapping_sub(own.swap(now, Ordering::AcqRel));
    Some(all.fetch_add(change, Ordering::AcqRel).wrapping_add(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_managers_are_summed_up_and_one_that_is_gone_counts_no_more() {
        let (one, other, all) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        assert_eq!(changed(&one, 3, &all), Some(3));
        assert_eq!(changed(&other, 5, &all), Some(8));
        assert_eq!(changed(&one, 1, &all), Some(6));
        assert_eq!(changed(&one, 1, &all), None);
        assert_eq!(changed(&other, 0, &all), Some(1));
        assert_eq!(changed(&one, 0, &all), Some(0));
    }
}
