//! The goals of the registry by itself, beside sa-token-core's.

use super::{Bound, Found, Goal};
use crate::registry::{
    Contender::{Herenow, SaToken},
    Report,
};

/// Calls that are to be faster, as the registry's table names them.
const CALLS: [&str; 3] = ["mark_online", "is_online", "update_activity"];
/// From this number of users on.
const MANY: usize = 100_000;
/// From the fewest users to the most.
const FEW: usize = 1_000;

pub(super) fn goals(report: &Report) -> Vec<Goal> {
    [throughput(report), tails(report), growth(report)].concat()
}

fn goal(goal: String, bound: Bound, value: f64) -> Goal {
    Goal::new(goal, bound, vec![Found { mode: None, value }])
}

fn throughput(report: &Report) -> Vec<Goal> {
    let ours = report
        .calls
        .iter()
        .filter(|row| row.contender == Herenow && row.users >= MANY && CALLS.contains(&row.call.word()));
    let beside = ours.filter_map(|row| {
        let theirs = report.row(SaToken, row.users, row.threads, row.call)?;
        let what = format!(
            "registry: {}, {} users, {} threads: calls/s / sa-token-core's",
            row.call.word(),
            row.users,
            row.threads
        );
        Some(goal(what, Bound::AtLeast(5.0), row.per_second / theirs.per_second))
    });
    beside.collect()
}

/// Both list everybody in their own way: ours in pages, theirs, which has none, all at once.
fn tails(report: &Report) -> Vec<Goal> {
    let of = |contender, listing| {
        report.tails.iter().filter(move |tail| (tail.contender, tail.listing.word()) == (contender, listing))
    };
    let beside = ["all at once", "in pages"].into_iter().flat_map(|listing| {
        of(Herenow, listing).filter(|tail| tail.users >= MANY).filter_map(move |tail| {
            let theirs = of(SaToken, "all at once").find(|theirs| theirs.users == tail.users)?;
            let what = format!(
                "registry: a heartbeat while {} users are listed {listing}: p99 of sa-token-core's / ours",
                tail.users
            );
            Some(goal(what, Bound::AtLeast(100.0), theirs.latency_ns.p99 / tail.latency_ns.p99))
        })
    });
    beside.collect()
}

fn growth(report: &Report) -> Vec<Goal> {
    let Some(most) = report.calls.iter().map(|row| row.users).max().filter(|most| *most > FEW) else {
        return Vec::new();
    };
    let ours = report
        .calls
        .iter()
        .filter(|row| (row.contender, row.users) == (Herenow, FEW) && CALLS.contains(&row.call.word()));
    let grown = ours.filter_map(|few| {
        let many = report.row(Herenow, most, few.threads, few.call)?;
        let what = format!(
            "registry: {}, {} threads: CPU with {most} users / with {FEW}",
            few.call.word(),
            few.threads
        );
        Some(goal(what, Bound::AtMost(2.0), many.cpu_ns / few.cpu_ns))
    });
    grown.collect()
}
