//! What the admin does: send to some, to one device, to all. Kicking is a route of herenow's own.

use herenow_poem::{Content, CurrentUser, MessageType, Online, PushMessage, Target, UserKey, http::Refusal};
use poem::{
    handler,
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    ADMIN, Answer,
    people::everybody,
    store::{Store, now},
};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    Everyone,
    Users(Vec<String>),
    Device { user: String, device: String },
}

#[derive(Deserialize)]
struct Send {
    to: To,
    title: String,
    #[serde(default)]
    text: String,
}

/// `POST /admin/send`: files it, pushes it, and says whom it reached and who gets it later.
#[handler]
pub(crate) async fn send(user: CurrentUser, online: Online, body: Json<Send>, store: Data<&Store>) -> Answer {
    let Json(Send { to, title, text }) = body;
    if !user.has_scope(ADMIN) {
        return Err(Refusal::forbidden("log in as the admin for this").into());
    }
    if title.trim().is_empty() || title.chars().count() > 100 || text.chars().count() > 2_000 {
        return Err(Refusal::bad_request("`title` needs 1 to 100 characters, `text` at most 2,000").into());
    }
    let (target, names, device) = match &to {
        To::Everyone => (Target::everyone().except_user(ADMIN), everybody(&store, -1).await?, None),
        To::Users(names) => (Target::users(names), names.iter().map(UserKey::from).collect(), None),
        To::Device { user, device } => {
            (Target::device(user, device), vec![user.into()], Some(device.clone()))
        }
    };
    let whom = json!(names.iter().map(UserKey::login_id).collect::<Vec<_>>()).to_string();
    let sql = "SELECT value FROM json_each(?1) WHERE value NOT IN (SELECT name FROM users)";
    let unknown: Vec<(String,)> = store.read(sql, (whom.clone(),)).await?;
    if let Some((name,)) = unknown.first() {
        return Err(Refusal::bad_request(format!("nobody called {name:?} has ever logged in here")).into());
    }

    let PushMessage { message_id: id, .. } = PushMessage::new(""); // The push's id is the notification's.
    let (sent, is_announcement) = (now(), matches!(to, To::Everyone));
    let note = json!({
        "id": id, "title": title, "text": text, "sent": sent, "announcement": is_announcement, "device": device,
    })
    .to_string();
    // Filed first: whoever comes while it goes out finds it in the list.
    let sql = "INSERT INTO notifications (id, sent, device, note) VALUES (?1, ?2, ?3, ?4)";
    store.write(sql, (id.clone(), sent, device, note.clone())).await?;
    let sql = "INSERT INTO inbox (user, id) SELECT DISTINCT value, ?1 FROM json_each(?2)";
    store.write(sql, (id.clone(), whom)).await?;
    let report = online.push(target, notification(&id, note)?).await.map_err(Refusal::from)?;

    let mut later: Vec<String> = report.offline.iter().map(|user| user.login_id().to_owned()).collect();
    match to {
        // A broadcast names nobody who is away, and the sink hears nothing of it: they find it in the list.
        To::Everyone => {
            let absent: Vec<(String,)> =
                store.read("SELECT name FROM users WHERE status = 'offline'", ()).await?;
            later.extend(absent.into_iter().map(|(name,)| name));
        }
        To::Device { user, .. } if report.reached() == 0 => later = vec![user],
        _ => {}
    }
    Ok(Json(json!({"id": id, "matched": report.matched, "reached": report.reached(), "later": later})))
}

/// The push of a notification: the same id, however late it goes out.
pub(crate) fn notification(id: &str, note: String) -> Result<PushMessage, Refusal> {
    let note = RawValue::from_string(note).map_err(|_| Refusal::internal())?;
    let message = PushMessage::new(Content::Json(note)).kind(MessageType::Notification);
    Ok(PushMessage { message_id: id.to_owned(), ..message })
}
