//! What to run.

use std::path::PathBuf;

use clap::ValueEnum as _;

use super::{
    launch::is_rust,
    workloads::{Group, Scale},
};
use crate::{design::Design, registry};

/// Of everything there is, without arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A look in under five minutes: fewer connections, one repetition, and what is not traffic on axum alone.
    #[arg(long)]
    pub(super) quick: bool,
    /// Only these designs, beside the raw limit.
    #[arg(long, value_delimiter = ',')]
    pub(super) only: Vec<Design>,
    /// Only these: traffic, heartbeat, churn, presence, kick, slow, registry.
    #[arg(long, value_delimiter = ',', value_parser = Part::parse)]
    pub(super) workloads: Vec<Part>,
    /// How often everything is done; 3, or 1 with `--quick`.
    #[arg(long)]
    repetitions: Option<usize>,
    /// Connections that broadcasts go to; 10,000, or 4,000 with `--quick`.
    #[arg(long)]
    connections: Option<usize>,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench")]
    pub(super) out: PathBuf,
    /// Cores of the servers. One with two threads gets one more where there are no two.
    #[arg(long, value_delimiter = ',', default_values_t = [0])]
    pub(super) server_cores: Vec<usize>,
    /// The core of the load generator.
    #[arg(long, default_value_t = 1)]
    pub(super) load_core: usize,
}

/// What can be asked for by `--workloads`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// Over sockets.
    Sockets(Group),
    /// In process.
    Registry,
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "registry" => Ok(Self::Registry),
            _ => Group::from_str(name, false).map(Self::Sockets),
        }
    }
}

impl Options {
    /// Nothing named means all, except that whoever names designs is not after the registry.
    pub(super) fn wants(&self, part: Part) -> bool {
        match self.workloads.is_empty() {
            true => part != Part::Registry || self.only.is_empty(),
            false => self.workloads.contains(&part),
        }
    }

    pub(super) fn wants_design(&self, design: Design) -> bool {
        design == Design::Raw || self.only.is_empty() || self.only.contains(&design)
    }

    /// Whether a design is to be run that has to be installed before.
    pub(super) fn wants_more_than_rust(&self) -> bool {
        let is_wanted = |design: &Design| self.wants_design(*design) && !is_rust(*design);
        let over_sockets =
            self.workloads.is_empty() || self.workloads.iter().any(|part| *part != Part::Registry);
        over_sockets && Design::value_variants().iter().any(is_wanted)
    }

    pub(super) fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    pub(super) fn scale(&self) -> Scale {
        let scale = if self.quick { Scale::quick() } else { Scale::full() };
        Scale { connections: self.connections.unwrap_or(scale.connections), ..scale }
    }

    pub(super) fn registry(&self) -> registry::Options {
        registry::Options {
            users: vec![1_000, 100_000, 1_000_000],
            threads: vec![1, 2],
            quick: self.quick,
            json: None,
            only: None,
        }
    }
}

#[cfg(test)]
pub(super) use tests::options as of_line;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    pub(in crate::run) fn options(line: &str) -> Options {
        Line::parse_from(["bench"].into_iter().chain(line.split_whitespace())).options
    }

    #[test]
    fn everything_is_wanted_until_something_is_named() {
        let all = options("");
        assert!(all.wants(Part::Registry) && all.wants(Part::Sockets(Group::Kick)));
        assert_eq!((all.repetitions(), all.scale().connections), (3, 10_000));
        let some = options("--workloads traffic,registry --quick --connections 7");
        assert!(some.wants(Part::Registry) && !some.wants(Part::Sockets(Group::Kick)));
        assert_eq!((some.repetitions(), some.scale().connections), (1, 7));
        assert!(!options("--only axum").wants(Part::Registry));
    }

    #[test]
    fn the_raw_limit_is_always_measured() {
        let some = options("--only axum,herenow-axum");
        assert!(some.wants_design(Design::Raw) && some.wants_design(Design::Axum));
        assert!(!some.wants_design(Design::Poem));
        assert!(!some.wants_more_than_rust() && options("--only node-ws").wants_more_than_rust());
        assert!(
            options("").wants_more_than_rust() && !options("--workloads registry").wants_more_than_rust()
        );
    }
}
