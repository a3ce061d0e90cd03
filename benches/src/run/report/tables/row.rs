//! The rows of a table: servers that have figures.

use super::{
    super::{Report, median::Median, names::title},
    DELIVERY,
};
use crate::design::Design;

/// One server in one mode.
#[derive(PartialEq)]
pub(super) struct Row {
    design: Design,
    dialect: String,
    threads: usize,
}

impl Row {
    pub(super) fn title(&self) -> String {
        title(self.design, &self.dialect, self.threads)
    }

    pub(super) fn find<'a>(&self, report: &'a Report, workload: &str, metric: &str) -> Option<&'a Median> {
        report.medians.iter().find(|median| {
            is_of(median, self.design, &self.dialect, self.threads)
                && (median.workload.as_str(), median.metric.as_str()) == (workload, metric)
        })
    }

    /// The limit first, then by what a delivery costs.
    pub(super) fn order(&self, report: &Report) -> f64 {
        match self.design {
            Design::Raw => f64::NEG_INFINITY,
            _ => self.find(report, "broadcast 64 B", DELIVERY).map_or(f64::INFINITY, |median| median.median),
        }
    }

    /// A row must not look whole when it is not.
    pub(super) fn remark(&self, report: &Report) -> String {
        let failed = report.failures.iter().any(|failure| {
            failure.workload == "traffic"
                && (failure.design, &failure.dialect, failure.threads)
                    == (self.design, &self.dialect, self.threads)
        });
        if failed { "failed in a round: see below".to_owned() } else { String::new() }
    }
}

pub(super) fn rows(report: &Report, wants: impl Fn(&Median) -> bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for median in report.medians.iter().filter(|median| wants(median)) {
        let row = Row { design: median.design, dialect: median.dialect.clone(), threads: median.threads };
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

pub(super) fn is_of(median: &Median, design: Design, dialect: &str, threads: usize) -> bool {
    (median.design, median.dialect.as_str(), median.threads) == (design, dialect, threads)
}
