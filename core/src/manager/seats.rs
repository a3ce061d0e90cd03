//! Seats under the login policy: asked of the engine, or decided by what is on this node, where the engine is away.

use std::sync::atomic::Ordering;

use super::inner::Inner;
use crate::{
    Refused, UserKey,
    cluster::{EngineError, Health, OnEngineDown},
    connection::{Conn, ConnectionId},
    policy::{Decision, Seat},
};

impl Inner {
    /// Refuses where nobody is let in while the engine is down, or down for too long, and it is.
    pub(crate) fn engine_allows(&self) -> Result<(), Refused> {
        let may_refuse =
            self.config.on_engine_down == OnEngineDown::Refuse503 || self.is_cut_off.load(Ordering::Acquire);
        let refuses = may_refuse && self.engine_health() == Health::Down;
        if refuses { Err(Refused::Unavailable) } else { Ok(()) }
    }

    /// Who gives way for it, if it is let in.
    pub(crate) async fn take_seat(&self, user: &UserKey, seat: &Seat) -> Result<Vec<ConnectionId>, Refused> {
        let decision = match (self.ask_seat(user, seat).await, self.config.on_engine_down) {
            (Ok(decision), _) => decision,
            (Err(_), OnEngineDown::Refuse503) => return Err(Refused::Unavailable),
            (Err(_), OnEngineDown::AdmitLocally) => self.decide_alone(user, seat),
        };
        match decision {
            Decision::Admitted => Ok(Vec::new()),
            Decision::Replace(connections) => Ok(connections),
            Decision::Refused => Err(Refused::TooManyDevices),
        }
    }

    pub(super) async fn ask_seat(&self, user: &UserKey, seat: &Seat) -> Result<Decision, EngineError> {
        self.in_time(self.engine.admit(user, &self.config.login_policy, seat.clone())).await
    }

    /// Without the engine the node's own connections are all it knows.
    fn decide_alone(&self, user: &UserKey, seat: &Seat) -> Decision {
        let taken: Vec<Seat> = self.registry.read(user, |state| {
            let members = state.map(|state| state.members()).unwrap_or_default();
            let others =
                members.iter().filter(|member| member.conn.id != seat.connection && !member.is_parked());
            others.map(|member| seat_of(&member.conn)).collect()
        });
        self.config.login_policy.decide(&taken, seat)
    }

    /// Gives the seat of a connection back before its guard does, so that a kicked user's place is free at once.
    pub(crate) fn release_seat(&self, user: &UserKey, id: ConnectionId) {
        if !self.config.login_policy.is_unlimited() {
            self.engine.release(user, id);
        }
    }
}

/// The seat that a connection has, or is to have.
pub(super) fn seat_of(conn: &Conn) -> Seat {
    let identity = conn.identity();
    Seat::new(conn.id, identity.token_id, identity.device_label())
}
