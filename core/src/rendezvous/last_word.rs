//! What the engine keeps of a key, so that it works across nodes: a last word that nobody has heard, and the mark that
//! it was said.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    PushMessage, Target,
    auth::TokenId,
    cluster::{EngineError, Routed},
    manager::Inner,
};

/// A message, and how long it is worth anything.
#[derive(Debug)]
pub(super) struct LastWord {
    pub(super) message: PushMessage,
    pub(super) until: DateTime<Utc>,
}

impl LastWord {
    /// Keeps it for whoever comes; false where its time is over.
    pub(super) async fn keep(&self, inner: &Inner, key: &str) -> Result<bool, EngineError> {
        let body = Routed::encode(&Target::user(key), &self.message);
        put(inner, &name("word", key), self.until, &body).await
    }

    /// Takes it, if there is one. Once taken it is nobody else's.
    pub(super) async fn take(inner: &Inner, key: &str) -> Result<Option<Self>, EngineError> {
        let Some((until, body)) = take(inner, &name("word", key)).await? else { return Ok(None) };
        // Another version's word is none.
        Ok(Routed::decode(&body).ok().map(|(_, message)| Self { message, until }))
    }
}

/// What is left where a last word was said, so that a second one is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Somebody was told it.
    Told,
    /// Nobody was there.
    Kept,
}

impl Mark {
    pub(super) async fn leave(self, inner: &Inner, key: &str, until: DateTime<Utc>) {
        // One that cannot be left only means that a second last word may be said.
        let _ = put(inner, &name("said", key), until, &[u8::from(self == Self::Told)]).await;
    }

    /// Taken and put back, which is all that an engine offers: who asks in between finds none.
    pub(super) async fn find(inner: &Inner, key: &str) -> Option<Self> {
        let (until, body) = take(inner, &name("said", key)).await.ok()??;
        let found = if body == [1] { Self::Told } else { Self::Kept };
        found.leave(inner, key, until).await;
        Some(found)
    }
}

/// Whoever reads the store finds no key there.
fn name(what: &str, key: &str) -> String {
    format!("rendezvous:{what}:{}", TokenId::hash(key))
}

async fn put(inner: &Inner, name: &str, until: DateTime<Utc>, body: &[u8]) -> Result<bool, EngineError> {
    let Some(left) = left(inner, until) else { return Ok(false) };
    let mut value = until.timestamp_millis().to_be_bytes().to_vec();
    value.extend_from_slice(body);
    inner.in_time(inner.engine.put_once(name, value, left)).await.map(|()| true)
}

async fn take(inner: &Inner, name: &str) -> Result<Option<(DateTime<Utc>, Vec<u8>)>, EngineError> {
    let value = inner.in_time(inner.engine.take_once(name)).await?;
    Ok(value.and_then(|value| {
        let (until, body) = value.split_first_chunk()?;
        let until = DateTime::from_timestamp_millis(i64::from_be_bytes(*until))?;
        Some((until, body.to_vec()))
    }))
}

fn left(inner: &Inner, until: DateTime<Utc>) -> Option<Duration> {
    (until - inner.clock.utc()).to_std().ok().filter(|left| !left.is_zero())
}
