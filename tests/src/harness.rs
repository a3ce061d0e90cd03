//! A running server as the scenarios see it, in this process or in one of its own.

use std::{future::Future, net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use clap::Parser as _;
use herenow::{Clock as _, Instant, SystemClock, cluster::Engine};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    client::{Client, Dial, Response},
    server::{self, Options, Running, tls::Certificate},
};

/// How long anything may take that should come soon.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The adapter whose framework keeps the sockets of connections.
const KEEPS_SOCKETS: &str = "actix";
/// Between two looks at a condition.
const PACE: Duration = Duration::from_millis(5);

/// The monotonic time.
pub fn now() -> Instant {
    SystemClock.now()
}

/// The wall's time in milliseconds since 1970: a server on this machine has the same.
pub fn utc_millis() -> i64 {
    SystemClock.utc().timestamp_millis()
}

/// Waits until a condition holds.
///
/// # Panics
/// It never does.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        let mut pace = tokio::time::interval(PACE);
        while !holds().await {
            pace.tick().await;
        }
    };
    assert!(timeout(PATIENCE, looking).await.is_ok(), "not in time: {what}");
}

fn parsed(adapter: &str, options: &[&str]) -> Options {
    let arguments = ["conformance-server", "--adapter", adapter].into_iter();
    let parsed = Options::try_parse_from(arguments.chain(options.iter().copied()));
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

/// A server to run a scenario on.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls: Option<Certificate>,
    host: Host,
    keeps_sockets: bool,
}

#[derive(Debug)]
enum Host {
    Here(Running),
    Process(Child),
}

impl Server {
    /// In this process.
    ///
    /// # Panics
    /// It does not start.
    pub async fn here(adapter: &str, options: &[&str]) -> Self {
        Self::start(adapter, options, None).await
    }

    /// In this process, behind TLS.
    ///
    /// # Panics
    /// It does not start.
    pub async fn here_with_tls(adapter: &str, options: &[&str]) -> Self {
        Self::start(adapter, options, Some(Certificate::new())).await
    }

    async fn start(adapter: &str, options: &[&str], tls: Option<Certificate>) -> Self {
        let running = server::start(parsed(adapter, options), tls.as_ref()).await.expect("the server starts");
        let keeps_sockets = adapter == KEEPS_SOCKETS;
        Self { address: running.address(), tls, host: Host::Here(running), keeps_sockets }
    }

    /// In this process, as one of several nodes.
    ///
    /// # Panics
    /// It does not start.
    pub async fn node(adapter: &str, options: &[&str], engine: Arc<dyn Engine>) -> Self {
        let running = server::start_node(parsed(adapter, options), engine).await.expect("the server starts");
        Self {
            address: running.address(),
            tls: None,
            host: Host::Here(running),
            keeps_sockets: adapter == KEEPS_SOCKETS,
        }
    }

    /// The binary, in a process of its own: for what is measured by the process.
    ///
    /// # Panics
    /// It does not start.
    pub async fn process(binary: &str, adapter: &str, options: &[&str]) -> Self {
        let mut child = Command::new(binary)
            .args(["--adapter", adapter])
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it says that it is ready");
        let line: Value = serde_json::from_str(&line.ok().flatten().unwrap_or_default()).expect("in JSON");
        let url = line["listening"].as_str().expect("with an address");
        let address = url.trim_start_matches("http://").parse().expect("of a socket");
        let keeps_sockets = adapter == KEEPS_SOCKETS;
        Self { address, tls: None, host: Host::Process(child), keeps_sockets }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The one difference between adapters (`docs/DESIGN.md`, section 7): plain actix never lets go of the socket of a
    /// client that does not read. A kick reports it as `lingering`; nothing more is written to it, what the kernel has
    /// is delivered, and the socket ends when that was read, or within the user timeout of TCP.
    pub fn keeps_sockets(&self) -> bool {
        self.keeps_sockets
    }

    fn connector(&self) -> Option<TlsConnector> {
        self.tls.as_ref().map(Certificate::connector)
    }

    /// Its process; where it runs in this one, that.
    pub fn pid(&self) -> u32 {
        match &self.host {
            Host::Here(_) => std::process::id(),
            Host::Process(child) => child.id().expect("it runs"),
        }
    }

    /// The memory its process holds, in KiB.
    ///
    /// # Panics
    /// The process is gone.
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse().expect("in kB")
    }

    /// The descriptors its process holds.
    ///
    /// # Panics
    /// The process is gone.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    /// Tells it to drain: SIGTERM to a process.
    ///
    /// # Panics
    /// There is no `kill` on this machine.
    pub async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Ends it, which must leave nobody behind and take no longer than its drain.
    ///
    /// # Panics
    /// Connections are left though no client is, or it does not end well.
    pub async fn stop(self) {
        self.nobody_left().await;
        if let Host::Process(_) = self.host {
            self.terminate().await;
        }
        self.ended().await;
    }

    /// Drains it, whoever is connected, and waits until it has ended.
    ///
    /// # Panics
    /// It does not end, or not well.
    pub async fn drained(self) {
        if let Host::Process(_) = self.host {
            self.terminate().await;
        }
        self.ended().await;
    }

    /// Ends its process as a crash does.
    ///
    /// # Panics
    /// It is no process of its own, or there is no such process.
    pub async fn kill(self) {
        let Host::Process(mut child) = self.host else { panic!("it is no process of its own") };
        child.kill().await.expect("it runs");
    }

    /// Stops its process where it is: its sockets stay, and it does nothing.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Lets its process go on.
    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.pid().to_string()]).status().await;
        assert!(kill.expect("there is a `kill`").success());
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It does not, or not well.
    pub async fn ended(self) {
        let ended = async {
            match self.host {
                Host::Here(running) => running.stop().await.expect("it does not panic"),
                Host::Process(mut child) => {
                    let status = child.wait().await.expect("it was our child");
                    assert!(status.success(), "{status}");
                }
            }
        };
        assert!(timeout(PATIENCE, ended).await.is_ok(), "the server does not end");
    }

    // ---- Requests

    /// A plain request.
    pub fn request(&self, method: &str, path: &str) -> Dial {
        Dial::request(self.address, self.connector(), method, path)
    }

    /// A WebSocket at `/ws` in raw mode.
    pub fn raw(&self) -> Dial {
        Dial::upgrade(self.address, self.connector(), "/ws")
    }

    /// A WebSocket at `/ws` in envelope mode.
    pub fn envelope(&self) -> Dial {
        self.raw().offer("herenow.v1.json")
    }

    /// A WebSocket somewhere else.
    pub fn upgrade(&self, path: &str) -> Dial {
        Dial::upgrade(self.address, self.connector(), path)
    }

    /// A fresh token of a user.
    pub async fn login(&self, login_id: &str) -> String {
        self.login_as(&json!({"loginId": login_id})).await
    }

    /// A fresh token, as the body of `/login` says.
    ///
    /// # Panics
    /// There is none.
    pub async fn login_as(&self, body: &Value) -> String {
        let answer = self.request("POST", "/login").body(body).send().await.ok();
        answer["token"].as_str().expect("a token is text").to_owned()
    }

    /// A user's connection in raw mode, present, with a token of its own.
    pub async fn join(&self, login_id: &str) -> Client {
        self.raw().token(&self.login(login_id).await).join().await
    }

    /// A user's connection in envelope mode, welcomed, with a token of its own.
    pub async fn join_enveloped(&self, login_id: &str) -> Client {
        self.join_as(&json!({"loginId": login_id})).await
    }

    /// The same of a user as the body of `/login` says.
    pub async fn join_as(&self, login: &Value) -> Client {
        let mut client = self.envelope().token(&self.login_as(login).await).open().await;
        client.hello(json!({})).await;
        client
    }

    /// An admin's `POST`, whatever the answer.
    pub async fn try_admin(&self, route: &str, body: &Value) -> Response {
        let request = self.request("POST", &format!("/admin/{route}")).header("X-Admin-Key", "adm1n");
        request.body(body).send().await
    }

    /// An admin's `POST` that must be answered with 200.
    pub async fn admin(&self, route: &str, body: Value) -> Value {
        self.try_admin(route, &body).await.ok()
    }

    async fn ask(&self, route: &str) -> Value {
        let path = format!("/admin/{route}");
        self.request("GET", &path).header("X-Admin-Key", "adm1n").send().await.ok()
    }

    // ---- Who is there

    /// Users and connections.
    pub async fn counts(&self) -> (u64, u64) {
        let counts = self.ask("online").await;
        (counts["users"].as_u64().expect("a count"), counts["connections"].as_u64().expect("a count"))
    }

    /// How many channels there are.
    ///
    /// # Panics
    /// There is no count.
    pub async fn channels(&self) -> u64 {
        self.ask("online").await["channels"].as_u64().expect("a count")
    }

    /// What the admin sees of a user.
    pub async fn user(&self, login_id: &str) -> Value {
        self.ask(&format!("online/{login_id}")).await
    }

    /// Waits until so many users and connections are there.
    pub async fn expect_counts(&self, users: u64, connections: u64) {
        let what = format!("{users} users and {connections} connections");
        eventually(&what, async || self.counts().await == (users, connections)).await;
    }

    /// Waits until a user's status is this.
    pub async fn expect_status(&self, login_id: &str, status: &str) {
        let what = format!("{login_id} is {status}");
        eventually(&what, async || self.user(login_id).await["status"] == status).await;
    }

    /// Waits until a user has so many sessions.
    pub async fn expect_sessions(&self, login_id: &str, sessions: usize) {
        let what = format!("{login_id} has {sessions} sessions");
        let count = async || self.user(login_id).await["sessions"].as_array().map_or(0, Vec::len);
        eventually(&what, async || count().await == sessions).await;
    }

    async fn nobody_left(&self) {
        eventually("no connection is left", async || self.counts().await.1 == 0).await;
    }
}
