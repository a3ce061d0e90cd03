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
    places: Mutex<HashMap<String, (Instant, Place)>>,
}

/// So many are looked through for those whose time is over, and again when they have doubled.
const PURGE: usize = 64;

impl Brought {
    fn place(&self, key: &str, now: Instant, time: Duration) -> Place {
        let mut places = self.places.lock();
        if places.len() >= PURGE && places.len().is_power_of_two() {
            places.retain(|_, (until, _)| *until > now);
        }
        let (until, place) =
            places.entry(key.to_owned()).or_insert_with(|| (later(now, time), Place::default()));
        *until = later(now, time);
        place.clone()
    }

    fn forget(&self, key: &str) {
        self.places.lock().remove(key);
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
        None => inner.brought.forget(&key),
    }
    claim
}
