//! Which leases count: those that held at this node's last beat, its own, and those that were asked for since. A node that
//! has just registered is known by the next beat only, and its users are there at once.

use std::{collections::HashSet, sync::Arc};

use herenow::Instant;
use redis::FromRedisValue;

use super::Directory;
use crate::{
    error::Unavailable,
    lease::{LeaseId, Live},
};

/// Leases that nobody knows are asked for no more often than this.
const PACE: std::time::Duration = std::time::Duration::from_millis(20);

/// What was asked last.
#[derive(Debug, Default)]
pub(super) struct Asked {
    live: HashSet<LeaseId>,
    at: Option<Instant>,
}

/// The leases that count.
pub(super) struct Living {
    me: LeaseId,
    live: Arc<Live>,
    also: HashSet<LeaseId>,
}

impl Living {
    pub(super) fn has(&self, lease: LeaseId) -> bool {
        lease == self.me || self.live.has(lease) || self.also.contains(&lease)
    }
}

impl Directory {
    /// As far as is known.
    pub(super) fn living(&self) -> Living {
        let (live, me, now) = (self.cluster.live(), self.cluster.me(), self.now());
        let asked = self.asked.lock();
        let is_fresh =
            asked.at.is_some_and(|at| now.saturating_duration_since(at) < self.cluster.lease_time());
        let also = if is_fresh { asked.live.clone() } else { HashSet::new() };
        Living { me, live, also }
    }

    /// The same, once these are known: one that is not is asked for.
    pub(super) async fn living_of(
        &self,
        mut leases: impl Iterator<Item = LeaseId>,
    ) -> Result<Living, Unavailable> {
        let living = self.living();
        if leases.any(|lease| !living.has(lease)) && self.may_ask() {
            self.ask_who_lives().await?;
        }
        Ok(self.living())
    }

    /// The same for what has to be right: whoever registered before this call is known.
    pub(super) async fn living_now(&self, leases: &[LeaseId]) -> Result<Living, Unavailable> {
        let living = self.living();
        if leases.iter().any(|lease| !living.has(*lease)) {
            self.ask_who_lives().await?;
        }
        Ok(self.living())
    }

    /// Dead leases stand in the directory until they are reaped: they are not asked for each time.
    fn may_ask(&self) -> bool {
        let now = self.now();
        self.asked.lock().at.is_none_or(|at| now.saturating_duration_since(at) >= PACE)
    }

    async fn ask_who_lives(&self) -> Result<(), Unavailable> {
        let at = self.now();
        let (time, mut nodes) = (redis::cmd("TIME"), redis::cmd("ZRANGE"));
        nodes.arg(self.keys.nodes()).arg(0).arg(-1).arg("WITHSCORES");
        let mut answers = self.link.run_all(vec![time.into(), nodes.into()]).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Err(Unavailable::Down));
        let (time, nodes) = (next()?, next()?);
        let refused = |error: redis::ParsingError| Unavailable::Refused(error.to_string());
        let (seconds, micros) = <(u64, u64)>::from_redis_value(time).map_err(refused)?;
        let now = (seconds * 1000 + micros / 1000) as f64;
        let nodes = Vec::<(Vec<u8>, f64)>::from_redis_value(nodes).map_err(refused)?;
        let live = nodes.iter().filter(|(_, until)| *until > now);
        let live = live.filter_map(|(member, _)| member.first_chunk::<4>().copied()).collect();
        *self.asked.lock() = Asked { live, at: Some(at) };
        Ok(())
    }
}
