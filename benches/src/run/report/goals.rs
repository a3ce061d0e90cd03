//! What was to be reached, and whether it was.

use serde::{Deserialize, Serialize};

use super::{
    super::figure::Figure,
    Report,
    markdown::{figure, table as markdown},
    median::ratio,
    names::{MODES, OURS, is_ours, name},
};
use crate::design::Design;

mod in_process;

/// A goal, as the JSON has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Goal {
    pub(crate) goal: String,
    pub(crate) bound: Bound,
    /// In each mode of ours, or one figure where there are no modes. Those that were measured.
    pub(crate) found: Vec<Found>,
    /// None when nothing of it was measured.
    pub(crate) reached: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    /// `raw` or `envelope`; none where there are no modes.
    pub(crate) mode: Option<String>,
    pub(crate) value: f64,
}

impl Goal {
    fn new(goal: String, bound: Bound, found: Vec<Found>) -> Self {
        let reached = found.iter().all(|found| match bound {
            Bound::AtMost(most) => found.value <= most,
            Bound::AtLeast(least) => found.value >= least,
        });
        let reached = (!found.is_empty()).then_some(reached);
        Self { goal, bound, found, reached }
    }

    /// Of one of ours, in both modes.
    fn of(design: Design, what: &str, most: f64, find: impl Fn(&str) -> Option<f64>) -> Self {
        let found = MODES
            .into_iter()
            .filter_map(|mode| Some(Found { mode: Some(mode.to_owned()), value: find(mode)? }));
        Self::new(format!("{}: {what}", name(design)), Bound::AtMost(most), found.collect())
    }
}

const DELIVERY: &str = "us of CPU per delivery";
const SIZES: [&str; 2] = ["broadcast 64 B", "broadcast 1 KiB"];
/// Memory before and after connections came and went is the same when it has grown by no more than this.
const SAME_MEMORY: f64 = 1.1;

pub(super) fn goals(report: &Report) -> Vec<Goal> {
    let ours = OURS.into_iter().flat_map(|design| of_one(report, design));
    ours.chain(report.registry.as_ref().map(in_process::goals).unwrap_or_default()).collect()
}

fn of_one(report: &Report, design: Design) -> Vec<Goal> {
    let (broadcast, idle, bare) = match design {
        Design::HerenowAxum => (1.20, 2.0, Design::AxumSmall),
        Design::HerenowPoem => (1.30, 2.0, Design::PoemSmall),
        Design::HerenowActix => (1.45, 12.0, Design::ActixWsSmall),
        _ => (1.20, 2.0, Design::ActixWsSmall),
    };
    let find = |mode: &str, workload: &str, metric: &str| value(report, design, mode, workload, metric);
    let beside = |mode: &str, other: Design, workload: &str, metric: &str| {
        let of = |design, dialect: &str| of(design, dialect, workload, metric);
        ratio(&report.measured, &of(design, mode), &of(other, "raw"))
    };
    let goal = |what: &str, most, find: &dyn Fn(&str) -> Option<f64>| Goal::of(design, what, most, find);

    let mut goals = Vec::new();
    for size in SIZES {
        let what = format!("{size}, CPU / the raw limit's");
        goals.push(goal(&what, broadcast, &|mode| beside(mode, Design::Raw, size, DELIVERY)));
    }
    for size in SIZES {
        let Some((peer, best)) = best_peer(report, size) else { continue };
        let what = format!("{size}, CPU / the best peer's ({})", name(peer));
        goals.push(goal(&what, 1.0, &|mode| find(mode, size, DELIVERY).map(|value| value / best)));
    }
    goals.push(goal("burst of 20 broadcasts, us", 0.8, &|mode| find(mode, "burst 64 B", DELIVERY)));
    let one_user = |mode: &str| beside(mode, Design::Raw, "push to one user 64 B", DELIVERY);
    goals.push(goal("push to one user, CPU / the raw limit's", 1.35, &one_user));
    goals.push(goal("KiB per idle connection", idle, &|mode| find(mode, "idle", "KiB per connection")));
    let grown = |mode: &str| {
        let resident = |when| find(mode, "churn", when);
        Some(resident("KiB resident after")? / resident("KiB resident before")?)
    };
    goals.push(goal("memory after all came and went / before", SAME_MEMORY, &grown));
    let what = format!("upgrade, CPU / that of {}", name(bare));
    goals.push(goal(&what, 1.3, &|mode| beside(mode, bare, "upgrade", "us of CPU per upgrade")));
    let percent = "% of a core, scaled to 19,500 connections and 30 s";
    goals.push(goal("19,500 idle connections, % of a core", 1.5, &|mode| find(mode, "heartbeat", percent)));
    let join = "join in a channel of 1,000";
    goals.push(goal(&format!("{join}, CPU / a broadcast's"), 1.1, &|mode| {
        find(mode, join, "of a broadcast to it")
    }));
    let frames = |mode: &str| find(mode, "1,000 joins at once", "frames per member");
    goals.push(goal("1,000 joins at once, frames to each member", 1.0, &frames));
    goals.retain(|goal| goal.reached.is_some());
    goals
}

/// The one to be ahead of: a framework's own socket, another library or another language.
fn best_peer(report: &Report, workload: &str) -> Option<(Design, f64)> {
    let peers = report.medians.iter().filter(|median| {
        !is_ours(median.design)
            && median.design != Design::Raw
            && (median.workload.as_str(), median.metric.as_str(), median.threads) == (workload, DELIVERY, 1)
    });
    let best = peers.min_by(|one, other| one.median.total_cmp(&other.median))?;
    Some((best.design, best.median))
}

fn value(report: &Report, design: Design, mode: &str, workload: &str, metric: &str) -> Option<f64> {
    let found = report.medians.iter().find(|median| {
        (median.design, median.dialect.as_str(), median.threads) == (design, mode, 1)
            && (median.workload.as_str(), median.metric.as_str()) == (workload, metric)
    });
    found.map(|median| median.median)
}

/// The name of a figure, which is all but its value.
fn of(design: Design, dialect: &str, workload: &str, metric: &str) -> Figure {
    let [dialect, workload, metric] = [dialect, workload, metric].map(str::to_owned);
    Figure { design, dialect, workload, metric, threads: 1, connections: 0, value: 0.0 }
}

/// All goals with what was found.
pub(super) fn table(goals: &[Goal]) -> String {
    if goals.is_empty() {
        return String::new();
    }
    let row = |goal: &Goal| {
        let found = |mode: Option<&str>| goal.found.iter().find(|found| found.mode.as_deref() == mode);
        let cell = |mode| found(mode).map(|found| figure(found.value)).unwrap_or_default();
        let bound = match goal.bound {
            Bound::AtMost(most) => format!("<= {most}"),
            Bound::AtLeast(least) => format!(">= {least}"),
        };
        let raw = if found(None).is_some() { cell(None) } else { cell(Some("raw")) };
        let reached = if goal.reached == Some(true) { "yes" } else { "**no**" };
        vec![goal.goal.clone(), bound, raw, cell(Some("envelope")), reached.to_owned()]
    };
    let head = ["goal", "", "raw mode", "envelope", "reached"].map(str::to_owned).to_vec();
    format!("\n{}", markdown(head, goals.iter().map(row).collect()))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Machine, Measured, Settings,
            median::{made_up, medians},
        },
        *,
    };

    fn report(measured: Vec<Measured>) -> Report {
        let mut report = Report::new(Machine::default(), Settings::default(), Vec::new());
        report.medians = medians(&measured);
        report.measured = measured;
        report
    }

    #[test]
    fn a_goal_is_reached_when_both_modes_reach_it() {
        let limit = made_up(0, Design::Raw, "raw", SIZES[0], 5.0);
        let raw = made_up(0, Design::HerenowAxum, "raw", SIZES[0], 5.5);
        let envelope = |value| made_up(0, Design::HerenowAxum, "envelope", SIZES[0], value);
        let good = goals(&report(vec![limit.clone(), raw.clone(), envelope(6.0)]));
        assert_eq!(good.len(), 1);
        assert_eq!((good[0].reached, good[0].found.len()), (Some(true), 2));
        let bad = goals(&report(vec![limit, raw, envelope(6.1)]));
        assert_eq!(bad[0].reached, Some(false));
        assert!(table(&bad).contains("**no**"));
    }

    #[test]
    fn ours_are_to_be_ahead_of_the_best_peer_and_not_of_the_limit() {
        let figures = vec![
            made_up(0, Design::Raw, "raw", SIZES[0], 4.0),
            made_up(0, Design::Axum, "raw", SIZES[0], 22.0),
            made_up(0, Design::NodeWs, "raw", SIZES[0], 8.0),
            made_up(0, Design::HerenowPoem, "raw", SIZES[0], 6.0),
        ];
        let goals = goals(&report(figures));
        let ahead = goals.iter().find(|goal| goal.goal.contains("best peer")).unwrap();
        assert!(ahead.goal.contains("ws on Node.js"));
        assert_eq!((ahead.found[0].value, ahead.reached), (0.75, Some(true)));
    }

    #[test]
    fn what_was_not_measured_is_no_goal_of_this_report() {
        assert!(goals(&report(Vec::new())).is_empty());
    }
}
