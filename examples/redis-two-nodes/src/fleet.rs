//! The node processes: started, killed, drained.

use std::{error::Error, net::SocketAddr, process::Stdio, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

/// How long a node may take until it listens, and to drain.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every node needs to know.
pub(crate) struct Setup {
    pub(crate) redis: String,
    /// Signs the tokens.
    pub(crate) secret: String,
    /// Where the page is: its sockets are let in.
    pub(crate) page: SocketAddr,
}

pub(crate) struct Fleet {
    setup: Setup,
    nodes: Vec<Node>,
}

struct Node {
    /// What it runs on, and its name.
    framework: &'static str,
    address: SocketAddr,
    process: Mutex<Option<Child>>,
}

/// A node as the page shows it.
#[derive(Serialize)]
pub(crate) struct Shown {
    name: &'static str,
    url: String,
    up: bool,
}

impl Fleet {
    pub(crate) async fn start(
        setup: Setup,
        nodes: [(&'static str, SocketAddr); 2],
    ) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Self { setup, nodes: Vec::new() };
        for (framework, address) in nodes {
            let (address, process) = fleet.spawn(framework, address).await?;
            fleet.nodes.push(Node { framework, address, process: Mutex::new(Some(process)) });
        }
        Ok(fleet)
    }

    pub(crate) fn redis(&self) -> &str {
        &self.setup.redis
    }

    pub(crate) fn secret(&self) -> &str {
        &self.setup.secret
    }

    /// Where the sockets go, for the page's policy.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|node| format!("ws://{}", node.address))
    }

    pub(crate) async fn shown(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        for node in &self.nodes {
            let mut process = node.process.lock().await;
            let up = process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
            shown.push(Shown { name: node.framework, url: format!("ws://{}/ws", node.address), up });
        }
        shown
    }

    /// SIGKILL: nobody is told anything.
    pub(crate) async fn kill(&self, name: &str) -> Result<(), String> {
        let child = self.named(name)?.process.lock().await.take();
        match child {
            Some(mut child) => child.kill().await.map_err(|error| error.to_string()),
            None => Err(format!("{name} is not running")),
        }
    }

    /// It drains: its clients are told to go elsewhere, and what they have not got yet goes with them.
    pub(crate) async fn drain(&self, name: &str) -> Result<(), String> {
        let child = self.named(name)?.process.lock().await.take();
        let mut child = child.ok_or_else(|| format!("{name} is not running"))?;
        drop(child.stdin.take()); // Its input ends, and with that it does.
        match timeout(PATIENCE, child.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{name} did not drain within {PATIENCE:?}")),
        }
    }

    pub(crate) async fn start_again(&self, name: &str) -> Result<(), String> {
        let node = self.named(name)?;
        let mut process = node.process.lock().await;
        if process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return Err(format!("{name} is running"));
        }
        let started = self.spawn(node.framework, node.address).await.map_err(|error| error.to_string())?;
        *process = Some(started.1);
        Ok(())
    }

    /// Ends all of them.
    pub(crate) async fn end(&self) {
        for node in &self.nodes {
            let _ = self.drain(node.framework).await; // One that is not running has ended.
        }
    }

    fn named(&self, name: &str) -> Result<&Node, String> {
        self.nodes
            .iter()
            .find(|node| node.framework == name)
            .ok_or_else(|| format!("there is no node {name:?}; there are `axum` and `actix`"))
    }

    /// This binary once more, as a node. It ends when its input does, so also when this process is killed.
    async fn spawn(
        &self,
        framework: &str,
        address: SocketAddr,
    ) -> Result<(SocketAddr, Child), Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", "--framework", framework, "--listen", &address.to_string()])
            .args(["--page", &self.setup.page.to_string()])
            .env("TWO_NODES_REDIS", &self.setup.redis)
            .env("TWO_NODES_SECRET", &self.setup.secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a node was started without an output")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await;
        let line = line.map_err(|_| format!("the {framework} node did not start within {PATIENCE:?}"))??;
        let ready = line.as_deref().and_then(|line| line.strip_prefix("ready ")?.parse().ok());
        let address =
            ready.ok_or_else(|| format!("the {framework} node did not start; what it said stands above"))?;
        Ok((address, child))
    }
}
