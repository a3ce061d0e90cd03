//! Seats under a login policy. The policy decides here, and Redis takes the decision only if what it was made of is still
//! true: so it holds for all nodes, and there is one policy.

use herenow::{
    ConnectionId, UserKey,
    auth::TokenId,
    cluster::EngineError,
    policy::{Decision, LoginPolicy, Seat},
};
use redis::Value;
use serde::{Deserialize, Serialize};

use super::{Directory, dirty::SeatChange, living::Living, scripts::SWAP};
use crate::{
    keys::{Keys, user_field},
    lease::LeaseId,
};

/// A seat as it stands in Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    lease: String,
    connection: ConnectionId,
    token: TokenId,
    #[serde(default)]
    device: String,
}

impl Stored {
    fn lease(&self) -> Option<LeaseId> {
        u32::from_str_radix(&self.lease, 16).ok().map(u32::to_be_bytes)
    }
}

/// So often a decision is made anew before somebody else has to.
const ATTEMPTS: usize = 100;

impl Directory {
    /// Decides on a seat, and takes it. Usually one round trip: the first guess is that nobody else has one.
    pub(crate) async fn admit(
        &self,
        user: &UserKey,
        policy: &LoginPolicy,
        seat: Seat,
    ) -> Result<Decision, EngineError> {
        self.flush().await?;
        let (key, field) = (self.keys.seats(Keys::user_tag(user)), user_field(user));
        let mut known: Vec<u8> = Vec::new();
        for _ in 0..ATTEMPTS {
            let taken: Vec<Stored> = serde_json::from_slice(&known).unwrap_or_default();
            // Of a node that lives no seat may be overlooked.
            let leases: Vec<LeaseId> = taken.iter().filter_map(Stored::lease).collect();
            let living = self.living_now(&leases).await?;
            let (decision, next) = self.decide(taken, &living, policy, &seat);
            if decision == Decision::Refused && !known.is_empty() {
                return Ok(decision);
            }
            let answer: Value = self.link.run(SWAP.call(&[&key], (&field, &known, &next))).await?;
            match answer {
                Value::BulkString(other) => known = other,
                _ => return Ok(decision),
            }
        }
        Err(EngineError::Unavailable("too many logins of one user at once".into()))
    }

    /// The decision, and the seats after it.
    fn decide(
        &self,
        mut taken: Vec<Stored>,
        living: &Living,
        policy: &LoginPolicy,
        seat: &Seat,
    ) -> (Decision, Vec<u8>) {
        taken.retain(|stored| {
            stored.connection != seat.connection && stored.lease().is_some_and(|lease| living.has(lease))
        });
        let seats: Vec<Seat> = taken
            .iter()
            .map(|stored| Seat::new(stored.connection, stored.token, stored.device.as_str()))
            .collect();
        let decision = policy.decide(&seats, seat);
        if decision != Decision::Refused {
            let Seat { connection, token, device, .. } = seat.clone();
            let lease = format!("{:08x}", u32::from_be_bytes(self.cluster.me()));
            taken.push(Stored { lease, connection, token, device: device.to_string() });
        }
        let next = if taken.is_empty() { Vec::new() } else { serde_json::to_vec(&taken).unwrap_or_default() };
        (decision, next)
    }

    /// Gives a seat back. Never waits.
    pub(crate) fn release(&self, user: &UserKey, connection: ConnectionId) {
        self.change_seat(SeatChange { user: user.clone(), connection, token: None });
    }

    /// The seat goes by another token from now on. Never waits.
    pub(crate) fn reseat(&self, user: &UserKey, connection: ConnectionId, token: TokenId) {
        self.change_seat(SeatChange { user: user.clone(), connection, token: Some(token) });
    }
}
