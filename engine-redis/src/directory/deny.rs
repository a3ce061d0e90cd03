//! Deny entries: under their token or their user, until they lapse.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use herenow::{Clock, Denial, DenyEntry, SystemClock, UserKey, auth::Identity, cluster::EngineError};
use redis::FromRedisValue;

use super::{Directory, scripts::DENY};

impl Directory {
    /// Stores entries.
    pub(crate) async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        let mut by_key: HashMap<String, Vec<(Vec<u8>, i64)>> = HashMap::new();
        for entry in entries {
            let stored =
                serde_json::to_vec(entry).map_err(|error| EngineError::Unavailable(error.to_string()))?;
            by_key.entry(self.key_of(entry)).or_default().push((stored, entry.until().timestamp_millis()));
        }
        let now = SystemClock.utc().timestamp_millis();
        let calls = by_key.into_iter().map(|(key, entries)| DENY.call(&[key], (now, entries))).collect();
        for answer in self.link.run_all(calls).await? {
            answer?;
        }
        Ok(())
    }

    fn key_of(&self, entry: &DenyEntry) -> String {
        match entry {
            DenyEntry::Token { token, .. } => self.keys.denied_token(token),
            DenyEntry::Before { user, .. } | DenyEntry::Ban { user, .. } => self.keys.denied_user(user),
            _ => self.keys.denied_token(""), // No such entry is made.
        }
    }

    /// Why somebody is refused. One round trip.
    pub(crate) async fn is_denied(&self, who: &Identity) -> Result<Option<Denial>, EngineError> {
        let keys = [self.keys.denied_token(who.token_id), self.keys.denied_user(&who.user)];
        let list = |key: &String| {
            let mut list = redis::cmd("HKEYS");
            list.arg(key);
            list.into()
        };
        let (now, mut found) = (SystemClock.utc(), Vec::new());
        for answer in self.link.run_all(keys.iter().map(list).collect()).await? {
            found.extend(entries(answer?).filter_map(|entry| denies(&entry, who, now)));
        }
        Ok(found.iter().find(|denial| **denial == Denial::Banned).or(found.first()).copied())
    }

    /// Takes the bans of a user out.
    pub(crate) async fn lift_ban(&self, user: &UserKey) -> Result<(), EngineError> {
        let key = self.keys.denied_user(user);
        let (mut list, mut lift) = (redis::cmd("HKEYS"), redis::cmd("HDEL"));
        list.arg(&key);
        lift.arg(&key);
        let mut any = false;
        for stored in self.link.call::<Vec<Vec<u8>>>(list).await? {
            if matches!(serde_json::from_slice(&stored), Ok(DenyEntry::Ban { .. })) {
                lift.arg(stored);
                any = true;
            }
        }
        if any {
            self.link.call::<i64>(lift).await?;
        }
        Ok(())
    }
}

fn entries(answer: redis::Value) -> impl Iterator<Item = DenyEntry> {
    let stored = Vec::<Vec<u8>>::from_redis_value(answer).unwrap_or_default();
    stored.into_iter().filter_map(|stored| serde_json::from_slice(&stored).ok())
}

fn denies(entry: &DenyEntry, who: &Identity, now: DateTime<Utc>) -> Option<Denial> {
    entry.denies(who).filter(|_| entry.until() > now)
}
