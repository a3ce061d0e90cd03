//! A client of this node comes back to another: that one asks for its stream, or this one leaves it behind as it stops.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;

use super::{
    claim::claim_here,
    moved::{Moved, store_key},
    secret::Asked,
};
use crate::{Instant, UserKey, auth::Token, manager::Inner, protocol::Mode};

/// Streams that are left behind at once.
const AT_ONCE: usize = 256;

/// What the connection is in that a token resumes, if it is here and this user's: before its client is back, another node
/// sees to it that all it may miss is sent there too.
pub(crate) fn offer(inner: &Inner, token: &str, user: &UserKey) -> Option<Moved> {
    let conn = inner.secret.connection(token).and_then(|id| inner.lanes.find(id))?;
    (conn.user() == user && conn.mode == Mode::Envelope).then(|| Moved::seats_of(inner, &conn))
}

/// Gives the stream to another node: what was pushed before the question is in it, and the connection is here no more. Its
/// user stays here for the grace period, so that nobody notices.
pub(crate) async fn hand_over(inner: &Arc<Inner>, token: String, user: &UserKey, seq: u64) -> Option<Moved> {
    let id = inner.secret.connection(&token)?;
    // Pushes that came before the question may still wait behind others.
    inner.in_time(inner.engine.caught_up()).await.ok()?;
    inner.lanes.passed(id).await;
    let asked = Asked { token: Token::new(token), seq };
    let claim = claim_here(inner, &asked, user).await?;
    let moved = Moved::of(inner, &claim.conn);
    claim.given_away();
    // A push is handed out here before it goes to other nodes: what is in this stream has to be on its way to all of them
    // before one of them hears of it from us.
    drop(inner.passing.write());
    let _ = inner.in_time(inner.engine.caught_up()).await;
    Some(moved)
}

/// This node stops: every stream is left where the node that its client comes back to finds it.
pub(crate) async fn leave_streams(inner: &Arc<Inner>, keep: Duration, end: Instant) {
    let conns = inner.lanes.all().into_iter().filter(|conn| conn.mode == Mode::Envelope && conn.is_known());
    let left = futures_util::stream::iter(conns).for_each_concurrent(AT_ONCE, |conn| async move {
        let Some(token) = inner.secret.token(conn.id) else { return };
        let stored = Moved::of(inner, &conn).encode();
        if let Err(error) = inner.engine.put_once(&store_key(&Token::new(token)), stored, keep).await {
            tracing::debug!(%error, "a stream could not be left behind; its client starts afresh");
        }
    });
    if tokio::time::timeout_at(end, left).await.is_err() {
        tracing::warn!("not every stream could be left behind in time; clients of the rest start afresh");
    }
}
