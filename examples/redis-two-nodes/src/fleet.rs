//! The node processes: started, asked how they are, killed, drained.

use std::{error::Error, io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Child,
    sync::Mutex,
    time::timeout,
};

use crate::child;

/// How long a node may take to say how it is; one that runs and says nothing hangs.
const SOON: Duration = Duration::from_millis(500);
/// More than a node says of itself.
const LONGEST_ANSWER: u64 = 16 << 10;

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
    /// Held for as long as a command takes: one that drains has no process any more, and still has its port.
    commanded: Mutex<()>,
}

/// A node as the page shows it.
#[derive(Serialize)]
pub(crate) struct Shown {
    name: &'static str,
    url: String,
    /// Whether its process runs, and is to go on.
    up: bool,
    /// How its way to the others is; none where it takes no clients, or does not answer.
    engine: Option<String>,
}

impl Fleet {
    pub(crate) async fn start(
        setup: Setup,
        nodes: [(&'static str, SocketAddr); 2],
    ) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Self { setup, nodes: Vec::new() };
        for (framework, address) in nodes {
            let (process, address) = fleet.spawn(framework, address).await?;
            let (process, commanded) = (Mutex::new(Some(process)), Mutex::default());
            fleet.nodes.push(Node { framework, address, process, commanded });
        }
        Ok(fleet)
    }

    pub(crate) fn secret(&self) -> &str {
        &self.setup.secret
    }

    /// Where the sockets go, for the page's policy.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|node| format!("ws://{}", node.address))
    }

    pub(crate) async fn shown(&self) -> Vec<Shown> {
        join_all(self.nodes.iter().map(Node::shown)).await
    }

    /// SIGKILL: nobody is told anything.
    pub(crate) async fn kill(&self, name: &str) -> Result<(), String> {
        let node = self.named(name)?;
        let _alone = node.commanded.lock().await;
        node.taken().await?.kill().await.map_err(|error| error.to_string())
    }

    /// It drains: its clients are told to go elsewhere, and what they have not got yet goes with them.
    pub(crate) async fn drain(&self, name: &str) -> Result<(), String> {
        let node = self.named(name)?;
        let _alone = node.commanded.lock().await;
        child::end(node.taken().await?, name).await
    }

    pub(crate) async fn start_again(&self, name: &str) -> Result<(), String> {
        let node = self.named(name)?;
        let _alone = node.commanded.lock().await;
        if node.runs().await {
            return Err(format!("{name} is running"));
        }
        let started = self.spawn(node.framework, node.address).await.map_err(|error| error.to_string())?;
        *node.process.lock().await = Some(started.0);
        Ok(())
    }

    /// Ends all of them.
    pub(crate) async fn end(&self) {
        // One that is not running has ended.
        let _ = join_all(self.nodes.iter().map(|node| self.drain(node.framework))).await;
    }

    fn named(&self, name: &str) -> Result<&Node, String> {
        self.nodes
            .iter()
            .find(|node| node.framework == name)
            .ok_or_else(|| format!("there is no node {name:?}; there are `axum` and `actix`"))
    }

    async fn spawn(
        &self,
        framework: &str,
        address: SocketAddr,
    ) -> Result<(Child, SocketAddr), Box<dyn Error>> {
        let mut command = child::command("node")?;
        command
            .args(["--framework", framework, "--listen", &address.to_string()])
            .args(["--page", &self.setup.page.to_string()])
            .env("TWO_NODES_REDIS", &self.setup.redis)
            .env("TWO_NODES_SECRET", &self.setup.secret)
            .kill_on_drop(true); // For one that does not drain.
        let (process, place) = child::start(command, framework).await?;
        Ok((process, place.parse()?))
    }
}

impl Node {
    async fn shown(&self) -> Shown {
        // In this order one that is killed meanwhile is not taken for one that hangs.
        let engine = self.engine().await;
        let up = self.runs().await;
        let url = format!("ws://{}/ws", self.address);
        Shown { name: self.framework, url, up, engine: engine.filter(|_| up) }
    }

    async fn runs(&self) -> bool {
        self.process.lock().await.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    async fn taken(&self) -> Result<Child, String> {
        self.process.lock().await.take().ok_or_else(|| format!("{} is not running", self.framework))
    }

    /// What a load balancer would ask: `GET /ready`.
    async fn engine(&self) -> Option<String> {
        let asked = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let request = format!("GET /presence/ready HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = timeout(SOON, asked).await.ok()?.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        Some(body["content"]["engine"].as_str()?.to_owned())
    }
}
