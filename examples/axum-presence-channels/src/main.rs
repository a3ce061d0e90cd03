//! Rooms with live member lists, in GoEasy's calls. See README.md beside it.

mod auth;
mod pages;
mod rate;
mod rooms;

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use auth::{Logins, STAFF};
use axum::{
    Router,
    response::Response,
    routing::{any, post},
};
use clap::Parser;
use herenow_axum::{OnlineLayer, OnlineManager, OnlineUpgrade, auth::JwtKeys};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rooms with live member lists, on herenow and axum.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on.
    #[arg(long, env = "CHANNELS_LISTEN", default_value = "127.0.0.1:3003")]
    listen: SocketAddr,
    /// Signs the tokens; at least 32 bytes. Without it, logins end with the process.
    #[arg(long, env = "CHANNELS_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// Who may enter the staff room and kick, with commas between the names.
    #[arg(long, env = "CHANNELS_STAFF", value_delimiter = ',', default_value = "ada,grace")]
    staff: Vec<String>,
    /// The password of these names. Without it, one is made up and shown.
    #[arg(long, env = "CHANNELS_STAFF_PASSWORD", hide_env_values = true)]
    staff_password: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let keys = JwtKeys::hs256(options.secret.unwrap_or_else(random).as_bytes())?;
    let staff_password = options.staff_password.unwrap_or_else(|| random()[..12].to_owned());
    // `userData` of the page is public as it is: `client_data` is on by default, and the tokens carry none.
    let online =
        OnlineManager::builder().authenticator(keys.authenticator()).authorize(rooms::policy).build()?;

    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    println!(
        "rooms on http://{} — staff ({}) has the password {staff_password:?}",
        listener.local_addr()?,
        options.staff.join(", ")
    );
    let logins = Logins::new(keys, options.staff, staff_password);
    let app = Router::new()
        .route("/ws", any(ws))
        .route("/login", post(auth::log_in))
        .route("/refresh", post(auth::refresh))
        .with_state(Arc::new(logins))
        .merge(herenow_axum::routes()) // `GET /herenow?appkey=…` at the root, where seed 4 has it
        .nest("/presence", herenow_axum::routes_with_admin(|who| who.has_scope(STAFF)))
        .layer(OnlineLayer::new(&online))
        .merge(pages::routes());
    Ok(herenow_axum::serve(listener, app).until(drained(online)).await?)
}

/// All that the page does over its socket, herenow answers: nothing is left for a handler.
async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.start()
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
