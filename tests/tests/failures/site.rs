//! [`Site`]: nodes, their Redis, and somebody who watches a channel that everybody is in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herenow_conformance::{
    Server,
    client::{Client, Watcher},
};
use serde_json::{Value, json};

use crate::{
    nodes::{Nodes, Times},
    redis_server::Redis,
};

/// The channel.
pub(crate) const ROOM: &str = "room";
/// A third of the usual lease and a quarter of the usual beat, so that tests take less time.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
const OPTIONS: &[&str] =
    &["--lease-ms", "2000", "--beat-ms", "250", "--event-window-ms", "0", "--record-events"];

/// Nobody who leaves is kept for a while.
pub(crate) const NO_GRACE: [&str; 2] = ["--grace-ms", "0"];

/// Dropped, also when a test fails, it ends every process of it.
pub(crate) struct Site {
    pub(crate) nodes: Nodes,
    pub(crate) redis: Redis,
    watchers: BTreeMap<usize, Watcher>,
}

impl Site {
    /// With watchers on the nodes in these places.
    pub(crate) async fn start(watched_from: &[usize]) -> Self {
        Self::with(&NO_GRACE, watched_from).await
    }

    /// With more options.
    pub(crate) async fn with(more: &[&str], watched_from: &[usize]) -> Self {
        let redis = Redis::start().await;
        let nodes = Nodes::start(&[OPTIONS, more, &["--redis", &redis.url()]].concat()).await;
        let mut site = Self { nodes, redis, watchers: BTreeMap::new() };
        for &place in watched_from {
            site.watch(place).await;
        }
        site
    }

    /// Somebody watches from here on. Returns who is there.
    pub(crate) async fn watch(&mut self, place: usize) -> BTreeSet<String> {
        let client = self.nodes.at(place).join_enveloped(&format!("watcher{place}")).await;
        let watcher = Watcher::new(client, ROOM).await;
        let users = watcher.state()["users"].as_array().expect("a list");
        let there = users.iter().map(|user| text(&user["id"])).collect();
        self.watchers.insert(place, watcher);
        there
    }

    /// A node is killed, and who watched from it is gone too.
    pub(crate) async fn kill(&mut self, place: usize) {
        self.watchers.remove(&place);
        self.nodes.take_out(place).kill().await;
    }

    /// So many users of these names come to a node; every watcher sees each come, by this action.
    pub(crate) async fn crowd(&mut self, place: usize, name: &str, count: usize, come: &str) -> Vec<Client> {
        let mut crowd = Vec::new();
        for n in 0..count {
            let mut client = self.nodes.at(place).join_enveloped(&format!("{name}{n}")).await;
            client.subscribe(ROOM).await;
            crowd.push(client);
        }
        self.all_see(come, &users(name, count)).await;
        crowd
    }

    /// The next that every watcher sees is this of each of these users, and nothing else.
    pub(crate) async fn all_see(&mut self, action: &str, users: &BTreeSet<String>) {
        let places: Vec<usize> = self.watchers.keys().copied().collect();
        self.see(&places, action, users).await;
    }

    /// The same of the watchers in these places.
    pub(crate) async fn see(&mut self, places: &[usize], action: &str, users: &BTreeSet<String>) {
        for place in places {
            let watcher = self.watchers.get_mut(place).expect("a watcher is there");
            let mut missing = users.clone();
            while !missing.is_empty() {
                let event = watcher.next().await;
                assert_eq!(event["action"], action, "node {place}: {event}");
                assert!(
                    missing.remove(&text(&event["user"]["id"])),
                    "node {place}: twice, or of another: {event}"
                );
            }
        }
    }

    /// The watchers saw nothing but what was expected so far: the next that each sees is that somebody else comes.
    pub(crate) async fn nothing_else_is_seen(&mut self) {
        let (place, _) = self.nodes.all().last().expect("a node is there");
        let _marker = self.crowd(place, "marker", 1, "join").await;
    }

    /// The same, but that the watcher in one place may see these users go first, and each that goes come back.
    pub(crate) async fn nothing_else_is_seen_but_flicker(&mut self, place: usize, users: &BTreeSet<String>) {
        let mut watcher = self.watchers.remove(&place).expect("a watcher is there");
        let (mut there, marker) = (users.clone(), self.crowd(place, "marker", 1, "join").await);
        loop {
            let event = watcher.next().await;
            let user = text(&event["user"]["id"]);
            match event["action"].as_str() {
                Some("join") if user == "marker0" => break,
                Some("offline") => assert!(there.remove(&user), "node {place}: {event}"),
                Some("online" | "join") => {
                    assert!(users.contains(&user) && there.insert(user), "node {place}: {event}");
                }
                _ => panic!("node {place}: {event}"),
            }
        }
        assert_eq!(there, *users, "whoever went came back");
        self.watchers.insert(place, watcher);
        drop(marker);
    }

    pub(crate) async fn stop(self) {
        drop(self.watchers);
        self.nodes.stop().await;
    }
}

/// The users of a crowd.
pub(crate) fn users(name: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("{name}{n}")).collect()
}

/// Each of them so often.
pub(crate) fn each(users: &BTreeSet<String>, times: usize) -> Times {
    users.iter().map(|user| (user.clone(), times)).collect()
}

/// Pushes to a user; returns the report.
pub(crate) async fn push(node: &Server, login_id: &str, content: &str) -> Value {
    node.admin("push", json!({"loginId": login_id, "content": content})).await
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
