//! Notifications that reached nobody: the core's offline sink takes them, and they go out on return.

use async_trait::async_trait;
use herenow_poem::{
    Certainty, MessageType, OfflineSink, OnlineManager, PushMessage, Target, UserKey, http::Refusal,
};
use tokio::sync::mpsc;

use crate::{
    admin::notification,
    store::{Store, now},
};

/// Users for whom something may wait: whoever has just come, and whoever has just been missed.
pub(crate) type Returned = mpsc::Sender<UserKey>;

/// Marks what reached nobody: its row is there already.
pub(crate) struct Sink(pub(crate) Store, pub(crate) Returned);

#[async_trait]
impl OfflineSink for Sink {
    async fn store(&self, user: &UserKey, message: &PushMessage, _: Certainty) {
        if message.message_type != MessageType::Notification {
            return; // A status is of no use later.
        }
        let Self(store, returned) = self;
        let sql = "UPDATE inbox SET missed = 1 WHERE user = ?1 AND id = ?2 AND NOT missed";
        let marked = store.write(sql, (user.login_id().to_owned(), message.message_id.clone())).await;
        if marked == Ok(1) {
            let _ = returned.send(user.clone()).await; // Perhaps they came while it was written.
        }
    }
}

/// Delivers what waited. One task for all users, so nothing goes out twice: what is sent here is marked before the
/// next look.
pub(crate) async fn deliver(online: OnlineManager, store: Store, mut returned: mpsc::Receiver<UserKey>) {
    while let Some(user) = returned.recv().await {
        if let Err(problem) = deliver_to(&online, &store, &user).await {
            tracing::error!(?problem, "what waits for a user stays where it is");
        }
    }
}

/// The oldest first, each to all tabs. What reaches nobody goes to the sink again, which knows it already.
async fn deliver_to(online: &OnlineManager, store: &Store, user: &UserKey) -> Result<(), Refusal> {
    let devices: Vec<String> = online.sessions(user).await.into_iter().map(|one| one.device).collect();
    let name = user.login_id().to_owned();
    let sql =
        "SELECT id, device, note FROM notes WHERE user = ?1 AND missed AND delivered IS NULL ORDER BY id";
    let waiting: Vec<(String, Option<String>, String)> = store.read(sql, (name.clone(),)).await?;
    for (id, device, note) in waiting {
        let target = match device {
            None if !devices.is_empty() => Target::user(user),
            Some(device) if devices.contains(&device) => Target::device(user, device),
            _ => continue,
        };
        if online.push(target, notification(&id, note)?).await?.reached() > 0 {
            let sql = "UPDATE inbox SET delivered = ?3 WHERE user = ?1 AND id = ?2";
            store.write(sql, (name.clone(), id, now())).await?;
        }
    }
    Ok(())
}
