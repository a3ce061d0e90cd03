//! Deny entries: under their token or their user, until they lapse.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Range,
};

use chrono::{DateTime, Utc};
use herenow::{Clock, Denial, DenyEntry, SystemClock, UserKey, auth::Identity, cluster::EngineError};
use redis::FromRedisValue;

use super::{Directory, scripts::DENY};

/// So many entries that could not be stored wait to be; of more, the oldest are this node's alone.
const UNSTORED: usize = 10_000;
/// Entries that are stored in one go.
const AT_ONCE: usize = 512;

/// What it is of, when it lapses, until when tokens were issued, and the entry.
type Stored = (String, i64, i64, Vec<u8>);

/// Deny entries that are this node's alone until Redis takes them, in their order.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    entries: VecDeque<(u64, DenyEntry)>,
    numbers: u64,
}

impl Unstored {
    /// Adds entries; returns the numbers they have.
    fn add(&mut self, entries: &[DenyEntry]) -> Range<u64> {
        let first = self.numbers;
        self.entries.extend((first..).zip(entries.iter().cloned()));
        self.numbers += entries.len() as u64;
        while self.entries.len() > UNSTORED {
            self.entries.pop_front();
        }
        first..self.numbers
    }

    /// These are stored, or not wanted any more.
    fn forget(&mut self, numbers: &Range<u64>) {
        self.entries.retain(|(number, _)| !numbers.contains(number));
    }
}

impl Directory {
    /// Stores entries; those that cannot be stored now are stored later.
    pub(crate) async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        // Before the wait: whoever gives up on it does not take them back.
        let numbers = self.unstored.lock().add(entries);
        self.store(entries).await?;
        self.unstored.lock().forget(&numbers);
        Ok(())
    }

    async fn store(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        for entries in entries.chunks(AT_ONCE) {
            let mut by_key: HashMap<String, Vec<Stored>> = HashMap::new();
            for entry in entries {
                let stored =
                    serde_json::to_vec(entry).map_err(|error| EngineError::Unavailable(error.to_string()))?;
                let (field, at) = field_of(entry);
                let until = entry.until().timestamp_millis();
                by_key.entry(self.key_of(entry)).or_default().push((field, until, at, stored));
            }
            let calls = by_key.into_iter().map(|(key, entries)| DENY.call(&[key], entries)).collect();
            for answer in self.link.run_all(calls).await? {
                answer?;
            }
        }
        Ok(())
    }

    /// Stores what could not be stored before; where Redis lost what it had, all that this node knows.
    pub(crate) async fn deny_again(&self, all_is_lost: bool) -> Result<(), EngineError> {
        let Some(local) = self.local().filter(|_| self.is_first) else { return Ok(()) };
        let (mut again, numbers) = {
            let unstored = self.unstored.lock();
            let again: Vec<DenyEntry> = unstored.entries.iter().map(|(_, entry)| entry.clone()).collect();
            (again, 0..unstored.numbers)
        };
        if all_is_lost {
            again.clear();
            local.each_denied(&mut |entry| again.push(entry));
        } else if again.iter().any(|entry| ban(entry).is_some()) {
            // What was lifted meanwhile is not refused any more.
            let mut known = Vec::new();
            local.each_denied(&mut |entry| known.push(entry));
            let bans: HashSet<_> = known.iter().filter_map(ban).collect();
            again.retain(|entry| ban(entry).is_none_or(|ban| bans.contains(&ban)));
        }
        self.store(&again).await?;
        self.unstored.lock().forget(&numbers);
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
            let mut list = redis::cmd("HVALS");
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
        let is_lifted = |entry: &DenyEntry| matches!(entry, DenyEntry::Ban { user: of, .. } if of == user);
        self.unstored.lock().entries.retain(|(_, entry)| !is_lifted(entry));
        let (mut list, mut lift) = (redis::cmd("HGETALL"), redis::cmd("HDEL"));
        list.arg(&key);
        lift.arg(&key);
        let mut any = false;
        for (field, stored) in self.link.call::<Vec<(Vec<u8>, Vec<u8>)>>(list).await? {
            if matches!(read(&stored), Some(DenyEntry::Ban { .. })) {
                lift.arg(field);
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
    stored.into_iter().filter_map(|stored| read(&stored))
}

/// An entry as it is stored, behind its times.
fn read(stored: &[u8]) -> Option<DenyEntry> {
    serde_json::from_slice(stored.splitn(3, |byte| *byte == b' ').nth(2)?).ok()
}

/// Whom a ban is of.
fn ban(entry: &DenyEntry) -> Option<(&UserKey, Option<&String>, DateTime<Utc>)> {
    match entry {
        DenyEntry::Ban { user, device, until } => Some((user, device.as_ref(), *until)),
        _ => None,
    }
}

/// Of what an entry is, under its key: a newer one of the same that says all that an older one does takes its place. And
/// until when the tokens were issued that it is of.
fn field_of(entry: &DenyEntry) -> (String, i64) {
    let device =
        |device: &Option<String>| device.as_ref().map_or_else(String::new, |device| format!("@{device}"));
    match entry {
        DenyEntry::Token { account, .. } => {
            (account.as_ref().map_or_else(|| "token".into(), |of| format!("token:{of}")), 0)
        }
        DenyEntry::Before { device: of, at, spare, .. } => {
            let spare: String = spare.iter().map(|token| format!(" {token}")).collect();
            (format!("before{}{spare}", device(of)), at.timestamp_millis().max(0))
        }
        DenyEntry::Ban { device: of, .. } => (format!("ban{}", device(of)), 0),
        _ => ("other".into(), 0),
    }
}

fn denies(entry: &DenyEntry, who: &Identity, now: DateTime<Utc>) -> Option<Denial> {
    entry.denies(who).filter(|_| entry.until() > now)
}
