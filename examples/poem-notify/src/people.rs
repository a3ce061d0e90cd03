//! Who is here, who was, and everybody else told of it.

use herenow_poem::{
    Content, CurrentUser, MessageType, Notice, Online, OnlineManager, PushError, PushMessage, Session,
    Target, UserKey, http::Refusal,
};
use poem::{
    handler,
    web::{Data, Json},
};
use serde_json::{Value, json};

use crate::{ADMIN, Answer, store::Store};

/// The longest list of people.
const LISTED: i64 = 500;

/// So many of those known, or all (-1); who is here or was last here first.
pub(crate) async fn everybody(store: &Store, limit: i64) -> Result<Vec<UserKey>, Refusal> {
    let sql = "SELECT name FROM users ORDER BY status = 'offline', last_seen DESC, name LIMIT ?1";
    let names: Vec<(String,)> = store.read(sql, (limit,)).await?;
    Ok(names.into_iter().map(|(name,)| name.into()).collect())
}

/// `GET /people`: their status; for the admin with devices.
#[handler]
pub(crate) async fn people(asker: CurrentUser, online: Online, store: Data<&Store>) -> Answer {
    let mut people = Vec::new();
    for user in everybody(&store, LISTED).await? {
        people.push(describe(&online, &user, asker.has_scope(ADMIN)).await);
    }
    Ok(Json(json!({"people": people})))
}

async fn describe(online: &OnlineManager, user: &UserKey, with_devices: bool) -> Value {
    let last_seen = online.last_seen(user).await.map(|at| at.timestamp_millis());
    let status = online.get_status(user).await;
    let mut one = json!({"user": user.login_id(), "status": status, "lastSeen": last_seen});
    if with_devices {
        let session = |one: Session| json!({"device": one.device, "status": one.status});
        one["devices"] = online.sessions(user).await.into_iter().map(session).collect();
    }
    one
}

/// Keeps each user's row and everybody else's page up to date, until the manager is gone.
pub(crate) async fn follow(online: OnlineManager, store: Store) {
    let mut events = online.events();
    while let Some(notice) = events.recv().await {
        let users = match notice {
            Notice::Event(event) => vec![event.user],
            // Too many at once: whose they were is not known.
            _ => everybody(&store, -1).await.unwrap_or_default(),
        };
        for user in users.iter().filter(|user| user.login_id() != ADMIN) {
            changed(&online, &store, user).await;
        }
    }
}

async fn changed(online: &OnlineManager, store: &Store, user: &UserKey) {
    let status = online.get_status(user).await.to_string();
    let sql = "INSERT INTO users (name, status) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET status = ?2";
    let _ = store.write(sql, (user.login_id().to_owned(), status)).await; // It logs what fails.
    if let Ok(message) = push("presence", &describe(online, user, false).await) {
        let others = Target::everyone().except_user(user).except_user(ADMIN);
        let _ = online.push(others, message).await; // Fails only while shutting down.
    }
    tell_admin(online, user).await;
}

/// Tells the admin's pages what devices a user has now.
pub(crate) async fn tell_admin(online: &OnlineManager, user: &UserKey) {
    let message = push("presence", &describe(online, user, true).await);
    if let (Ok(message), true) = (message, user.login_id() != ADMIN) {
        let _ = online.push(ADMIN, message).await;
    }
}

/// A message of our own kind.
pub(crate) fn push(kind: &str, data: &Value) -> Result<PushMessage, PushError> {
    Ok(PushMessage::new(Content::json(data)?).kind(MessageType::Custom(kind.to_owned())))
}
