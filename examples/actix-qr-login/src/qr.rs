//! The way of a QR code: a browser begins and waits, a phone scans and confirms.

use std::{error::Error, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Json, Path},
};
use chrono::TimeDelta;
use herenow::{Clock as _, Connection, Finished, Refused, Rendezvous, SystemClock, auth::Token};
use herenow_actix::{CurrentUser, GuestUpgrade, Online};
use qrcode::{EcLevel, QrCode, render::svg};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    auth,
    problem::Problem,
    store::{QrSession, Step, Store},
};

/// How long the last word is kept for a page that just reloads.
const KEPT: TimeDelta = TimeDelta::seconds(30);

/// What the handlers of this file share.
pub(crate) struct Qr {
    pub(crate) store: Store,
    pub(crate) waiting: Rendezvous,
    pub(crate) ttl: Duration,
    pub(crate) public_url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Scanned {
    code: String,
}

/// `POST /v1/qr-login`: a session for a browser that wants to be logged in. The session id stays in the browser, which
/// waits with it; the QR code shows its hash. So whoever photographs the code can scan it, but not wait in its place.
pub(crate) async fn begin(qr: Data<Qr>, request: HttpRequest) -> Result<Json<Value>, Problem> {
    let (session_id, expires_at) = (auth::random(), SystemClock.utc() + qr.ttl);
    let code = code_of(&session_id);
    let scan_url = format!("{}/phone?code={code}", base_url(&qr, &request));
    let image = svg(&scan_url)?;
    qr.store.begin(code, auth::agent(&request), expires_at).await?;
    Ok(Json(json!({
        "sessionId": session_id,
        "expiresAt": expires_at.timestamp_millis(),
        "expiresIn": qr.ttl.as_millis(),
        "scanUrl": scan_url,
        "qrSvg": image,
    })))
}

/// `GET /v1/ws/qr/{session_id}`: the socket of a browser that nobody knows yet.
pub(crate) async fn wait(
    qr: Data<Qr>,
    session_id: Path<String>,
    upgrade: GuestUpgrade,
) -> actix_web::Result<HttpResponse> {
    let code = code_of(&session_id);
    let session = qr.store.session(code.clone()).await.map_err(Problem::from)?;
    // What was never there, or is over, has expired: the page does the same about all of it.
    let end =
        session.filter(QrSession::is_open).map_or_else(|| SystemClock.utc(), |session| session.expires_at);
    let upgrade = upgrade.wait(&qr.waiting, &code, end).await?;
    Ok(upgrade.on_connect(move |page| greet(qr.store.clone(), code.clone(), page)).start())
}

/// A page that reloaded does not know that it was scanned.
async fn greet(store: Store, code: String, page: Connection) -> Result<(), Refused> {
    let session = store.session(code).await.map_err(|_| Refused::Unavailable)?;
    if session.is_some_and(|session| session.status == "scanned") {
        let _ = page.send(status("scanned")); // Fails only where the page has left.
    }
    Ok(())
}

/// `GET /v1/qr-login/waiting`: how many connections wait.
pub(crate) async fn waiting(qr: Data<Qr>) -> Json<Value> {
    Json(json!({"waiting": qr.waiting.count().await}))
}

/// `POST /v1/qr-login/scan`: a phone holds the code, and asks its user. Once more by the same user: the same answer.
pub(crate) async fn scan(
    qr: Data<Qr>,
    user: CurrentUser,
    body: Json<Scanned>,
) -> Result<Json<Value>, Problem> {
    let session = step(&qr, &user, &body.code, Step::Scan).await?;
    qr.waiting.tell(&body.code, status("scanned")).await.map_err(untold)?;
    let expires_at = session.expires_at.timestamp_millis();
    Ok(Json(json!({"status": "scanned", "browser": session.browser, "expiresAt": expires_at})))
}

/// `POST /v1/qr-login/confirm`: the user says yes. The browser hears its token, once; here only the hash stays.
pub(crate) async fn confirm(
    qr: Data<Qr>,
    online: Online,
    user: CurrentUser,
    body: Json<Scanned>,
) -> Result<Json<Value>, Problem> {
    let browser =
        qr.store.session(body.code.clone()).await?.map_or_else(String::new, |session| session.browser);
    let (token, login) = auth::issue(user.login_id(), &browser, auth::WEB);
    step(&qr, &user, &body.code, Step::Confirm(login)).await?;
    let news = json!({"status": "confirmed", "web_token": token.expose()}).to_string();
    let told = qr.waiting.finish(&body.code, news, SystemClock.utc() + KEPT).await.map_err(untold)?;
    auth::tell_logins(&online, &user.user).await;
    let told = matches!(told, Finished::Told(_));
    Ok(Json(json!({"status": "confirmed", "browser": browser, "handle": token.id(), "told": told})))
}

/// `POST /v1/qr-login/cancel`: the user says no.
pub(crate) async fn cancel(
    qr: Data<Qr>,
    user: CurrentUser,
    body: Json<Scanned>,
) -> Result<Json<Value>, Problem> {
    step(&qr, &user, &body.code, Step::Cancel).await?;
    let kept = SystemClock.utc() + KEPT;
    let _ = qr.waiting.finish(&body.code, status("cancelled"), kept).await.map_err(untold)?;
    Ok(Json(json!({"status": "cancelled"})))
}

/// Takes a step, or says by how the session stands why not.
async fn step(qr: &Qr, user: &CurrentUser, code: &str, step: Step) -> Result<QrSession, Problem> {
    auth::by_phone(user)?;
    let (taken, session) = qr.store.step(code.to_owned(), user.login_id().to_owned(), step).await?;
    let unknown = "no such QR code: scan the one that the page shows now";
    let session = session.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, unknown))?;
    let by_another = session.login_id.as_deref().is_some_and(|own| own != user.login_id());
    let (status, text) = match session.status.as_str() {
        _ if taken => return Ok(session),
        "confirmed" => (StatusCode::CONFLICT, "this QR code was used already: ask the page for a new one"),
        "cancelled" => (StatusCode::CONFLICT, "this login was cancelled: ask the page for a new QR code"),
        _ if session.is_over() => (StatusCode::GONE, "this QR code has expired: ask the page for a new one"),
        _ if by_another => {
            (StatusCode::FORBIDDEN, "somebody else scanned this QR code: ask the page for a new one")
        }
        _ => (StatusCode::CONFLICT, "scan the QR code first: POST /v1/qr-login/scan"),
    };
    Err(Problem::new(status, text))
}

fn untold(error: impl Error) -> Problem {
    tracing::warn!(%error, "the page could not be told");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the page could not be told: ask it for a new QR code")
}

/// What the QR code of a session shows.
fn code_of(session_id: &str) -> String {
    Token::new(session_id).id().to_string().replace("tok_", "")
}

/// Where the phone finds this server: as the page was reached, unless the operator knows better. Behind a proxy he does:
/// anyone can write what a proxy is to add.
fn base_url(qr: &Qr, request: &HttpRequest) -> String {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if request.app_config().secure() { "https" } else { "http" };
    qr.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", host.unwrap_or("localhost")))
}

fn svg(text: &str) -> Result<String, Problem> {
    let too_long =
        |_| Problem::new(StatusCode::BAD_REQUEST, "the address of this server is too long for a QR code");
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(too_long)?;
    Ok(code.render::<svg::Color<'_>>().build())
}

fn status(word: &str) -> String {
    json!({"status": word}).to_string()
}
