//! What stands in Redis, spelt out once more as `keys.rs` and `record.rs` lay it out: a change of it does not go unnoticed,
//! and tests can put there what no node would.

use herenow::{UserKey, cluster::Bucket};
use redis::Pipeline;

/// How a registration is named in records.
pub(crate) type Lease = [u8; 4];

/// Of a registration that there is no more.
pub(crate) const DEAD: Lease = *b"dead";

/// Ranks as they stand in records.
pub(crate) const AWAY: u8 = 1;
pub(crate) const ONLINE: u8 = 2;

pub(crate) fn tag_of(name: &str) -> u8 {
    Bucket::of(&UserKey::from(name)).index() as u8
}

/// The key of a user's bucket.
pub(crate) fn bucket_of(user: &str) -> String {
    let index = Bucket::of(&user.into()).index();
    format!("herenow:{}:b:{}", index as u8, index >> 8)
}

/// How many users of the same tag are online.
pub(crate) fn count_of(user: &str) -> String {
    format!("herenow:{}:n", tag_of(user))
}

/// A channel's members.
pub(crate) fn members_of(channel: &str) -> String {
    format!("herenow:{}:m:{channel}", tag_of(channel))
}

/// The channels of the same tag, with their connections.
pub(crate) fn channels_with(channel: &str) -> String {
    format!("herenow:{}:c", tag_of(channel))
}

/// A name in each of the 256 tags; those of different kinds differ.
pub(crate) fn one_in_each_tag(kind: &str) -> Vec<String> {
    let mut all = vec![String::new(); 256];
    let mut missing = all.len();
    for n in 0.. {
        let name = format!("{kind} {n}");
        let place = &mut all[usize::from(tag_of(&name))];
        if place.is_empty() {
            (*place, missing) = (name, missing - 1);
        }
        if missing == 0 {
            break;
        }
    }
    all
}

/// A user in each of the 64 buckets of a tag.
pub(crate) fn one_in_each_bucket(tag: u8) -> Vec<String> {
    let mut all = vec![String::new(); 64];
    let mut missing = all.len();
    for n in 0.. {
        let user = format!("user {n}");
        let index = Bucket::of(&UserKey::from(user.as_str())).index();
        let place = &mut all[usize::from(index >> 8)];
        if index as u8 == tag && place.is_empty() {
            (*place, missing) = (user, missing - 1);
        }
        if missing == 0 {
            break;
        }
    }
    all
}

/// What a user's record is on a node.
pub(crate) fn record(lease: Lease, rank: u8) -> Vec<u8> {
    [&[5], &lease[..], &[rank]].concat()
}

/// What a member's record with one connection is on a node.
pub(crate) fn member_record(lease: Lease, rank: u8) -> Vec<u8> {
    [&[0, 10], &lease[..], &[0, 0, 0, 1, rank, 0]].concat()
}

/// A user is online on one node, and nowhere else.
pub(crate) fn put_user(pipe: &mut Pipeline, user: &str, lease: Lease) {
    pipe.hset(bucket_of(user), user, record(lease, ONLINE)).incr(count_of(user), 1);
}

/// A user is in a channel on one node, and nowhere else.
pub(crate) fn put_member(pipe: &mut Pipeline, channel: &str, user: &str, lease: Lease) {
    pipe.hset(members_of(channel), user, member_record(lease, ONLINE));
    pipe.hincr(channels_with(channel), channel, 1);
}

/// A user was never there.
pub(crate) fn drop_user(pipe: &mut Pipeline, user: &str) {
    pipe.hdel(bucket_of(user), user).decr(count_of(user), 1);
}

/// A member was never there.
pub(crate) fn drop_member(pipe: &mut Pipeline, channel: &str, user: &str) {
    pipe.hdel(members_of(channel), user).hdel(channels_with(channel), channel);
}
