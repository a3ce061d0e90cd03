//! One node. What it does is the same on both frameworks; `axum.rs` and `actix.rs` only mount it.

mod actix;
mod axum;
mod talk;

use std::{error::Error, net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use herenow_axum::{
    OnlineManager,
    auth::{Action, Identity, JwtKeys, Origins},
};
use herenow_redis::{RedisConfig, RedisEngine};

use crate::child;

/// The channel that everybody is in.
const LOBBY: &str = "lobby";
/// Half of the usual, so that one sees sooner what a killed node means.
const LEASE: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long, value_enum)]
    framework: Framework,
    #[arg(long)]
    listen: SocketAddr,
    /// Where the page is.
    #[arg(long)]
    page: SocketAddr,
    #[arg(long, env = "TWO_NODES_REDIS", hide_env_values = true)]
    redis: String,
    #[arg(long, env = "TWO_NODES_SECRET", hide_env_values = true)]
    secret: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Framework {
    Axum,
    Actix,
}

pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let name = match options.framework {
        Framework::Axum => "axum",
        Framework::Actix => "actix",
    };
    // Under its name a node that is started again takes over at once what the one before left.
    let redis = RedisConfig::try_from(&options.redis)?.prefix("two-nodes").node_name(name).lease(LEASE);
    let page = options.page;
    let origins = [format!("http://{page}"), format!("http://localhost:{}", page.port())];
    let online = OnlineManager::builder()
        .engine(RedisEngine::connect(redis).await?)
        .authenticator(JwtKeys::hs256(options.secret.as_bytes())?.authenticator())
        .origins(Origins::parse(origins.iter().map(String::as_str))?)
        .authorize(may)
        .build()?;
    let at = options.listen;
    let listener = tokio::net::TcpListener::bind(at).await;
    let listener = listener
        .map_err(|error| format!("a node cannot listen on {at}: {error}; give others by `--nodes`"))?;
    println!("ready {}", listener.local_addr()?);
    let ended = drained(online.clone());
    match options.framework {
        Framework::Axum => axum::serve(online, listener, ended).await?,
        Framework::Actix => actix::serve(online, listener, ended).await?,
    }
    Ok(())
}

/// Everybody sees everybody in the lobby.
fn may(_: &Identity, action: &Action) -> bool {
    match action {
        Action::SeeStatus { .. } | Action::SeeOnline => true,
        Action::SubscribePresence { channel } | Action::HereNow { channel } => **channel == *LOBBY,
        _ => false,
    }
}

/// Resolves once the page's process has closed our input, or is gone, and every socket is closed.
async fn drained(online: OnlineManager) {
    if let Err(error) = child::input_ended().await {
        tracing::error!(%error, "a node is started by the page's process, and ends with it");
    }
    let report = online.shutdown(Duration::from_secs(5)).await;
    tracing::info!(?report, "drained");
}
