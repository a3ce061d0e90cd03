//! Heartbeats beside somebody who lists all users, over and over: what an administrator's page costs everybody else.
//!
//! Heartbeats are due at a steady rate, and each is timed from when it was due: a call that waits makes those behind it
//! late too, as it does where every user has a heartbeat of its own.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::task::unconstrained;

use super::{
    contender::Registry,
    people::People,
    report::Tail,
    stopwatch::{Tally, now},
};

/// What goes on beside the heartbeats.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Listing {
    Nothing,
    All,
    Pages,
}

impl Listing {
    pub(super) const EACH: [Self; 3] = [Self::Nothing, Self::All, Self::Pages];

    /// The name in a table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::All => "all at once",
            Self::Pages => "in pages",
        }
    }
}

/// Heartbeats due in a second: those of 300,000 users, each with one in 30 s.
const RATE: u32 = 10_000;
/// A registry that cannot keep up may take so many times the time it was given.
const PATIENCE: u32 = 5;

/// One thread calls `update_activity` whenever one is due, another one lists.
pub(super) fn measure<R: Registry>(
    registry: &R,
    people: &People,
    listing: Listing,
    time: Duration,
) -> Result<Tail, Box<dyn Error>> {
    let (over, listings) = (AtomicBool::new(false), AtomicU64::new(0));
    let list = || -> std::io::Result<bool> {
        run(async {
            let mut right = true;
            while listing != Listing::Nothing && !over.load(Ordering::Relaxed) {
                let listed = match listing {
                    Listing::Pages => registry.list_pages().await,
                    _ => registry.list_all().await,
                };
                right &= listed == people.len();
                listings.fetch_add(1, Ordering::Relaxed);
            }
            right
        })
    };
    let beat = || -> Result<Tally, Box<dyn Error>> {
        let mut tally = Tally::new()?;
        let (first, numbers) = (now(), (0..people.len()).cycle());
        let due = (0..(time.as_secs_f64() * f64::from(RATE)) as u32).map(|beat| first + time_of(beat));
        let call = async |n: usize| registry.update_activity(people.get(n)).await;
        run(tally.run_when_due(due.zip(numbers), first + time * PATIENCE, call))?;
        Ok(tally)
    };
    let (tally, right) = std::thread::scope(|scope| {
        let lister = scope.spawn(list);
        let tally = beat();
        over.store(true, Ordering::Relaxed);
        (tally, lister.join())
    });
    let (tally, right) = (tally?, right.map_err(|_| "the listing thread panicked")??);
    if !right || tally.wrong > 0 {
        return Err(format!("{}: somebody was not listed, or not found", R::NAME.word()).into());
    }
    Ok(Tail {
        contender: R::NAME,
        users: people.len(),
        listing,
        listings: listings.into_inner(),
        beats: tally.calls,
        latency_ns: tally.latency(),
    })
}

fn time_of(beat: u32) -> Duration {
    Duration::from_secs(beat.into()) / RATE
}

fn run<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(unconstrained(work)))
}
