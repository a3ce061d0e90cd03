//! Whom a push did not reach: when the offline sink is handed it, and when another node has it.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;

use super::offline::Certainty;
use crate::{
    PushMessage, Remote, Target, UserKey,
    cluster::{Answer, AskTo, Found, Lookup, Query, Receipt},
    manager::Inner,
    report::{RemoteCounts, RemoteHandle},
    resume::Held,
    target::Scope,
};

/// Users who are asked for at once.
const AT_ONCE: usize = 64;
/// How long the offline sink's decision waits for other nodes.
const REMOTE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an offline sink may take for one message.
const SINK_LIMIT: Duration = Duration::from_secs(5);

/// A message that this node has not brought to everybody it names.
pub(super) struct Owed {
    /// Whom nothing here reached.
    unreached: Vec<UserKey>,
    /// Whom only streams here took it for: it goes to the sink if nobody comes back.
    held: Vec<Arc<Held>>,
    message: Arc<PushMessage>,
}

impl Owed {
    pub(super) fn new(
        mut unreached: Vec<UserKey>,
        mut held: Vec<Arc<Held>>,
        message: Arc<PushMessage>,
    ) -> Self {
        // What a pusher took reached its user.
        held.iter().filter(|held| !unreached.contains(held.user())).for_each(|held| held.reached());
        held.retain(|held| unreached.contains(held.user()));
        unreached.retain(|user| held.iter().all(|held| held.user() != user));
        Self { unreached, held, message }
    }
}

/// Splits the receipt: the report's handle, and the offline sink that has to wait for the same answer.
pub(super) fn settle_remote(inner: &Arc<Inner>, target: &Target, receipt: Receipt, mut owed: Owed) -> Remote {
    owed.unreached.retain(|user| !target.except.leaves_out_user(user));
    match receipt {
        Receipt::Alone => {
            store(inner, owed.unreached, owed.message, Certainty::Certain);
            Remote::NotAsked
        }
        Receipt::Unavailable => {
            store(inner, owed.unreached, owed.message, Certainty::Unknown);
            Remote::Unavailable
        }
        // Without a sink nothing hangs on who is reached in the end.
        Receipt::Pending(hear)
            if inner.offline_sink.is_none() || (owed.unreached.is_empty() && owed.held.is_empty()) =>
        {
            Remote::Pending(RemoteHandle(hear))
        }
        Receipt::Pending(hear) => {
            let (tell, handle) = tokio::sync::oneshot::channel();
            let owner = inner.clone();
            let names_several = matches!(&target.scope, Scope::Users(users) if users.len() > 1);
            inner.room.spawn(async move {
                let counts = tokio::time::timeout(REMOTE_PATIENCE, hear).await.ok().and_then(Result::ok);
                counts.map(|counts| tell.send(counts));
                store_if_nowhere(&owner, owed, counts, names_several).await;
            });
            Remote::Pending(RemoteHandle(handle))
        }
    }
}

/// Other nodes have answered, or not: who is still unreached?
async fn store_if_nowhere(inner: &Arc<Inner>, owed: Owed, counts: Option<RemoteCounts>, names_several: bool) {
    let Owed { unreached, held, message } = owed;
    let Some(counts) = counts else { return store(inner, unreached, message, Certainty::Unknown) };
    if counts.enqueued == 0 {
        // What another node keeps may reach its client yet.
        let certainty = if counts.held == 0 { Certainty::Certain } else { Certainty::Unknown };
        return store(inner, unreached, message, certainty);
    }
    if !names_several {
        return held.iter().for_each(|held| held.reached());
    }
    // Of several, somebody has it: the counts do not say who.
    let asked = futures_util::stream::iter(unreached).map(async |user| (has_it(inner, &user).await, user));
    let (mut offline, mut perhaps) = (Vec::new(), Vec::new());
    for (has_it, user) in asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match has_it {
            Some(false) => offline.push(user),
            None => perhaps.push(user),
            Some(true) => {}
        }
    }
    store(inner, offline, message.clone(), Certainty::Certain);
    store(inner, perhaps, message, Certainty::Unknown);
    futures_util::stream::iter(held)
        .for_each_concurrent(AT_ONCE, async |held| {
            if is_connected(inner, held.user()).await {
                held.reached();
            }
        })
        .await;
}

/// Whether another node has brought it to this one of several; `None` where that cannot be known.
async fn has_it(inner: &Inner, user: &UserKey) -> Option<bool> {
    match is_online(inner, user).await {
        Some(true) if !is_connected(inner, user).await => None,
        known => known,
    }
}

/// Whether another node has a session of the user now; a stream that waits for its client is none.
async fn is_connected(inner: &Inner, user: &UserKey) -> bool {
    let answers = inner.ask(AskTo::Owners(user.clone()), &Query::Sessions(user.clone())).await;
    answers.iter().any(|answer| matches!(answer, Answer::Sessions(sessions) if !sessions.is_empty()))
}

/// Whether the cluster has a user online; `None` where nobody can say.
async fn is_online(inner: &Inner, user: &UserKey) -> Option<bool> {
    match inner.lookup(Lookup::Status(user.clone())).await {
        Ok(Found::Status(status)) => Some(status.is_online()),
        _ => None,
    }
}

pub(crate) fn store(
    inner: &Arc<Inner>,
    users: Vec<UserKey>,
    message: Arc<PushMessage>,
    certainty: Certainty,
) {
    let Some(sink) = inner.offline_sink.clone() else { return };
    for user in users {
        let (sink, message, busy) = (sink.clone(), message.clone(), inner.mine.busy.begin());
        inner.room.spawn(async move {
            let _busy = busy;
            if tokio::time::timeout(SINK_LIMIT, sink.store(&user, &message, certainty)).await.is_err() {
                tracing::warn!("the offline sink took more than {SINK_LIMIT:?}; the message may be lost");
            }
        });
    }
}
