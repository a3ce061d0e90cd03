//! Waiting for what has to become true, and no longer than it may take.

use std::time::{Duration, Instant};

/// From one look to the next.
const PACE: Duration = Duration::from_millis(5);

/// Looks again and again until it is true; returns how long that took.
///
/// # Panics
/// If it takes longer than it may.
#[track_caller]
pub(crate) fn eventually(
    what: &str,
    at_most: Duration,
    mut is_true: impl FnMut() -> bool,
) -> impl Future<Output = Duration> {
    until(what, at_most, async move || if is_true() { Ok(()) } else { Err(String::new()) })
}

/// The same of what has to be asked for, and what was seen in its place.
#[allow(clippy::disallowed_methods)] // What is measured here is real time.
#[track_caller]
pub(crate) fn until(
    what: &str,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> Result<(), String>,
) -> impl Future<Output = Duration> {
    let caller = std::panic::Location::caller();
    async move {
        let (start, mut looks) = (Instant::now(), tokio::time::interval(PACE));
        while let Err(seen) = look().await {
            assert!(start.elapsed() < at_most, "{caller}: not within {at_most:?}: {what}; {seen}");
            looks.tick().await;
        }
        start.elapsed()
    }
}

/// A failure lasts until this is true of how long it has: longer on a machine that is busy, and never shorter.
pub(crate) async fn lasts(time: Duration) {
    let start = herenow::Clock::now(&herenow::SystemClock);
    let now = || herenow::Clock::now(&herenow::SystemClock);
    eventually("time passes", time * 10, || now() >= start + time).await;
}

/// Waits for a future; returns what it yields.
///
/// # Panics
/// If it takes longer than it may.
#[track_caller]
pub(crate) fn within<F: Future>(what: &str, at_most: Duration, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(at_most, future).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: not within {at_most:?}: {what}"),
        }
    }
}
