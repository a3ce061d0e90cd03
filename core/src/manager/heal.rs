//! After the engine was down: what this node could not hear is asked for, before it is relied on again.
//!
//! Kicks it did not hear of are carried out, on hand marks too, and sessions that it admitted alone take their seats;
//! whoever is too much gives way.

use std::sync::{Arc, atomic::Ordering};

use super::{
    inner::Inner,
    seats::seat_of,
    shutdown::{BATCH, BREATH},
};
use crate::{
    Close, Instant,
    clock::later,
    cluster::Health,
    connection::{Conn, Connection},
    kick,
    policy::Decision,
};

/// Watches the engine, from the first connection on; ends with the manager.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.engine.is_clustered() {
        return;
    }
    let (weak, mut health) = (Arc::downgrade(inner), inner.engine.health());
    inner.room.spawn(async move {
        // When connections are closed that were without it for too long.
        let mut due = None;
        if let Some(inner) = weak.upgrade()
            && *health.borrow() == Health::Down
        {
            due = inner.without_engine();
        }
        loop {
            let too_long = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let is_due = tokio::select! {
                changed = health.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                () = too_long => true,
            };
            let Some(inner) = weak.upgrade() else { return };
            if is_due {
                due = None;
                inner.close_all_without_engine().await;
                continue;
            }
            // A short outage may have come and gone unseen: whatever changed, if it is up now it is up again.
            let now = *health.borrow_and_update();
            match now {
                Health::Up => {
                    due = None;
                    inner.is_cut_off.store(false, Ordering::Release);
                    inner.healed().await;
                }
                Health::Down => {
                    due = due.or_else(|| inner.without_engine());
                    inner.show_own();
                }
                Health::Degraded => {
                    due = None;
                    inner.is_cut_off.store(false, Ordering::Release);
                }
            }
        }
    });
}

impl Inner {
    /// Until when connections are kept, from now on.
    fn without_engine(&self) -> Option<Instant> {
        self.config.close_without_engine.map(|after| later(self.clock.now(), after))
    }

    /// Nobody could tell this node of a kick-out for too long.
    async fn close_all_without_engine(self: &Arc<Self>) {
        self.is_cut_off.store(true, Ordering::Release);
        tracing::warn!("the engine has been down for too long; closing all connections until it is back");
        let mut here = self.everybody_here();
        here.retain(|(conn, _)| conn.is_socket());
        for batch in here.chunks(BATCH) {
            if self.engine_health() != Health::Down {
                return; // The rest has nothing to fear any more.
            }
            for (conn, _) in batch {
                Connection { inner: self.clone(), conn: conn.clone() }.close(Close::OVERLOADED);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Who watches on this node is told of those who are on it.
    fn show_own(&self) {
        self.channels.show_own();
        for user in self.mine.watching.users() {
            self.mine.is_here(&user, self.registry.status(&user), self.clock.utc());
        }
    }

    async fn healed(self: &Arc<Self>) {
        for (conn, present) in self.everybody_here() {
            let identity = conn.identity();
            if let Some(denial) = self.denied_by_cluster(&identity).await {
                kick::carry_out(self, &conn, denial);
            } else if present && !self.config.login_policy.is_unlimited() {
                self.take_seat_again(&conn).await;
            }
        }
    }

    /// Every registered connection, and whether it is present: one that is not may have no seat yet, and would not
    /// give it back.
    fn everybody_here(&self) -> Vec<(Arc<Conn>, bool)> {
        let mut all = Vec::new();
        self.registry.for_each(|_, state| {
            all.extend(state.members().iter().map(|member| (member.conn.clone(), member.is_present())));
        });
        all
    }

    async fn take_seat_again(self: &Arc<Self>, conn: &Arc<Conn>) {
        let decision = self.ask_seat(conn.user(), &seat_of(conn)).await;
        if !self.is_here(conn) {
            // It ended meanwhile and gave back what it had then; what was taken since, only we know of.
            return self.release_seat(conn.user(), conn.id);
        }
        match decision {
            Ok(Decision::Replace(connections)) => kick::close_replaced(self, conn.user(), connections),
            Ok(Decision::Refused) => kick::close_replaced(self, conn.user(), vec![conn.id]),
            _ => {}
        }
    }

    fn is_here(&self, conn: &Conn) -> bool {
        self.registry.read(conn.user(), |state| {
            state.is_some_and(|state| state.members().iter().any(|member| member.conn.id == conn.id))
        })
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::{
        Marked, Refused,
        manager::hand::tests::session,
        policy::{LoginPolicy, OnLimit},
        testing,
    };

    #[tokio::test(start_paused = true)]
    async fn who_ended_before_its_turn_came_keeps_no_seat() {
        let policy = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
        let online = testing::builder().login_policy(policy).build().unwrap();
        assert_eq!(online.mark_online(session("u1", "t1")).await, Marked::Online);
        let refused = online.mark_online(session("u1", "t2")).await;
        assert_eq!(refused, Marked::Refused(Refused::TooManyDevices));
        let everybody = online.inner().everybody_here();
        online.mark_offline_all("u1").await;
        for (conn, _) in everybody {
            online.inner().take_seat_again(&conn).await;
        }
        assert_eq!(online.mark_online(session("u1", "t2")).await, Marked::Online);
    }
}
