//! A client comes back that had its connection on another node: its stream is brought here.
//!
//! First this node takes what is pushed from now on, and only then asks for what was: what both have is told by its id, so
//! that nothing is missing and nothing comes twice.

use std::sync::Arc;

use super::{
    claim::Claim,
    moved::{Moved, store_key},
    secret::Asked,
};
use crate::{
    Cause, ChannelKey, Status,
    auth::Identity,
    cluster::{Answer, AskTo, Change, Entry, Lookup, Query},
    connection::{Conn, ConnectionId, Io, Opening},
    manager::Inner,
    protocol::Mode,
};

/// Where the stream is.
enum Source {
    /// Its node has stopped, and left it behind.
    Store(Moved),
    /// Its node is there.
    Node(u32),
}

/// Whether the connection that the client names may be on another node.
pub(super) fn is_elsewhere(inner: &Inner, asked: &Asked) -> bool {
    let is_foreign = asked.connection().is_some_and(|id| id.node() != inner.engine.node_id());
    is_foreign && inner.engine.is_clustered() && inner.config.bounds.resume.is_on()
}

/// The connection that the client names, as one that is parked here now, if its node still has it, or has left it behind.
pub(super) async fn bring(inner: &Arc<Inner>, asked: &Asked, identity: &Arc<Identity>) -> Option<Claim> {
    let before = asked.connection()?;
    let (seats, source) = find(inner, asked, identity, before).await?;
    let coming = Coming::new(inner, identity, &seats);
    coming.hears_broadcasts().await;
    // Whoever pushes here and did not find it has told the others, and that has left this node: it comes to where the stream
    // was before anybody asks for what is there.
    drop(inner.passing.write());
    inner.in_time(inner.engine.caught_up()).await.ok()?;
    // What was told of it is known to all nodes once this is answered: from here on pushes are sent here too.
    inner.lookup(Lookup::Status(identity.user.clone())).await.ok()?;
    let (moved, later) = match source {
        Source::Store(moved) => (moved, super::left::frames_for(inner, before, &coming.conn).await?),
        Source::Node(node) => (ask(inner, node, asked, identity, true).await?, Vec::new()),
    };
    // What its client had there may be on its way here still; from here on it is collected, and told apart by its id.
    inner.in_time(inner.engine.caught_up()).await.ok()?;
    inner.lanes.passed(coming.conn.id).await;
    let mut frames = moved.frames()?;
    let first = moved.count.checked_sub(frames.len() as u64)?;
    frames.extend(later);
    coming.conn.restore(first, &moved.recent(), frames, &inner.config.bounds);
    coming.claim(asked.seq, seats.said.as_ref())
}

/// What the connection is in, and where the rest of it is.
async fn find(
    inner: &Arc<Inner>,
    asked: &Asked,
    identity: &Identity,
    before: ConnectionId,
) -> Option<(Moved, Source)> {
    let key = store_key(&asked.token);
    let stored = inner.in_time(inner.engine.take_once(&key)).await.ok()?;
    if let Some(moved) = stored.and_then(|stored| Moved::decode(&stored)) {
        let seats = moved.seats();
        return (moved.user == identity.user).then_some((seats, Source::Store(moved)));
    }
    let seats = ask(inner, before.node(), asked, identity, false).await?;
    Some((seats, Source::Node(before.node())))
}

/// Asks the node that has it.
async fn ask(inner: &Inner, node: u32, asked: &Asked, identity: &Identity, take: bool) -> Option<Moved> {
    let (token, user) = (asked.token.expose().to_owned(), identity.user.clone());
    let query = Query::Resume { token, user, seq: asked.seq, take };
    // It lets go of the old socket first, and waits twice for what is under way: an answer that is not waited for is lost.
    let engine = inner.config.engine_deadline;
    let deadline = if take { super::claim::PATIENCE + 3 * engine } else { engine };
    match inner.ask_within(AskTo::Node(node), &query, deadline).await.pop()? {
        Answer::Resume(moved) => moved.map(|moved| *moved).filter(|moved| moved.user == identity.user),
        _ => None,
    }
}

/// A connection that collects what is pushed while the rest of it is fetched. Dropped, it is gone.
struct Coming {
    inner: Arc<Inner>,
    conn: Arc<Conn>,
    claimed: bool,
}

impl Coming {
    fn new(inner: &Arc<Inner>, identity: &Arc<Identity>, seats: &Moved) -> Self {
        let (id, at) = (inner.lanes.reserve(), inner.clock.utc());
        let conn = Arc::new(Conn::new(Opening {
            id,
            identity: Some(identity.clone()),
            mode: Mode::Envelope,
            io: Io::None,
            now: inner.clock.now(),
            connected_at: at,
            activity: inner.micros(),
            metadata: None,
        }));
        conn.wait_for_socket();
        inner.lanes.fill(&conn);
        inner.registry.insert_parked(&conn, at);
        let beside = |name: &Arc<str>| ChannelKey::beside(conn.user(), name.clone());
        let subscribed = seats.subscribed.iter().map(|(name, by_app)| (beside(name), *by_app));
        inner.channels.brought(&conn, subscribed.collect(), seats.presence.iter().map(beside).collect());
        let (entry, status) = (Entry::User(conn.user().clone()), inner.registry.status(conn.user()));
        let (is_new, cause) = (false, Cause::Reconnect); // Its user may be here already.
        inner.engine.changed(&Change { entry, is_new, cause, at, status, data: None });
        Self { inner: inner.clone(), conn, claimed: false }
    }

    /// What its lane was given before is not for it: its node has that.
    async fn hears_broadcasts(&self) {
        self.inner.lanes.passed(self.conn.id).await;
        self.inner.lanes.open(self.conn.id);
    }

    /// As if it had been parked here. Where something is missing the rest is of no use: its client starts afresh.
    fn claim(mut self, seq: u64, said: Option<&Status>) -> Option<Claim> {
        said.into_iter().for_each(|said| self.inner.say(&self.conn, said));
        self.claimed = self.conn.covers(seq);
        self.claimed.then(|| Claim::brought(self.inner.clone(), self.conn.clone(), seq))
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if !self.claimed {
            self.inner.give_up_claimed(&self.conn);
        }
    }
}
