//! Which users have a session of a token: how a kick by token alone finds them.

use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::{UserKey, auth::TokenId};

const SHARDS: usize = 64;

/// The users of one token with their number of connections; almost always one user.
type Owners = SmallVec<[(UserKey, u32); 1]>;

pub(crate) struct TokenIndex {
    shards: Box<[Mutex<HashMap<TokenId, Owners>>]>,
}

impl Default for TokenIndex {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl TokenIndex {
    pub(crate) fn add(&self, token: TokenId, user: &UserKey) {
        let mut shard = self.shard(token).lock();
        let owners = shard.entry(token).or_default();
        match owners.iter_mut().find(|(owner, _)| owner == user) {
            Some((_, count)) => *count += 1,
            None => owners.push((user.clone(), 1)),
        }
    }

    pub(crate) fn remove(&self, token: TokenId, user: &UserKey) {
        let mut shard = self.shard(token).lock();
        let Some(owners) = shard.get_mut(&token) else { return };
        owners.retain(|(owner, count)| {
            *count -= u32::from(owner == user);
            *count > 0
        });
        if owners.is_empty() {
            shard.remove(&token);
        }
    }

    pub(crate) fn users(&self, token: TokenId) -> Vec<UserKey> {
        let shard = self.shard(token).lock();
        shard
            .get(&token)
            .map(|owners| owners.iter().map(|(user, _)| user.clone()).collect())
            .unwrap_or_default()
    }

    fn shard(&self, token: TokenId) -> &Mutex<HashMap<TokenId, Owners>> {
        &self.shards[token.bits() as usize % SHARDS]
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }
}
