//! How whoever waits is told a last word and let go; the order of steps is explained in the module above.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::last_word::LastWord;
use crate::{
    Cause, Close, Target, UserKey,
    clock::later,
    cluster::{AskTo, Query, Receipt, Routed},
    connection::{Conn, Fate},
    manager::Inner,
    presence::{EndsGrace, Member, UserState},
    push::Encoded,
};

/// Whoever was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    here: Vec<Arc<Conn>>,
    elsewhere: usize,
}

impl Told {
    pub(super) fn count(&self) -> usize {
        self.here.len() + self.elsewhere
    }

    /// Waits until one of them has closed properly; false where every socket had to be cut, or nobody was told. What
    /// other nodes told counts as heard.
    pub(super) async fn was_heard(self) -> bool {
        self.elsewhere > 0 || any_closes(&self.here).await
    }
}

/// Tells everyone who waits for the key, here and on the other nodes, and closes them.
pub(super) async fn tell_all(inner: &Arc<Inner>, user: &UserKey, last: &Encoded, close: &Close) -> Told {
    let here = tell_here(inner, user, last, close);
    Told { here, elsewhere: tell_elsewhere(inner, user, last, close).await }
}

/// Told first and then taken out of the registry: a pending connection that finds itself taken would say that it was
/// kicked.
fn tell_here(inner: &Inner, user: &UserKey, last: &Encoded, close: &Close) -> Vec<Arc<Conn>> {
    let mut conns: Vec<Arc<Conn>> = inner.registry.read(user, |state| {
        let members = state.map(UserState::members).unwrap_or_default();
        members.iter().map(|member| member.conn.clone()).collect()
    });
    conns.retain(|conn| tell(inner, conn, last, close));
    let (at, is_told) =
        (inner.clock.utc(), |member: &Member| conns.iter().any(|conn| conn.id == member.conn.id));
    let (_, diff) = inner.registry.take(user, Cause::Disconnect, at, &EndsGrace::No, is_told);
    inner.after(diff);
    conns
}

/// Queues the last word and the close frame in one step, behind what waits; false where the connection is ending
/// already.
pub(super) fn tell(inner: &Inner, conn: &Conn, last: &Encoded, close: &Close) -> bool {
    let now = inner.clock.now();
    let deadline = later(now, inner.config.rules.timing.farewell);
    conn.close(close.clone(), Some(last.frame(conn.mode).clone()), true, deadline, now)
}

/// How many connections of other nodes were told.
async fn tell_elsewhere(inner: &Inner, user: &UserKey, last: &Encoded, close: &Close) -> usize {
    if !inner.engine.is_clustered() {
        return 0;
    }
    let target = Target::user(user);
    let receipt = inner.engine.route(&target, Routed::encode(&target, &last.message));
    let Receipt::Pending(counts) = receipt else { return 0 };
    let counts = tokio::time::timeout(inner.config.engine_deadline, counts).await;
    let told = counts.ok().and_then(Result::ok).map_or(0, |counts| counts.enqueued);
    if told > 0 {
        let query = Query::Close { user: user.clone(), close: close.clone() }.encode();
        inner.engine.ask(AskTo::Others, query, inner.config.engine_deadline).await;
    }
    told
}

/// Gives a word that was taken from the store to one connection, or puts it back: where that one is ending, or does
/// not answer.
pub(super) async fn hand_over(inner: &Arc<Inner>, conn: &Arc<Conn>, key: &str, word: LastWord) {
    let last = Encoded::new(Arc::new(word.message.clone()));
    // Or somebody told it at the same moment.
    let told = tell(inner, conn, &last, &Close::NORMAL) || conn.why() == Some(Close::NORMAL);
    let heard = told && any_closes(std::slice::from_ref(conn)).await;
    if !heard && let Err(error) = word.keep(inner, key).await {
        tracing::warn!(%error, "a last word that nobody heard could not be kept");
    }
}

async fn any_closes(conns: &[Arc<Conn>]) -> bool {
    let mut ends: FuturesUnordered<_> = conns.iter().map(|conn| conn.ended()).collect();
    while let Some(fate) = ends.next().await {
        if fate == Ok(Fate::Closed) {
            return true;
        }
    }
    false
}
