//! The routes that need nothing of an adapter: login, admin, health, metrics.

use std::time::Duration;

use bytes::Bytes;
use herenow::{
    Close, ConnectionId, KickOut, KickReport, OnlineManager, PushMessage, PushReport, Target, UserKey,
    auth::Identity, cluster::Health,
};
use http::{HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{App, told::Told};

/// A request as every framework can tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) admin_key: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The paths that [`answer`] knows, `*` at the end standing for anything.
pub(super) const ROUTES: [(&str, &str); 5] = [
    ("POST", "/login"),
    ("POST", "/admin/{*route}"),
    ("GET", "/admin/{*route}"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
];

pub(super) async fn answer(app: &App, asked: Asked<'_>) -> Response<Bytes> {
    let answered = match asked.path {
        "/login" => login(app, asked.body),
        "/metrics" => return text(app.metrics.render()),
        "/healthz" => return health(app.online.engine_health()),
        path => match path.strip_prefix("/admin/") {
            Some(_) if asked.admin_key != Some(&app.options.admin_key) => Err(forbidden()),
            Some(route) => admin(app, route, asked).await,
            None => Err(no("no such route", StatusCode::NOT_FOUND)),
        },
    };
    match answered {
        Ok(Value::Null) => status(StatusCode::NO_CONTENT, Bytes::new()),
        Ok(value) => as_json(StatusCode::OK, &value),
        Err(no) => as_json(no.status, &json!({"code": no.status.as_u16(), "content": no.text})),
    }
}

/// An answer of "no".
struct No {
    status: StatusCode,
    text: String,
}

fn no(text: impl ToString, status: StatusCode) -> No {
    No { status, text: text.to_string() }
}

fn bad(text: impl ToString) -> No {
    no(text, StatusCode::BAD_REQUEST)
}

fn forbidden() -> No {
    no("the header X-Admin-Key does not fit", StatusCode::FORBIDDEN)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, No> {
    serde_json::from_slice(body).map_err(bad)
}

fn told<T: Serialize>(value: &T) -> Result<Value, No> {
    serde_json::to_value(value).map_err(|error| no(error, StatusCode::INTERNAL_SERVER_ERROR))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    login_id: String,
    device: Option<String>,
    ttl_seconds: Option<f64>,
    #[serde(default)]
    tenant: String,
    /// What others see of the user.
    data: Option<Box<RawValue>>,
}

fn login(app: &App, body: &[u8]) -> Result<Value, No> {
    let login: Login = read(body)?;
    let mut identity = Identity::new(UserKey::in_account(login.tenant, login.login_id));
    identity.device = login.device.map(Into::into);
    identity.data = login.data.map(Into::into);
    let ttl = Duration::try_from_secs_f64(login.ttl_seconds.unwrap_or(3600.0)).map_err(bad)?;
    Ok(json!({"token": app.tokens.issue(&identity, ttl).expose()}))
}

/// The body of every admin route; each reads what it needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    login_id: Option<String>,
    token: Option<String>,
    device: Option<String>,
    connection: Option<ConnectionId>,
    channel: Option<String>,
    #[serde(default)]
    tenant: String,
    content: Option<String>,
    reason: Option<String>,
    ban_seconds: Option<f64>,
    code: Option<u16>,
}

impl Order {
    fn user(&self) -> Result<UserKey, No> {
        let login_id = self.login_id.as_deref().ok_or_else(|| bad("`loginId` is missing"))?;
        Ok(UserKey::in_account(&self.tenant, login_id))
    }

    fn target(&self) -> Result<Target, No> {
        match (&self.token, &self.device, self.connection, &self.channel) {
            (Some(token), _, _, _) => Ok(Target::token(token)),
            (_, _, Some(connection), _) => Ok(Target::connection(connection)),
            (_, _, _, Some(channel)) => Ok(Target::channel_in(&self.tenant, channel.as_str())),
            (_, Some(device), _, _) => Ok(Target::device(self.user()?, device)),
            _ => self.user().map(Target::user),
        }
    }

    fn message(&self) -> Result<PushMessage, No> {
        self.content.as_deref().map(PushMessage::from).ok_or_else(|| bad("`content` is missing"))
    }
}

async fn admin(app: &App, route: &str, asked: Asked<'_>) -> Result<Value, No> {
    let online = &app.online;
    match route.split_once('/') {
        Some(("online", login_id)) => return user(online, login_id, asked.query).await,
        None if route == "online" => return counts(online).await,
        None if route == "events" => {
            let told = app.told.as_ref().map(Told::to_json);
            return told.ok_or_else(|| no("--record-events was not given", StatusCode::NOT_FOUND));
        }
        _ => {}
    }
    let order: Order = read(asked.body)?;
    match route {
        "push" => push(online, order.target()?, order.message()?).await,
        "broadcast" => push(online, Target::account(&order.tenant), order.message()?).await,
        "kick" => told(&kick(online, &order).await?),
        "close" => push_and_close(online, &order).await,
        "revoke" => {
            app.tokens.revoke(order.token.as_deref().ok_or_else(|| bad("`token` is missing"))?);
            Ok(Value::Null)
        }
        _ => Err(no("no such route", StatusCode::NOT_FOUND)),
    }
}

async fn push(online: &OnlineManager, target: Target, message: PushMessage) -> Result<Value, No> {
    let refused =
        if online.is_shut_down() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
    reported(&online.push(target, message).await.map_err(|error| no(error, refused))?)
}

/// Ids are bare on the wire, since a request is about one account.
fn reported(report: &PushReport) -> Result<Value, No> {
    let mut value = told(report)?;
    value["offline"] = report.offline.iter().map(UserKey::login_id).collect();
    Ok(value)
}

async fn kick(online: &OnlineManager, order: &Order) -> Result<KickReport, No> {
    let mut kick = KickOut::because(order.reason.as_deref().unwrap_or_default());
    if let Some(seconds) = order.ban_seconds {
        kick = kick.ban_for(Duration::try_from_secs_f64(seconds).map_err(bad)?);
    }
    online.kick_out(order.target()?, kick).await.map_err(bad)
}

async fn push_and_close(online: &OnlineManager, order: &Order) -> Result<Value, No> {
    let reason = order.reason.as_deref().unwrap_or("done");
    let close = Close::app(order.code.unwrap_or(4000), reason).ok_or_else(|| bad("`code`: 4000 to 4299"))?;
    reported(&online.push_and_close(order.user()?, order.message()?, close).await.map_err(bad)?)
}

async fn counts(online: &OnlineManager) -> Result<Value, No> {
    let (users, connections) = (online.get_online_count().await, online.get_connection_count().await);
    Ok(json!({"users": users, "connections": connections, "channels": online.channels()}))
}

async fn user(online: &OnlineManager, login_id: &str, query: &str) -> Result<Value, No> {
    let decoded = |text| percent_decode_str(text).decode_utf8().map_err(bad);
    let tenant = query.split('&').find_map(|pair| pair.strip_prefix("tenant=")).unwrap_or_default();
    let user = UserKey::in_account(decoded(tenant)?, decoded(login_id)?);
    let status = online.get_status(&user).await;
    let last_seen = online.last_seen(&user).await.map(|at| at.timestamp_millis());
    let sessions: Vec<Value> = online.get_user_sessions(&user).await.into_iter().map(session).collect();
    Ok(json!({
        "online": status.is_online(), "status": status, "lastSeen": last_seen, "sessions": sessions,
    }))
}

fn session(session: herenow::OnlineUser) -> Value {
    json!({
        "handle": session.token,
        "device": session.device,
        "connectTime": session.connect_time.timestamp_millis(),
        "lastActivity": session.last_activity.timestamp_millis(),
    })
}

fn health(health: Health) -> Response<Bytes> {
    let code = if health == Health::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    as_json(code, &json!({"engine": health}))
}

fn status(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn as_json(code: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = status(code, value.to_string().into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(text: String) -> Response<Bytes> {
    let mut response = status(StatusCode::OK, text.into());
    let plain = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
