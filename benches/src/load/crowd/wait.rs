//! Waiting for what a server was asked to send: with bounded patience, and never content with less.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Crowd;
use crate::load::{Error, client::Stage, clock::now};

/// Whoever waits looks up at least so often.
const TICK: Duration = Duration::from_millis(20);

/// The longest wait for anything: a server that serves one after the other gets on for ever while one of them is slow.
const IN_ALL: Duration = Duration::from_secs(120);

impl Crowd {
    /// Counts of a round begin anew.
    pub(crate) fn begin(&mut self) {
        self.wire.round = 0;
        self.wire.ordered.clear();
        for client in &mut self.clients {
            (client.deliveries, client.feed) = (0, 0);
        }
    }

    /// From now on, latencies are counted from [`Crowd::ordered`] to each delivery that is read.
    pub(crate) fn time_deliveries(&mut self) {
        self.begin();
        self.wire.latency.reset();
    }

    /// A message was ordered at this moment: each connection gets them in that order.
    pub(crate) fn ordered(&mut self, at: Instant) {
        self.wire.ordered.push(at);
    }

    /// Latencies in microseconds.
    pub(crate) fn latency(&self) -> &Histogram<u64> {
        &self.wire.latency
    }

    /// Reads and answers for so long.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<(), Error> {
        let end = now() + time;
        loop {
            let left = end.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left)?;
        }
    }

    /// Waits until `is_done` says so, for as long as anything comes at all, and never for longer than [`IN_ALL`]; then `what`
    /// says what is missing.
    pub(crate) fn wait<T>(
        &mut self,
        patience: Duration,
        mut is_done: impl FnMut(&Self) -> Option<T>,
        what: impl FnOnce(&Self) -> String,
    ) -> Result<T, Error> {
        let mut seen = self.progress();
        let (begun, mut since) = (now(), now());
        loop {
            if let Some(done) = is_done(self) {
                return Ok(done);
            }
            self.turn(TICK)?;
            if begun.elapsed() > IN_ALL {
                let (what, closed) = (what(self), self.closed());
                return Err(format!("{what} within {IN_ALL:?} ({closed})").into());
            }
            let progress = self.progress();
            if progress != seen {
                (seen, since) = (progress, now());
            } else if since.elapsed() > patience {
                let refusal = self.wire.tally.refusal.as_deref().map(|text| format!("; refused: {text}"));
                let (what, closed) = (what(self), self.closed());
                let refusal = refusal.unwrap_or_default();
                return Err(format!("{what}, and nothing more for {patience:?} ({closed}{refusal})").into());
            }
        }
    }

    fn progress(&self) -> (u64, usize, usize) {
        let tally = &self.wire.tally;
        let frames = tally.deliveries + tally.events + tally.amounts + tally.lists + tally.replies;
        (frames, tally.ended(), self.on_the_way)
    }

    /// Waits until `total` messages were delivered since the round began, to whomever.
    pub(crate) fn expect(&mut self, total: u64, patience: Duration) -> Result<(), Error> {
        let is_done = |crowd: &Self| (crowd.wire.round >= total).then_some(crowd.wire.round);
        let came =
            self.wait(patience, is_done, |crowd| format!("{} of {total} deliveries came", crowd.wire.round))?;
        if came == total {
            return Ok(());
        }
        Err(format!("{came} deliveries came, which are more than the {total} that were ordered").into())
    }

    /// Waits until each connection that reads was delivered so many since the round began.
    pub(crate) fn expect_each(&mut self, each: usize, patience: Duration) -> Result<u64, Error> {
        let readers = self.clients.iter().filter(|client| client.stage == Stage::Ready && client.is_reading);
        let total = readers.count() as u64 * each as u64;
        self.expect(total, patience)?;
        let is_off = |client: &&super::Client| client.is_reading && client.deliveries != each;
        match self.clients.iter().filter(|client| client.stage == Stage::Ready).filter(is_off).count() {
            0 => Ok(total),
            off => Err(format!("{off} connections were delivered another number than {each}").into()),
        }
    }

    /// Waits until `so_many` requests since `before` were answered.
    pub(crate) fn expect_replies(
        &mut self,
        before: u64,
        so_many: usize,
        patience: Duration,
    ) -> Result<(), Error> {
        let so_many = so_many as u64;
        self.wait(
            patience,
            |crowd| (crowd.wire.tally.replies - before >= so_many).then_some(()),
            |crowd| format!("{} of {so_many} requests were answered", crowd.wire.tally.replies - before),
        )
    }

    /// Waits until these connections were told of presence so often, all together, since the round began.
    pub(crate) fn expect_feed(&mut self, whom: usize, frames: u64, patience: Duration) -> Result<(), Error> {
        self.wait(
            patience,
            |crowd| (crowd.feed_of(whom) >= frames).then_some(()),
            |crowd| format!("{} of {frames} frames of presence came", crowd.feed_of(whom)),
        )
    }

    /// Frames of presence that the first so many connections got since the round began.
    pub(crate) fn feed_of(&self, whom: usize) -> u64 {
        self.clients.iter().take(whom).map(|client| u64::from(client.feed)).sum()
    }

    /// Waits until so many connections ended.
    pub(crate) fn expect_ends(&mut self, so_many: usize, patience: Duration) -> Result<(), Error> {
        self.wait(
            patience,
            |crowd| (crowd.wire.tally.ended() >= so_many).then_some(()),
            |crowd| format!("{} of {so_many} connections were ended", crowd.wire.tally.ended()),
        )
    }
}
