//! A new socket asks for the connection its client had.

use std::{sync::Arc, time::Duration};

use super::{brought::claim_elsewhere, secret::Asked};
use crate::{
    UserKey,
    auth::Identity,
    connection::{Claimed, Conn, ConnectionId},
    manager::Inner,
};

/// How long the task of an older socket may take to let go of the connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A parked connection that a new socket is about to take. Dropped before it does, it is parked on.
#[derive(Debug)]
pub(crate) struct Claim {
    inner: Arc<Inner>,
    pub(crate) conn: Arc<Conn>,
    pub(crate) seq: u64,
    taken: bool,
}

impl Claim {
    /// One that came from another node, and is claimed.
    pub(super) fn brought(inner: Arc<Inner>, conn: Arc<Conn>, seq: u64) -> Self {
        Self { inner, conn, seq, taken: false }
    }

    /// Another node has it. What was held for its client reaches it there.
    pub(super) fn given_away(mut self) {
        self.taken = true;
        self.conn.go_elsewhere();
        self.inner.give_up_claimed(&self.conn);
    }

    /// The new socket has it.
    pub(crate) fn taken(mut self) {
        self.taken = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.taken {
            // For its whole time again: whoever claimed it proved to be its owner.
            self.inner.park(&self.conn, self.inner.config.bounds.resume.time);
            self.inner.parked.let_go();
        }
    }
}

/// The connection that the client names, if it is its own, still there, and has all that was missed. A socket that is
/// still on it, as after a change of networks, is let go of.
///
/// One that is on another node, or was on one that has stopped, is brought here. Where something is missing already, the rest
/// is of no use: it is given up, and the client starts afresh.
pub(crate) async fn claim(inner: &Arc<Inner>, asked: &Asked, identity: &Arc<Identity>) -> Option<Claim> {
    match claim_here(inner, asked, &identity.user).await {
        None => claim_elsewhere(inner, asked, identity).await,
        claim => claim,
    }
}

/// The same, of this node's own.
pub(super) async fn claim_here(inner: &Arc<Inner>, asked: &Asked, user: &UserKey) -> Option<Claim> {
    let id = inner.secret.connection(asked.token.expose())?;
    claim_as(inner, id, asked.seq, user).await
}

/// The same, where it is known which one is meant.
pub(super) async fn claim_as(
    inner: &Arc<Inner>,
    id: ConnectionId,
    seq: u64,
    user: &UserKey,
) -> Option<Claim> {
    let conn = inner.lanes.find(id).filter(|conn| conn.user() == user)?;
    tokio::time::timeout(PATIENCE, claimed(inner, &conn)).await.ok().filter(|claimed| *claimed)?;
    inner.unparked();
    if !conn.covers(seq) {
        inner.give_up_claimed(&conn);
        return None;
    }
    Some(Claim { inner: inner.clone(), conn, seq, taken: false })
}

async fn claimed(inner: &Inner, conn: &Conn) -> bool {
    loop {
        let mut let_go = std::pin::pin!(inner.parked.let_go.notified());
        let_go.as_mut().enable(); // Before the look: what happens after it is heard.
        match conn.claim() {
            Claimed::Yes => return true,
            Claimed::Never => return false,
            Claimed::NotYet => let_go.await,
        }
    }
}
