//! Signed tokens: log in by name and device, refresh, and who may do what.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use herenow::{
    Clock, SystemClock,
    auth::{Identity, JwtKeys},
    http::Refusal,
};
use herenow_axum::{CurrentUser, Rejection};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

/// How long a token lives; the page refreshes it while it is open.
const TTL: Duration = Duration::from_secs(60 * 60);
/// The account that may kick, and the scope of its tokens.
pub(crate) const ADMIN: &str = "admin";

/// Issues tokens.
pub(crate) struct Logins {
    pub(crate) keys: JwtKeys,
    pub(crate) admin_password: String,
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    name: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    password: String,
}

impl Logins {
    fn issue(&self, identity: &Identity) -> Json<Value> {
        let token = self.keys.issue(identity, TTL, SystemClock.utc());
        let admin = identity.has_scope(ADMIN);
        Json(json!({"token": token.expose(), "name": identity.user.login_id(), "admin": admin}))
    }

    fn is_admin(&self, password: &str) -> bool {
        password.as_bytes().ct_eq(self.admin_password.as_bytes()).into()
    }
}

/// `POST /login`: a name is enough, but for the admin account's.
pub(crate) async fn log_in(
    State(logins): State<Arc<Logins>>,
    Json(request): Json<LogIn>,
) -> Result<Json<Value>, Rejection> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 32 || name.chars().any(char::is_control) {
        return Err(Refusal::bad_request("a name has 1 to 32 characters").into());
    }
    let identity = Identity::new(name).device(request.device.trim());
    match name {
        ADMIN if !logins.is_admin(&request.password) => Err(Refusal::unauthorized().into()),
        ADMIN => Ok(logins.issue(&identity.scope(ADMIN))),
        _ => Ok(logins.issue(&identity)),
    }
}

/// `POST /refresh`: a token for a token that is still good.
pub(crate) async fn refresh(State(logins): State<Arc<Logins>>, user: CurrentUser) -> Json<Value> {
    logins.issue(&user)
}
