//! The deny entries of a kick, and where they are stored.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    DenyEntry, KickOut,
    whom::{find, users},
};
use crate::{
    UserKey,
    auth::Identity,
    manager::Inner,
    report::Deny,
    target::{Scope, Target},
};

/// What is refused from now on.
pub(super) fn entries(inner: &Inner, target: &Target, kick: &KickOut) -> Vec<DenyEntry> {
    let now = inner.clock.utc();
    let until = later(now, inner.config.deny_ttl);
    let before = |user: &UserKey, device: Option<&String>| DenyEntry::Before {
        user: user.clone(),
        device: device.cloned(),
        at: now,
        spare: target.except.tokens().to_vec(),
        until,
    };
    let ban = |user: &UserKey, device: Option<&String>| {
        let (user, device) = (user.clone(), device.cloned());
        kick.ban.map(|time| DenyEntry::Ban { user, device, until: later(now, time) })
    };
    let both = |user: &UserKey, device| [Some(before(user, device)), ban(user, device)].into_iter().flatten();
    let mut entries: Vec<DenyEntry> = match &target.scope {
        Scope::User(_) | Scope::Users(_) => {
            users(inner, target).iter().flat_map(|user| both(user, None)).collect()
        }
        Scope::Device(user, device) => both(user, Some(device)).collect(),
        // Where users or sessions are left out, only what is found to be meant is refused.
        Scope::Token(token) if target.except.is_account_alone() => {
            vec![DenyEntry::Token { token: *token, account: target.except.account(), until }]
        }
        _ => Vec::new(),
    };
    // What is there now goes by name too: a token that does not say when it was issued is refused only so.
    let found = find(inner, target);
    entries.extend(found.iter().map(|(_, identity)| token_entry(inner, identity)));
    entries.extend(bans_of_found(inner, target, kick, found.iter().map(|(user, _)| user)));
    entries
}

/// The bans of users whom the target does not name: each node knows those whom it finds.
pub(super) fn bans_of_found<'u>(
    inner: &Inner,
    target: &Target,
    kick: &KickOut,
    found: impl Iterator<Item = &'u UserKey>,
) -> Vec<DenyEntry> {
    let names_none = matches!(target.scope, Scope::Token(_) | Scope::Connection(_) | Scope::Connections(_));
    let Some(time) = kick.ban.filter(|_| names_none) else { return Vec::new() };
    let until = later(inner.clock.utc(), time);
    found.map(|user| DenyEntry::Ban { user: user.clone(), device: None, until }).collect()
}

pub(super) async fn deny(inner: &Inner, entries: &[DenyEntry]) -> Deny {
    if entries.is_empty() {
        return Deny::Stored;
    }
    // First here: what this node does not know any more the engine takes for lifted.
    let here = deny_here(inner, entries);
    if inner.engine.is_clustered() && inner.in_time(inner.engine.deny(entries)).await.is_err() {
        return here.max(Deny::LocalOnly);
    }
    here
}

pub(super) fn deny_here(inner: &Inner, entries: &[DenyEntry]) -> Deny {
    match inner.deny.add(entries, inner.clock.utc()) {
        Ok(()) => Deny::Stored,
        Err(_) => {
            tracing::warn!("the table of deny entries is full; raise `deny_entries` of the builder");
            Deny::Failed
        }
    }
}

/// A moment after another one, or the last there is.
pub(super) fn later(now: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(time).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// An entry lives as long as its token could.
pub(super) fn token_entry(inner: &Inner, identity: &Identity) -> DenyEntry {
    let until = identity.expires_at.unwrap_or_else(|| later(inner.clock.utc(), inner.config.deny_ttl));
    let account = Some(identity.user.account().unwrap_or_default().to_owned());
    DenyEntry::Token { token: identity.token_id, account, until }
}
