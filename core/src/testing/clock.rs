//! A clock whose wall time moves with tokio's.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::{Clock, Instant, SystemClock};

/// Both times move together under `tokio::time::pause` and `advance`: the monotonic one is tokio's, the wall's begins
/// at a fixed moment (2026-01-01) and goes on from there. Clones are the same clock.
///
/// ```
/// use herenow::{Clock, testing::ManualClock};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let clock = ManualClock::new();
/// let before = clock.utc();
/// tokio::time::advance(Duration::from_secs(3600)).await;
/// assert_eq!((clock.utc() - before).num_seconds(), 3600);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    began: Instant,
    start: Arc<Mutex<DateTime<Utc>>>,
}

impl ManualClock {
    /// When the wall's time begins: 2026-01-01T00:00:00Z, in seconds since 1970.
    const START: i64 = 1_767_225_600;

    /// A clock that begins now.
    pub fn new() -> Self {
        let start = DateTime::UNIX_EPOCH + TimeDelta::seconds(Self::START);
        Self { began: SystemClock.now(), start: Arc::new(Mutex::new(start)) }
    }

    /// Makes the wall's time jump, as a correction by NTP would; the monotonic time does not notice.
    pub fn jump(&self, by: TimeDelta) {
        *self.start.lock() += by;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn utc(&self) -> DateTime<Utc> {
        let elapsed = self.now().saturating_duration_since(self.began);
        *self.start.lock() + TimeDelta::from_std(elapsed).unwrap_or_default()
    }
}
