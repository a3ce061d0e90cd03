//! Pushes that somebody waits to hear of: which clients said that they have it.

use std::{sync::Arc, time::Duration};

use hashbrown::HashSet;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{AckReport, ConnectionId, PushError, PushMessage, Target, manager::Inner, push};

#[derive(Debug, Default)]
struct Heard {
    asked: Vec<ConnectionId>,
    came: Vec<ConnectionId>,
    /// Streams that ended before their client said so.
    lost: usize,
}

/// One push's acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    heard: Mutex<Heard>,
    changed: Notify,
}

impl Acks {
    /// A connection took the push and is able to acknowledge it.
    pub(crate) fn asked(&self, connection: ConnectionId) {
        self.heard.lock().asked.push(connection);
    }

    pub(super) fn came(&self, from: ConnectionId) {
        self.heard.lock().came.push(from);
        self.changed.notify_one();
    }

    /// Nobody will say it any more.
    pub(super) fn lost(&self) {
        self.heard.lock().lost += 1;
        self.changed.notify_one();
    }

    fn is_settled(&self) -> bool {
        let heard = self.heard.lock();
        heard.came.len() + heard.lost >= heard.asked.len()
    }

    async fn settled(&self) {
        while !self.is_settled() {
            self.changed.notified().await;
        }
    }
}

/// Pushes, and waits until every client that took it has said so, or until the deadline.
pub(crate) async fn push_with_ack(
    inner: &Arc<Inner>,
    target: Target,
    message: PushMessage,
    deadline: Duration,
) -> Result<AckReport, PushError> {
    let acks = Arc::new(Acks::default());
    // The deadline is the caller's patience with clients: a push that takes long itself is not cut short.
    let until = tokio::time::sleep(deadline);
    let push = push::push(inner, target, message, Some(acks.clone())).await?;
    tokio::select! {
        () = acks.settled() => {}
        () = until => {}
    }
    let heard = std::mem::take(&mut *acks.heard.lock());
    let came: HashSet<ConnectionId> = heard.came.iter().copied().collect();
    let missing = heard.asked.into_iter().filter(|asked| !came.contains(asked)).collect();
    Ok(AckReport { push, acked: heard.came, missing })
}
