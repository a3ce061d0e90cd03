//! Who is refused: entries for tokens, for everything a user held before a moment, and for the banned.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    UserKey,
    auth::{Identity, TokenId},
};

/// One thing that is refused from now on, until it lapses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DenyEntry {
    /// One token.
    Token {
        /// Its id.
        token: TokenId,
        /// Of users of this account only, an empty name being the default one; `None`: of any.
        account: Option<String>,
        /// When the entry lapses.
        until: DateTime<Utc>,
    },
    /// Every token of the user (on that device, where one is named) that was issued up to `at`, but for the spared.
    Before {
        /// Whose.
        user: UserKey,
        /// On this device only.
        device: Option<String>,
        /// Tokens issued up to this moment.
        at: DateTime<Utc>,
        /// Tokens that stay good: the session that asked to end all others.
        spare: Vec<TokenId>,
        /// When the entry lapses.
        until: DateTime<Utc>,
    },
    /// The user, whatever the token (on that device, where one is named).
    Ban {
        /// Whom.
        user: UserKey,
        /// On this device only.
        device: Option<String>,
        /// When the ban ends.
        until: DateTime<Utc>,
    },
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Denial {
    /// The token was kicked out.
    Kicked,
    /// The user is banned.
    Banned,
}

impl From<Denial> for crate::Close {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Kicked => Self::KICKED,
            Denial::Banned => Self::BANNED,
        }
    }
}

impl From<Denial> for crate::Refused {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Kicked => Self::Kicked,
            Denial::Banned => Self::Banned,
        }
    }
}

impl DenyEntry {
    /// When it lapses.
    pub fn until(&self) -> DateTime<Utc> {
        match self {
            Self::Token { until, .. } | Self::Before { until, .. } | Self::Ban { until, .. } => *until,
        }
    }

    /// What this entry says of somebody, while it has not lapsed.
    pub fn denies(&self, who: &Identity) -> Option<Denial> {
        let on =
            |device: &Option<String>| device.as_deref().is_none_or(|device| device == who.device_label());
        match self {
            Self::Token { token, account, .. } => {
                let own = who.user.account().unwrap_or_default();
                let meant = *token == who.token_id && account.as_deref().is_none_or(|account| account == own);
                meant.then_some(Denial::Kicked)
            }
            Self::Before { device, at, spare, .. } => {
                let older = who.issued_at.is_some_and(|issued| issued <= *at);
                (older && on(device) && !spare.contains(&who.token_id)).then_some(Denial::Kicked)
            }
            Self::Ban { device, .. } => on(device).then_some(Denial::Banned),
        }
    }
}

/// The table is full of entries that have not lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Deny entries of one node, or of a cluster within one process. Bounded: lapsed entries go first, and a full table
/// says so.
#[derive(Debug)]
pub(crate) struct DenyTable {
    bound: usize,
    /// So that nobody takes a lock while nobody is denied.
    any: AtomicBool,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    count: usize,
    tokens: HashMap<(TokenId, Option<String>), DateTime<Utc>>,
    users: HashMap<UserKey, Vec<DenyEntry>>,
}

impl DenyTable {
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, any: AtomicBool::new(false), entries: Mutex::default() }
    }

    /// Adds entries: all of them, or none when they do not fit.
    pub(crate) fn add(&self, new: &[DenyEntry], now: DateTime<Utc>) -> Result<(), Full> {
        let mut entries = self.entries.lock();
        if entries.count + new.len() > self.bound {
            entries.drop_lapsed(now);
        }
        if entries.count + new.len() > self.bound {
            return Err(Full);
        }
        new.iter().for_each(|entry| entries.insert(entry.clone()));
        self.any.fetch_or(!new.is_empty(), Ordering::SeqCst);
        Ok(())
    }

    /// Why somebody is refused; a ban goes before a kick.
    pub(crate) fn find(&self, who: &Identity, now: DateTime<Utc>) -> Option<Denial> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        let entries = self.entries.lock();
        let of_user = entries.users.get(&who.user).into_iter().flatten();
        let mut found: Vec<Denial> =
            of_user.filter(|entry| entry.until() > now).filter_map(|entry| entry.denies(who)).collect();
        let own = who.user.account().unwrap_or_default().to_owned();
        for scope in [None, Some(own)] {
            if entries.tokens.get(&(who.token_id, scope)).is_some_and(|until| *until > now) {
                found.push(Denial::Kicked);
            }
        }
        found.iter().find(|denial| **denial == Denial::Banned).or(found.first()).copied()
    }

    /// Visits everything that has not lapsed, under the lock.
    pub(crate) fn each(&self, now: DateTime<Utc>, visit: &mut dyn FnMut(DenyEntry)) {
        let entries = self.entries.lock();
        for ((token, account), until) in entries.tokens.iter().filter(|(_, until)| **until > now) {
            visit(DenyEntry::Token { token: *token, account: account.clone(), until: *until });
        }
        entries.users.values().flatten().filter(|entry| entry.until() > now).cloned().for_each(visit);
    }

    /// Lifts the bans of a user.
    pub(crate) fn lift(&self, user: &UserKey) -> usize {
        let mut entries = self.entries.lock();
        let Some(list) = entries.users.get_mut(user) else { return 0 };
        let before = list.len();
        list.retain(|entry| !matches!(entry, DenyEntry::Ban { .. }));
        let (lifted, empty) = (before - list.len(), list.is_empty());
        if empty {
            entries.users.remove(user);
        }
        entries.count -= lifted;
        lifted
    }
}

impl Entries {
    fn insert(&mut self, entry: DenyEntry) {
        match entry {
            // An earlier layer's identity that names no token: refusing "no token" would refuse everybody of it.
            DenyEntry::Token { token, .. } if token.is_unset() => {}
            DenyEntry::Token { token, account, until } => {
                let known = self.tokens.entry((token, account)).or_insert_with(|| {
                    self.count += 1;
                    until
                });
                *known = until.max(*known);
            }
            DenyEntry::Before { ref user, .. } | DenyEntry::Ban { ref user, .. } => {
                let list = self.users.entry(user.clone()).or_default();
                let before = list.len();
                list.retain(|old| !covers(&entry, old));
                self.count = self.count + 1 + list.len() - before;
                list.push(entry);
            }
        }
    }

    fn drop_lapsed(&mut self, now: DateTime<Utc>) {
        self.tokens.retain(|_, until| *until > now);
        self.users.retain(|_, list| {
            list.retain(|entry| entry.until() > now);
            !list.is_empty()
        });
        self.count = self.tokens.len() + self.users.values().map(Vec::len).sum::<usize>();
    }
}

/// Whether a new entry says all that an older one does, so that a user kicked every minute keeps one entry.
fn covers(new: &DenyEntry, old: &DenyEntry) -> bool {
    match (new, old) {
        (
            DenyEntry::Before { device, at, spare, until, .. },
            DenyEntry::Before { device: other, at: earlier, until: sooner, .. },
        ) => device == other && spare.is_empty() && at >= earlier && until >= sooner,
        (DenyEntry::Ban { device, until, .. }, DenyEntry::Ban { device: other, until: sooner, .. }) => {
            device == other && until >= sooner
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn who(token: &str, issued: Option<i64>, device: &str) -> Identity {
        let mut identity = Identity::new("u").device(device).token_id(TokenId::of(token));
        identity.issued_at = issued.map(at);
        identity
    }

    fn before(moment: i64, device: Option<&str>) -> DenyEntry {
        let device = device.map(str::to_owned);
        DenyEntry::Before {
            user: "u".into(),
            device,
            at: at(moment),
            spare: vec![TokenId::of("mine")],
            until: at(1000),
        }
    }

    #[test]
    fn a_login_after_the_kick_is_accepted_and_one_before_it_refused() {
        let table = DenyTable::new(10);
        table.add(&[before(100, None)], at(100)).unwrap();
        assert_eq!(table.find(&who("a", Some(100), "web"), at(101)), Some(Denial::Kicked));
        assert_eq!(table.find(&who("a", Some(101), "web"), at(101)), None);
        assert_eq!(table.find(&who("a", None, "web"), at(101)), None);
        assert_eq!(table.find(&who("mine", Some(50), "web"), at(101)), None);
    }

    #[test]
    fn an_entry_for_a_device_leaves_other_devices_alone() {
        let table = DenyTable::new(10);
        table.add(&[before(100, Some("web"))], at(100)).unwrap();
        assert_eq!(table.find(&who("a", Some(50), "web"), at(101)), Some(Denial::Kicked));
        assert_eq!(table.find(&who("a", Some(50), "ios"), at(101)), None);
    }

    #[test]
    fn a_ban_ends_and_goes_before_a_kick() {
        let table = DenyTable::new(10);
        let ban = DenyEntry::Ban { user: "u".into(), device: None, until: at(200) };
        table.add(&[before(100, None), ban], at(100)).unwrap();
        assert_eq!(table.find(&who("a", Some(50), "web"), at(150)), Some(Denial::Banned));
        assert_eq!(table.find(&who("new", Some(150), "web"), at(150)), Some(Denial::Banned));
        assert_eq!(table.find(&who("new", Some(150), "web"), at(200)), None);
        assert_eq!(table.lift(&"u".into()), 1);
    }

    #[test]
    fn a_full_table_drops_what_has_lapsed_and_then_says_no() {
        let table = DenyTable::new(2);
        let token = |name: &str, until| DenyEntry::Token {
            token: TokenId::of(name),
            account: None,
            until: at(until),
        };
        table.add(&[token("a", 10), token("b", 100)], at(0)).unwrap();
        assert_eq!(table.add(&[token("c", 100)], at(5)), Err(Full));
        assert_eq!(table.add(&[token("c", 100)], at(20)), Ok(()));
        assert_eq!(table.find(&who("b", None, ""), at(20)), Some(Denial::Kicked));
        assert_eq!(table.find(&who("a", None, ""), at(5)), None);
    }

    #[test]
    fn a_user_kicked_again_and_again_keeps_one_entry() {
        let table = DenyTable::new(10);
        for n in 0..50 {
            let entry = DenyEntry::Before {
                user: "u".into(),
                device: None,
                at: at(n),
                spare: vec![],
                until: at(1000 + n),
            };
            table.add(&[entry], at(n)).ok();
        }
        assert_eq!(table.entries.lock().count, 1);
    }
}
