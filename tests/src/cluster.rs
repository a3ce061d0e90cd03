//! Several servers as nodes of one cluster, each on another framework.

use std::{ops::Index, sync::Arc};

use herenow::cluster::{Engine, LocalEngine};

use crate::Server;

/// The frameworks of its nodes, in this order.
pub const ADAPTERS: [&str; 3] = ["axum", "actix", "poem"];

/// Three nodes: on axum, actix and poem.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Joined in memory.
    ///
    /// # Panics
    /// They do not start.
    pub async fn local(options: &[&str]) -> (Self, ()) {
        let engines: [LocalEngine; 3] = LocalEngine::joined();
        (Self::on(engines.map(|engine| Arc::new(engine) as Arc<dyn Engine>), options).await, ())
    }

    /// On these engines.
    ///
    /// # Panics
    /// They do not start.
    pub async fn on(engines: [Arc<dyn Engine>; 3], options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for (adapter, engine) in ADAPTERS.into_iter().zip(engines) {
            nodes.push(Server::node(adapter, options, engine).await);
        }
        Self { nodes }
    }

    /// Processes of their own, of this binary.
    ///
    /// # Panics
    /// They do not start.
    pub async fn of_processes(binary: &str, options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for adapter in ADAPTERS {
            nodes.push(Server::process(binary, adapter, options).await);
        }
        Self { nodes }
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Takes one out: to drain it while the others go on.
    pub fn take(&mut self, node: usize) -> Server {
        self.nodes.remove(node)
    }

    /// Ends all, which must leave nobody behind.
    ///
    /// # Panics
    /// Connections are left, or a node does not end well.
    pub async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

impl Index<usize> for Cluster {
    type Output = Server;

    fn index(&self, node: usize) -> &Server {
        &self.nodes[node]
    }
}
