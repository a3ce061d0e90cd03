//! Every call by itself: how many a second, what each costs, how long one takes.

use std::{
    error::Error,
    sync::{Barrier, Mutex},
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::task::unconstrained;

use super::{
    contender::Registry,
    people::{People, Person},
    report::Row,
    stopwatch::{Tally, now, process_cpu},
};

/// What is called.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Call {
    /// `mark_online` from nobody to everybody: with it the maps grow.
    Fill,
    IsOnline,
    UpdateActivity,
    GetUserSessions,
    /// `mark_offline` of one of many.
    MarkOffline,
    /// `mark_online` of one more beside many.
    MarkOnline,
}

impl Call {
    /// The name in a table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::IsOnline => "is_online",
            Self::UpdateActivity => "update_activity",
            Self::GetUserSessions => "get_user_sessions",
            Self::MarkOffline => "mark_offline",
            Self::MarkOnline => "mark_online",
        }
    }
}

/// Users that one thread takes out and puts back at a time: few beside the rest, so that their number stays what it is.
const OUT_AT_ONCE: usize = 1_000;

/// Everybody, shared out among the threads: once in the order of their coming, once in the order of the calls after that.
pub(super) struct Crowd {
    pub(super) count: usize,
    coming: Vec<People>,
    calling: Vec<People>,
}

impl Crowd {
    pub(super) fn new(count: usize, threads: usize) -> Self {
        let shares = |seed| (0..threads).map(|index| People::share(count, index, threads, seed)).collect();
        Self { count, coming: shares(1), calling: shares(2) }
    }

    /// The first thread's, in the order of the calls.
    pub(super) fn first(&self) -> &People {
        &self.calling[0]
    }
}

/// One registry, filled, and measured call by call.
pub(super) struct Bench<'a, R> {
    pub(super) registry: R,
    pub(super) crowd: &'a Crowd,
    pub(super) time: Duration,
}

impl<R: Registry> Bench<'_, R> {
    /// Fills the registry, and makes every call for as long as it is given.
    pub(super) fn measure(&self) -> Result<Vec<Row>, Box<dyn Error>> {
        let mut rows = vec![self.fill()?];
        rows.push(self.repeat(Call::IsOnline, async |person| self.registry.is_online(person).await)?);
        rows.push(
            self.repeat(Call::UpdateActivity, async |person| self.registry.update_activity(person).await)?,
        );
        rows.push(
            self.repeat(Call::GetUserSessions, async |person| self.registry.sessions(person).await == 1)?,
        );
        rows.extend(self.out_and_in()?);
        Ok(rows)
    }

    /// Marks everybody online.
    pub(super) fn fill(&self) -> Result<Row, Box<dyn Error>> {
        let far = now() + Duration::from_secs(3600);
        let [tally] = self.on_threads(&self.crowd.coming, async |people, [tally]: &mut [Tally; 1]| {
            let call = async |n: usize| self.registry.mark_online(people.get(n)).await;
            tally.run(0..people.len(), far, call).await;
        })?;
        let known = self.on_runtime(self.registry.count())?;
        if known != self.crowd.count {
            return Err(format!("{}: {known} of {} are online", R::NAME.word(), self.crowd.count).into());
        }
        self.row(Call::Fill, tally)
    }

    fn repeat(
        &self,
        what: Call,
        call: impl AsyncFn(Person<'_>) -> bool + Sync,
    ) -> Result<Row, Box<dyn Error>> {
        let deadline = now() + self.time;
        let [tally] = self.on_threads(&self.crowd.calling, async |people, [tally]: &mut [Tally; 1]| {
            let numbers = (0..people.len()).cycle();
            tally.run(numbers, deadline, async |n| call(people.get(n)).await).await;
        })?;
        self.row(what, tally)
    }

    /// Takes some out and puts them back, over and over.
    fn out_and_in(&self) -> Result<[Row; 2], Box<dyn Error>> {
        let (deadline, far) = (now() + self.time * 2, now() + Duration::from_secs(3600));
        let [out, back] =
            self.on_threads(&self.crowd.calling, async |people, [out, back]: &mut [Tally; 2]| {
                let mut from = 0;
                while now() < deadline {
                    let some = from..people.len().min(from + OUT_AT_ONCE);
                    from = if some.end == people.len() { 0 } else { some.end };
                    let leave = async |n: usize| self.registry.mark_offline(people.get(n)).await;
                    out.run(some.clone(), far, leave).await;
                    let come = async |n: usize| self.registry.mark_online(people.get(n)).await;
                    back.run(some, far, come).await;
                }
            })?;
        Ok([self.row(Call::MarkOffline, out)?, self.row(Call::MarkOnline, back)?])
    }

    fn row(&self, call: Call, tally: Measured) -> Result<Row, Box<dyn Error>> {
        let Measured { tally, process_ns_per_call } = tally;
        if tally.wrong > 0 {
            return Err(
                format!("{}: {} wrong answers of {}", R::NAME.word(), tally.wrong, call.word()).into()
            );
        }
        Ok(Row {
            contender: R::NAME,
            users: self.crowd.count,
            threads: self.crowd.calling.len(),
            call,
            calls: tally.calls,
            per_second: tally.per_second(),
            cpu_ns: tally.cpu_ns_per_call(),
            process_cpu_ns: process_ns_per_call,
            latency_ns: tally.latency(),
        })
    }

    /// Runs the same on every thread, each with its share of the users and a runtime of its own; sums up.
    fn on_threads<const N: usize>(
        &self,
        shares: &[People],
        work: impl AsyncFn(&People, &mut [Tally; N]) + Sync,
    ) -> Result<[Measured; N], Box<dyn Error>> {
        let start = Barrier::new(shares.len());
        let sums: Mutex<Vec<[Tally; N]>> = Mutex::default();
        let one = |share: &People| -> Result<(), Box<dyn Error>> {
            let mut tallies = Vec::new();
            for _ in 0..N {
                tallies.push(Tally::new()?);
            }
            let mut tallies: [Tally; N] = tallies.try_into().map_err(|_| "so many as were made")?;
            start.wait();
            self.on_runtime(work(share, &mut tallies))?;
            sums.lock().map_err(|_| "another thread panicked")?.push(tallies);
            Ok(())
        };
        let cpu_before = process_cpu();
        std::thread::scope(|scope| {
            let running: Vec<_> = shares
                .iter()
                .map(|share| scope.spawn(|| one(share).map_err(|error| error.to_string())))
                .collect();
            running
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
        })?;
        let cpu = process_cpu() - cpu_before;
        let mut sums = sums.into_inner().map_err(|_| "a thread panicked")?.into_iter();
        let mut sum = sums.next().ok_or("no thread ran")?;
        for others in sums {
            for (sum, other) in sum.iter_mut().zip(&others) {
                sum.join(other)?;
            }
        }
        let calls: u64 = sum.iter().map(|tally| tally.calls).sum();
        let process_ns_per_call = cpu.as_nanos() as f64 / calls.max(1) as f64;
        Ok(sum.map(|tally| Measured { tally, process_ns_per_call }))
    }

    /// Without tokio's budget for a task: calls in a row are no more than one call each.
    fn on_runtime<T>(&self, work: impl Future<Output = T>) -> std::io::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(runtime.block_on(unconstrained(work)))
    }
}

struct Measured {
    tally: Tally,
    process_ns_per_call: f64,
}
