//! Signed tokens: log in by name and device, refresh, and who may do what.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use chrono::Utc;
use herenow::{
    auth::{Identity, JwtKeys},
    http::Refusal,
};
use herenow_axum::{CurrentUser, Rejection};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// How long a token lives; the page refreshes it while it is open.
const TTL: Duration = Duration::from_secs(60 * 60);
/// The account that may kick.
pub(crate) const ADMIN: &str = "admin";
/// The scope of its tokens.
pub(crate) const ADMIN_SCOPE: &str = "admin";

/// Issues tokens.
pub(crate) struct Logins {
    keys: JwtKeys,
    admin_password: String,
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    name: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    password: String,
}

#[derive(Serialize)]
pub(crate) struct LoggedIn {
    token: String,
    name: String,
    admin: bool,
}

impl Logins {
    pub(crate) fn new(keys: JwtKeys, admin_password: String) -> Self {
        Self { keys, admin_password }
    }

    fn issue(&self, identity: &Identity) -> LoggedIn {
        let token = self.keys.issue(identity, TTL, Utc::now()).expose().to_owned();
        let (name, admin) = (identity.user.login_id().to_owned(), identity.has_scope(ADMIN_SCOPE));
        LoggedIn { token, name, admin }
    }

    fn is_admin(&self, password: &str) -> bool {
        password.as_bytes().ct_eq(self.admin_password.as_bytes()).into()
    }
}

/// `POST /login`: a name is enough, but for the admin account's.
pub(crate) async fn log_in(
    State(logins): State<Arc<Logins>>,
    Json(request): Json<LogIn>,
) -> Result<Json<LoggedIn>, Rejection> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 32 || name.chars().any(char::is_control) {
        return Err(Refusal::bad_request("a name has 1 to 32 characters").into());
    }
    let mut identity = Identity::new(name).device(request.device.trim());
    if name == ADMIN {
        if !logins.is_admin(&request.password) {
            return Err(Refusal::unauthorized().into());
        }
        identity = identity.scope(ADMIN_SCOPE);
    }
    Ok(Json(logins.issue(&identity)))
}

/// `POST /refresh`: a token for a token that is still good.
pub(crate) async fn refresh(State(logins): State<Arc<Logins>>, user: CurrentUser) -> Json<LoggedIn> {
    Json(logins.issue(&user))
}
