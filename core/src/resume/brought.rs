//! Streams that were brought here: their clients may come with the token of before once more, since a socket may die before
//! it has told its client anything.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    bring::{bring, is_elsewhere},
    claim::{Claim, claim_as},
    moved::store_key,
    secret::Asked,
};
use crate::{Instant, auth::Identity, clock::later, connection::ConnectionId, manager::Inner};

/// Where one stream is here, once it is; who brings it has the lock.
type Place = Arc<tokio::sync::Mutex<Option<ConnectionId>>>;

/// By what stands for their tokens.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    by_token: HashMap<String, (Instant, Place)>,
    /// When there are so many, they are looked through for those whose time is over.
    purge_at: usize,
}

/// So few are never looked through.
const FEW: usize = 64;

impl Brought {
    fn place(&self, key: &str, now: Instant, time: Duration) -> Place {
        let Places { by_token, purge_at } = &mut *self.places.lock();
        if by_token.len() >= (*purge_at).max(FEW) {
            by_token.retain(|_, (until, _)| *until > now);
            *purge_at = 2 * by_token.len();
        }
        let (until, place) =
            by_token.entry(key.to_owned()).or_insert_with(|| (later(now, time), Place::default()));
        *until = later(now, time);
        place.clone()
    }

    /// Nothing was found; whoever waited for the same place may have found it since.
    fn forget(&self, key: &str, place: &Place) {
        let by_token = &mut self.places.lock().by_token;
        if by_token.get(key).is_some_and(|(_, known)| Arc::ptr_eq(known, place)) {
            by_token.remove(key);
        }
    }
}

/// A stream of another node, as one that is parked here now. It is brought though the socket that asked for it dies meanwhile:
/// its node has it no more.
pub(super) async fn claim_elsewhere(
    inner: &Arc<Inner>,
    asked: &Asked,
    identity: &Arc<Identity>,
) -> Option<Claim> {
    if !is_elsewhere(inner, asked) {
        return None;
    }
    let (owner, asked, identity) = (inner.clone(), asked.clone(), identity.clone());
    inner.room.spawn(async move { bring_once(&owner, &asked, &identity).await })?.await.ok()?
}

async fn bring_once(inner: &Arc<Inner>, asked: &Asked, identity: &Arc<Identity>) -> Option<Claim> {
    let key = store_key(&asked.token);
    let place = inner.brought.place(&key, inner.clock.now(), inner.config.bounds.resume.time);
    let mut there = place.lock().await;
    if let Some(id) = *there {
        return claim_as(inner, id, asked.seq, &identity.user).await;
    }
    let claim = bring(inner, asked, identity).await;
    match &claim {
        Some(claim) => *there = Some(claim.conn.id),
        None => inner.brought.forget(&key, &place),
    }
    claim
}
