//! Repetitions become one figure: the one in the middle, how far the others are from it, and how it compares to the raw
//! limit of the same round.

use serde::{Deserialize, Serialize};

use super::{super::figure::Figure, Measured};
use crate::design::Design;

/// What was read in all rounds, as one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Median {
    pub(crate) design: Design,
    pub(crate) dialect: String,
    pub(crate) workload: String,
    pub(crate) metric: String,
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    /// How many figures it is the median of.
    pub(crate) of: usize,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// By the raw limit of the same round: the median of these ratios. For processor time only.
    pub(crate) to_limit: Option<f64>,
}

impl Median {
    /// How far the figures are from the median: half of what lies between the least and the most, in percent of it.
    pub(super) fn spread(&self) -> Option<f64> {
        (self.of > 1 && self.median > 0.0).then(|| (self.most - self.least) / 2.0 / self.median * 100.0)
    }
}

/// The medians of figures that differ in nothing but their round.
pub(super) fn medians(all: &[Measured]) -> Vec<Median> {
    let mut medians: Vec<Median> = Vec::new();
    for Measured { figure, .. } in all {
        let known = |median: &Median| {
            (median.design, &median.dialect, median.threads)
                == (figure.design, &figure.dialect, figure.threads)
                && (&median.workload, &median.metric) == (&figure.workload, &figure.metric)
        };
        if !medians.iter().any(known) {
            medians.extend(median(all, figure));
        }
    }
    medians
}

fn median(all: &[Measured], like: &Figure) -> Option<Median> {
    let same = all.iter().map(|one| &one.figure).filter(|one| is_like(one, like));
    let values: Vec<f64> = same.map(|figure| figure.value).collect();
    let limit = Figure { design: Design::Raw, dialect: "raw".to_owned(), ..like.clone() };
    Some(Median {
        design: like.design,
        dialect: like.dialect.clone(),
        workload: like.workload.clone(),
        metric: like.metric.clone(),
        threads: like.threads,
        connections: like.connections,
        of: values.len(),
        median: middle(&values)?,
        least: values.iter().copied().reduce(f64::min)?,
        most: values.iter().copied().reduce(f64::max)?,
        to_limit: like.metric.starts_with("us of CPU").then(|| ratio(all, like, &limit)).flatten(),
    })
}

/// One by the other in each round, and of these the median.
pub(super) fn ratio(all: &[Measured], one: &Figure, other: &Figure) -> Option<f64> {
    let in_round = |round, like| {
        let one = all.iter().find(|measured| measured.round == round && is_like(&measured.figure, like))?;
        Some(one.figure.value)
    };
    let rounds = all.iter().map(|measured| measured.round + 1).max().unwrap_or(0);
    let both = |round| Some((in_round(round, one)?, in_round(round, other)?));
    let ratios =
        (0..rounds).filter_map(both).filter(|(_, other)| *other > 0.0).map(|(one, other)| one / other);
    middle(&ratios.collect::<Vec<_>>())
}

fn is_like(one: &Figure, other: &Figure) -> bool {
    (one.design, &one.dialect, one.threads) == (other.design, &other.dialect, other.threads)
        && (&one.workload, &one.metric) == (&other.workload, &other.metric)
}

/// The value in the middle, or between the two there.
fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// A figure that nobody measured, for tests.
#[cfg(test)]
pub(super) fn made_up(round: usize, design: Design, dialect: &str, workload: &str, value: f64) -> Measured {
    let (dialect, workload) = (dialect.to_owned(), workload.to_owned());
    let metric = "us of CPU per delivery".to_owned();
    Measured {
        round,
        figure: Figure { design, dialect, workload, metric, threads: 1, connections: 100, value },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Vec<Measured> {
        let one = |round, design, value| made_up(round, design, "raw", "broadcast 64 B", value);
        vec![
            one(0, Design::Raw, 4.0),
            one(0, Design::HerenowAxum, 5.0),
            one(1, Design::Raw, 8.0),
            one(1, Design::HerenowAxum, 8.8),
            one(2, Design::Raw, 5.0),
            one(2, Design::HerenowAxum, 6.0),
        ]
    }

    #[test]
    fn a_ratio_is_of_the_same_round_and_not_of_medians() {
        let medians = medians(&figures());
        let ours = medians.iter().find(|median| median.design == Design::HerenowAxum).unwrap();
        assert_eq!((ours.of, ours.median, ours.least, ours.most), (3, 6.0, 5.0, 8.8));
        assert_eq!(ours.to_limit, Some(1.2));
        assert!((ours.spread().unwrap() - 31.666).abs() < 0.01);
    }

    #[test]
    fn a_round_without_the_limit_does_not_count_for_the_ratio() {
        let mut figures = figures();
        figures.remove(2);
        let medians = medians(&figures);
        let ours = medians.iter().find(|median| median.design == Design::HerenowAxum).unwrap();
        assert_eq!(ours.to_limit, Some(1.225));
    }

    #[test]
    fn modes_and_threads_are_apart() {
        let mut figures = figures();
        figures.push(made_up(0, Design::HerenowAxum, "envelope", "broadcast 64 B", 7.0));
        let two = Figure { threads: 2, ..figures[0].figure.clone() };
        figures.push(Measured { round: 0, figure: two });
        assert_eq!(medians(&figures).len(), 4);
    }
}
