//! What users do: be here, read what came, say how they are.

use herenow_poem::{CurrentUser, Online, OnlineUpgrade, Status, http::Refusal};
use poem::{
    Response, handler,
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Answer,
    offline::Returned,
    people::{push, tell_admin},
    store::{Store, now},
};

/// `GET /ws`: online until the socket ends.
#[handler]
pub(crate) fn ws(upgrade: OnlineUpgrade, returned: Data<&Returned>) -> Response {
    let returned = returned.clone();
    upgrade
        .on_disconnect(|gone, _| async move { tell_admin(&gone.manager(), gone.user()).await })
        // It begins once the connection is present: what found nobody before is on its way to the database.
        .serve(move |mut socket| {
            let (returned, come) = (returned.clone(), socket.connection().clone());
            async move {
                let _ = returned.send(come.user().clone()).await;
                tell_admin(&come.manager(), come.user()).await;
                while socket.recv().await.is_some() {} // The pages send nothing of their own.
            }
        })
}

/// `GET /me/notifications`: the newest, but for those of other devices.
#[handler]
pub(crate) async fn notifications(user: CurrentUser, store: Data<&Store>) -> Answer {
    let sql = "SELECT json_set(note, '$.read', json(iif(read IS NULL, 'false', 'true'))) FROM notes
               WHERE user = ?1 AND (device IS NULL OR device = ?2) ORDER BY id DESC LIMIT 100";
    let whose = (user.login_id().to_owned(), user.device_label().to_owned());
    let list: Vec<(String,)> = store.read(sql, whose).await?;
    let list: Vec<Value> = list.iter().filter_map(|(note,)| serde_json::from_str(note).ok()).collect();
    Ok(Json(json!({"notifications": list})))
}

#[derive(Deserialize)]
struct Read {
    ids: Vec<String>,
}

/// `POST /me/read`: marks notifications as read, and tells the user's other tabs and devices.
#[handler]
pub(crate) async fn read(user: CurrentUser, online: Online, body: Json<Read>, store: Data<&Store>) -> Answer {
    let ids = json!(body.ids);
    let sql = "UPDATE inbox SET read = ?3
               WHERE user = ?1 AND read IS NULL AND id IN (SELECT value FROM json_each(?2))";
    let changed = store.write(sql, (user.login_id().to_owned(), ids.to_string(), now())).await?;
    online.update_last_seen(&user.user).await; // Who reads is here, with a socket or without.
    let message = push("read", &json!({"ids": ids})).map_err(Refusal::from)?;
    online.push(user.user.clone(), message).await.map_err(Refusal::from)?;
    Ok(Json(json!({"read": changed})))
}

#[derive(Deserialize)]
struct Say {
    status: String,
}

/// `PUT /me/status`: on every device; `offline` logs out everywhere.
#[handler]
pub(crate) async fn set_status(user: CurrentUser, online: Online, body: Json<Say>) -> Answer {
    match body.status.trim().into() {
        Status::Away => online.set_away(&user.user).await,
        Status::Offline => online.mark_offline_all(&user.user).await,
        status => {
            let said = online.set_status(&user.user, status).await;
            said.map_err(|error| Refusal::bad_request(error.to_string()))?;
        }
    }
    Ok(Json(json!({"status": online.get_status(&user.user).await})))
}
