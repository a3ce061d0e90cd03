//! Hand marks that nobody hears of any more: looked for in passes over all users, so that a mark itself costs no
//! timer. Sockets watch themselves.

use std::{sync::Arc, sync::Weak, time::Duration};

use super::inner::Inner;
use crate::{Cause, connection::Conn};

/// A mark is found at most this part of its time late.
const PRECISION: u32 = 64;
const SHORTEST_PASS: Duration = Duration::from_millis(100);

/// Starts the passes, with the first hand mark; they end with the manager.
pub(super) fn start(inner: &Arc<Inner>) {
    let idle = Some(inner.config.rules.timing.idle_after).filter(|idle| !idle.is_zero());
    let Some(shortest) = [idle, inner.config.hand_ttl].into_iter().flatten().min() else { return };
    let (weak, pause) = (Arc::downgrade(inner), (shortest / PRECISION).max(SHORTEST_PASS));
    inner.room.spawn(run(weak, pause));
}

async fn run(weak: Weak<Inner>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(inner) = weak.upgrade() else { return };
        inner.sweep_hand_marks().await;
    }
}

impl Inner {
    async fn sweep_hand_marks(&self) {
        for stripe in 0..crate::presence::STRIPES {
            for conn in self.silent_in(stripe) {
                self.end_or_idle(&conn);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Hand marks of a stripe that were silent for long enough to look at.
    fn silent_in(&self, stripe: usize) -> Vec<Arc<Conn>> {
        let mut silent = Vec::new();
        self.registry.for_each_in(stripe, |_, state| {
            let hands = state.present().filter(|member| !member.conn.is_socket());
            let due = hands.filter(|member| {
                self.is_old(&member.conn) || (!member.is_idle() && self.is_silent(&member.conn))
            });
            silent.extend(due.map(|member| member.conn.clone()));
        });
        silent
    }

    fn end_or_idle(&self, conn: &Arc<Conn>) {
        if !self.is_old(conn) {
            return self.set_idle(conn, true);
        }
        let (_, diff, _) = self.registry.remove(conn, None, Cause::Timeout, self.clock.utc(), false);
        self.release_seat(conn.user(), conn.id);
        self.after(diff);
    }

    fn is_silent(&self, conn: &Conn) -> bool {
        let idle = self.config.rules.timing.idle_after;
        !idle.is_zero() && self.silence(conn) >= idle
    }

    fn is_old(&self, conn: &Conn) -> bool {
        self.config.hand_ttl.is_some_and(|ttl| self.silence(conn) >= ttl)
    }

    fn silence(&self, conn: &Conn) -> Duration {
        self.clock.now().saturating_duration_since(self.last_activity(conn))
    }
}
