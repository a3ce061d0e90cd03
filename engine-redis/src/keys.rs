//! [`Keys`]: every key and channel that is used in Redis, and nowhere else.
//!
//! Users and channels are spread over 256 *tags*, so that several Redis can share them; the users of a tag stand in 64
//! *buckets*, small enough for Redis to keep them packed. The tag and the bucket of a user come from
//! [`Bucket`](herenow::cluster::Bucket), so that pages of users go by them.

use herenow::{
    ChannelKey, UserKey,
    cluster::{Bucket, Entry},
};

/// Into so many parts users and channels are divided.
pub(crate) const TAGS: usize = 256;

/// All names, under one prefix.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

/// A user as a field of a hash: the login id, behind the account where it has one.
pub(crate) fn user_field(user: &UserKey) -> String {
    named(user.account(), user.login_id())
}

/// A channel as a field of a hash.
pub(crate) fn channel_field(channel: &ChannelKey) -> String {
    named(channel.account(), channel.name())
}

fn named(account: Option<&str>, name: &str) -> String {
    account.map_or_else(|| name.to_owned(), |account| format!("{account}\0{name}"))
}

/// The user of a field.
pub(crate) fn user_of(field: &str) -> UserKey {
    match field.split_once('\0') {
        Some((account, login_id)) => UserKey::in_account(account, login_id),
        None => UserKey::from(field),
    }
}

/// The channel of a field.
pub(crate) fn channel_of(field: &str) -> ChannelKey {
    match field.split_once('\0') {
        Some((account, name)) => ChannelKey::in_account(account, name),
        None => ChannelKey::from(field),
    }
}

/// A member of a channel as a field of its hash: they are of one account.
pub(crate) fn member_of(channel: &ChannelKey, field: &str) -> UserKey {
    UserKey::in_account(channel.account().unwrap_or_default(), field)
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The tag of a bucket.
    pub(crate) fn tag_of(bucket: Bucket) -> u8 {
        bucket.index() as u8
    }

    /// The buckets of a tag.
    pub(crate) fn buckets_of(tag: u8) -> impl Iterator<Item = Bucket> {
        (u16::from(tag)..Bucket::COUNT).step_by(TAGS).filter_map(Bucket::new)
    }

    pub(crate) fn user_tag(user: &UserKey) -> u8 {
        Self::tag_of(Bucket::of(user))
    }

    pub(crate) fn channel_tag(channel: &ChannelKey) -> u8 {
        Self::user_tag(&UserKey::in_account(channel.account().unwrap_or_default(), channel.name()))
    }

    pub(crate) fn tag_of_entry(entry: &Entry) -> u8 {
        match entry {
            Entry::User(user) => Self::user_tag(user),
            Entry::Member(channel, _) => Self::channel_tag(channel),
        }
    }

    // ---- One for the whole cluster

    /// Leases by when they end.
    pub(crate) fn nodes(&self) -> String {
        self.name("nodes")
    }

    /// Epoch, layout, last beat, and which lease a node's name stands for.
    pub(crate) fn meta(&self) -> String {
        self.name("meta")
    }

    /// Which leases have written all they have, and since which epoch.
    pub(crate) fn synced(&self) -> String {
        self.name("synced")
    }

    /// The log of kicks.
    pub(crate) fn kick(&self) -> String {
        self.name("kick")
    }

    /// Nodes for whose clients pushes are kept, and until when.
    pub(crate) fn retired(&self) -> String {
        self.name("retired")
    }

    /// What is kept for a node that retired.
    pub(crate) fn left(&self, node: u32) -> String {
        format!("{}{node:08x}", self.lefts())
    }

    /// What all of these begin with.
    pub(crate) fn lefts(&self) -> String {
        self.name("left:")
    }

    /// Who cleans up after a lease.
    pub(crate) fn reaping(&self, lease: [u8; 4]) -> String {
        format!("{}:reap:{:08x}", self.prefix, u32::from_be_bytes(lease))
    }

    /// A value that can be taken once.
    pub(crate) fn once(&self, key: &str) -> String {
        format!("{}:once:{key}", self.prefix)
    }

    /// Deny entries of a token, by its id.
    pub(crate) fn denied_token(&self, token: impl std::fmt::Display) -> String {
        format!("{}:deny:{token}", self.prefix)
    }

    /// Deny entries of a user.
    pub(crate) fn denied_user(&self, user: &UserKey) -> String {
        format!("{}:deny:u:{}", self.prefix, user_field(user))
    }

    // ---- Of one tag

    /// Users of one bucket, with their records.
    pub(crate) fn bucket(&self, bucket: Bucket) -> String {
        format!("{}:{}:b:{}", self.prefix, Self::tag_of(bucket), bucket.index() >> 8)
    }

    /// How many users of a tag are online.
    pub(crate) fn online(&self, tag: u8) -> String {
        self.tagged(tag, "n")
    }

    /// Which nodes wish to hear of which users.
    pub(crate) fn watched(&self, tag: u8) -> String {
        self.tagged(tag, "w")
    }

    /// The seats of users under a login policy.
    pub(crate) fn seats(&self, tag: u8) -> String {
        self.tagged(tag, "seats")
    }

    /// Members of one channel, with their records.
    pub(crate) fn members(&self, channel: &ChannelKey) -> String {
        format!("{}:{}:m:{}", self.prefix, Self::channel_tag(channel), channel_field(channel))
    }

    /// Channels that have members, and how many connections these have.
    pub(crate) fn channels(&self, tag: u8) -> String {
        self.tagged(tag, "c")
    }

    /// Which nodes wish for what of which channels.
    pub(crate) fn wished(&self, tag: u8) -> String {
        self.tagged(tag, "s")
    }

    /// Counts the changes of channels.
    pub(crate) fn version(&self, tag: u8) -> String {
        self.tagged(tag, "v")
    }

    // ---- Pub/sub

    /// Where a node listens, by its id or by its lease.
    pub(crate) fn inbox(&self, id: [u8; 4]) -> String {
        format!("{}{:08x}", self.inboxes(), u32::from_be_bytes(id))
    }

    /// What all of these begin with.
    pub(crate) fn inboxes(&self) -> String {
        self.name("in:")
    }

    /// Where everybody listens.
    pub(crate) fn all(&self) -> String {
        self.name("all")
    }

    /// Where everything is told that happens in the directory.
    pub(crate) fn firehose(&self) -> String {
        self.name("ev")
    }

    /// Whether channels are a shard's own, as in a Redis Cluster.
    pub(crate) fn are_sharded(&self) -> bool {
        self.prefix.starts_with('{')
    }

    /// The command that publishes a frame.
    pub(crate) fn publish(&self, channel: String, frame: &[u8]) -> redis::Cmd {
        let mut publish = redis::cmd(if self.are_sharded() { "SPUBLISH" } else { "PUBLISH" });
        publish.arg(channel).arg(frame);
        publish
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    fn tagged(&self, tag: u8, name: &str) -> String {
        format!("{}:{tag}:{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_channels_are_found_again_by_their_fields() {
        for user in [UserKey::from("alice"), UserKey::in_account("tenant", "a:b é")] {
            assert_eq!(user_of(&user_field(&user)), user);
        }
        for channel in [ChannelKey::from("lobby"), ChannelKey::in_account("tenant", "lobby")] {
            assert_eq!(channel_of(&channel_field(&channel)), channel);
        }
    }

    #[test]
    fn no_two_buckets_share_a_key() {
        let keys = Keys::new("p");
        let all: std::collections::HashSet<String> =
            (0..Bucket::COUNT).filter_map(Bucket::new).map(|bucket| keys.bucket(bucket)).collect();
        assert_eq!(all.len(), usize::from(Bucket::COUNT));
    }
}
