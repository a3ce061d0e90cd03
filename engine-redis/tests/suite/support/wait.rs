//! Waiting for what has to become true, and no longer than it may take.

use std::time::{Duration, Instant};

/// Looks again and again until it is true; returns how long that took.
///
/// # Panics
/// If it takes longer than it may.
#[allow(clippy::disallowed_methods)] // What is measured here is real time.
#[track_caller]
pub(crate) fn eventually(
    what: &str,
    at_most: Duration,
    mut is_true: impl FnMut() -> bool,
) -> impl Future<Output = Duration> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !is_true() {
            assert!(start.elapsed() < at_most, "{caller}: not within {at_most:?}: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    }
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
