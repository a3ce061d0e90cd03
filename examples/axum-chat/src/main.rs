//! A chat application: who is online, messages to one or to all, kick-out. See README.md beside it.

mod auth;

use std::{collections::VecDeque, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use auth::{ADMIN, Logins};
use axum::{
    Json, Router,
    extract::State,
    response::{Html, Response},
    routing::{any, get, post},
};
use clap::Parser;
use herenow::{
    Clock, Connection, Content, EventKind, HandlerError, Inbound, MessageType, Notice, OnlineManager,
    PushMessage, Reply, Session, SystemClock, Target, auth::JwtKeys, policy,
};
use herenow_axum::{CurrentUser, OnlineLayer, OnlineUpgrade};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Names that are remembered when they are offline.
const REMEMBERED: usize = 200;
/// The longest text, in bytes.
const LONGEST: usize = 2_000;

/// A chat application on herenow and axum.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on.
    #[arg(long, env = "CHAT_LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Signs the tokens; at least 32 bytes. Without it, logins end with the process.
    #[arg(long, env = "CHAT_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The password of the account `admin`. Without it, one is made up and shown.
    #[arg(long, env = "CHAT_ADMIN_PASSWORD", hide_env_values = true)]
    admin_password: Option<String>,
}

#[derive(Clone)]
struct Chat {
    online: OnlineManager,
    /// The names seen last, up to a bound.
    names: Arc<Mutex<VecDeque<String>>>,
}

#[derive(Deserialize)]
struct Say {
    to: Option<String>,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let keys = JwtKeys::hs256(options.secret.unwrap_or_else(random).as_bytes())?;
    let admin_password = options.admin_password.unwrap_or_else(|| random()[..12].to_owned());
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    let authenticator = keys.authenticator();
    let online = OnlineManager::builder()
        .authenticator(authenticator)
        .authorize(policy::members_see_members())
        .build()?;
    let chat = Chat { online: online.clone(), names: Arc::default() };
    tokio::spawn(tell_presence(chat.clone()));

    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    println!(
        "chat on http://{} — the account {ADMIN:?} has the password {admin_password:?}",
        listener.local_addr()?
    );
    let app = Router::new()
        .route("/ws", any(ws))
        .route("/users", get(users))
        .with_state(chat)
        .route("/refresh", post(auth::refresh))
        .route("/login", post(auth::log_in))
        .with_state(Arc::new(Logins { keys, admin_password }))
        .nest("/presence", herenow_axum::routes_with_admin(|who| who.has_scope(ADMIN)))
        .layer(OnlineLayer::new(&online))
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/metrics", get(move || async move { metrics.render() }));
    Ok(herenow_axum::serve(listener, app).until(drained(online)).await?)
}

async fn ws(State(chat): State<Chat>, upgrade: OnlineUpgrade) -> Response {
    upgrade.on_message(move |connection, inbound| say(chat.clone(), connection, inbound)).start()
}

/// A message of a client: to one, or to everybody. The sender's other tabs see it as well.
async fn say(chat: Chat, from: Connection, inbound: Inbound) -> Result<Reply, HandlerError> {
    let Say { to, text } = inbound.json()?;
    if text.trim().is_empty() || text.len() > LONGEST {
        return Err(HandlerError::bad_frame(format!("a text has 1 to {LONGEST} bytes")));
    }
    let me = from.user().login_id();
    let at = SystemClock.utc().timestamp_millis();
    let message = push("chat", &json!({"from": me, "to": to, "text": text, "at": at}))?;
    let target = to.as_deref().map_or_else(Target::everyone, Target::user);
    let report = chat.online.push(target, message.clone()).await?;
    if to.is_some_and(|name| name != me) {
        let _ = chat.online.push(Target::user(me), message).await?;
    }
    Reply::json(&json!({"reached": report.reached()}))
}

/// Everybody who is online, and whoever was.
async fn users(State(chat): State<Chat>, _: CurrentUser) -> Json<Value> {
    let mut names = chat.names.lock().clone();
    let online = chat.online.get_online_users().await;
    let unnamed: Vec<String> = online.into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(unnamed);
    let users = names.iter().map(|name| describe(&chat.online, name));
    Json(json!({"users": futures_util::future::join_all(users).await}))
}

async fn describe(online: &OnlineManager, name: &str) -> Value {
    let session = |one: Session| json!({"device": one.device, "status": one.status, "handle": one.handle});
    let sessions: Vec<Value> = online.sessions(name).await.into_iter().map(session).collect();
    let last_seen = online.last_seen(name).await.map(|at| at.timestamp_millis());
    json!({"user": name, "status": online.get_status(name).await, "lastSeen": last_seen, "sessions": sessions})
}

/// Tells everybody who came, left or changed.
async fn tell_presence(chat: Chat) {
    let mut events = chat.online.events();
    while let Some(notice) = events.recv().await {
        let Notice::Event(event) = notice else { continue };
        let name = event.user.login_id();
        let mut fact = describe(&chat.online, name).await;
        fact["event"] = json!(match event.kind {
            EventKind::Online => "online",
            EventKind::Offline => "offline",
            _ => "update",
        });
        remember(&mut chat.names.lock(), name);
        if let Ok(message) = push("presence", &fact) {
            let _ = chat.online.broadcast(message).await; // Fails only while shutting down.
        }
    }
}

fn remember(names: &mut VecDeque<String>, name: &str) {
    names.retain(|known| known != name);
    names.push_back(name.to_owned());
    names.drain(..names.len().saturating_sub(REMEMBERED));
}

fn push(kind: &str, data: &Value) -> Result<PushMessage, HandlerError> {
    Ok(PushMessage::new(Content::json(data)?).kind(MessageType::Custom(kind.to_owned())))
}

fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Resolves on SIGTERM or Ctrl-C, once every socket is closed.
async fn drained(online: OnlineManager) {
    let mut term = signal(SignalKind::terminate()).expect("a signal handler");
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let report = online.shutdown(Duration::from_secs(5)).await;
    tracing::info!(?report, "drained");
}
