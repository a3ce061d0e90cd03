//! How often a client may do something.

/// How many seconds of its rate a client may spend at once.
const BURST_SECONDS: u64 = 2;

/// A token bucket in one number: the time at which the client would have earned all it has taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate(u64);

impl Rate {
    /// Takes one at `now`, in nanoseconds since the connection began; `false` where that is too many. A rate of zero
    /// is no limit.
    pub(crate) fn take(&mut self, per_second: u32, now: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        if per_second == 0 {
            return true;
        }
        let earned = self.0.max(now).saturating_add(SECOND / u64::from(per_second));
        let fits = earned <= now.saturating_add(BURST_SECONDS * SECOND);
        if fits {
            self.0 = earned;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn twice_the_rate_passes_at_once_and_then_the_rate() {
        let mut rate = Rate::default();
        assert_eq!((0..100).filter(|_| rate.take(10, 0)).count(), 20);
        assert_eq!((0..100).filter(|_| rate.take(10, SECOND)).count(), 10);
        assert_eq!((0..100).filter(|_| rate.take(10, 60 * SECOND)).count(), 20);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut rate = Rate::default();
        assert!((0..10_000).all(|_| rate.take(0, 0)));
    }
}
