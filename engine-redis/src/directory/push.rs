//! Where pushes go: looked up and published in one call each. For nodes that retired they are kept.

use std::collections::BTreeSet;

use herenow::{ChannelKey, UserKey, cluster::Bucket};

use super::{
    Directory,
    scripts::{PUSH_ALL, PUSH_CHANNEL, PUSH_NODES, PUSH_USER},
};
use crate::{
    error::Unavailable,
    keys::{Keys, channel_field, user_field},
    lease::LeaseId,
    record,
    script::Call,
};

/// How much is kept for the clients of a node that retired.
const MOST_FRAMES: usize = 10_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

impl Directory {
    fn sending<'a>(&self, frame: &'a [u8]) -> (&'a [u8], String, String, usize, usize) {
        (frame, self.keys.inboxes(), self.keys.lefts(), MOST_FRAMES, MOST_BYTES)
    }

    /// To the nodes that have a user.
    pub(crate) fn push_to_user(&self, user: &UserKey, frame: &[u8], me: LeaseId) -> Call {
        let keys = [self.keys.retired(), self.keys.bucket(Bucket::of(user))];
        PUSH_USER.call(&keys[..], (self.sending(frame), user_field(user), &me[..]))
    }

    /// To the nodes that have somebody who hears a channel.
    pub(crate) fn push_to_channel(&self, channel: &ChannelKey, frame: &[u8], me: LeaseId) -> Call {
        let keys = [self.keys.retired(), self.keys.wished(Keys::channel_tag(channel))];
        PUSH_CHANNEL.call(&keys[..], (self.sending(frame), channel_field(channel), &me[..]))
    }

    /// To some nodes, by their ids or leases.
    pub(crate) fn push_to_nodes(&self, nodes: &[u32], frame: &[u8]) -> Call {
        let nodes: Vec<Vec<u8>> = nodes.iter().map(|node| node.to_be_bytes().to_vec()).collect();
        PUSH_NODES.call(&[self.keys.retired()], (self.sending(frame), nodes))
    }

    /// To everybody; answers how many others heard it: this node, which hears it too, is not one.
    pub(crate) fn push_to_all(&self, frame: &[u8]) -> Call {
        PUSH_ALL.call(&[self.keys.retired()], (self.sending(frame), self.keys.all()))
    }

    /// The nodes that have one of these users; of a node that lives by its id, of another by its lease.
    pub(crate) async fn owners(&self, users: &[UserKey]) -> Result<BTreeSet<u32>, Unavailable> {
        let own = users.iter().filter(|user| (self.owns)(Keys::user_tag(user)));
        let get = |user: &UserKey| {
            let mut get = redis::cmd("HGET");
            get.arg(self.keys.bucket(Bucket::of(user))).arg(user_field(user));
            get.into()
        };
        let (live, me) = (self.cluster.live(), self.cluster.me());
        let mut nodes = BTreeSet::new();
        for answer in self.link.run_all(own.map(get).collect()).await? {
            let records =
                redis::from_redis_value::<Option<Vec<u8>>>(answer?).ok().flatten().unwrap_or_default();
            for (lease, ..) in record::users(&records).filter(|(lease, ..)| *lease != me) {
                let node = live.members.iter().find(|member| member.lease == lease);
                nodes.insert(node.map_or(u32::from_be_bytes(lease), |member| member.node));
            }
        }
        Ok(nodes)
    }
}
