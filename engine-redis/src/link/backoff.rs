//! [`Backoff`]: how long to wait before the next attempt to connect.

use std::time::Duration;

/// The first attempt comes at once, the next ones after up to 50 ms, 100 ms, ... and never more than 800 ms, or a quarter
/// of the lease: what waits for Redis waits for this too. Half of each wait is random, so that nodes do not come all at
/// once.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempts: u32,
    longest: Duration,
}

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(800);

impl Backoff {
    /// For a node whose lease is over after so long.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { attempts: 0, longest: LONGEST.min(lease / 4) }
    }

    /// Waits as long as it is time to. Cancel safe: a wait that was cut short counts as one.
    pub(crate) async fn wait(&mut self) {
        let mut byte = [0];
        // Without randomness the nodes come at once, and that is all.
        let random = getrandom::fill(&mut byte).map_or(1.0, |()| f64::from(byte[0]) / 255.0);
        let wait = self.next(random);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// It worked: the next loss is a new one.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    fn next(&mut self, random: f64) -> Duration {
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        match attempt {
            0 => Duration::ZERO,
            attempt => (FIRST * (1 << attempt.min(5)) / 2).min(self.longest).mul_f64(0.5 + random / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(6));
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 800, 800]);
        assert_eq!(backoff.next(0.0).as_millis(), 400);
        backoff.reset();
        assert!(backoff.next(1.0).is_zero());
        let mut short = Backoff::new(Duration::from_millis(600));
        assert_eq!((0..4).map(|_| short.next(1.0).as_millis()).collect::<Vec<_>>(), [0, 50, 100, 150]);
    }
}
