//! What keeps a node whole: what is known of its connections, what is done after each loss, and who cleans up after
//! nodes that died.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use herenow::{
    Clock, SystemClock,
    cluster::{ClusterEvent, LocalNode},
};
use tokio::sync::{Notify, watch};

use crate::{
    ask::{self, Kicks},
    cluster::Cluster,
    directory::Directory,
    health::Write,
    keys::Keys,
    lease::Member,
    link::Link,
    observe,
    shard::Common,
};

/// Keeps it known which connection for commands there is. Where one is lost Redis may be another one, or emptied: the
/// lease is in doubt until the next beat, which comes at once.
pub(crate) async fn tell_number(link: Link, cluster: Cluster, beat_now: Arc<Notify>) {
    let mut number = link.number();
    loop {
        let now = *number.borrow_and_update();
        cluster.learn(|facts| {
            if facts.commands.is_some() {
                facts.lease = None;
            }
            facts.commands = now;
        });
        beat_now.notify_one();
        if number.changed().await.is_err() {
            return;
        }
    }
}

/// Cleans up after nodes whose lease is over.
pub(crate) async fn reap(
    mut dead: watch::Receiver<Arc<[Member]>>,
    cluster: Cluster,
    directory: Arc<Directory>,
) {
    while dead.changed().await.is_ok() {
        let members: Vec<Member> = {
            let dead = dead.borrow_and_update();
            dead.iter().copied().filter(|member| member.lease != cluster.me()).collect()
        };
        if members.is_empty() {
            continue;
        }
        if let Err(error) = directory.reap(members).await {
            tracing::debug!(%error, "could not clean up after dead nodes; the next beat names them again");
        }
    }
}

/// Tells again what nobody may miss and Redis did not take when it was told first: it may have refused that, and not have
/// been away.
pub(crate) async fn tell_again(
    cluster: Cluster,
    link: Link,
    directory: Arc<Directory>,
    keys: Arc<Keys>,
    kicks: Arc<Kicks>,
    every: Duration,
) {
    loop {
        tokio::time::sleep(every).await;
        if !cluster.is_registered() {
            continue;
        }
        tell_kicks(&link, &keys, &kicks, false).await;
        if let Err(error) = directory.deny_again(false).await {
            tracing::debug!(%error, "deny entries could not be stored; trying again");
        }
    }
}

async fn tell_kicks(link: &Link, keys: &Keys, kicks: &Kicks, log_lost: bool) {
    for (number, question) in kicks.again(SystemClock.now(), log_lost) {
        if link.run::<i64>(ask::kick(keys, &question)).await.is_ok() {
            kicks.logged(number);
        }
    }
}

/// Does what has to be done after each loss, until everything is whole again.
pub(crate) async fn keep_whole(
    cluster: Cluster,
    link: Link,
    directory: Arc<Directory>,
    keys: Arc<Keys>,
    common: Common,
    local: Weak<dyn LocalNode>,
) {
    let (mut facts, mut is_first) = (cluster.facts(), true);
    loop {
        let todo = match facts.wait_for(|facts| facts.todo().is_some()).await {
            Ok(facts) => facts.todo(),
            Err(_) => return,
        };
        let Some(todo) = todo else { continue };
        if let Some(write) = todo.write {
            let silent = write == Write::Silently;
            metrics::counter!(observe::SYNCS).increment(1);
            tracing::debug!(silent, "bringing the directory in line");
            tell_kicks(&link, &keys, &common.kicks, silent).await;
            if let Err(error) = directory.deny_again(silent).await {
                tracing::warn!(%error, "deny entries could not be stored; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            if let Err(error) = directory.resync(todo.state.epoch(), silent).await {
                tracing::warn!(%error, "could not bring the directory in line; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        // What Redis lost as a whole is written anew as a whole.
        if todo.write == Some(Write::Told) && !is_first {
            directory.doubt();
        }
        is_first &= todo.write.is_none();
        let epoch = todo.state.epoch();
        if let Err(error) = cluster.tell_synced(todo.state.lease()).await {
            tracing::debug!(%error, "could not say that the directory is in line");
            tokio::time::sleep(RETRY).await;
            continue;
        }
        let resync = || local.upgrade().map(|local| local.event(ClusterEvent::Resync)).is_some();
        // What was lost the others may not have written again yet: whoever looks now believes that they are gone.
        let is_emptied = todo.write == Some(Write::Silently) || cluster.awaits_somebody();
        if !is_emptied && !resync() {
            return;
        }
        cluster.learn(|facts| facts.synced = Some(todo.state));
        let settled = async {
            let mut waited = false;
            loop {
                match cluster.others_are_synced(epoch).await {
                    Ok(now) => return waited || now,
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
                waited = true;
            }
        };
        let waited = tokio::select! {
            waited = settled => Some(waited),
            // What follows looks anew itself.
            _ = facts.wait_for(|facts| facts.todo().is_some()) => None,
        };
        if waited.is_some_and(|waited| is_emptied || waited) && !resync() {
            return;
        }
        if todo.write.is_none() {
            // Where more comes than a node can take, looking anew again and again would be still more.
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// So long after a sync that failed, or after events were lost, the next one begins.
const RETRY: Duration = Duration::from_millis(200);
