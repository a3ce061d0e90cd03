//! [`Nodes`]: processes that may fail, and what they know of each other.

use std::collections::BTreeMap;

use herenow_conformance::{ADAPTERS, Server, eventually};
use serde_json::Value;

use crate::site::{ROOM, text};

const SERVER: &str = env!("CARGO_BIN_EXE_conformance-server");

/// How often each user was told of.
pub(crate) type Times = BTreeMap<String, usize>;

/// Three places for nodes, all taken at first.
pub(crate) struct Nodes {
    there: BTreeMap<usize, Server>,
    options: Vec<String>,
}

impl Nodes {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut nodes = Self { there: BTreeMap::new(), options };
        for place in 0..ADAPTERS.len() {
            nodes.put(place).await;
        }
        nodes.everybody_hears_everything().await;
        nodes
    }

    /// One more, for a place that stays as it is until then.
    pub(crate) async fn fresh(&self, place: usize) -> Server {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        Server::process(SERVER, ADAPTERS[place % ADAPTERS.len()], &options).await
    }

    pub(crate) async fn put(&mut self, place: usize) {
        let fresh = self.fresh(place).await;
        self.take_in(place, fresh);
    }

    pub(crate) fn take_in(&mut self, place: usize, node: Server) {
        self.there.insert(place, node);
    }

    pub(crate) fn take_out(&mut self, place: usize) -> Server {
        self.there.remove(&place).expect("a node is there")
    }

    pub(crate) fn at(&self, place: usize) -> &Server {
        &self.there[&place]
    }

    /// All that are there, with their places.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Server)> {
        self.there.iter().map(|(place, node)| (*place, node))
    }

    /// Waits until every application was told `offline` of these users so many times and of nobody else, and each time one
    /// node made it.
    pub(crate) async fn are_told_offline(&self, times: &Times) {
        let told = async || {
            for (place, _) in self.all() {
                if self.told(place, "cluster", "offline").await != *times {
                    return false;
                }
            }
            self.made_offline().await == *times
        };
        eventually("every application is told who went offline", told).await;
    }

    /// Whom the nodes made offline, and how often.
    pub(crate) async fn made_offline(&self) -> Times {
        let mut made = Times::new();
        for (place, _) in self.all() {
            for (user, count) in self.told(place, "made", "offline").await {
                *made.entry(user).or_default() += count;
            }
        }
        made
    }

    /// How often the application on a node was told this of each user.
    pub(crate) async fn told(&self, place: usize, stream: &str, kind: &str) -> Times {
        let told = &self.events(place).await[stream];
        assert_eq!(told["missed"], 0, "node {place} keeps up");
        let mut times = Times::new();
        for event in told["events"].as_array().expect("a list") {
            let user = text(&event["user"]);
            // Those whose coming and going is no part of the test.
            let counts = !user.starts_with("probe") && !user.starts_with("marker");
            if event["kind"] == kind && counts {
                *times.entry(user).or_default() += 1;
            }
        }
        times
    }

    async fn events(&self, place: usize) -> Value {
        let request = self.at(place).request("GET", "/admin/events").header("X-Admin-Key", "adm1n");
        request.send().await.ok()
    }

    /// Waits until every application hears of what happens on any node: one that has just asked for all events misses those
    /// that come before the others know.
    pub(crate) async fn everybody_hears_everything(&self) {
        for (place, node) in self.all() {
            let probe = format!("probe{place}");
            let all_heard = async || {
                node.join_enveloped(&probe).await.close(1000).await;
                for (other, _) in self.all() {
                    let told = self.events(other).await;
                    let events = told["cluster"]["events"].as_array().expect("a list");
                    if !events.iter().any(|event| event["user"] == probe) {
                        return false;
                    }
                }
                true
            };
            eventually(&format!("all hear of node {place}"), all_heard).await;
        }
        self.all_count(0, 0).await;
    }

    /// Waits until a node's engine is in this state.
    pub(crate) async fn engine_is(&self, place: usize, state: &str) {
        let is = async || {
            let health = self.at(place).request("GET", "/healthz").send().await;
            health.json()["engine"] == state
        };
        eventually(&format!("the engine of node {place} is {state}"), is).await;
    }

    /// Waits until every node counts so many users, each with one connection, and so many of them in the channel.
    pub(crate) async fn all_count(&self, users: usize, in_room: usize) {
        for (_, node) in self.all() {
            node.expect_counts(users as u64, users as u64).await;
            let token = node.login("watcher").await;
            let counted = async || {
                let asked = node.request("GET", &format!("/herenow?channels={ROOM}")).token(&token);
                asked.send().await.ok()["content"]["channels"][ROOM]["userAmount"] == in_room
            };
            eventually(&format!("{in_room} users are in the channel"), counted).await;
        }
    }

    /// Ends all that are left, in order.
    pub(crate) async fn stop(self) {
        for node in self.there.into_values() {
            node.stop().await;
        }
    }
}
