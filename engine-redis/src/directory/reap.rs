//! Dead nodes are taken out of the directory, by one of the others: it claims the task, goes through everything in portions
//! with a pause behind each, and makes the events.

use std::time::Duration;

use herenow::{
    Cause, ChannelKey, Clock, Instant, Status, SystemClock,
    cluster::{Bucket, Change, Entry},
};
use redis::{FromRedisValue, Value};

use super::{
    Directory, EVENTS,
    event::{Body, Made},
    scripts::{REAP_MEMBERS, REAP_SEATS, REAP_USERS, REAP_WISHES},
};
use crate::{
    error::Unavailable,
    keys::{Keys, channel_of, member_of, user_of},
    lease::{LeaseId, Member},
    script::{Call, Script},
};

/// A claim holds for a lease's time without being renewed, and no less than this: another node goes on after that.
const CLAIM: Duration = Duration::from_secs(3);
/// Behind each tag, so that those who hear of it keep up.
const PAUSE: Duration = Duration::from_millis(1);
/// Members that are looked at in one call.
const PART: usize = 500;
/// Channels whose first parts go in one pipeline, and members of such a part: most channels have no more.
const CHANNELS: usize = 64;
const FIRST: usize = 16;

/// The right to take dead nodes out.
pub(super) struct Claim {
    renewed: Instant,
}

impl Directory {
    /// Takes dead nodes out, as far as nobody else is at it.
    pub(crate) async fn reap(&self, dead: Vec<Member>) -> Result<(), Unavailable> {
        let mut claimed = Vec::new();
        for member in dead {
            if self.claim(&member).await? {
                claimed.push(member);
            }
        }
        if claimed.is_empty() {
            return Ok(());
        }
        tracing::info!(nodes = claimed.len(), "cleaning up after nodes whose lease is over");
        let leases: Vec<LeaseId> = claimed.iter().map(|member| member.lease).collect();
        let mut claim = Claim { renewed: self.now() };
        for tag in self.tags() {
            if !self.reap_tag(tag, &leases, Some(&mut claim)).await? {
                return Ok(()); // It took too long, and another node is at it.
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.cluster.bury(&claimed).await?;
        let mut done = redis::cmd("DEL");
        leases.iter().for_each(|lease| {
            done.arg(self.keys.reaping(*lease));
        });
        self.link.call::<i64>(done).await.map(drop)
    }

    fn claim_time(&self) -> Duration {
        self.cluster.lease_time().max(CLAIM)
    }

    /// False where somebody else is at it, or was: beats name a node dead until they hear that it is buried.
    async fn claim(&self, member: &Member) -> Result<bool, Unavailable> {
        let (mut set, mut score) = (redis::cmd("SET"), redis::cmd("ZSCORE"));
        set.arg(self.keys.reaping(member.lease)).arg(&self.cluster.me()[..]);
        set.arg("NX").arg("PX").arg(self.claim_time().as_millis() as u64);
        score.arg(self.keys.nodes()).arg(&member.to_bytes());
        let is_mine = self.link.call::<Option<String>>(set).await?.is_some();
        if is_mine && self.link.call::<Option<f64>>(score).await?.is_none() {
            let mut done = redis::cmd("DEL");
            done.arg(self.keys.reaping(member.lease));
            self.link.call::<i64>(done).await?;
            return Ok(false);
        }
        Ok(is_mine)
    }

    /// Renews the claims; false where one was lost.
    async fn still_claimed(&self, leases: &[LeaseId]) -> Result<bool, Unavailable> {
        let mut calls: Vec<Call> = Vec::new();
        for lease in leases {
            let (mut get, mut renew) = (redis::cmd("GET"), redis::cmd("PEXPIRE"));
            get.arg(self.keys.reaping(*lease));
            renew.arg(self.keys.reaping(*lease)).arg(self.claim_time().as_millis() as u64);
            calls.extend([get.into(), renew.into()]);
        }
        let me = self.cluster.me();
        for (index, answer) in self.link.run_all(calls).await?.into_iter().enumerate() {
            let answer = answer?;
            if index % 2 == 0
                && Option::<Vec<u8>>::from_redis_value(answer).ok().flatten().as_deref() != Some(&me[..])
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes leases out of one tag: users first, whom more wait for. False where the claim was lost meanwhile.
    pub(super) async fn reap_tag(
        &self,
        tag: u8,
        leases: &[LeaseId],
        mut claim: Option<&mut Claim>,
    ) -> Result<bool, Unavailable> {
        let calls = Keys::buckets_of(tag).map(|bucket| self.reap_users(bucket, leases)).collect();
        let mut refusal = None;
        for answer in self.link.run_all(calls).await? {
            match answer {
                Ok(answer) => self.made_by_death(&answer, None),
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(error) = refusal {
            return Err(error);
        }
        let channels = self.channels_of(tag).await?;
        for channels in channels.chunks(CHANNELS) {
            if !self.holds(&mut claim, leases).await?
                || !self.reap_channels(channels, leases, &mut claim).await?
            {
                return Ok(false);
            }
        }
        for (key, script, names) in self.rest(tag, leases) {
            let mut cursor = "0".to_owned();
            loop {
                if !self.holds(&mut claim, leases).await? {
                    return Ok(false);
                }
                cursor = self.link.run(script.call(&[&key], (&cursor, PART, &names))).await?;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// What else of a lease stands in a tag: wishes, and seats.
    fn rest(&self, tag: u8, leases: &[LeaseId]) -> [(String, &'static Script, Vec<Vec<u8>>); 3] {
        let dead: Vec<Vec<u8>> = leases.iter().map(|lease| lease.to_vec()).collect();
        let hex =
            leases.iter().map(|lease| format!("{:08x}", u32::from_be_bytes(*lease)).into_bytes()).collect();
        [
            (self.keys.watched(tag), &REAP_WISHES, dead.clone()),
            (self.keys.wished(tag), &REAP_WISHES, dead),
            (self.keys.seats(tag), &REAP_SEATS, hex),
        ]
    }

    /// Whether the claim, if there is one, is held still; it is renewed before it lapses.
    async fn holds(&self, claim: &mut Option<&mut Claim>, leases: &[LeaseId]) -> Result<bool, Unavailable> {
        let Some(claim) = claim.as_deref_mut() else { return Ok(true) };
        let now = self.now();
        if now.saturating_duration_since(claim.renewed) < self.claim_time() / 4 {
            return Ok(true);
        }
        claim.renewed = now;
        self.still_claimed(leases).await
    }

    /// The first parts of many channels in one go; those that have more go on by themselves. False where the claim was lost
    /// meanwhile.
    async fn reap_channels(
        &self,
        channels: &[ChannelKey],
        leases: &[LeaseId],
        claim: &mut Option<&mut Claim>,
    ) -> Result<bool, Unavailable> {
        let first = channels.iter().map(|channel| self.reap_part(channel, leases, "0", FIRST)).collect();
        let mut more = Vec::new();
        let mut refusal = None;
        for (channel, answer) in channels.iter().zip(self.link.run_all(first).await?) {
            match answer.and_then(part) {
                Ok((next, made)) => {
                    self.made_by_death(&made, Some(channel));
                    if next != "0" {
                        more.push((channel, next));
                    }
                }
                Err(error) => refusal = Some(error),
            }
        }
        for (channel, next) in more {
            if !self.reap_channel_from(channel, leases, next, claim).await? {
                return Ok(false);
            }
        }
        refusal.map_or(Ok(true), Err)
    }

    /// The call that takes dead nodes out of one bucket.
    pub(super) fn reap_users(&self, bucket: Bucket, leases: &[LeaseId]) -> Call {
        let tag = Keys::tag_of(bucket);
        let keys = [self.keys.bucket(bucket), self.keys.online(tag), self.keys.watched(tag)];
        let dead: Vec<&[u8]> = leases.iter().map(|lease| &lease[..]).collect();
        let body = Body::shutdown(SystemClock.utc());
        REAP_USERS.call(&keys[..], (self.keys.firehose(), self.keys.inboxes(), EVENTS, body, dead))
    }

    pub(super) async fn channels_of(&self, tag: u8) -> Result<Vec<ChannelKey>, Unavailable> {
        let mut list = redis::cmd("HKEYS");
        list.arg(self.keys.channels(tag));
        let fields: Vec<String> = self.link.call(list).await?;
        Ok(fields.iter().map(|field| channel_of(field)).collect())
    }

    pub(super) async fn reap_channel(
        &self,
        channel: &ChannelKey,
        leases: &[LeaseId],
    ) -> Result<(), Unavailable> {
        self.reap_channel_from(channel, leases, "0".to_owned(), &mut None).await.map(drop)
    }

    async fn reap_channel_from(
        &self,
        channel: &ChannelKey,
        leases: &[LeaseId],
        mut cursor: String,
        claim: &mut Option<&mut Claim>,
    ) -> Result<bool, Unavailable> {
        loop {
            if !self.holds(claim, leases).await? {
                return Ok(false);
            }
            let (next, made) = part(self.link.run(self.reap_part(channel, leases, &cursor, PART)).await?)?;
            self.made_by_death(&made, Some(channel));
            if next == "0" {
                return Ok(true);
            }
            cursor = next;
        }
    }

    fn reap_part(&self, channel: &ChannelKey, leases: &[LeaseId], cursor: &str, count: usize) -> Call {
        let dead: Vec<&[u8]> = leases.iter().map(|lease| &lease[..]).collect();
        let (keys, field) = (self.channel_keys(channel), crate::keys::channel_field(channel));
        let head = (self.keys.firehose(), self.keys.inboxes(), EVENTS, Body::shutdown(SystemClock.utc()));
        REAP_MEMBERS.call(&keys[..], (head, field, cursor, count, dead))
    }

    /// Tells this node of the transitions that it made for a dead one.
    pub(super) fn made_by_death(&self, answer: &Value, channel: Option<&ChannelKey>) {
        for made in Made::all(answer) {
            let entry = match channel {
                None => Entry::User(user_of(&made.field)),
                Some(channel) => Entry::Member(channel.clone(), member_of(channel, &made.field)),
            };
            let (cause, at, status) = (Cause::Shutdown, SystemClock.utc(), Status::Offline);
            let change = Change { entry, is_new: false, cause, at, status, data: None };
            self.tell(match channel {
                None => made.of_user(&change),
                Some(channel) => made.of_member(channel, &change),
            });
        }
    }
}

/// Where the next part begins, and what was made.
fn part(answer: Value) -> Result<(String, Value), Unavailable> {
    redis::from_redis_value(answer).map_err(|error| Unavailable::Refused(error.to_string()))
}
