//! A new socket asks for the connection its client had.

use std::{sync::Arc, time::Duration};

use super::secret::Asked;
use crate::{
    UserKey,
    connection::{Claimed, Conn},
    manager::Inner,
};

/// How long the task of an older socket may take to let go of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A parked connection that a new socket is about to take. Dropped before it does, it is parked on.
#[derive(Debug)]
pub(crate) struct Claim {
    inner: Arc<Inner>,
    pub(crate) conn: Arc<Conn>,
    pub(crate) seq: u64,
    taken: bool,
}

impl Claim {
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
/// Where something is missing already, the rest is of no use: it is given up, and the client starts afresh.
pub(crate) async fn claim(inner: &Arc<Inner>, asked: &Asked, user: &UserKey) -> Option<Claim> {
    let id = inner.secret.connection(asked.token.expose())?;
    let conn = inner.lanes.find(id).filter(|conn| conn.user() == user)?;
    tokio::time::timeout(PATIENCE, claimed(inner, &conn)).await.ok().filter(|claimed| *claimed)?;
    inner.unparked();
    if !conn.covers(asked.seq) {
        inner.give_up_claimed(&conn);
        return None;
    }
    Some(Claim { inner: inner.clone(), conn, seq: asked.seq, taken: false })
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
