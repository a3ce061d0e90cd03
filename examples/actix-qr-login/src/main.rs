//! Login by a QR code: a page waits, a phone says yes, the page is logged in. See README.md beside it.

mod auth;
mod pages;
mod problem;
mod qr;
mod store;

use std::{error::Error, io::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{self, Data, JsonConfig, ServiceConfig},
};
use clap::Parser;
use herenow::{
    Content, MessageType, Notice, OnlineManager, PushMessage, Rendezvous, auth::OpaqueTokens, policy,
};
use herenow_actix::{OnlineMiddleware, OnlineUpgrade};
use problem::Problem;
use qr::Qr;
use serde_json::json;
use store::Store;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The longest JSON body, in bytes.
const LONGEST: usize = 4096;
/// How long the sockets may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Login by a QR code on herenow and actix-web.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on. For a real phone, one that it can reach: 0.0.0.0:3001.
    #[arg(long, env = "QR_LISTEN", default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
    /// The SQLite file; made where there is none.
    #[arg(long, env = "QR_DATABASE", default_value = "qr-login.sqlite")]
    database: PathBuf,
    /// How long a QR code is good, in seconds.
    #[arg(long, env = "QR_TTL_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    ttl_seconds: u64,
    /// Where the phone finds this server, as "https://…". Without it: as the browser did.
    #[arg(long, env = "QR_PUBLIC_URL")]
    public_url: Option<String>,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let store = Store::open(&options.database)
        .map_err(|error| format!("--database {}: {error}", options.database.display()))?;
    let online = OnlineManager::builder()
        .authenticator(OpaqueTokens::new(store.clone()))
        .authorize(policy::members_see_members())
        .build()?;
    let waiting = Rendezvous::new();
    // Made once, outside the closure: that one runs in every worker.
    let qr = Data::new(Qr {
        store: store.clone(),
        waiting: waiting.clone(),
        ttl: Duration::from_secs(options.ttl_seconds),
        public_url: options.public_url.map(|url| url.trim_end_matches('/').to_owned()),
    });
    let (store, manager) = (Data::new(store), online.clone());
    let app = move || {
        App::new()
            .app_data(store.clone())
            .app_data(qr.clone())
            .app_data(JsonConfig::default().limit(LONGEST).error_handler(Problem::of_json))
            .configure(routes)
            .default_service(web::to(nowhere))
            .wrap(OnlineMiddleware::new(&manager))
            .wrap(pages::headers())
    };
    let server = herenow_actix::tune(HttpServer::new(app)).disable_signals().bind(options.listen)?;
    for address in server.addrs() {
        println!("QR login on http://{address} — the database is {}", options.database.display());
    }
    std::io::stdout().flush()?;
    let server = server.run();
    actix_web::rt::spawn(tell_presence(online.clone()));
    actix_web::rt::spawn(drain(online, waiting, server.handle()));
    Ok(server.await?)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/v1/qr-login", web::post().to(qr::begin))
        .route("/v1/qr-login/waiting", web::get().to(qr::waiting))
        .route("/v1/qr-login/scan", web::post().to(qr::scan))
        .route("/v1/qr-login/confirm", web::post().to(qr::confirm))
        .route("/v1/qr-login/cancel", web::post().to(qr::cancel))
        .route("/v1/ws/qr/{session_id}", web::get().to(qr::wait))
        .route("/v1/phone/login", web::post().to(auth::log_in))
        .route("/v1/logins", web::get().to(auth::logins))
        .route("/v1/logins/end", web::post().to(auth::end))
        .route("/v1/logout", web::post().to(auth::log_out))
        .route("/ws", web::get().to(ws))
        .service(web::scope("/presence").configure(herenow_actix::routes()))
        .configure(pages::routes);
}

async fn nowhere() -> Result<HttpResponse, Problem> {
    let text = "no such route, or not with this method: the README has the table";
    Err(Problem::new(StatusCode::NOT_FOUND, text))
}

/// The socket of whoever is logged in.
async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
    upgrade.start()
}

/// Tells everybody who came, left or changed.
async fn tell_presence(online: OnlineManager) {
    let mut events = online.events();
    while let Some(notice) = events.recv().await {
        let Notice::Event(event) = notice else { continue };
        let fact = json!({"id": event.user.login_id(), "status": event.status});
        if let Ok(content) = Content::json(&fact) {
            let news = PushMessage::new(content).kind(MessageType::Custom("presence".to_owned()));
            let _ = online.broadcast(news).await; // Fails only while shutting down.
        }
    }
}

/// On SIGTERM or Ctrl-C: every socket says goodbye and closes, then the server ends.
async fn drain(online: OnlineManager, waiting: Rendezvous, server: ServerHandle) {
    let mut term = signal(SignalKind::terminate()).expect("a signal handler");
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let (logged_in, waiting) = tokio::join!(online.shutdown(DRAIN), waiting.shutdown(DRAIN));
    tracing::info!(?logged_in, ?waiting, "drained");
    server.stop(true).await;
}
