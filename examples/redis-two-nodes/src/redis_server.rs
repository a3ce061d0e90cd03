//! A `redis-server` of our own, which stores nothing on disk and ends with us. A process between us and it sees to that: when we
//! are killed, its input ends, and it takes the server along.

use std::{error::Error, net::TcpListener, process::Stdio, time::Duration};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

use crate::child;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);
const WHO: &str = "the Redis";

pub(crate) struct RedisServer {
    url: String,
    keeper: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let (keeper, url) = child::start(child::command("redis")?, WHO).await?;
        Ok(Self { url, keeper })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn end(self) -> Result<(), String> {
        child::end(self.keeper, WHO).await
    }
}

/// The process between.
pub(crate) async fn keep() -> Result<(), Box<dyn Error>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            format!(
                "redis-server could not be started ({error}): install it (Debian: `apt-get install redis-server`), \
                 or name one that runs: `--redis redis://127.0.0.1:6379/`"
            )
        })?;
    let serves = async {
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let late = |_| format!("redis-server does not listen on port {port} within {START:?}");
        timeout(START, listens).await.map_err(late)?;
        println!("ready redis://127.0.0.1:{port}/");
        child::input_ended().await.map_err(|error| error.to_string())
    };
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => {}
        ended = server.wait() => return Err(format!("redis-server ended by itself: {}", ended?).into()),
        served = serves => served?,
    }
    server.kill().await?;
    Ok(())
}
