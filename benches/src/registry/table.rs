//! The report for people: one table of calls, one of tails, one of growth.

use std::fmt::{self, Display, Formatter};

use super::{
    contender::Contender::{Herenow, SaToken},
    report::{Report, Row},
    tail::Listing,
};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        calls(self, f)?;
        growth(self, f)?;
        tails(self, f)
    }
}

fn calls(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "Calls of the registry in process (medians of {}; times in ns)\n", report.repetitions)?;
    writeln!(
        f,
        "| users | threads | call | registry | calls/s | beside | CPU | CPU, process | p50 | p99 | p99.9 | max |\n\
         |--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for row in &report.calls {
        let theirs = report.row(SaToken, row.users, row.threads, row.call);
        let beside = theirs.filter(|_| row.contender == Herenow);
        let beside = beside.map_or(String::new(), |theirs| times(row.per_second / theirs.per_second));
        let Row { users, threads, per_second, cpu_ns, process_cpu_ns, latency_ns: time, .. } = row;
        let (call, who) = (row.call.word(), row.contender.word());
        writeln!(
            f,
            "| {users} | {threads} | {call} | {who} | {per_second:.0} | {beside} | {cpu_ns:.0} | \
             {process_cpu_ns:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            time.p50, time.p99, time.p999, time.max
        )?;
    }
    writeln!(f)
}

/// From the fewest users to the most: what it does to the cost of a call.
fn growth(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let users = || report.calls.iter().map(|row| row.users);
    let (Some(few), Some(many)) = (users().min(), users().max()) else { return Ok(()) };
    if few == many {
        return Ok(());
    }
    writeln!(f, "CPU for a call with {many} users / with {few}\n")?;
    writeln!(f, "| threads | call | herenow | sa-token-core |\n|--:|---|--:|--:|")?;
    for row in report.calls.iter().filter(|row| (row.contender, row.users) == (Herenow, few)) {
        let cost =
            |contender, users| report.row(contender, users, row.threads, row.call).map(|row| row.cpu_ns);
        let grown = |contender| {
            let (few, many) = (cost(contender, few), cost(contender, many));
            few.zip(many).map_or(String::new(), |(few, many)| times(many / few))
        };
        writeln!(f, "| {} | {} | {} | {} |", row.threads, row.call.word(), grown(Herenow), grown(SaToken))?;
    }
    writeln!(f)
}

fn tails(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "A heartbeat (`update_activity`) while another thread lists everybody (us)\n")?;
    writeln!(
        f,
        "| users | listing | registry | listings | heartbeats | p50 | p99 | p99.9 | max | p99 beside |\n\
         |--:|---|---|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for tail in &report.tails {
        // Who has no pages lists all at once.
        let theirs = match tail.listing {
            Listing::Pages => Listing::All,
            listing => listing,
        };
        let theirs = report.tail(SaToken, tail.users, theirs).filter(|_| tail.contender == Herenow);
        let lower = theirs.map_or(String::new(), |theirs| times(theirs.latency_ns.p99 / tail.latency_ns.p99));
        let us = |ns: f64| format!("{:.2}", ns / 1e3);
        let time = tail.latency_ns;
        writeln!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {lower} |",
            tail.users,
            tail.listing.word(),
            tail.contender.word(),
            tail.listings,
            tail.beats,
            us(time.p50),
            us(time.p99),
            us(time.p999),
            us(time.max),
        )?;
    }
    Ok(())
}

fn times(ratio: f64) -> String {
    match ratio {
        100.0.. => format!("{ratio:.0}x"),
        10.0.. => format!("{ratio:.1}x"),
        _ => format!("{ratio:.2}x"),
    }
}
