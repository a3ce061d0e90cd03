//! Where the time comes from: one trait, so that tests can pause and move it.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
pub use tokio::time::Instant;

/// A moment after another one; too far off for the clock, a hundred years after it.
pub(crate) fn later(at: Instant, time: Duration) -> Instant {
    at.checked_add(time).unwrap_or(at + Duration::from_secs(100 * 366 * 86_400))
}

/// The source of both times herenow uses: a monotonic one for every deadline, and the wall's for what is shown
/// and for token expiry.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Monotonic time: heartbeats, deadlines, grace.
    fn now(&self) -> Instant;

    /// Wall time: timestamps, `exp` of a token. It may jump; nothing is timed by it.
    fn utc(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn utc(&self) -> DateTime<Utc> {
        (**self).utc()
    }
}

/// The machine's own clocks; the default. Its monotonic time is tokio's, so it stands still in a test that paused
/// the runtime.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // A unit: there is nothing to add.
pub struct SystemClock;

#[allow(clippy::disallowed_methods)] // The one place that may read them.
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
