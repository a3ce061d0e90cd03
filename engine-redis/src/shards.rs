//! [`Shards`]: which of several Redis holds what, and questions that concern all of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::{join_all, try_join_all};
use herenow::{
    ChannelKey, UserKey,
    cluster::{Bucket, EngineError, Found, Health, Kept, Lookup},
};
use tokio::time::timeout;

use crate::{
    config::{RedisConfig, Server},
    error::ConnectError,
    keys::{Keys, TAGS},
    shard::{Common, Shard},
};

/// All Redis of a node; one is the usual case.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
    /// Which one holds a tag.
    by_tag: [u8; TAGS],
}

impl Shards {
    /// Begins to connect to all of them.
    pub(crate) fn start(config: &RedisConfig, common: &Common) -> Result<Self, ConnectError> {
        let servers: Vec<_> = config.servers.iter().flat_map(Server::parts).collect();
        let by_tag = spread(servers.len());
        let start = |(index, server)| {
            let owns = Arc::new(move |tag: u8| usize::from(by_tag[usize::from(tag)]) == index);
            Shard::start(config, &server, common.clone(), owns, index == 0)
        };
        let shards = servers.into_iter().enumerate().map(start).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { shards, by_tag })
    }

    pub(crate) fn all(&self) -> &[Shard] {
        &self.shards
    }

    pub(crate) fn of_user(&self, user: &UserKey) -> &Shard {
        self.of_tag(Keys::user_tag(user))
    }

    pub(crate) fn of_channel(&self, channel: &ChannelKey) -> &Shard {
        self.of_tag(Keys::channel_tag(channel))
    }

    /// The one that holds what belongs to no user and no channel alone: deny entries, values to be taken once.
    pub(crate) fn of_the_cluster(&self) -> &Shard {
        &self.shards[0]
    }

    /// For what can go by any: the first that works.
    pub(crate) fn first_up(&self) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.health() != Health::Down)
    }

    /// The other nodes, by whichever Redis they are known.
    pub(crate) fn others(&self, node: u32) -> BTreeSet<u32> {
        self.shards.iter().flat_map(|shard| shard.cluster.live().others(node)).collect()
    }

    /// Waits until the nodes are known that came just now; for so long, and no longer than a beat takes.
    pub(crate) async fn settled(&self, deadline: Duration) {
        let up = self.shards.iter().filter(|shard| shard.health() != Health::Down);
        let _ = timeout(deadline, join_all(up.map(|shard| shard.cluster.settled()))).await;
    }

    fn of_tag(&self, tag: u8) -> &Shard {
        &self.shards[usize::from(self.by_tag[usize::from(tag)])]
    }

    /// The frames kept for a node, of one Redis after the other; each goes on where it was read to last.
    pub(crate) async fn left(&self, node: u32, from: &[usize]) -> Result<Kept, EngineError> {
        let mut end = from.to_vec();
        end.resize(self.shards.len(), 0);
        let each = self.shards.iter().zip(&end).map(|(shard, from)| shard.directory.left(node, *from));
        let each = try_join_all(each).await?;
        end.iter_mut().zip(&each).for_each(|(end, frames)| *end += frames.len());
        Ok(Kept { frames: each.concat(), end })
    }

    /// Asks whoever knows, or all of them.
    pub(crate) async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        let one = match &lookup {
            Lookup::Status(user) => Some(self.of_user(user)),
            Lookup::Members { channel, .. } => Some(self.of_channel(channel)),
            _ => None,
        };
        if let Some(shard) = one.or(self.shards.first().filter(|_| self.shards.len() == 1)) {
            return shard.directory.lookup(lookup).await;
        }
        let all = self.shards.iter().map(|shard| shard.directory.lookup(lookup.clone()));
        let all = try_join_all(all).await?;
        Ok(match lookup {
            Lookup::Page { limit, .. } => Found::Users(merged(all, limit)),
            _ => Found::Count(
                all.iter().map(|found| if let Found::Count(count) = found { *count } else { 0 }).sum(),
            ),
        })
    }
}

/// The first users of all pages, in their order.
fn merged(pages: Vec<Found>, limit: usize) -> Vec<UserKey> {
    let users =
        pages.into_iter().filter_map(|page| if let Found::Users(users) = page { Some(users) } else { None });
    let mut users: Vec<UserKey> = users.flatten().collect();
    users.sort_by_cached_key(|user| (Bucket::of(user), user.clone()));
    users.truncate(limit);
    users
}

/// Which of `shards` holds each tag. By jump hash: of one more Redis, only what moves to it moves.
fn spread(shards: usize) -> [u8; TAGS] {
    std::array::from_fn(|tag| {
        let mut key = (tag as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (mut here, mut next) = (0, 0);
        while next < shards {
            here = next;
            key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
            let share = (1u64 << 31) as f64 / ((key >> 33) + 1) as f64;
            next = ((here + 1) as f64 * share) as usize;
        }
        here as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_spread_over_all_and_move_only_to_the_new_one() {
        assert_eq!(spread(1), [0; TAGS]);
        for shards in 2..=16 {
            let (before, after) = (spread(shards - 1), spread(shards));
            let mut held = vec![0; shards];
            for (before, after) in before.iter().zip(&after) {
                held[usize::from(*after)] += 1;
                assert!(before == after || usize::from(*after) == shards - 1);
            }
            let fair = TAGS / shards;
            assert!(held.iter().all(|held| *held > fair / 3 && *held < fair * 3), "{held:?}");
        }
    }
}
