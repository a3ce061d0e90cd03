//! How whoever waits is told a last word and let go; the order of steps is explained in the module above.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::last_word::LastWord;
use crate::{
    Cause, Close, PushMessage, UserKey,
    clock::later,
    cluster::{Answer, AskTo, Query},
    connection::{Batch, Conn},
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

    /// Waits until one of them has answered the close frame; false where every one ended without, or nobody was told. What
    /// other nodes told is theirs to keep, where nobody heard it.
    pub(super) async fn was_heard(self) -> bool {
        self.elsewhere > 0 || any_answers(&self.here).await
    }
}

/// Tells everyone who waits for the key, here and on the other nodes, and closes them.
pub(super) async fn tell_all(
    inner: &Arc<Inner>,
    user: &UserKey,
    last: &Encoded,
    close: &Close,
    keep_until: Option<DateTime<Utc>>,
) -> Told {
    let here = tell_here(inner, user, last, close);
    Told { here, elsewhere: tell_elsewhere(inner, user, last, close, keep_until).await }
}

/// Another node says a last word.
pub(crate) fn finish_here(
    inner: &Arc<Inner>,
    user: UserKey,
    last: PushMessage,
    close: Close,
    keep_until: Option<DateTime<Utc>>,
) -> usize {
    let message = Arc::new(last);
    let told = tell_here(inner, &user, &Encoded::new(message.clone()), &close);
    let count = told.len();
    if let Some(until) = keep_until.filter(|_| count > 0) {
        let owner = inner.clone();
        inner.room.spawn(async move {
            // The other node took back what it had kept, since somebody here was told.
            if !any_answers(&told).await {
                keep_on(&owner, user.login_id(), &LastWord { message: (*message).clone(), until }).await;
            }
        });
    }
    count
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

/// Queues a message for those who are not present yet, whom a push passes over. It comes before the push: who becomes
/// present in between hears it twice; the other way round it would not hear it at all.
pub(super) fn tell_pending(inner: &Inner, user: &UserKey, message: &PushMessage) {
    let pending: Vec<Arc<Conn>> = inner.registry.read(user, |state| {
        let members = state.map(|state| state.members()).unwrap_or_default();
        members.iter().filter(|member| !member.is_present()).map(|member| member.conn.clone()).collect()
    });
    if pending.is_empty() {
        return;
    }
    let encoded = Encoded::new(Arc::new(message.clone()));
    for conn in pending {
        conn.push(&Batch::one(encoded.frame(conn.mode).clone()), &inner.config.bounds, inner.clock.now());
    }
}

/// How many connections of other nodes were told.
async fn tell_elsewhere(
    inner: &Inner,
    user: &UserKey,
    last: &Encoded,
    close: &Close,
    keep_until: Option<DateTime<Utc>>,
) -> usize {
    if !inner.engine.is_clustered() {
        return 0;
    }
    let (user, close, last) = (user.clone(), close.clone(), (&*last.message).into());
    let answers = inner.ask(AskTo::Others, &Query::Finish { user, last, close, keep_until }).await;
    answers.iter().map(|answer| if let Answer::Finished(told) = answer { *told } else { 0 }).sum()
}

/// Gives a word that was taken from the store to one connection, or puts it back: where that one is ending, or does
/// not answer.
pub(super) async fn hand_over(inner: &Arc<Inner>, conn: &Arc<Conn>, key: &str, word: LastWord) {
    let last = Encoded::new(Arc::new(word.message.clone()));
    // Or somebody told it at the same moment.
    let told = tell(inner, conn, &last, &Close::NORMAL) || conn.why() == Some(Close::NORMAL);
    let heard = told && any_answers(std::slice::from_ref(conn)).await;
    if !heard {
        keep_on(inner, key, &word).await;
    }
}

async fn keep_on(inner: &Inner, key: &str, word: &LastWord) {
    if let Err(error) = word.keep(inner, key).await {
        tracing::warn!(%error, "a last word that nobody heard could not be kept");
    }
}

/// Whether one of them answers the close frame: an end of the socket alone may be a page that was just leaving.
async fn any_answers(conns: &[Arc<Conn>]) -> bool {
    let ends = conns.iter().map(async |conn| {
        let _ = conn.ended().await; // However it ended.
        conn.was_answered()
    });
    let mut ends: FuturesUnordered<_> = ends.collect();
    while let Some(answered) = ends.next().await {
        if answered {
            return true;
        }
    }
    false
}
