//! What was measured: the JSON, and what is made of it and of nothing else.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Options, figure::Figure, machine::Machine, plan::Missing};
use crate::{design::Design, registry};

mod goals;
mod markdown;
mod median;
mod names;
mod picture;
mod tables;

pub(super) use self::names::title;
use self::{goals::Goal, median::Median};

/// `report.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    /// Designs that could not be run here.
    pub(crate) missing: Vec<Missing>,
    /// What was run and did not end well.
    pub(crate) failures: Vec<Failure>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) medians: Vec<Median>,
    pub(crate) registry: Option<registry::Report>,
    /// Every figure as it was read.
    pub(crate) measured: Vec<Measured>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) repetitions: usize,
    pub(crate) connections: usize,
    pub(crate) server_cores: Vec<usize>,
    pub(crate) load_core: usize,
    /// How long the workloads over sockets took.
    pub(crate) seconds: u64,
}

impl Settings {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            quick: options.quick,
            repetitions: options.repetitions(),
            connections: options.scale().connections,
            server_cores: options.server_cores.clone(),
            load_core: options.load_core,
            seconds: 0,
        }
    }
}

/// A figure, and the round in which it was read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) figure: Figure,
}

/// A group of workloads that did not end well.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    pub(crate) round: usize,
    pub(crate) design: Design,
    pub(crate) dialect: String,
    pub(crate) threads: usize,
    pub(crate) workload: String,
    pub(crate) why: String,
}

impl Report {
    pub(super) fn new(machine: Machine, settings: Settings, missing: Vec<Missing>) -> Self {
        Self {
            machine,
            settings,
            missing,
            failures: Vec::new(),
            goals: Vec::new(),
            medians: Vec::new(),
            registry: None,
            measured: Vec::new(),
        }
    }

    /// Makes medians of it, and writes the three files.
    pub(super) fn write(&mut self, out: &Path) -> Result<(), Box<dyn Error>> {
        self.conclude();
        write(&out.join("report.json"), &serde_json::to_string_pretty(self)?)?;
        write(&out.join("table.md"), &self.tables())?;
        picture::draw(self, &out.join("picture.svg"))
    }

    fn conclude(&mut self) {
        self.medians = median::medians(&self.measured);
        self.goals = goals::goals(self);
    }

    /// The figures of an earlier run, and what follows from them by today's rules.
    fn read(file: &Path) -> Result<Self, Box<dyn Error>> {
        let text =
            fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let mut report: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no report of this version: {error}", file.display()))?;
        report.conclude();
        Ok(report)
    }

    /// All tables, in Markdown.
    pub(super) fn tables(&self) -> String {
        tables::of(self)
    }
}

fn write(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    Ok(fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?)
}

/// Which report.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TablesOptions {
    /// A `report.json` of `run`.
    report: PathBuf,
}

/// Prints the tables of a report.
pub(crate) fn tables(options: &TablesOptions) -> Result<(), Box<dyn Error>> {
    print!("{}", Report::read(&options.report)?.tables());
    Ok(())
}

/// Which report, and where its picture goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlotOptions {
    /// A `report.json` of `run`.
    report: PathBuf,
    /// The SVG file.
    out: PathBuf,
}

/// Draws the picture of a report.
pub(crate) fn plot(options: &PlotOptions) -> Result<(), Box<dyn Error>> {
    picture::draw(&Report::read(&options.report)?, &options.out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_what_it_was_when_it_is_read_again() {
        let mut report = Report::new(Machine::default(), Settings::default(), Vec::new());
        report.measured = vec![median::made_up(0, Design::Raw, "raw", "broadcast 64 B", 4.5)];
        let folder = std::env::temp_dir().join(format!("herenow-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        report.write(&folder).unwrap();
        let again = Report::read(&folder.join("report.json")).unwrap();
        assert!(fs::read_to_string(folder.join("table.md")).unwrap().contains("4.50"));
        assert!(fs::read_to_string(folder.join("picture.svg")).unwrap().contains("<svg"));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(again, report);
        assert_eq!(again.medians.len(), 1);
    }
}
