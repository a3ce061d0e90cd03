//! A redis-server process of the benchmark's own, gone with the value.

use std::{
    error::Error,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use herenow_redis::{RedisConfig, Server};
use redis::FromRedisValue;

use super::node::until;
use crate::load::now;

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(10);
/// Slots of a Redis Cluster.
const SLOTS: usize = 16_384;

/// It stores nothing on disk.
pub(super) struct Redis {
    /// One, or the masters of a Redis Cluster.
    processes: Vec<Process>,
}

struct Process {
    child: Child,
    port: u16,
    /// Of one of a cluster, the port at which the others find it.
    bus: Option<u16>,
    folder: PathBuf,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self { processes: vec![Process::start(None).await?] })
    }

    /// Three masters, each with a third of the slots.
    pub(super) async fn cluster() -> Result<Self, Box<dyn Error>> {
        let mut processes: Vec<Process> = Vec::new();
        for nth in 0..3 {
            let bus = free_port()?;
            let process = Process::start(Some(bus)).await?;
            let [first, last] = [nth * SLOTS / 3, (nth + 1) * SLOTS / 3 - 1].map(|slot| slot.to_string());
            process.run::<String>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
            let (port, bus) = (process.port.to_string(), bus.to_string());
            for other in &processes {
                other.run::<String>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
            }
            processes.push(process);
        }
        for process in &processes {
            until("the cluster is whole", START, async || {
                let info = process.run::<String>(&["CLUSTER", "INFO"]).await.unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            })
            .await?;
        }
        Ok(Self { processes })
    }

    pub(super) fn url(&self) -> String {
        self.processes[0].url()
    }

    /// For a node, with every default.
    pub(super) fn config(&self) -> Result<RedisConfig, Box<dyn Error>> {
        if self.processes.len() > 1 {
            return Ok(RedisConfig::new(Server::cluster(self.processes.iter().map(Process::url))));
        }
        Ok(RedisConfig::try_from(self.url())?)
    }

    /// Ends it as a crash does, and starts an empty one in its place.
    pub(super) async fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        for process in &mut self.processes {
            process.child.kill()?;
            process.child.wait()?;
            process.child = spawn(process.port, &process.folder, process.bus)?;
            process.up().await?;
        }
        Ok(())
    }

    /// One command.
    pub(super) async fn run<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, Box<dyn Error>> {
        self.processes[0].run(words).await
    }

    /// Processor time of the threads that run the commands.
    pub(super) async fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let mut all = Duration::ZERO;
        for process in &self.processes {
            all += process.cpu().await?;
        }
        Ok(all)
    }

    /// What its data takes.
    pub(super) async fn memory(&self) -> Result<u64, Box<dyn Error>> {
        let info: String = self.run(&["INFO", "memory"]).await?;
        Ok(field(&info, "used_memory").ok_or("it does not tell its memory")?.parse()?)
    }
}

impl Process {
    async fn start(bus: Option<u16>) -> Result<Self, Box<dyn Error>> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("herenow-bench-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let process = Self { child: spawn(port, &folder, bus)?, port, bus, folder };
        process.up().await?;
        Ok(process)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    async fn run<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, Box<dyn Error>> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        Ok(tokio::time::timeout(Duration::from_secs(60), command.query_async(&mut connection)).await??)
    }

    async fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let info: String = self.run(&["INFO", "cpu"]).await?;
        let seconds = |name: &str| field(&info, name).and_then(|value| value.parse::<f64>().ok());
        let (user, system) = (seconds("used_cpu_user_main_thread"), seconds("used_cpu_sys_main_thread"));
        let both = user
            .zip(system)
            .ok_or("redis-server 6.2 or newer tells its processor time; this one does not")?;
        Ok(Duration::from_secs_f64(both.0 + both.1))
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

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Which Redis is measured.
pub(super) async fn version() -> Result<String, Box<dyn Error>> {
    let info: String = Redis::start().await?.run(&["INFO", "server"]).await?;
    Ok(field(&info, "redis_version").unwrap_or("unknown").to_owned())
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// `bus` is the port for the other masters of a Redis Cluster.
fn spawn(port: u16, folder: &std::path::Path, bus: Option<u16>) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new("redis-server");
    if let Some(bus) = bus {
        command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]);
    }
    command
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
