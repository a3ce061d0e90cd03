//! What each failure looks like (docs/SCALING.md), on nodes that are processes, of three frameworks, over a Redis of the test's
//! own.

#[path = "../../engine-redis/tests/suite/support/redis.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Its own suite uses all of it.
mod redis_server;

use std::{collections::BTreeSet, time::Duration};

use herenow_conformance::{
    Cluster, Server,
    client::{Client, Resuming, Watcher},
    eventually, now,
};
use serde_json::{Value, json};

use self::redis_server::Redis;

const SERVER: &str = env!("CARGO_BIN_EXE_conformance-server");
/// A quarter of the usual lease and beat, so that tests take less time.
const LEASE: Duration = Duration::from_millis(1500);
const TIMES: &[&str] = &["--lease-ms", "1500", "--beat-ms", "250", "--event-window-ms", "0"];
/// Users on the node that fails.
const CROWD: usize = 40;

/// Three nodes, and somebody on each of the last two who watches the channel that all the others are in.
struct Site {
    cluster: Cluster,
    options: Vec<String>,
    watchers: Vec<Watcher>,
    redis: Redis,
}

impl Site {
    async fn start(more: &[&str]) -> Self {
        let redis = Redis::start().await;
        let (url, more) = (redis.url(), [TIMES, more].concat());
        let options: Vec<String> =
            ["--redis", url.as_str()].iter().chain(&more).map(|&option| option.to_owned()).collect();
        let cluster = Cluster::of_processes(SERVER, &words(&options)).await;
        let mut watchers = Vec::new();
        for node in [1, 2] {
            let client = cluster[node].join_enveloped(&format!("watcher{node}")).await;
            watchers.push(Watcher::new(client, "room").await);
        }
        Self { cluster, options, watchers, redis }
    }

    /// So many users on a node, of these names; every watcher saw them come.
    async fn crowd(&mut self, node: usize, name: &str, count: usize) -> Vec<Client> {
        let mut crowd = Vec::new();
        for n in 0..count {
            let mut client = self.cluster[node].join_enveloped(&format!("{name}{n}")).await;
            client.subscribe("room").await;
            crowd.push(client);
        }
        self.all("join", name, count).await;
        crowd
    }

    /// The next events of each watcher: of each user of this name this one, and nothing else.
    async fn all(&mut self, action: &str, name: &str, count: usize) {
        let expected: BTreeSet<String> = (0..count).map(|n| format!("{name}{n}")).collect();
        for watcher in &mut self.watchers {
            let mut users = BTreeSet::new();
            for _ in 0..count {
                let event = watcher.next().await;
                assert_eq!(event["action"], action, "{event}");
                let user = event["user"]["id"].as_str().expect("an id").to_owned();
                assert!(users.insert(user), "no user twice: {event}");
            }
            assert_eq!(users, expected);
        }
    }

    /// Nothing else was told: the next that each watcher hears is that this user comes.
    async fn nothing_else(&mut self, marker: &str) -> Client {
        let mut client = self.cluster[1].join_enveloped(marker).await;
        client.subscribe("room").await;
        for watcher in &mut self.watchers {
            watcher.expect("join", "subscribe", marker).await;
        }
        client
    }

    /// Waits until a node is or is not in touch with the others.
    async fn engine(&self, node: usize, state: &str) {
        let ready = async || {
            let answer = self.cluster[node].request("GET", "/presence/ready").send().await;
            answer.status == 200 && answer.json()["content"]["engine"] == state
        };
        eventually(&format!("the engine of node {node} is {state}"), ready).await;
    }

    async fn put(&mut self, node: usize) {
        self.cluster.put(node, SERVER, &words(&self.options)).await;
    }

    async fn stop(self) {
        drop(self.watchers);
        self.cluster.stop().await;
    }
}

fn words(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

async fn push(node: &Server, login_id: &str, content: &str) -> Value {
    node.admin("push", json!({"loginId": login_id, "content": content})).await
}

async fn later(time: Duration) {
    let begin = now();
    eventually("time passes", async || now() > begin + time).await;
}

#[tokio::test]
async fn a_node_is_killed_and_its_users_go_offline_once_on_every_other() {
    let mut site = Site::start(&[]).await;
    let crowd = site.crowd(0, "u", CROWD).await;
    let _stays = site.crowd(1, "stays", 1).await;
    let killed = now();
    site.cluster.take(0).kill().await;
    site.all("offline", "u", CROWD).await;
    let took = now() - killed;
    assert!(took > LEASE / 2, "nobody is taken for dead before: {took:?}");
    drop(crowd);
    for node in site.cluster.nodes() {
        // Two watchers, and who stays.
        node.expect_counts(3, 3).await;
    }
    let report = push(&site.cluster[0], "u1", "too late").await;
    assert_eq!(report["offline"], json!(["u1"]), "{report}");
    let mut back = site.cluster[0].join_enveloped("u1").await;
    back.subscribe("room").await;
    for watcher in &mut site.watchers {
        let event = watcher.next().await;
        assert_eq!((&event["user"]["id"], &event["action"]), (&json!("u1"), &json!("online")), "{event}");
    }
    drop((back, _stays));
    site.stop().await;
}

#[tokio::test]
async fn a_node_that_hung_beyond_its_lease_goes_on_with_its_clients() {
    let mut site = Site::start(&[]).await;
    let mut crowd = site.crowd(0, "u", CROWD).await;
    let _stays = site.crowd(2, "stays", 1).await;
    site.cluster[0].freeze().await;
    site.all("offline", "u", CROWD).await;
    site.cluster[0].thaw().await;
    for watcher in &mut site.watchers {
        let mut back = BTreeSet::new();
        for _ in 0..CROWD {
            let event = watcher.next().await;
            assert!(["join", "online"].contains(&event["action"].as_str().unwrap_or_default()), "{event}");
            assert!(back.insert(event["user"]["id"].to_string()), "no user twice: {event}");
        }
    }
    site.engine(0, "up").await;
    push(&site.cluster[1], "u3", "still there").await;
    assert_eq!(crowd[3].expect_json("push").await["data"], "still there");
    let marker = site.nothing_else("marker").await;
    drop((crowd, _stays, marker));
    site.stop().await;
}

#[tokio::test]
async fn a_node_that_hung_for_less_than_its_lease_was_never_away() {
    let mut site = Site::start(&[]).await;
    let mut crowd = site.crowd(0, "u", 5).await;
    site.cluster[0].freeze().await;
    later(LEASE / 3).await;
    site.cluster[0].thaw().await;
    site.engine(0, "up").await;
    push(&site.cluster[1], "u3", "hello").await;
    assert_eq!(crowd[3].expect_json("push").await["data"], "hello");
    let marker = site.nothing_else("marker").await;
    drop((crowd, marker));
    site.stop().await;
}

#[tokio::test]
async fn while_redis_hangs_nobody_dies_but_those_who_did() {
    let mut site = Site::start(&[]).await;
    let crowd = site.crowd(0, "u", CROWD).await;
    let stays = (site.crowd(1, "here", 3).await, site.crowd(2, "there", 3).await);
    site.redis.freeze();
    site.cluster.take(0).kill().await;
    drop(crowd);
    later(2 * LEASE).await;
    site.redis.thaw();
    site.all("offline", "u", CROWD).await;
    let marker = {
        // Node 1 is the first now.
        let mut client = site.cluster[0].join_enveloped("marker").await;
        client.subscribe("room").await;
        for watcher in &mut site.watchers {
            watcher.expect("join", "subscribe", "marker").await;
        }
        client
    };
    drop((stays, marker));
    site.stop().await;
}

#[tokio::test]
async fn redis_comes_back_empty_and_nobody_was_away() {
    let mut site = Site::start(&[]).await;
    let mut near = site.crowd(1, "near", CROWD).await;
    let mut far = site.crowd(2, "far", CROWD).await;
    site.redis.kill();
    site.engine(1, "down").await;
    let report = push(&site.cluster[1], "far0", "lost").await;
    assert_eq!(report["remote"], "unavailable", "{report}");
    for (n, client) in near.iter_mut().enumerate() {
        push(&site.cluster[1], &format!("near{n}"), "near").await;
        assert_eq!(client.expect_json("push").await["data"], "near");
    }
    site.redis.restart().await;
    for node in 0..3 {
        site.engine(node, "up").await;
        site.cluster[node].expect_counts(2 * CROWD as u64 + 2, 2 * CROWD as u64 + 2).await;
    }
    for (n, client) in far.iter_mut().enumerate() {
        push(&site.cluster[0], &format!("far{n}"), "far").await;
        assert_eq!(client.expect_json("push").await["data"], "far");
    }
    let marker = site.nothing_else("marker").await;
    drop((near, far, marker));
    site.stop().await;
}

#[tokio::test]
async fn after_all_nodes_were_killed_nothing_is_left_of_their_users() {
    let mut site = Site::start(&[]).await;
    let old = (site.crowd(0, "a", 10).await, site.crowd(1, "b", 10).await, site.crowd(2, "c", 10).await);
    site.watchers.clear();
    for _ in 0..3 {
        site.cluster.take(0).kill().await;
    }
    drop(old);
    for node in 0..3 {
        site.put(node).await;
    }
    let here = site.cluster[2].join_enveloped("here").await;
    for node in site.cluster.nodes() {
        node.expect_counts(1, 1).await;
    }
    site.redis.wait_for(&["ZCARD", "herenow:nodes"], "the dead are buried", |left: &usize| *left == 3).await;
    drop(here);
    site.stop().await;
}

/// Clients of each node, and pushes to each, while one node after the other is replaced.
#[tokio::test]
async fn three_nodes_are_replaced_one_by_one_and_nobody_misses_anything() {
    const CLIENTS: usize = 10;
    const PUSHES: u64 = 30;
    // Long enough for a client to come back on a busy machine: nobody is told that it was away.
    let mut site = Site::start(&["--grace-ms", "10000"]).await;
    // The watchers' nodes are replaced too: somebody else watches, on a node of its own.
    site.watchers.clear();
    let watching = Server::process(SERVER, "axum", &words(&site.options)).await;
    let mut watcher = Watcher::new(watching.join_enveloped("watcher").await, "room").await;
    let mut sits = Vec::new();
    for n in 0..3 * CLIENTS {
        let mut client = Resuming::join(&site.cluster[n % 3], &format!("u{n}")).await;
        client.socket.subscribe("room").await;
        watcher.expect("join", "subscribe", &format!("u{n}")).await;
        sits.push((n % 3, client));
    }
    let mut pushed = 0;
    for node in 0..3 {
        let leaving = site.cluster.take(node);
        let others = site.cluster.nodes();
        // The order of pushes is that of the node that pushes: it is another one only once all have come.
        let pushing = async {
            for n in pushed..pushed + PUSHES {
                for client in 0..3 * CLIENTS {
                    push(&others[0], &format!("u{client}"), &n.to_string()).await;
                }
            }
        };
        let moving = async {
            leaving.terminate().await;
            for (n, (_, client)) in sits.iter_mut().enumerate().filter(|(_, (at, _))| *at == node) {
                client.expect_drain().await;
                let mut old = client.back(&others[n % 2]).await;
                old.ending().await;
            }
        };
        tokio::join!(pushing, moving);
        pushed += PUSHES;
        for (_, client) in &mut sits {
            client.expect(pushed).await;
        }
        leaving.ended().await;
        site.put(node).await;
        for (n, (at, _)) in sits.iter_mut().enumerate().filter(|(_, (at, _))| *at == node) {
            // Of the others in their order, the one that it went to.
            *at = if n % 2 < node { n % 2 } else { n % 2 + 1 };
        }
    }
    let mut marker = watching.join_enveloped("marker").await;
    marker.subscribe("room").await;
    watcher.expect("join", "subscribe", "marker").await;
    drop((sits, marker, watcher));
    watching.stop().await;
    site.stop().await;
}
