//! How much is done.

use std::time::Duration;

/// Counts of everything.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Connections that broadcasts go to.
    pub(crate) connections: usize,
    /// Broadcasts of each size, one at a time. A multiple of 16, after which our client acknowledges.
    pub(crate) rounds: usize,
    /// Bursts of 20.
    pub(crate) bursts: usize,
    /// Pushes to each user. A multiple of 16, as `rounds`.
    pub(crate) pushes: usize,
    /// Connections that are asked whether they live.
    pub(crate) idle: usize,
    /// Between two questions; 0: as the design has it.
    pub(crate) heartbeat_ms: u64,
    /// How long idle connections are watched, after the first time they were asked.
    pub(crate) watched: Duration,
    /// Connections that come and go.
    pub(crate) churned: usize,
    /// Times a user joins a channel of a thousand, and leaves it.
    pub(crate) joins: usize,
    /// Users who are kicked out.
    pub(crate) kicked: usize,
    /// Connections of which a tenth stops reading.
    pub(crate) readers: usize,
    /// Broadcasts while it does not: more than our outbox takes (1,024).
    pub(crate) paced: usize,
    /// Between two of them.
    pub(crate) pace: Duration,
}

impl Scale {
    /// For the table.
    pub(crate) fn full() -> Self {
        Self {
            connections: 10_000,
            rounds: 16,
            bursts: 3,
            pushes: 16,
            idle: 19_500,
            heartbeat_ms: 0,
            watched: Duration::from_secs(60),
            churned: 50_000,
            joins: 20,
            kicked: 10_000,
            readers: 500,
            paced: 1_600,
            pace: Duration::from_millis(10),
        }
    }

    /// For a look.
    pub(crate) fn quick() -> Self {
        Self {
            connections: 4_000,
            rounds: 16,
            bursts: 3,
            pushes: 16,
            idle: 4_000,
            heartbeat_ms: 2_000,
            watched: Duration::from_secs(6),
            churned: 5_000,
            joins: 5,
            kicked: 2_000,
            readers: 200,
            paced: 1_600,
            pace: Duration::from_millis(5),
        }
    }
}
