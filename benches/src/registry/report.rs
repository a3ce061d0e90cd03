//! What was measured, as the JSON has it, and its medians.

use serde::{Deserialize, Serialize};

use super::{calls::Call, contender::Contender, stopwatch::Latency, tail::Listing};

/// All figures: medians of the repetitions.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) repetitions: usize,
    pub(crate) calls: Vec<Row>,
    pub(crate) tails: Vec<Tail>,
}

/// One call of one registry.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) users: usize,
    pub(crate) threads: usize,
    pub(crate) call: Call,
    /// How many were made, in all repetitions.
    pub(crate) calls: u64,
    /// Calls a second, of all threads together.
    pub(crate) per_second: f64,
    /// Processor time of the calling threads for each call.
    pub(crate) cpu_ns: f64,
    /// The same of the whole process; of `mark_offline` and `mark_online` together, since they take turns.
    pub(crate) process_cpu_ns: f64,
    pub(crate) latency_ns: Latency,
}

/// Heartbeats of one registry beside a listing.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tail {
    pub(crate) contender: Contender,
    pub(crate) users: usize,
    pub(crate) listing: Listing,
    /// How often everybody was listed meanwhile.
    pub(crate) listings: u64,
    pub(crate) beats: u64,
    pub(crate) latency_ns: Latency,
}

impl Report {
    /// The medians of the repetitions.
    pub(super) fn of(repetitions: usize, calls: Vec<Row>, tails: Vec<Tail>) -> Self {
        Self {
            repetitions,
            calls: grouped(calls, Row::is_like).into_iter().filter_map(Row::median).collect(),
            tails: grouped(tails, Tail::is_like).into_iter().filter_map(Tail::median).collect(),
        }
    }

    pub(crate) fn row(&self, contender: Contender, users: usize, threads: usize, call: Call) -> Option<&Row> {
        self.calls.iter().find(|row| {
            row.contender == contender && row.users == users && row.threads == threads && row.call == call
        })
    }

    pub(crate) fn tail(&self, contender: Contender, users: usize, listing: Listing) -> Option<&Tail> {
        let meant = |tail: &&Tail| (tail.contender, tail.users, tail.listing) == (contender, users, listing);
        self.tails.iter().find(meant)
    }
}

impl Row {
    fn is_like(&self, other: &Self) -> bool {
        (self.contender, self.users, self.threads, self.call)
            == (other.contender, other.users, other.threads, other.call)
    }

    fn median(same: Vec<Self>) -> Option<Self> {
        let first = same.first()?.clone();
        Some(Self {
            calls: same.iter().map(|row| row.calls).sum(),
            per_second: median(same.iter().map(|row| row.per_second))?,
            cpu_ns: median(same.iter().map(|row| row.cpu_ns))?,
            process_cpu_ns: median(same.iter().map(|row| row.process_cpu_ns))?,
            latency_ns: middle(same.iter().map(|row| row.latency_ns).collect())?,
            ..first
        })
    }
}

impl Tail {
    fn is_like(&self, other: &Self) -> bool {
        (self.contender, self.users, self.listing) == (other.contender, other.users, other.listing)
    }

    fn median(same: Vec<Self>) -> Option<Self> {
        let first = same.first()?.clone();
        Some(Self {
            listings: same.iter().map(|tail| tail.listings).sum(),
            beats: same.iter().map(|tail| tail.beats).sum(),
            latency_ns: middle(same.iter().map(|tail| tail.latency_ns).collect())?,
            ..first
        })
    }
}

/// Those that are alike together, in the order in which the first of each came.
fn grouped<T>(all: Vec<T>, is_like: impl Fn(&T, &T) -> bool) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for one in all {
        match groups.iter_mut().find(|group| is_like(&group[0], &one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn middle(all: Vec<Latency>) -> Option<Latency> {
    Some(Latency {
        p50: median(all.iter().map(|one| one.p50))?,
        p99: median(all.iter().map(|one| one.p99))?,
        p999: median(all.iter().map(|one| one.p999))?,
        max: median(all.iter().map(|one| one.max))?,
    })
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let upper = *figures.get(figures.len() / 2)?;
    let lower = *figures.get(figures.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle_or_between_two() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn repetitions_of_the_same_become_one_row() {
        let tail = |users, p50| Tail {
            contender: Contender::Herenow,
            users,
            listing: Listing::All,
            listings: 2,
            beats: 10,
            latency_ns: Latency { p50, p99: 0.0, p999: 0.0, max: 0.0 },
        };
        let report = Report::of(2, Vec::new(), vec![tail(1, 1.0), tail(2, 7.0), tail(1, 3.0)]);
        assert_eq!(report.tails.len(), 2);
        let one = report.tail(Contender::Herenow, 1, Listing::All).unwrap();
        assert_eq!((one.listings, one.beats, one.latency_ns.p50), (4, 20, 2.0));
    }
}
