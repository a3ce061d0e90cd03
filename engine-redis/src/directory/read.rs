//! Questions to the directory. Records of nodes whose lease is over count for nobody, from the moment it is.

use herenow::{
    ChannelKey, Status, UserKey,
    cluster::{Bucket, EngineError, Found, Lookup, Member, Members},
};
use redis::FromRedisValue;

use super::Directory;
use crate::{
    error::Unavailable,
    keys::{Keys, channel_field, member_of, user_field, user_of},
    record,
};

/// Buckets that one page looks into at once.
const BUCKETS: usize = 32;
/// A channel with more members is read in parts of about so many, so that Redis has time for others between them.
const PART: usize = 1000;

/// A user or member, and its records.
type Field = (Vec<u8>, Vec<u8>);

impl Directory {
    /// Answers, after everything that this node told before.
    pub(crate) async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        self.flush().await?;
        Ok(match lookup {
            Lookup::Status(user) => Found::Status(self.status(&user).await?),
            Lookup::Count => Found::Count(self.count().await?),
            Lookup::Page { after, limit } => Found::Users(self.page(after, limit).await?),
            Lookup::Members { channel, listed } => Found::Members(self.members_of(&channel, listed).await?),
            _ => return Err(EngineError::Unsupported),
        })
    }

    pub(super) async fn status(&self, user: &UserKey) -> Result<Status, Unavailable> {
        let mut get = redis::cmd("HGET");
        get.arg(self.keys.bucket(Bucket::of(user))).arg(user_field(user));
        let records: Option<Vec<u8>> = self.link.call(get).await?;
        let records = records.unwrap_or_default();
        let living = self.living_of(record::users(&records).map(|(lease, ..)| lease)).await?;
        Ok(record::user_status(&records, |lease| living.has(lease)))
    }

    /// Counted as they come and go. Of a node that died, its users count until they are told offline.
    async fn count(&self) -> Result<usize, Unavailable> {
        let mut get = redis::cmd("MGET");
        self.tags().for_each(|tag| {
            get.arg(self.keys.online(tag));
        });
        if get.args_iter().count() == 1 {
            return Ok(0); // Of very many servers some have none.
        }
        let counts: Vec<Option<i64>> = self.link.call(get).await?;
        Ok(usize::try_from(counts.into_iter().flatten().sum::<i64>()).unwrap_or_default())
    }

    async fn page(&self, after: Option<UserKey>, limit: usize) -> Result<Vec<UserKey>, Unavailable> {
        let first = after.as_ref().map_or(0, |user| Bucket::of(user).index());
        let mut buckets = (first..Bucket::COUNT)
            .filter_map(Bucket::new)
            .filter(|bucket| (self.owns)(Keys::tag_of(*bucket)));
        let mut users: Vec<UserKey> = Vec::new();
        while users.len() < limit {
            let some: Vec<Bucket> = buckets.by_ref().take(BUCKETS).collect();
            if some.is_empty() {
                break;
            }
            let get = |bucket: &Bucket| {
                let mut get = redis::cmd("HGETALL");
                get.arg(self.keys.bucket(*bucket));
                get.into()
            };
            let mut found: Vec<Vec<Field>> = Vec::new();
            for answer in self.link.run_all(some.iter().map(get).collect()).await? {
                found.push(fields(answer?).collect());
            }
            let leases = found.iter().flatten().flat_map(|(_, records)| record::users(records));
            let living = self.living_of(leases.map(|(lease, ..)| lease)).await?;
            for of_bucket in found {
                let online = of_bucket.into_iter().filter(|(_, records)| {
                    record::user_status(records, |lease| living.has(lease)).is_online()
                });
                let mut of_bucket: Vec<UserKey> = online
                    .filter_map(|(field, _)| String::from_utf8(field).ok())
                    .map(|field| user_of(&field))
                    .collect();
                of_bucket.sort();
                users.extend(
                    of_bucket
                        .into_iter()
                        .filter(|user| after.as_ref().is_none_or(|after| is_after(user, after))),
                );
            }
        }
        users.truncate(limit);
        Ok(users)
    }

    async fn members_of(&self, channel: &ChannelKey, listed: usize) -> Result<Members, Unavailable> {
        let tag = Keys::channel_tag(channel);
        // The version first: what is told after it may be in the list already, and never the other way round.
        let (mut version, mut users, mut clients) =
            (redis::cmd("GET"), redis::cmd("HLEN"), redis::cmd("HGET"));
        version.arg(self.keys.version(tag));
        users.arg(self.keys.members(channel));
        clients.arg(self.keys.channels(tag)).arg(channel_field(channel));
        let mut answers =
            self.link.run_all(vec![version.into(), users.into(), clients.into()]).await?.into_iter();
        let mut number = || -> Result<u64, Unavailable> {
            let answer = answers.next().unwrap_or(Err(Unavailable::Down))?;
            Ok(Option::<u64>::from_redis_value(answer).ok().flatten().unwrap_or_default())
        };
        let (ver, users, clients) = (number()?, number()? as usize, number()? as usize);
        if listed == 0 || users == 0 {
            return Ok(Members { ver, clients, users, listed: Vec::new() });
        }
        let mut all = self.list(channel).await?;
        all.sort_by(|one, other| one.user.cmp(&other.user));
        all.dedup_by(|one, other| one.user == other.user); // A scan may yield one twice.
        let (users, clients) = (all.len(), all.iter().map(|member| member.clients as usize).sum());
        all.truncate(listed);
        Ok(Members { ver, clients, users, listed: all })
    }

    async fn list(&self, channel: &ChannelKey) -> Result<Vec<Member>, Unavailable> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(self.keys.members(channel)).arg(&cursor).arg("COUNT").arg(PART);
            let (next, part): (String, redis::Value) = self.link.call(scan).await?;
            let part: Vec<Field> = fields(part).collect();
            let living =
                self.living_of(part.iter().flat_map(|(_, records)| record::members(records))).await?;
            all.extend(part.into_iter().filter_map(|(field, records)| {
                let field = String::from_utf8(field).ok()?;
                record::merged(member_of(channel, &field), &records, |lease| living.has(lease))
            }));
            if next == "0" {
                return Ok(all);
            }
            cursor = next;
        }
    }
}

/// In the order of pages.
fn is_after(user: &UserKey, after: &UserKey) -> bool {
    (Bucket::of(user), user) > (Bucket::of(after), after)
}

/// Fields and values, however the protocol's version writes them.
fn fields(answer: redis::Value) -> impl Iterator<Item = Field> {
    let pairs: Vec<Field> = match answer {
        redis::Value::Map(pairs) => {
            pairs.into_iter().filter_map(|(field, value)| Some((bytes(field)?, bytes(value)?))).collect()
        }
        redis::Value::Array(all) => {
            let mut all = all.into_iter();
            std::iter::from_fn(|| Some((bytes(all.next()?)?, bytes(all.next()?)?))).collect()
        }
        _ => Vec::new(),
    };
    pairs.into_iter()
}

fn bytes(value: redis::Value) -> Option<Vec<u8>> {
    Vec::<u8>::from_redis_value(value).ok()
}
