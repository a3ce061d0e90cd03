//! Looks slowly through everything for what should not be there: records of this node that are not true any more, as after
//! a failover that lost a write, and records of leases that nobody has, as of a write that came after its node was taken out.

use std::{collections::BTreeSet, time::Duration};

use herenow::{
    Cause, Clock, Status, SystemClock,
    cluster::{Bucket, Change, Entry},
};

use super::{
    Directory,
    scripts::{SCAN_MEMBERS, SCAN_USERS},
};
use crate::{
    error::Unavailable,
    keys::{Keys, TAGS, member_of, user_of},
    lease::LeaseId,
};

/// Everything is looked at once in this time.
const ROUND: Duration = Duration::from_secs(600);
/// Members that are looked at in one call.
const PART: usize = 500;

/// What stands in a place.
#[derive(Default)]
struct Found {
    mine: Vec<Entry>,
    leases: BTreeSet<LeaseId>,
}

type Scanned = (Vec<String>, Vec<Vec<u8>>);

impl Directory {
    /// Sweeps one tag after the other, for as long as the node lives.
    pub(super) async fn sweep(&self) {
        let own: Vec<u8> =
            (0..TAGS).filter_map(|tag| u8::try_from(tag).ok()).filter(|tag| (self.owns)(*tag)).collect();
        let Some(pause) = u32::try_from(own.len()).ok().filter(|count| *count > 0).map(|count| ROUND / count)
        else {
            return;
        };
        // Not all nodes in the same place at once.
        let first = usize::from(self.cluster.me()[3]) % own.len();
        for tag in own.iter().cycle().skip(first) {
            tokio::time::sleep(pause).await;
            if self.cluster.is_registered()
                && let Err(error) = self.sweep_tag(*tag).await
            {
                tracing::debug!(%error, "could not look through a part of the directory");
            }
        }
    }

    /// Looks through one tag.
    pub(super) async fn sweep_tag(&self, tag: u8) -> Result<(), Unavailable> {
        self.flush().await?;
        let me = self.cluster.me();
        for bucket in (0..Bucket::COUNT).filter_map(Bucket::new).filter(|bucket| Keys::tag_of(*bucket) == tag)
        {
            let call = SCAN_USERS.call(&[self.keys.bucket(bucket)], &me[..]);
            let (mine, leases): Scanned = self.link.run(call).await?;
            let mut found = Found::default();
            found.add((mine, leases), |field| Entry::User(user_of(field)));
            self.not_here_any_more(&found);
            let orphans = self.orphans(&found).await?;
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
            let orphans = self.orphans(&found).await?;
            if !orphans.is_empty() {
                self.reap_channel(&channel, &orphans).await?;
            }
        }
        Ok(())
    }

    /// What stands under this node's lease and is not true is written once more.
    fn not_here_any_more(&self, found: &Found) {
        let Some(local) = self.local() else { return };
        for entry in found.mine.iter().filter(|entry| self.owns_entry(entry) && local.here(entry).is_none()) {
            let (cause, at, status) = (Cause::Disconnect, SystemClock.utc(), Status::Offline);
            let change = Change { entry: entry.clone(), cause, at, status, data: None };
            self.dirty.lock().again(change, false);
            self.changed.notify_one();
        }
    }

    /// Leases that nobody has. First what stands there was read, and only then is asked who lives: a node that registered
    /// meanwhile is among them.
    async fn orphans(&self, found: &Found) -> Result<Vec<LeaseId>, Unavailable> {
        let living = self.living();
        if found.leases.iter().all(|lease| living.has(*lease)) {
            return Ok(Vec::new());
        }
        let (live, me) = (self.cluster.next_live().await?, self.cluster.me());
        let known: BTreeSet<LeaseId> = self.known_leases().await?;
        let is_orphan = |lease: &LeaseId| *lease != me && !live.has(*lease) && !known.contains(lease);
        Ok(found.leases.iter().copied().filter(is_orphan).collect())
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
