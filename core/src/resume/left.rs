//! What was pushed to a node after it retired, as those nodes read it that its clients come back to.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Instant, PushMessage, Target,
    clock::later,
    cluster::Routed,
    connection::{Conn, ConnectionId},
    manager::Inner,
    protocol::Mode,
    push::Encoded,
    target::Scope,
};

/// One node's pushes, as far as they were read; all clients that come from it are served from one reading.
type Log = Arc<tokio::sync::Mutex<Pushes>>;

#[derive(Debug, Default)]
struct Pushes {
    read: Vec<Arc<(Target, PushMessage)>>,
    /// Where the engine goes on.
    end: Vec<usize>,
}

/// Of every node that retired lately.
#[derive(Debug, Default)]
pub(crate) struct Left {
    logs: Mutex<HashMap<u32, (Instant, Log)>>,
}

impl Left {
    /// The log of a node; those of nodes that are long gone are forgotten.
    fn of(&self, node: u32, now: Instant, until: Instant) -> Log {
        let mut logs = self.logs.lock();
        logs.retain(|_, (until, _)| *until > now);
        let (_, log) = logs.entry(node).or_insert_with(|| (until, Log::default()));
        log.clone()
    }
}

/// What was pushed to a connection since its node retired, in order; `None` where that cannot be known.
pub(super) async fn frames_for(inner: &Inner, before: ConnectionId, conn: &Conn) -> Option<Vec<Bytes>> {
    let (node, now) = (before.node(), inner.clock.now());
    let log = inner.left.of(node, now, later(now, inner.config.bounds.resume.time));
    let mut log = log.lock().await;
    let fresh = inner.in_time(inner.engine.left(node, &log.end)).await.ok()?;
    // A frame that cannot be read is of another version: who resumes would miss it.
    let read = |frame: &Bytes| Routed::decode(frame).ok().map(Arc::new);
    let pushes = fresh.frames.iter().map(read).collect::<Option<Vec<_>>>()?;
    log.read.extend(pushes);
    log.end = fresh.end;
    let meant: Vec<Arc<(Target, PushMessage)>> =
        log.read.iter().filter(|routed| is_for(&routed.0, conn, before)).cloned().collect();
    drop(log);
    let frame = |routed: &Arc<(Target, PushMessage)>| {
        Encoded::to(&routed.0, routed.1.clone()).frame(Mode::Envelope).clone()
    };
    Some(meant.iter().map(frame).collect())
}

/// Whether a push was for a connection, by the id it had before.
fn is_for(target: &Target, conn: &Conn, before: ConnectionId) -> bool {
    let (user, identity, subscribed) = (conn.user(), conn.identity(), conn.seats.subscribed());
    let meant = match &target.scope {
        Scope::User(to) => to == user,
        Scope::Users(to) => to.contains(user),
        Scope::Device(to, device) => to == user && conn.is_device(device),
        Scope::Token(token) => identity.token_id == *token,
        Scope::Connection(id) => *id == before,
        Scope::Account(account) => account.as_deref() == user.account(),
        Scope::AllAccounts => true,
        Scope::Channel(channel) => subscribed.contains(channel),
        Scope::Connections(_) => false,
    };
    let except = &target.except;
    meant
        && !except.leaves_out_user(user)
        && !except.leaves_out(before, &identity)
        && !except.channels().iter().any(|channel| subscribed.contains(channel))
}
