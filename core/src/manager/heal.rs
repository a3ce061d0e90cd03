//! After the engine was down: what this node could not hear is asked for, before it is relied on again.
//!
//! Kicks it did not hear of are carried out, and sessions that it admitted alone take their seats; whoever is too much
//! gives way.

use std::sync::Arc;

use super::inner::Inner;
use crate::{
    cluster::Health,
    connection::Conn,
    kick,
    policy::{Decision, Seat},
};

/// Watches the engine, from the first connection on; ends with the manager.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.engine.is_clustered() {
        return;
    }
    let (weak, mut health) = (Arc::downgrade(inner), inner.engine.health());
    inner.room.spawn(async move {
        while health.changed().await.is_ok() {
            // A short outage may have come and gone unseen: whatever changed, if it is up now it is up again.
            let up = *health.borrow_and_update() == Health::Up;
            let Some(inner) = weak.upgrade() else { return };
            if up {
                inner.healed().await;
            }
        }
    });
}

impl Inner {
    async fn healed(self: &Arc<Self>) {
        for conn in self.lanes.all() {
            let identity = conn.identity();
            if let Some(denial) = self.denied_by_cluster(&identity).await {
                kick::carry_out(self, &conn, denial);
            } else if !self.config.login_policy.is_unlimited() {
                self.take_seat_again(&conn).await;
            }
        }
    }

    async fn take_seat_again(self: &Arc<Self>, conn: &Arc<Conn>) {
        let identity = conn.identity();
        let seat = Seat::new(conn.id, identity.token_id, identity.device_label());
        let admit = self.engine.admit(conn.user(), &self.config.login_policy, seat);
        match tokio::time::timeout(self.config.engine_deadline, admit).await {
            Ok(Ok(Decision::Replace(connections))) => kick::close_replaced(self, conn.user(), connections),
            Ok(Ok(Decision::Refused)) => kick::close_replaced(self, conn.user(), vec![conn.id]),
            _ => {}
        }
    }
}
