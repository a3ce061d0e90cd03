//! The end: refuse what is new, let what was taken go out, say when to come back, close.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use super::inner::Inner;
use crate::{
    Cause, Close,
    clock::later,
    cluster::Leave,
    connection::{Conn, Parting, farewell},
    presence::EndsGrace,
    report::ShutdownReport,
    resume,
};

/// Connections told at once; the next batch follows after a breath, so that their reconnects do too.
pub(super) const BATCH: usize = 500;
pub(super) const BREATH: Duration = Duration::from_millis(20);
/// What tasks may take beyond the deadline to notice that their sockets are cut.
const LAST: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(1);
/// Over how long the clients' reconnects are spread.
const SPREAD: Duration = Duration::from_secs(5);

impl Inner {
    /// Drains this node; every connection is closed or cut when it returns, at the latest after `deadline`.
    pub(crate) async fn shut_down(self: &Arc<Self>, deadline: Duration) -> ShutdownReport {
        self.closing.store(true, Ordering::Release);
        let end = later(self.clock.now(), deadline);
        self.leave_streams(end).await;
        self.give_up_all();
        // What lanes were given before is written before the goodbye: it was accepted.
        self.lanes.quiet(end, &*self.clock).await;
        let conns = self.lanes.all();
        let mut report = ShutdownReport { connections: conns.len(), ..ShutdownReport::default() };
        for (index, batch) in conns.chunks(BATCH).enumerate() {
            if index > 0 && self.clock.now() + BREATH < end {
                tokio::time::sleep(BREATH).await;
            }
            batch.iter().for_each(|conn| self.drain(conn, end));
        }
        self.cut_at(&conns, end, &mut report).await;
        let last = later(end, LAST);
        self.gone(last).await;
        self.give_up_all(); // What parted before the node began to close.
        let lingers = self.engine.is_clustered() && !self.config.grace.is_zero();
        self.end_marks(lingers);
        let leave = if lingers { Leave::Linger(self.config.grace) } else { Leave::Now };
        let left = end.saturating_duration_since(self.clock.now()).max(LAST);
        let _ =
            tokio::time::timeout(left.min(self.config.engine_deadline), self.engine.shutdown(leave)).await;
        self.gone(last).await;
        self.room.close();
        report
    }

    /// Clients that may come back to another node find there what they missed; what is pushed to them from now on is kept
    /// by the engine. For as long as they are not told offline: afterwards nothing is routed to them any more.
    async fn leave_streams(self: &Arc<Self>, end: crate::Instant) {
        let keep = self.config.grace.min(self.config.bounds.resume.time);
        if !self.engine.is_clustered() || keep.is_zero() {
            return;
        }
        let left = end.saturating_duration_since(self.clock.now());
        let retired =
            tokio::time::timeout(self.config.engine_deadline.min(left), self.engine.retire(keep + left));
        if let Ok(Ok(())) = retired.await {
            self.lanes.quiet(end, &*self.clock).await;
            resume::leave_streams(self, keep + left, end).await;
        }
    }

    /// Waits until every connection's task, every `on_disconnect` and every record for a store is done, or until `end`.
    async fn gone(&self, end: crate::Instant) {
        let busy = || self.places.load(Ordering::Acquire) > 0 || self.mine.busy.running() > 0;
        while busy() && self.clock.now() < end {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Elsewhere they are taken for online during the grace period, if there is one: they are asked to be back in half of it.
    fn spread(&self) -> Duration {
        let is_kept = self.engine.is_clustered() && !self.config.grace.is_zero();
        if is_kept { SPREAD.min(self.config.grace / 2) } else { SPREAD }
    }

    fn drain(&self, conn: &Conn, end: crate::Instant) {
        let delay = self.spread().mul_f64(fraction(conn));
        conn.close(Close::DRAIN, farewell::drain(conn.mode, delay), true, end, self.clock.now());
    }

    async fn cut_at(&self, conns: &[Arc<Conn>], end: crate::Instant, report: &mut ShutdownReport) {
        let left = end.saturating_duration_since(self.clock.now());
        let parting = Parting::of(conns, left).await;
        report.closed += parting.closed;
        report.aborted += parting.aborted;
        report.lingering += parting.lingering;
    }

    /// Nobody is online on a node that is gone. In a cluster whose engine keeps them for the grace period, those whose
    /// sockets were closed are not told offline: they come back elsewhere.
    fn end_marks(&self, lingers: bool) {
        let mut users = Vec::new();
        self.registry.for_each(|user, _| users.push(user.clone()));
        for user in users {
            let ends = if lingers { EndsGrace::No } else { EndsGrace::Any };
            let (taken, diff) =
                self.registry.take(&user, Cause::Shutdown, self.clock.utc(), &ends, |member| {
                    !lingers || !member.conn.is_socket()
                });
            taken.iter().for_each(|member| self.release_seat(&user, member.conn.id));
            self.after(diff);
        }
    }
}

/// A fraction of its own for each connection, without a random generator.
fn fraction(conn: &Conn) -> f64 {
    let place = conn.id.place().map_or(0, |place| place.slot.wrapping_mul(0x9E37_79B9));
    f64::from(place) / f64::from(u32::MAX)
}
