//! Online users, a page at a time.

use serde::{Deserialize, Serialize};

use super::inner::Inner;
use crate::{
    UserKey,
    cluster::{Bucket, Found, Lookup},
};

/// Users asked for at once where the whole cluster is listed.
const PAGE: usize = 1_000;

/// Where the next page begins; opaque, good on the node that gave it out while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(At);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum At {
    /// After this user of a stripe.
    Stripe(usize, UserKey),
    /// After this user of the cluster's directory.
    Directory(UserKey),
}

/// Some of the users who are online.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// At most as many as were asked for; fewer, or none, though more pages follow.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

impl Inner {
    /// A page of online users of every account. Users who come and go meanwhile may be missing; none comes twice.
    pub(crate) async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Page<UserKey> {
        let limit = limit.max(1);
        match cursor.map(|cursor| cursor.0) {
            None if self.engine.is_clustered() => self.directory_page(None, limit).await,
            Some(At::Directory(after)) => self.directory_page(Some(after), limit).await,
            None => self.local_page(0, None, limit),
            Some(At::Stripe(stripe, after)) => self.local_page(stripe, Some(after), limit),
        }
    }

    async fn directory_page(&self, after: Option<UserKey>, limit: usize) -> Page<UserKey> {
        let items = match self.lookup(Lookup::Page { after: after.clone(), limit }).await {
            Ok(Found::Users(users)) => users,
            _ => self.known_page(after.as_ref(), limit),
        };
        let next =
            items.last().filter(|_| items.len() == limit).map(|last| Cursor(At::Directory(last.clone())));
        Page { items, next }
    }

    /// What this node knows, in the directory's order: the next page may be the directory's again.
    fn known_page(&self, after: Option<&UserKey>, limit: usize) -> Vec<UserKey> {
        let mut users = Vec::new();
        self.registry.for_each(|user, state| {
            if state.status().is_online() && after.is_none_or(|after| in_order(user) > in_order(after)) {
                users.push(user.clone());
            }
        });
        users.sort_by(|one, two| in_order(one).cmp(&in_order(two)));
        users.truncate(limit);
        users
    }

    fn local_page(&self, stripe: usize, mut after: Option<UserKey>, limit: usize) -> Page<UserKey> {
        let mut items: Vec<UserKey> = Vec::new();
        for index in stripe..crate::presence::STRIPES {
            let mut online = self.registry.online_in(index);
            online.sort();
            let from = after.take().map_or(0, |after| online.partition_point(|user| *user <= after));
            let room = limit - items.len();
            items.extend(online.drain(from..).take(room));
            if items.len() == limit {
                let next = items.last().map(|last| Cursor(At::Stripe(index, last.clone())));
                return Page { items, next };
            }
        }
        Page { items, next: None }
    }

    /// Visits every online user of the cluster; from where the engine does not answer on, those of this node.
    pub(crate) async fn each_online(&self, mut f: impl FnMut(&UserKey)) {
        let mut after: Option<UserKey> = None;
        while self.engine.is_clustered() {
            let page = self.lookup(Lookup::Page { after: after.clone(), limit: PAGE }).await;
            let Ok(Found::Users(users)) = page else { break };
            users.iter().for_each(&mut f);
            if users.len() < PAGE {
                return;
            }
            after = users.last().cloned();
        }
        self.registry.for_each(|user, state| {
            if state.status().is_online()
                && after.as_ref().is_none_or(|after| in_order(user) > in_order(after))
            {
                f(user);
            }
        });
    }
}

/// Where a user stands in the order of the directory's pages.
fn in_order(user: &UserKey) -> (Bucket, &UserKey) {
    (Bucket::of(user), user)
}
