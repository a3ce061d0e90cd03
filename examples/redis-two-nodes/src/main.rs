//! An axum node and an actix node that are one, over Redis, behind one page. See README.md beside it.

mod child;
mod fleet;
mod front;
mod node;
mod pages;
mod redis_server;

use std::{error::Error, net::SocketAddr, sync::Arc};

use clap::{Parser, Subcommand};
use fleet::{Fleet, Setup};
use redis_server::RedisServer;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two nodes of one application, on axum and on actix-web, that are one over Redis.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// One node; the page's process starts it.
    #[command(hide = true)]
    Node(node::Options),
    /// A Redis of our own; the page's process starts it.
    #[command(hide = true)]
    Redis,
}

#[derive(Parser)]
struct Options {
    /// The address of the page.
    #[arg(long, env = "TWO_NODES_LISTEN", default_value = "127.0.0.1:3004")]
    listen: SocketAddr,
    /// The addresses of the two nodes; port 0 takes a free one.
    #[arg(long, env = "TWO_NODES_NODES", value_delimiter = ',', default_values_t = ["127.0.0.1:3005", "127.0.0.1:3006"].map(|text| text.parse::<SocketAddr>().expect("an address")))]
    nodes: Vec<SocketAddr>,
    /// A Redis that is there, as `redis://127.0.0.1:6379/`. Without it, one of its own is started and ended.
    #[arg(long, env = "TWO_NODES_REDIS", hide_env_values = true)]
    redis: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let line = Line::parse();
    match line.command {
        Some(Command::Node(options)) => node::run(options).await,
        Some(Command::Redis) => redis_server::keep().await,
        None => serve(line.options).await,
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let [first, second] = options.nodes[..] else { return Err("`--nodes` takes two addresses".into()) };
    let at = options.listen;
    let listener = tokio::net::TcpListener::bind(at).await;
    let listener = listener.map_err(|error| {
        format!("the page cannot be at {at}: {error}; give another address by `--listen`")
    })?;
    let address = listener.local_addr()?;
    let (redis, own) = match options.redis {
        Some(redis) => (redis, None),
        None => {
            let own = RedisServer::start().await?;
            (own.url().to_owned(), Some(own))
        }
    };
    // A URL that was given may have a password in it.
    let shown = own.as_ref().map_or("the Redis that was named", RedisServer::url).to_owned();
    let setup = Setup { redis, secret: random(), page: address };
    let fleet = Arc::new(Fleet::start(setup, [("axum", first), ("actix", second)]).await?);
    let app = front::routes(fleet.clone(), address);
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("two nodes behind http://{address} — over {shown}");
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    fleet.end().await;
    match own {
        Some(redis) => Ok(redis.end().await?),
        None => Ok(()),
    }
}

fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
