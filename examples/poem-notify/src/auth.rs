//! Signed tokens: log in by name and device, refresh.

use std::time::Duration;

use herenow_poem::{
    Clock as _, CurrentUser, Online, SystemClock,
    auth::{Identity, JwtKeys},
    http::Refusal,
};
use poem::{
    handler,
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::{ADMIN, Answer, store::Store};

/// How long a token lives; the pages refresh it while they are open.
const TTL: Duration = Duration::from_secs(60 * 60);

/// Issues tokens.
#[derive(Clone)]
pub(crate) struct Logins {
    pub(crate) keys: JwtKeys,
    pub(crate) admin_password: String,
}

impl Logins {
    fn issue(&self, identity: &Identity) -> Json<Value> {
        let token = self.keys.issue(identity, TTL, SystemClock.utc());
        Json(json!({"token": token.expose(), "name": identity.user.login_id()}))
    }
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    password: String,
}

/// `POST /login`: a name is enough, but for the admin account's.
#[handler]
pub(crate) async fn log_in(body: Json<LogIn>, logins: Data<&Logins>, store: Data<&Store>) -> Answer {
    let (name, device) = (body.name.trim(), body.device.trim());
    // Nothing invisible: two names that look alike are one person to whoever reads a list.
    let is_fine = |text: &str| {
        text.len() <= 64 && text.chars().all(|char| char.is_alphanumeric() || " .-_'".contains(char))
    };
    if name.is_empty() || !is_fine(name) || !is_fine(device) {
        let hint = "`name` must have 1 to 64 bytes, `device` at most 64, of letters, digits, spaces and .-_'";
        return Err(Refusal::bad_request(hint).into());
    }
    if name != ADMIN && name.eq_ignore_ascii_case(ADMIN) {
        return Err(Refusal::bad_request("this name is taken").into());
    }
    let identity = Identity::new(name).device(device);
    if name != ADMIN {
        let sql = "INSERT INTO users (name) VALUES (?1) ON CONFLICT DO NOTHING";
        store.write(sql, (name.to_owned(),)).await?;
        return Ok(logins.issue(&identity));
    }
    if !bool::from(body.password.as_bytes().ct_eq(logins.admin_password.as_bytes())) {
        return Err(
            Refusal::forbidden("wrong password: the line this server printed at its start has it").into()
        );
    }
    Ok(logins.issue(&identity.scope(ADMIN)))
}

/// `POST /refresh`: a token for a token that is still good.
#[handler]
pub(crate) fn refresh(user: CurrentUser, logins: Data<&Logins>) -> Json<Value> {
    logins.issue(&user)
}

/// `POST /logout`: ends the login that asks, in all its tabs. What was kept for those that lost their network, or were
/// reloaded, goes to the offline sink, and is there for the next login.
#[handler]
pub(crate) async fn log_out(user: CurrentUser, online: Online) -> Json<Value> {
    online.mark_offline(&user.user, &user.token_id.to_string()).await;
    Json(json!({}))
}
