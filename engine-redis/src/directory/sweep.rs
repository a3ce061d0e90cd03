//! Looks slowly through everything for what is not as it should be: records of this node that are not true any more or not
//! there, as after a failover that lost a write, and records of leases that nobody has, as of a write that came after its node
//! was taken out.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use herenow::{
    Cause, Clock, Status, SystemClock,
    cluster::{Bucket, Change, Entry, Health},
};

use super::{
    Directory,
    scripts::{SCAN_MEMBERS, SCAN_USERS},
};
use crate::{
    error::Unavailable,
    keys::{Keys, member_of, user_of},
    lease::LeaseId,
};

/// Everything is looked at once in this time,
const ROUND: Duration = Duration::from_secs(600);
/// or in this time for each node, where that is longer: all nodes together look at everything no more than once in it.
const ROUND_EACH: Duration = Duration::from_secs(30);
/// And in this time for each node after a loss: Redis may have forgotten its last moments, and with them who left.
const ROUND_AFTER_A_LOSS: Duration = Duration::from_secs(2);
/// For so many tags this node is asked at once what it has, since it tells of all in one go.
const TAGS_AT_ONCE: usize = 8;
/// Members that are looked at in one call.
const PART: usize = 500;

/// What stands in a place.
#[derive(Default)]
struct Found {
    mine: Vec<Entry>,
    leases: BTreeSet<LeaseId>,
}

/// What was found out of leases lately. No lease comes back that is gone.
#[derive(Default)]
struct Verdicts {
    orphans: BTreeSet<LeaseId>,
    /// They live, or are reaped in the usual way.
    registered: BTreeSet<LeaseId>,
}

type Scanned = (Vec<String>, Vec<Vec<u8>>);

impl Directory {
    /// Sweeps one tag after the other, for as long as the node lives.
    pub(super) async fn sweep(&self) {
        let mut own: Vec<u8> = self.tags().collect();
        let Some(count) = u32::try_from(own.len()).ok().filter(|count| *count > 0) else { return };
        // Not all nodes in the same place at once.
        let first = usize::from(self.cluster.me()[3]) % own.len();
        own.rotate_left(first);
        // Tags that were not looked at since a loss.
        let mut in_doubt = 0;
        for tags in own.chunks(TAGS_AT_ONCE).cycle() {
            let mut verdicts = Verdicts::default();
            let mut here = self.here_in(tags);
            for tag in tags {
                tokio::select! {
                    () = tokio::time::sleep(self.round(in_doubt > 0) / count) => {}
                    () = self.lost.notified() => in_doubt = own.len(),
                }
                in_doubt = in_doubt.saturating_sub(1);
                if self.cluster.is_registered()
                    && let Err(error) =
                        self.sweep_tag(*tag, here.remove(tag).unwrap_or_default(), &mut verdicts).await
                {
                    tracing::debug!(%error, "could not look through a part of the directory");
                }
            }
        }
    }

    /// Redis was lost for a while, and may not be what it was: everything is looked at before long.
    pub(crate) fn doubt(&self) {
        self.lost.notify_one();
    }

    /// In which time everything is looked at; of many nodes each takes longer, so that Redis has no more to do.
    fn round(&self, in_doubt: bool) -> Duration {
        let nodes = u32::try_from(self.cluster.live().members.len()).unwrap_or(u32::MAX).max(1);
        let usual = ROUND_EACH.saturating_mul(nodes).max(ROUND);
        if in_doubt { ROUND_AFTER_A_LOSS.saturating_mul(nodes).min(ROUND) } else { usual }
    }

    /// What this node has now of some tags.
    fn here_in(&self, tags: &[u8]) -> HashMap<u8, Vec<Entry>> {
        let mut here = HashMap::<u8, Vec<Entry>>::new();
        if let Some(local) = self.local() {
            local.each_entry(&mut |entry| {
                let tag = Keys::tag_of_entry(&entry);
                if tags.contains(&tag) {
                    here.entry(tag).or_default().push(entry);
                }
            });
        }
        here
    }

    /// Looks through one tag, of which this node had so much not long ago.
    async fn sweep_tag(&self, tag: u8, here: Vec<Entry>, verdicts: &mut Verdicts) -> Result<(), Unavailable> {
        self.flush().await?;
        let (me, mut seen) = (self.cluster.me(), HashSet::new());
        let buckets: Vec<Bucket> = Keys::buckets_of(tag).collect();
        let scans =
            buckets.iter().map(|bucket| SCAN_USERS.call(&[self.keys.bucket(*bucket)], &me[..])).collect();
        for (bucket, scanned) in buckets.into_iter().zip(self.link.run_all(scans).await?) {
            let scanned: Scanned =
                redis::from_redis_value(scanned?).map_err(|error| Unavailable::Refused(error.to_string()))?;
            let mut found = Found::default();
            found.add(scanned, |field| Entry::User(user_of(field)));
            self.not_here_any_more(&found);
            let orphans = self.orphans(&found, verdicts).await?;
            seen.extend(found.mine);
            if !orphans.is_empty() {
                let answer = self.link.run(self.reap_users(bucket, &orphans)).await?;
                self.made_by_death(&answer, None);
            }
        }
        for channel in self.channels_of(tag).await? {
            let (mut found, mut cursor) = (Found::default(), "0".to_owned());
            loop {
                let call = SCAN_MEMBERS.call(&[self.keys.members(&channel)], (&me[..], &cursor, PART));
                let (next, mine, leases): (String, Vec<String>, Vec<Vec<u8>>) = self.link.run(call).await?;
                found.add((mine, leases), |field| Entry::Member(channel.clone(), member_of(&channel, field)));
                if next == "0" {
                    break;
                }
                cursor = next;
            }
            self.not_here_any_more(&found);
            let orphans = self.orphans(&found, verdicts).await?;
            seen.extend(found.mine);
            if !orphans.is_empty() {
                self.reap_channel(&channel, &orphans).await?;
            }
        }
        self.missing(me, here.into_iter().filter(|entry| !seen.contains(entry)).collect()).await
    }

    /// What should stand under this node's lease is written once more; who left meanwhile is not there any more.
    /// Where Redis was emptied everything is missing, and nobody came by that: the beat after the look says so.
    async fn missing(&self, me: LeaseId, mut missing: Vec<Entry>) -> Result<(), Unavailable> {
        let Some(local) = self.local() else { return Ok(()) };
        missing.retain(|entry| local.here(entry).is_some());
        drop(local);
        if missing.is_empty() {
            return Ok(());
        }
        self.cluster.next_live().await?;
        if self.cluster.health() != Health::Up || self.cluster.me() != me {
            return Ok(());
        }
        for entry in missing {
            let cause = if matches!(entry, Entry::User(_)) { Cause::Connect } else { Cause::Subscribe };
            let (at, status) = (SystemClock.utc(), Status::Online);
            let change = Change { entry, is_new: false, cause, at, status, data: None };
            self.dirty.lock().again(change, false);
        }
        self.changed.notify_one();
        Ok(())
    }

    /// What stands under this node's lease and is not true is written once more.
    fn not_here_any_more(&self, found: &Found) {
        let Some(local) = self.local() else { return };
        for entry in found.mine.iter().filter(|entry| self.owns_entry(entry) && local.here(entry).is_none()) {
            let (cause, at, status) = (Cause::Disconnect, SystemClock.utc(), Status::Offline);
            let change = Change { entry: entry.clone(), is_new: false, cause, at, status, data: None };
            self.dirty.lock().again(change, false);
            self.changed.notify_one();
        }
    }

    /// Leases that nobody has. First what stands there was read, and only then is asked who lives: a node that registered
    /// meanwhile is among them. It takes a beat, and so is asked once of each.
    async fn orphans(&self, found: &Found, verdicts: &mut Verdicts) -> Result<Vec<LeaseId>, Unavailable> {
        let living = self.living();
        let is_settled = |lease: &LeaseId| {
            living.has(*lease) || verdicts.orphans.contains(lease) || verdicts.registered.contains(lease)
        };
        if !found.leases.iter().all(is_settled) {
            let (live, me) = (self.cluster.next_live().await?, self.cluster.me());
            let known: BTreeSet<LeaseId> = self.known_leases().await?;
            for lease in &found.leases {
                if *lease == me || live.has(*lease) || known.contains(lease) {
                    verdicts.registered.insert(*lease);
                } else {
                    verdicts.orphans.insert(*lease);
                }
            }
        }
        Ok(found.leases.intersection(&verdicts.orphans).copied().collect())
    }

    /// Those that are registered, dead ones too: these are reaped in the usual way.
    async fn known_leases(&self) -> Result<BTreeSet<LeaseId>, Unavailable> {
        let mut list = redis::cmd("ZRANGE");
        list.arg(self.keys.nodes()).arg(0).arg(-1);
        let members: Vec<Vec<u8>> = self.link.call(list).await?;
        Ok(members.iter().filter_map(|member| member.first_chunk::<4>().copied()).collect())
    }
}

impl Found {
    fn add(&mut self, (mine, leases): Scanned, entry: impl Fn(&str) -> Entry) {
        self.mine.extend(mine.iter().map(|field| entry(field)));
        self.leases.extend(leases.iter().filter_map(|lease| lease.first_chunk::<4>().copied()));
    }
}
