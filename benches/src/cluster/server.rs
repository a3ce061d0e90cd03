//! A redis-server process of the benchmark's own, gone with the value.

use std::{
    error::Error,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::FromRedisValue;

use crate::load::now;

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(10);

/// It stores nothing on disk.
pub(super) struct Redis {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("herenow-bench-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let redis = Self { process: spawn(port, &folder)?, port, folder };
        redis.up().await?;
        Ok(redis)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it as a crash does, and starts an empty one in its place.
    pub(super) async fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(self.port, &self.folder)?;
        self.up().await
    }

    /// One command.
    pub(super) async fn run<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, Box<dyn Error>> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        Ok(tokio::time::timeout(Duration::from_secs(60), command.query_async(&mut connection)).await??)
    }

    /// Processor time of the thread that runs the commands.
    pub(super) async fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let info: String = self.run(&["INFO", "cpu"]).await?;
        let seconds = |name: &str| field(&info, name).and_then(|value| value.parse::<f64>().ok());
        let (user, system) = (seconds("used_cpu_user_main_thread"), seconds("used_cpu_sys_main_thread"));
        let both = user
            .zip(system)
            .ok_or("redis-server 6.2 or newer tells its processor time; this one does not")?;
        Ok(Duration::from_secs_f64(both.0 + both.1))
    }

    /// What its data takes.
    pub(super) async fn memory(&self) -> Result<u64, Box<dyn Error>> {
        let info: String = self.run(&["INFO", "memory"]).await?;
        Ok(field(&info, "used_memory").ok_or("it does not tell its memory")?.parse()?)
    }

    async fn up(&self) -> Result<(), Box<dyn Error>> {
        let end = now() + START;
        while let Err(error) = self.run::<String>(&["PING"]).await {
            if now() > end {
                return Err(format!("redis-server does not answer: {error}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Which Redis is measured.
pub(super) async fn version() -> Result<String, Box<dyn Error>> {
    let info: String = Redis::start().await?.run(&["INFO", "server"]).await?;
    Ok(field(&info, "redis_version").unwrap_or("unknown").to_owned())
}

fn spawn(port: u16, folder: &std::path::Path) -> Result<Child, Box<dyn Error>> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            format!("redis-server could not be started ({error}); Debian's package is redis-server").into()
        })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
