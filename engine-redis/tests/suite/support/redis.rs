//! [`Redis`]: a redis-server process of a test's own, on a free loopback port, gone with the value.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::wait::until;

/// What a test waits for takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running redis-server, or redis-sentinel.
pub(crate) struct Redis {
    process: Child,
    port: u16,
    dir: PathBuf,
    extra: Vec<String>,
    password: Option<String>,
    sentinel: bool,
}

impl Redis {
    /// An empty one that stores nothing on disk.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with more options, as on its command line.
    pub(crate) async fn with(options: &[&str]) -> Self {
        let (port, dir) = place();
        let extra: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let password =
            extra.iter().position(|option| option == "--requirepass").map(|at| extra[at + 1].clone());
        let process = spawn(port, &dir, &extra);
        let redis = Self { process, port, dir, extra, password, sentinel: false };
        redis.wait_until_up().await;
        redis
    }

    /// A sentinel that watches the master and needs nobody else's consent.
    pub(crate) async fn sentinel(master: &Self, name: &str, down_after: Duration) -> Self {
        let (port, dir) = place();
        let config = dir.join("sentinel.conf");
        let down_after = down_after.as_millis();
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} {down_after}\nsentinel failover-timeout {name} 3000\n",
            master.port
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("redis-sentinel");
        let process = command.arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let sentinel = Self { process, port, dir, extra: Vec::new(), password: None, sentinel: true };
        sentinel.wait_until_up().await;
        sentinel
    }

    /// What it was started with.
    pub(crate) fn option(&self, name: &str) -> Option<String> {
        let at = self.extra.iter().position(|option| option == name)?;
        self.extra.get(at + 1).cloned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/", self.port),
            None => format!("redis://127.0.0.1:{}/", self.port),
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, on the same port and with nothing in it.
    pub(crate) async fn restart(&mut self) {
        assert!(!self.sentinel, "only servers are started again");
        self.kill();
        self.process = spawn(self.port, &self.dir, &self.extra);
        self.wait_until_up().await;
    }

    /// Freezes it: it keeps its connections and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status().unwrap();
        assert!(done.success());
    }

    /// One command on a connection of its own.
    pub(crate) async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_run(words).await.unwrap()
    }

    /// Several commands, one after the other.
    pub(crate) async fn run_all(&self, pipe: &redis::Pipeline) {
        pipe.exec_async(&mut self.connection().await).await.unwrap();
    }

    /// A connection for many commands.
    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// Everything that is in it, and for how long, as it is stored.
    pub(crate) async fn dump(&self) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
        let mut connection = self.connection().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let mut all = BTreeMap::new();
        for key in keys {
            let mut pipe = redis::pipe();
            pipe.cmd("DUMP").arg(&key).cmd("PEXPIRETIME").arg(&key);
            let stored = pipe.query_async(&mut connection).await.unwrap();
            all.insert(key, stored);
        }
        all
    }

    pub(crate) async fn try_run<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    /// Ends the connections of a kind: those whose last command is among these.
    pub(crate) async fn kill_clients(&self, last_command: &str) -> usize {
        let list: String = self.run(&["CLIENT", "LIST"]).await;
        let mut killed = 0;
        for line in list.lines() {
            let of = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            if of("cmd").is_some_and(|cmd| cmd.starts_with(last_command)) {
                let id = of("id").unwrap();
                killed += self.run::<usize>(&["CLIENT", "KILL", "ID", id]).await;
            }
        }
        killed
    }

    async fn wait_until_up(&self) {
        let answers =
            async || self.try_run::<String>(&["PING"]).await.map(drop).map_err(|error| error.to_string());
        until("redis-server answers", PATIENCE, answers).await;
    }

    /// Waits until nodes have beaten so often: what should not happen has had its time to happen.
    pub(crate) async fn beats(&self, count: usize) {
        let (mut last, mut seen) = (None, 0);
        until("nodes beat", 3 * PATIENCE, async || {
            let beat: Option<String> = self.run(&["HGET", "herenow:meta", "beat"]).await;
            seen += usize::from(beat != last);
            last = beat;
            if seen > count { Ok(()) } else { Err(format!("{seen} of {count}")) }
        })
        .await;
    }

    /// Waits until a command answers so.
    pub(crate) async fn wait_for<T>(&self, words: &[&str], what: &str, is: impl Fn(&T) -> bool)
    where
        T: redis::FromRedisValue + std::fmt::Debug,
    {
        until(what, PATIENCE, async || match self.try_run::<T>(words).await {
            Ok(answer) if is(&answer) => Ok(()),
            other => Err(format!("last: {other:?}")),
        })
        .await;
    }

    /// How often a command was carried out, by scripts too.
    pub(crate) async fn calls(&self, command: &str) -> usize {
        Self::calls_in(&self.run::<String>(&["INFO", "commandstats"]).await, command)
    }

    /// The same, as `INFO commandstats` tells it.
    pub(crate) fn calls_in(info: &str, command: &str) -> usize {
        let head = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&head));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or_default()
    }
}

fn spawn(port: u16, dir: &std::path::Path, extra: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(dir)
        .args(extra)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A free port and a directory for it.
fn place() -> (u16, PathBuf) {
    let port = free_port();
    let dir = std::env::temp_dir().join(format!("herenow-redis-test-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    (port, dir)
}

/// A port that nobody listens on, and that is given to no outgoing connection meanwhile.
pub(crate) fn free_port() -> u16 {
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let port = 20_000 + u16::from_be_bytes(random) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Also when a test fails; by its own handle, so nobody else's process is hit.
impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
