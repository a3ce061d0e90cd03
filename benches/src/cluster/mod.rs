//! Several nodes over Redis: what each step costs Redis, how fast pushes cross, how long it takes until everything is whole
//! again; beside sa-token-core's store for several nodes.

use std::{error::Error, path::PathBuf, time::Duration};

mod costs;
mod node;
mod pushes;
mod recovery;
mod report;
mod server;
mod theirs;

use self::{
    node::Node,
    report::{Figure, Report},
    server::Redis,
};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many are online where a figure depends on it.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    users: Vec<usize>,
    /// Nodes between which pushes cross.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 4])]
    nodes: Vec<usize>,
    /// Nodes whose idle heartbeats are counted.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 50, 500])]
    beating: Vec<usize>,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Fewer and shorter: for a look.
    #[arg(long)]
    quick: bool,
    /// Writes the figures here too.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Part {
    /// Processor time of Redis, and its memory.
    Costs,
    Pushes,
    Recovery,
    /// sa-token-core's store.
    Theirs,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// How long what goes on by itself is watched.
    fn time(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 8 })
    }

    fn users(&self) -> impl Iterator<Item = usize> {
        let most = if self.quick { 20_000 } else { usize::MAX };
        self.users
            .iter()
            .map(move |users| (*users).min(most))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
    }
}

pub(crate) fn main(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.users.contains(&0)
        || options.beating.contains(&0)
        || options.nodes.iter().any(|nodes| *nodes < 2)
    {
        return Err("`--users` and `--beating` begin at 1, `--nodes` at 2".into());
    }
    let report = measure(options)?;
    print!("{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Report, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut report = Report::of(server::version().await?);
        if options.wants(Part::Costs) {
            costs::measure(options, &mut report).await?;
        }
        if options.wants(Part::Theirs) {
            theirs::measure(options, &mut report).await?;
        }
        if options.wants(Part::Pushes) {
            pushes::measure(options, &mut report).await?;
        }
        if options.wants(Part::Recovery) {
            recovery::measure(options, &mut report).await?;
        }
        Ok(report)
    })
}
