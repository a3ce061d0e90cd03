//! Notifications and announcements: live, and on return. See README.md beside it.

mod admin;
mod auth;
mod offline;
mod pages;
mod people;
mod store;
mod user;

use std::{error::Error, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use herenow_poem::{OnlineManager, OnlineMiddleware, Rejection, auth::JwtKeys, policy};
use poem::{
    EndpointExt, IntoResponse, Response, Route, get, listener::TcpAcceptor, middleware::SizeLimit, post, put,
    web::Json,
};
use serde_json::{Value, json};
use store::Store;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The account that sends and kicks, and the scope of its tokens. It is no user: nothing is sent to it.
const ADMIN: &str = "admin";

/// What handlers answer.
type Answer = Result<Json<Value>, Rejection>;

/// Notifications and announcements on herenow and poem.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on.
    #[arg(long, env = "NOTIFY_LISTEN", default_value = "127.0.0.1:3002")]
    listen: SocketAddr,
    /// The SQLite file; made where there is none.
    #[arg(long, env = "NOTIFY_DATABASE", default_value = "notify.sqlite")]
    database: PathBuf,
    /// Signs the tokens; at least 32 bytes. Without it, logins end with the process.
    #[arg(long, env = "NOTIFY_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The password of the account `admin`. Without it, one is made up and shown.
    #[arg(long, env = "NOTIFY_ADMIN_PASSWORD", hide_env_values = true)]
    admin_password: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let keys = JwtKeys::hs256(options.secret.unwrap_or_else(random).as_bytes())?;
    let admin_password = options.admin_password.unwrap_or_else(|| random()[..12].to_owned());
    let store = Store::open(&options.database)
        .map_err(|error| format!("--database {}: {error}", options.database.display()))?;
    let (returned, waiting) = mpsc::channel(1024);
    let online = OnlineManager::builder()
        .authenticator(keys.authenticator())
        .authorize(policy::members_see_members())
        .last_seen(store.clone())
        .offline_sink(offline::Sink(store.clone(), returned.clone()))
        .build()?;
    tokio::spawn(offline::deliver(online.clone(), store.clone(), waiting));
    tokio::spawn(people::follow(online.clone(), store.clone()));

    let listener = TcpListener::bind(options.listen).await?;
    println!(
        "notifications on http://{} — and /admin, for the account {ADMIN:?} with the password {admin_password:?}",
        listener.local_addr()?
    );
    let bounded = || SizeLimit::new(64 * 1024);
    let app = pages::on(Route::new())
        .at("/ws", user::ws)
        .at("/login", post(auth::log_in).with(bounded()))
        .at("/refresh", post(auth::refresh))
        .at("/logout", post(auth::log_out))
        .at("/people", get(people::people))
        .at("/me/notifications", get(user::notifications))
        .at("/me/read", post(user::read).with(bounded()))
        .at("/me/status", put(user::set_status).with(bounded()))
        .at("/admin/send", post(admin::send).with(bounded()))
        .nest("/presence", herenow_poem::routes_with_admin(|who| who.has_scope(ADMIN)))
        .data(store.clone())
        .data(returned)
        .data(auth::Logins { keys, admin_password })
        .with(OnlineMiddleware::new(&online))
        .catch_all_error(as_json);
    let acceptor = TcpAcceptor::from_tokio(listener)?;
    herenow_poem::serve_with_acceptor(acceptor, app).until(drained(online)).await?;
    store.finish().await;
    Ok(())
}

/// What poem says in plain text, of an unknown path for one, in the form of all other errors.
async fn as_json(error: poem::Error) -> Response {
    let (status, text) = (error.status(), error.to_string());
    let response = error.into_response();
    if response.content_type() == Some("application/json") {
        return response;
    }
    Json(json!({"code": status.as_u16(), "content": text})).with_status(status).into_response()
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
