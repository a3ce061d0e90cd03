//! The registry in process, beside sa-token-core's OnlineManager.

use std::{error::Error, path::PathBuf, time::Duration};

mod calls;
mod contender;
mod people;
mod report;
mod stopwatch;
mod table;
mod tail;

use self::{
    calls::{Bench, Crowd},
    contender::{Ours, Registry, Theirs},
    report::{Row, Tail},
    tail::Listing,
};
pub(crate) use self::{contender::Contender, report::Report};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many are online.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    pub(crate) users: Vec<usize>,
    /// Threads that call at the same time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    pub(crate) threads: Vec<usize>,
    /// Shorter, and without the largest number of users: for a look.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Writes the figures here too.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Only this one.
    #[arg(long)]
    pub(crate) only: Option<Contender>,
}

/// With `--quick` nobody waits for more than this.
const QUICK_USERS: usize = 100_000;

impl Options {
    fn repetitions(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// How long each call is made.
    fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1_000 })
    }

    fn wants(&self, contender: Contender) -> bool {
        self.only.is_none_or(|only| only == contender)
    }

    fn users(&self) -> impl Iterator<Item = usize> {
        let most = if self.quick { QUICK_USERS } else { usize::MAX };
        self.users.iter().copied().filter(move |users| *users <= most)
    }
}

pub(crate) fn main(options: &Options) -> Result<(), Box<dyn Error>> {
    let report = measure(options)?;
    print!("{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Measures both, interleaved, so that what else the machine does is shared fairly.
pub(crate) fn measure(options: &Options) -> Result<Report, Box<dyn Error>> {
    if options.users.contains(&0) || options.threads.contains(&0) {
        return Err("`--users` and `--threads` begin at 1".into());
    }
    let (mut rows, mut tails) = (Vec::new(), Vec::new());
    for users in options.users() {
        let crowds: Vec<Crowd> = options.threads.iter().map(|threads| Crowd::new(users, *threads)).collect();
        let one = Crowd::new(users, 1);
        for _ in 0..options.repetitions() {
            for crowd in &crowds {
                rows.extend(calls::<Ours>(options, crowd)?);
                rows.extend(calls::<Theirs>(options, crowd)?);
            }
            tails.extend(listings::<Ours>(options, &one)?);
            tails.extend(listings::<Theirs>(options, &one)?);
        }
    }
    Ok(Report::of(options.repetitions(), rows, tails))
}

fn calls<R: Registry>(options: &Options, crowd: &Crowd) -> Result<Vec<Row>, Box<dyn Error>> {
    if !options.wants(R::NAME) {
        return Ok(Vec::new());
    }
    Bench { registry: R::new()?, crowd, time: options.time() }.measure()
}

fn listings<R: Registry>(options: &Options, crowd: &Crowd) -> Result<Vec<Tail>, Box<dyn Error>> {
    if !options.wants(R::NAME) {
        return Ok(Vec::new());
    }
    let bench = Bench { registry: R::new()?, crowd, time: options.time() };
    bench.fill()?;
    let possible = |listing: &Listing| R::HAS_PAGES || *listing != Listing::Pages;
    let each = Listing::EACH.into_iter().filter(possible);
    each.map(|listing| tail::measure(&bench.registry, crowd.first(), listing, options.time() * 2)).collect()
}
