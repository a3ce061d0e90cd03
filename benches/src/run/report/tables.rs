//! The tables: one of everybody, one of what two threads do, one of the goals, and one for each workload of its own.

use super::{
    Report,
    markdown::{figure, table},
    median::Median,
    names::{name, title},
};

mod row;

use self::row::{Row, is_of, rows};

const DELIVERY: &str = "us of CPU per delivery";
const HELD: &str = "KiB per connection";

/// A column of the table of everybody: a figure, or how it compares to the raw limit.
struct Column {
    head: &'static str,
    workload: &'static str,
    metric: &'static str,
    to_limit: bool,
}

const fn figures(head: &'static str, workload: &'static str, metric: &'static str) -> Column {
    Column { head, workload, metric, to_limit: false }
}

const fn ratios(head: &'static str, workload: &'static str, metric: &'static str) -> Column {
    Column { head, workload, metric, to_limit: true }
}

const COLUMNS: [Column; 12] = [
    figures("64 B", "broadcast 64 B", DELIVERY),
    ratios("/ limit", "broadcast 64 B", DELIVERY),
    figures("1 KiB", "broadcast 1 KiB", DELIVERY),
    ratios("/ limit", "broadcast 1 KiB", DELIVERY),
    figures("burst 64 B", "burst 64 B", DELIVERY),
    figures("burst 1 KiB", "burst 1 KiB", DELIVERY),
    figures("one user", "push to one user 64 B", DELIVERY),
    ratios("/ limit", "push to one user 64 B", DELIVERY),
    figures("upgrade", "upgrade", "us of CPU per upgrade"),
    ratios("/ limit", "upgrade", "us of CPU per upgrade"),
    figures("KiB idle", "idle", HELD),
    figures("after traffic", "after traffic", HELD),
];

pub(super) fn of(report: &Report) -> String {
    let mut text = everybody(
        report,
        1,
        "us of server CPU for each delivery or upgrade; KiB of memory for each connection",
    );
    if report.medians.iter().any(|median| median.threads == 2) {
        text.push_str(&everybody(report, 2, "The same with two server threads"));
    }
    text.push_str(&others(report));
    text.push_str(&not_run(report));
    if let Some(registry) = &report.registry {
        text.push_str(&format!("\n{registry}"));
    }
    text.push_str(&super::goals::table(&report.goals));
    text.push_str(&circumstances(report));
    text
}

fn everybody(report: &Report, threads: usize, caption: &str) -> String {
    let cell = |row: &Row, column: &Column| {
        let median = row.find(report, column.workload, column.metric)?;
        if column.to_limit {
            median.to_limit.map(|ratio| format!("{ratio:.2}"))
        } else {
            Some(with_spread(median))
        }
    };
    let row = |row: &Row| {
        let cells = COLUMNS.iter().map(|column| cell(row, column).unwrap_or_default());
        [row.title()].into_iter().chain(cells).chain([row.remark(report)]).collect()
    };
    let in_table = |median: &Median| COLUMNS.iter().any(|column| column.workload == median.workload);
    let mut rows = rows(report, |median| median.threads == threads && in_table(median));
    rows.sort_by(|one, other| one.order(report).total_cmp(&other.order(report)));
    let mut rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    if threads == 1 {
        rows.extend(without_figures(report));
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads = COLUMNS.iter().map(|column| column.head.to_owned());
    let mut head: Vec<String> = [String::new()].into_iter().chain(heads).chain([String::new()]).collect();
    // The last column is for remarks, and there where there are any.
    if rows.iter().all(|row| row.last().is_none_or(String::is_empty)) {
        head.pop();
        rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    format!("\n{caption}\n\n{}", table(head, rows))
}

/// Designs that ran at all have a row by their figures, these by the reason why there are none.
fn without_figures(report: &Report) -> Vec<Vec<String>> {
    let row = |name: &str, why: String| {
        let cells = COLUMNS.iter().map(|_| String::new());
        [name.to_owned()].into_iter().chain(cells).chain([why]).collect()
    };
    let missing = report
        .missing
        .iter()
        .map(|missing| row(name(missing.design), format!("not installed: {}", missing.why)));
    let failed = report.failures.iter().filter(|failure| {
        failure.round == 0
            && (failure.threads, failure.workload.as_str()) == (1, "traffic")
            && !report.medians.iter().any(|median| is_of(median, failure.design, &failure.dialect, 1))
    });
    missing
        .chain(
            failed.map(|failure| {
                row(&title(failure.design, &failure.dialect, 1), "failed: see below".to_owned())
            }),
        )
        .collect()
}

/// Each workload that has no column above has a table of its own, with all that was read.
fn others(report: &Report) -> String {
    let mut workloads: Vec<&str> = Vec::new();
    for median in &report.medians {
        let workload = median.workload.as_str();
        if !workloads.contains(&workload) && COLUMNS.iter().all(|column| column.workload != workload) {
            workloads.push(workload);
        }
    }
    workloads.iter().map(|workload| one(report, workload)).collect()
}

fn one(report: &Report, workload: &str) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for median in report.medians.iter().filter(|median| median.workload == workload) {
        if !metrics.contains(&median.metric.as_str()) {
            metrics.push(&median.metric);
        }
    }
    let cell =
        |row: &Row, metric: &str| row.find(report, workload, metric).map(with_spread).unwrap_or_default();
    let rows = rows(report, |median| median.workload == workload);
    let rows = rows
        .iter()
        .map(|row| [row.title()].into_iter().chain(metrics.iter().map(|metric| cell(row, metric))).collect());
    let head =
        [workload.to_owned()].into_iter().chain(metrics.iter().map(|metric| (*metric).to_owned())).collect();
    format!("\n{}", table(head, rows.collect()))
}

/// What failed, with its reason.
fn not_run(report: &Report) -> String {
    if report.failures.is_empty() {
        return String::new();
    }
    let row = |failure: &super::Failure| {
        let title = title(failure.design, &failure.dialect, failure.threads);
        // The last words of a server have many lines, a cell has one.
        let why = failure.why.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
        vec![title, failure.workload.clone(), (failure.round + 1).to_string(), why]
    };
    let head = ["failed", "workload", "round", "why"].map(str::to_owned).to_vec();
    format!("\n{}", table(head, report.failures.iter().map(row).collect()))
}

fn circumstances(report: &Report) -> String {
    let super::Settings { quick, repetitions, connections, seconds, .. } = report.settings;
    let machine = &report.machine;
    let mode = if quick { "a quick look" } else { "in full" };
    format!(
        "\nherenow {}, {}; {mode}: {connections} connections, {repetitions} repetitions, {} min over sockets. {} cores of {}, \
         {} MiB, Linux {}, {}, allocator of what is Rust: {}; node {}, {}. Before it began the machine was {:.0} % busy.\n",
        machine.herenow,
        machine.date,
        seconds.div_ceil(60),
        machine.cores,
        machine.cpu,
        machine.memory_mib,
        machine.kernel,
        machine.rustc,
        machine.allocator,
        machine.node,
        machine.python,
        machine.busy_percent,
    )
}

fn with_spread(median: &Median) -> String {
    match median.spread() {
        Some(spread) => format!("{} ±{spread:.0} %", figure(median.median)),
        None => figure(median.median),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Failure, Machine, Settings,
            median::{made_up, medians},
        },
        *,
    };
    use crate::design::Design;
    use crate::run::plan::Missing;

    fn report() -> Report {
        let missing = vec![Missing { design: Design::UWebSockets, why: "no wheel".to_owned() }];
        let mut report = Report::new(Machine::default(), Settings::default(), missing);
        report.measured = vec![
            made_up(0, Design::Axum, "raw", "broadcast 64 B", 22.0),
            made_up(0, Design::HerenowAxum, "envelope", "broadcast 64 B", 5.5),
            made_up(0, Design::Raw, "raw", "broadcast 64 B", 5.0),
            made_up(0, Design::HerenowAxum, "envelope", "all read", 7.0),
        ];
        report.failures.push(Failure {
            round: 0,
            design: Design::Poem,
            dialect: "raw".to_owned(),
            threads: 1,
            workload: "traffic".to_owned(),
            why: "3 of 4 | deliveries\ncame".to_owned(),
        });
        report.medians = medians(&report.measured);
        report
    }

    fn line<'a>(text: &'a str, name: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(&format!("| {name} "))).unwrap_or_default()
    }

    #[test]
    fn everybody_is_sorted_behind_the_limit_with_their_ratio() {
        let text = everybody(&report(), 1, "");
        let at = |name: &str| text.find(name).unwrap();
        assert!(
            at("raw limit") < at("herenow on axum, envelope")
                && at("herenow on axum") < at("axum's WebSocket")
        );
        assert!(line(&text, "herenow on axum, envelope").contains(" 1.10 "), "{text}");
    }

    #[test]
    fn who_has_no_figures_has_a_reason() {
        let text = of(&report());
        assert!(line(&text, "uWebSockets (socketify)").contains("not installed: no wheel"), "{text}");
        assert!(line(&text, "poem's WebSocket").contains("failed: see below"), "{text}");
        assert!(text.contains("3 of 4 / deliveries came"), "{text}");
    }

    #[test]
    fn a_workload_without_a_column_has_a_table() {
        let text = others(&report());
        assert!(text.contains("all read") && text.contains("7.00") && !text.contains("22.0"), "{text}");
    }
}
