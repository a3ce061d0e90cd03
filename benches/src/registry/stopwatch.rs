//! Wall time, processor time and latencies of calls.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// One call in so many is timed by itself: reading the clock costs as much as a fast call.
const SAMPLED: usize = 8;
/// Calls between two looks at the deadline.
const STRIDE: usize = 64;

/// In nanoseconds; what takes longer is counted as this.
const LONGEST: u64 = 60_000_000_000;

/// The clock of a measurement is the machine's own.
#[allow(clippy::disallowed_methods)]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Processor time of the whole process, with what works in the background.
pub(super) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// What calls of one kind cost one thread, or several.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) calls: u64,
    /// Calls that answered something wrong.
    pub(super) wrong: u64,
    per_second: f64,
    wall: Duration,
    cpu: Duration,
    latency: Histogram<u32>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            calls: 0,
            wrong: 0,
            per_second: 0.0,
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            latency: Histogram::new_with_max(LONGEST, 3)?,
        })
    }

    /// Calls for each number until they are over or the deadline has passed; returns how many calls that were.
    pub(super) async fn run(
        &mut self,
        numbers: impl IntoIterator<Item = usize>,
        deadline: Instant,
        call: impl AsyncFn(usize) -> bool,
    ) -> usize {
        let (began, cpu_before) = (now(), cpu(ClockId::ThreadCPUTime));
        let mut calls = 0;
        for number in numbers {
            if calls % STRIDE == 0 && calls > 0 && now() >= deadline {
                break;
            }
            let right = if calls % SAMPLED == 0 {
                let before = now();
                let right = call(number).await;
                self.latency.saturating_record(before.elapsed().as_nanos() as u64);
                right
            } else {
                call(number).await
            };
            self.wrong += u64::from(!right);
            calls += 1;
        }
        self.calls += calls as u64;
        self.wall += began.elapsed();
        self.cpu += cpu(ClockId::ThreadCPUTime) - cpu_before;
        self.per_second = self.calls as f64 / self.wall.as_secs_f64();
        calls
    }

    /// Makes each call when it is due, or as soon after that as may be, and times it from there; stops at the deadline.
    pub(super) async fn run_when_due(
        &mut self,
        due: impl IntoIterator<Item = (Instant, usize)>,
        deadline: Instant,
        call: impl AsyncFn(usize) -> bool,
    ) {
        for (due, number) in due {
            let mut time = now();
            while time < due {
                std::hint::spin_loop(); // A sleep would be late itself.
                time = now();
            }
            if time >= deadline {
                return;
            }
            self.wrong += u64::from(!call(number).await);
            self.latency.saturating_record(due.elapsed().as_nanos() as u64);
            self.calls += 1;
        }
    }

    /// Takes in what another thread did at the same time.
    pub(super) fn join(&mut self, other: &Self) -> Result<(), Box<dyn std::error::Error>> {
        self.calls += other.calls;
        self.wrong += other.wrong;
        self.per_second += other.per_second;
        self.cpu += other.cpu;
        self.latency.add(&other.latency)?;
        Ok(())
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    pub(super) fn cpu_ns_per_call(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.calls.max(1) as f64
    }

    pub(super) fn latency(&self) -> Latency {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64;
        Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.latency.max() as f64 }
    }
}

/// How long a call takes, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_and_wrong_answers_are_counted_and_threads_summed_up() {
        let far = now() + Duration::from_secs(3600);
        let mut tally = Tally::new().unwrap();
        assert_eq!(tally.run(0..100, far, async |n| n != 7).await, 100);
        let other = tally.clone();
        tally.join(&other).unwrap();
        assert_eq!((tally.calls, tally.wrong, tally.latency.len()), (200, 2, 26));
    }

    #[tokio::test]
    async fn what_comes_too_late_is_as_long_as_it_waited() {
        let mut tally = Tally::new().unwrap();
        let (long_ago, far) = (now() - Duration::from_secs(1), now() + Duration::from_secs(3600));
        tally.run_when_due([(long_ago, 0), (long_ago, 1)], far, async |_| true).await;
        assert_eq!(tally.calls, 2);
        assert!(tally.latency().p50 >= 0.99e9, "{:?}", tally.latency());
    }

    #[tokio::test]
    async fn a_deadline_ends_what_would_never_end() {
        let mut tally = Tally::new().unwrap();
        tally.run(std::iter::repeat(0), now(), async |_| true).await;
        assert_eq!(tally.calls, STRIDE as u64);
    }
}
