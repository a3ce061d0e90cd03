//! A `redis-server` of our own, which stores nothing on disk and ends with us.

use std::{error::Error, net::TcpListener, process::Stdio, time::Duration};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);

pub(crate) struct RedisServer {
    port: u16,
    /// Killed when dropped.
    _process: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!(
                    "redis-server could not be started ({error}): install it (Debian: `apt-get install redis-server`), \
                     or name one that runs: `--redis redis://127.0.0.1:6379/`"
                )
            })?;
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let late = |_| format!("redis-server does not listen on port {port} within {START:?}");
        timeout(START, listens).await.map_err(late)?;
        Ok(Self { port, _process: process })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}
