//! Signed tokens: log in by name, refresh. A demonstration: put your own in its place.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, State},
};
use herenow_axum::{
    Clock as _, CurrentUser, Rejection, SystemClock,
    auth::{Identity, JwtKeys},
    http::Refusal,
};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::rate::LoginRate;

/// How long a token lives; the page refreshes it while it is open.
const TTL: Duration = Duration::from_secs(60 * 60);
/// The scope of those who may enter the staff room and kick.
pub(crate) const STAFF: &str = "staff";

/// Issues tokens.
pub(crate) struct Logins {
    keys: JwtKeys,
    staff: Vec<String>,
    staff_password: String,
    rate: LoginRate,
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
    pub(crate) fn new(keys: JwtKeys, staff: Vec<String>, staff_password: String) -> Self {
        Self { keys, staff, staff_password, rate: LoginRate::default() }
    }

    fn issue(&self, identity: &Identity) -> Json<Value> {
        let token = self.keys.issue(identity, TTL, SystemClock.utc());
        let is_staff = identity.has_scope(STAFF);
        Json(json!({"token": token.expose(), "name": identity.user.login_id(), "staff": is_staff}))
    }

    /// Who it is, as far as a name and a password say.
    fn identify(&self, name: &str, device: &str, password: &str) -> Result<Identity, Refusal> {
        // Nothing invisible: two names that look alike are one person to whoever reads a list.
        let is_fine = |text: &str| text.chars().all(|char| char.is_alphanumeric() || " .-_'".contains(char));
        if name.is_empty() || name.len() > 64 || device.len() > 64 || !is_fine(name) || !is_fine(device) {
            let hint =
                "`name` must have 1 to 64 bytes, `device` at most 64, of letters, digits, spaces and .-_'";
            return Err(Refusal::bad_request(hint));
        }
        let identity = Identity::new(name).device(device);
        match self.staff.iter().find(|staff| staff.to_lowercase() == name.to_lowercase()) {
            None => Ok(identity),
            Some(staff) if staff != name => Err(Refusal::bad_request("this name is taken")),
            Some(_) if password.as_bytes().ct_eq(self.staff_password.as_bytes()).into() => {
                Ok(identity.scope(STAFF))
            }
            Some(_) => Err(Refusal::forbidden(
                "this name needs the staff password: the line this server printed at its start has it",
            )),
        }
    }
}

/// `POST /login`: a name is enough, but for the staff's.
pub(crate) async fn log_in(
    State(logins): State<Arc<Logins>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(request): Json<LogIn>,
) -> Result<Json<Value>, Rejection> {
    logins.rate.take(peer.ip(), SystemClock.now()).map_err(Refusal::rate_limited)?;
    let LogIn { name, device, password } = request;
    Ok(logins.issue(&logins.identify(name.trim(), device.trim(), &password)?))
}

/// `POST /refresh`: a token for a token that is still good.
pub(crate) async fn refresh(State(logins): State<Arc<Logins>>, user: CurrentUser) -> Json<Value> {
    logins.issue(&user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> Logins {
        let keys = JwtKeys::hs256(&[7; 32]).unwrap();
        Logins::new(keys, vec!["ada".to_owned()], "secret".to_owned())
    }

    #[test]
    fn a_name_is_enough_but_for_the_staffs() {
        let logins = logins();
        assert!(!logins.identify("bob", "", "secret").unwrap().has_scope(STAFF));
        assert!(logins.identify("ada", "", "secret").unwrap().has_scope(STAFF));
        assert_eq!(logins.identify("ada", "", "Secret").unwrap_err().status(), 403);
        assert_eq!(logins.identify("Ada", "", "secret").unwrap_err().message(), "this name is taken");
    }

    #[test]
    fn a_name_that_nobody_could_read_is_refused() {
        for name in ["", "a\u{200b}b", "a\nb", "<b>", &"x".repeat(65)] {
            assert_eq!(logins().identify(name, "", "").unwrap_err().status(), 400, "{name:?}");
        }
        assert!(logins().identify("张三 O'Neil-2", "Chrome Linux", "").is_ok());
    }
}
