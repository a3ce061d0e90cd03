//! Logins: who gets a token, and how it ends. A token is random text, and good while its hash stands in SQLite.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Json},
};
use herenow::{
    Clock as _, KickOut, MessageType, OnlineManager, PushMessage, SystemClock, Target, UserKey,
    auth::{Identity, Token, TokenId, TokenStore as _},
};
use herenow_actix::{CurrentUser, Online};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{problem::Problem, store::Store};

/// How long a login lasts.
const TTL: Duration = Duration::from_secs(12 * 60 * 60);
/// The scope of a phone's login, which may let browsers in and throw them out.
const PHONE: &str = "phone";
/// The scope of a browser's login.
pub(crate) const WEB: &str = "web";

#[derive(Deserialize)]
pub(crate) struct LogIn {
    name: String,
}

#[derive(Deserialize)]
pub(crate) struct End {
    handle: TokenId,
}

/// `POST /v1/phone/login`: any name will do, where a real application asks for a password or a passkey.
pub(crate) async fn log_in(
    store: Data<Store>,
    online: Online,
    request: HttpRequest,
    body: Json<LogIn>,
) -> Result<Json<Value>, Problem> {
    let name = body.name.trim();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || " .-_'".contains(c));
    if name.is_empty() || name.chars().count() > 32 || !is_plain {
        let text = "a name has 1 to 32 letters, digits, spaces and . - _ '";
        return Err(Problem::new(StatusCode::BAD_REQUEST, text));
    }
    let (token, login) = issue(name, &agent(&request), PHONE);
    store.add_login(login).await?;
    tell_logins(&online, &name.into()).await;
    Ok(Json(json!({"token": token.expose(), "name": name})))
}

/// A token, and the login it stands for.
pub(crate) fn issue(user: &str, device: &str, scope: &str) -> (Token, Identity) {
    let (token, now) = (Token::new(random()), SystemClock.utc());
    let login = Identity::new(user).device(device).scope(scope).issued_at(now).expires_at(now + TTL);
    let login = login.token_id(token.id());
    (token, login)
}

/// `GET /v1/logins`: where the user is logged in.
pub(crate) async fn logins(store: Data<Store>, user: CurrentUser) -> Result<Json<Value>, Problem> {
    let logins = store.logins(user.login_id().to_owned()).await?;
    let shown = logins.iter().map(|login| {
        json!({
            "handle": login.token_id,
            "device": login.device,
            "phone": login.has_scope(PHONE),
            "since": login.issued_at.map(|at| at.timestamp_millis()),
            "this": login.token_id == user.token_id,
        })
    });
    Ok(Json(json!({"logins": shown.collect::<Vec<_>>()})))
}

/// `POST /v1/logins/end`: a phone logs another device of its user out, whether that is connected or not.
pub(crate) async fn end(
    store: Data<Store>,
    online: Online,
    user: CurrentUser,
    body: Json<End>,
) -> Result<Json<Value>, Problem> {
    by_phone(&user)?;
    let logins = store.logins(user.login_id().to_owned()).await?;
    if !logins.iter().any(|login| login.token_id == body.handle) {
        let text = "you have no such login: `handle` is one of GET /v1/logins";
        return Err(Problem::new(StatusCode::NOT_FOUND, text));
    }
    store.remove(body.handle).await?;
    let kick = KickOut::because("You were logged out from your phone.");
    let report = online.kick_out(Target::token(body.handle.to_string()), kick).await;
    tell_logins(&online, &user.user).await;
    Ok(Json(json!({"closed": report.map_or(0, |report| report.matched)})))
}

/// `POST /v1/logout`: ends the login that asks, with all its tabs.
pub(crate) async fn log_out(
    store: Data<Store>,
    online: Online,
    user: CurrentUser,
) -> Result<HttpResponse, Problem> {
    store.remove(user.token_id).await?;
    online.mark_offline(&user.user, &user.token_id.to_string()).await;
    tell_logins(&online, &user.user).await;
    Ok(HttpResponse::NoContent().finish())
}

/// A browser that was let in may not let in others.
pub(crate) fn by_phone(user: &CurrentUser) -> Result<(), Problem> {
    let text = "only a phone may do this: log in with POST /v1/phone/login";
    user.has_scope(PHONE).then_some(()).ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, text))
}

/// Lets the pages of a user fetch the list of logins again.
pub(crate) async fn tell_logins(online: &OnlineManager, user: &UserKey) {
    let news = PushMessage::new("changed").kind(MessageType::Custom("logins".to_owned()));
    let _ = online.push_to_user(user, news).await; // Fails only while shutting down.
}

/// The browser in a few words, for people to recognize.
pub(crate) fn agent(request: &HttpRequest) -> String {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    let find = |names: &[&'static str]| names.iter().copied().find(|name| agent.contains(name));
    let program = find(&["Firefox", "Edg", "OPR", "Chrome", "Safari", "curl"]).unwrap_or("A browser");
    match find(&["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"]) {
        Some(system) => format!("{program} on {system}"),
        None => program.to_owned(),
    }
}

/// 256 bits that nobody guesses.
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
