//! Several nodes, each on another framework: what holds on one holds across them.
//!
//! What a node tells the others takes a moment with a real store, so conditions are waited for; what may not happen at all
//! is looked for once everything has settled.

use serde_json::{Value, json};

use crate::{
    Cluster, Server,
    client::{Client, Heard, Resuming, Watcher},
    eventually,
};

/// Watchers are told at once.
pub const OPTIONS: &[&str] = &["--event-window-ms", "0"];
/// One session for each user.
pub const ONE: &[&str] = &["--max-per-user", "1"];
/// The same, where the newest gives way.
pub const REFUSE: &[&str] = &["--max-per-user", "1", "--on-limit", "refuse", "--grace-ms", "0"];
/// Rounds of what races.
const ROUNDS: usize = 60;

/// Waits until every node sees so many users, and so many connections in all.
async fn all_count(cluster: &Cluster, users: u64, connections: u64) {
    for node in cluster.nodes() {
        node.expect_counts(users, connections).await;
    }
}

async fn push(server: &Server, target: Value, content: &str) -> Value {
    let mut body = target;
    body["content"] = content.into();
    server.admin("push", body).await
}

/// A client in a channel, once all nodes know of it.
async fn subscriber(cluster: &Cluster, node: usize, login_id: &str, channel: &str) -> Client {
    let mut client = cluster[node].join_enveloped(login_id).await;
    client.subscribe(channel).await;
    client
}

/// Who is online is online on every node; the count, the list and the sessions are those of all.
pub async fn everybody_is_seen_from_everywhere(cluster: &Cluster) {
    let mut clients = Vec::new();
    for (n, node) in cluster.nodes().iter().enumerate() {
        clients.push(node.join_enveloped(&format!("u{n}")).await);
    }
    let _second_device = cluster[1].join_as(&json!({"loginId": "u0", "device": "ios"})).await;
    all_count(cluster, 3, 4).await;
    for node in cluster.nodes() {
        for user in ["u0", "u1", "u2"] {
            node.expect_status(user, "online").await;
        }
        node.expect_sessions("u0", 2).await;
        let list = node.request("GET", "/online").token(&node.login("u9").await).send().await.ok();
        let ids: Vec<&Value> =
            list["content"]["users"].as_array().expect("a list").iter().map(|user| &user["id"]).collect();
        assert_eq!(ids, [&json!("u0"), &json!("u1"), &json!("u2")]);
    }
    clients[0].json(&json!({"type": "status", "status": "in a call"})).await;
    cluster[2].expect_status("u0", "in a call").await;
}

/// A user with a connection on each of two nodes is one user, until the last of them is closed.
pub async fn tabs_on_two_nodes_are_one_user(cluster: &Cluster) {
    let mut watcher = Watcher::new(cluster[2].join_enveloped("watcher").await, "room").await;
    let one = subscriber(cluster, 0, "u1", "room").await;
    watcher.expect("join", "subscribe", "u1").await;
    let two = subscriber(cluster, 1, "u1", "room").await;
    all_count(cluster, 2, 3).await;
    one.close(1000).await;
    all_count(cluster, 2, 2).await;
    two.close(1000).await;
    watcher.expect("offline", "disconnect", "u1").await;
    all_count(cluster, 1, 1).await;
}

/// Every kind of target reaches connections on other nodes, once.
pub async fn pushes_reach_every_node(cluster: &Cluster) {
    let (mut near, mut far) =
        (subscriber(cluster, 0, "u1", "room").await, subscriber(cluster, 1, "u2", "room").await);
    let mut phone = cluster[2].join_as(&json!({"loginId": "u2", "device": "ios"})).await;
    all_count(cluster, 2, 3).await;
    eventually("the channel is known", async || {
        let here = cluster[2].request("GET", "/herenow?channels=room").token(&cluster[2].login("u9").await);
        here.send().await.ok()["content"]["channels"]["room"]["userAmount"] == 2
    })
    .await;
    let from = &cluster[0];
    push(from, json!({"loginId": "u2"}), "to a user").await;
    push(from, json!({"channel": "room"}), "to a channel").await;
    push(from, json!({"loginId": "u2", "device": "ios"}), "to a device").await;
    from.admin("broadcast", json!({"content": "to all"})).await;
    for expected in ["to a channel", "to all"] {
        assert_eq!(near.expect_json("push").await["data"], expected);
    }
    for expected in ["to a user", "to a channel", "to all"] {
        assert_eq!(far.expect_json("push").await["data"], expected);
    }
    for expected in ["to a user", "to a device", "to all"] {
        assert_eq!(phone.expect_json("push").await["data"], expected);
    }
    for client in [&mut near, &mut far, &mut phone] {
        client.expect_silence().await;
    }
}

/// A kick on one node ends the connections on all, and its tokens are refused everywhere.
pub async fn a_kick_ends_connections_on_every_node(cluster: &Cluster) {
    let token = cluster[0].login("u1").await;
    let mut victims = Vec::new();
    for node in cluster.nodes() {
        let mut victim = node.envelope().token(&token).open().await;
        victim.hello(json!({})).await;
        victims.push(victim);
    }
    all_count(cluster, 1, 3).await;
    let report = cluster[1].admin("kick", json!({"loginId": "u1", "reason": "enough"})).await;
    assert_eq!((&report["matched"], &report["unreachable"]), (&json!(3), &json!(0)), "{report}");
    for mut victim in victims {
        victim.expect_close(4423).await;
    }
    all_count(cluster, 0, 0).await;
    for node in cluster.nodes() {
        let refused =
            node.raw().token(&token).attempt().await.expect_err("the token is worth nothing any more");
        assert_eq!(refused.status, 401);
    }
    let _fresh = cluster[2].join("u1").await;
}

/// Of two sessions of a user who may have one, the older ends, on whichever node it is.
pub async fn a_session_on_another_node_gives_way(cluster: &Cluster) {
    let mut old = cluster[0].join_enveloped("u1").await;
    for node in [1, 2, 0] {
        let new = cluster[node].join_enveloped("u1").await;
        old.expect_close(4409).await;
        old = new;
    }
    all_count(cluster, 1, 1).await;
}

/// However many come at once on all nodes, one session is left.
pub async fn of_many_sessions_that_race_one_is_left(cluster: &Cluster) {
    let join = async |node: &Server| {
        let mut client = node.envelope().token(&node.login("u1").await).open().await;
        // Somebody else may be faster: then it is told so in place of its welcome.
        client.json(&json!({"type": "hello"})).await;
        client
    };
    let mut all = Vec::new();
    for _ in 0..5 {
        all.extend(futures_util::future::join_all(cluster.nodes().iter().map(join)).await);
    }
    all_count(cluster, 1, 1).await;
    let mut closed = 0;
    for client in &mut all {
        let end = tokio::time::timeout(std::time::Duration::from_millis(200), client.ending()).await;
        closed += usize::from(end.is_ok_and(|end| end.code() == Some(4409)));
    }
    assert_eq!(closed, all.len() - 1);
}

/// Of six logins at once on three nodes one is let in, never two and never none.
pub async fn never_are_two_let_in_where_one_may_be(cluster: &Cluster) {
    let try_to_join = async |n: usize| {
        let node = &cluster[n % 3];
        let mut client = node.envelope().token(&node.login("u1").await).open().await;
        client.json(&json!({"type": "hello"})).await;
        let is_in = matches!(client.hear().await, Heard::Text(text) if text.contains(r#""type":"welcome""#));
        (is_in, client)
    };
    for round in 0..ROUNDS / 3 {
        let came = futures_util::future::join_all((0..6).map(try_to_join)).await;
        assert_eq!(came.iter().filter(|(is_in, _)| *is_in).count(), 1, "round {round}");
        for (_, client) in came {
            client.close(1000).await;
        }
        all_count(cluster, 0, 0).await;
    }
}

/// A connect on one node and a kick on another at the same time: when both are done nothing of the token is open, and it is
/// refused everywhere.
pub async fn a_kick_on_another_node_leaves_nothing_open(cluster: &Cluster) {
    for round in 0..ROUNDS {
        let [here, there, third] = [0, 1, 2].map(|n| &cluster[(round + n) % 3]);
        let token = here.login("u1").await;
        let connect = async {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            here.raw().token(&token).attempt().await
        };
        let (came, report) = tokio::join!(connect, there.admin("kick", json!({"loginId": "u1"})));
        assert_eq!((&report["deny"], &report["unreachable"]), (&json!("stored"), &json!(0)), "{report}");
        match came {
            Ok(mut client) => drop(client.expect_close(4423).await),
            Err(refusal) => assert_eq!(refusal.status, 401),
        }
        assert_eq!(third.raw().token(&token).send().await.status, 401, "round {round}");
    }
    all_count(cluster, 0, 0).await;
}

/// Members on all nodes are one list, for hereNow and for feeds.
pub async fn a_channel_is_one_channel_on_all_nodes(cluster: &Cluster) {
    let mut watchers = Vec::new();
    for node in cluster.nodes() {
        watchers.push(Watcher::new(node.join_enveloped("watcher").await, "room").await);
    }
    let mut members = Vec::new();
    for n in 0..3 {
        members.push(subscriber(cluster, n, &format!("u{n}"), "room").await);
        for watcher in &mut watchers {
            watcher.expect("join", "subscribe", &format!("u{n}")).await;
        }
    }
    for (watcher, node) in watchers.iter_mut().zip(cluster.nodes()) {
        assert_eq!(watcher.amounts(), (3, 3));
        let asked = "/herenow?channels=room&includeUsers=true";
        let answer = node.request("GET", asked).token(&node.login("u9").await).send().await.ok();
        let room = &answer["content"]["channels"]["room"];
        let ids: Vec<&Value> =
            room["users"].as_array().expect("a list").iter().map(|user| &user["id"]).collect();
        assert_eq!(ids, [&json!("u0"), &json!("u1"), &json!("u2")]);
    }
    members.remove(1).unsubscribe("room").await;
    for watcher in &mut watchers {
        watcher.expect("leave", "unsubscribe", "u1").await;
        assert_eq!(watcher.amounts(), (2, 2));
    }
}

/// Who watches a user hears of it from every node.
pub async fn a_watched_user_is_told_of_from_every_node(cluster: &Cluster) {
    let mut watcher = cluster[0].join_enveloped("watcher").await;
    let answer = watcher.request(json!({"type": "watch", "users": ["u1"]})).await;
    assert_eq!(answer["users"][0]["status"], "offline", "{answer}");
    for node in [1, 2] {
        let user = cluster[node].join_enveloped("u1").await;
        assert_eq!(watcher.expect_json("presence").await["events"][0]["action"], "online");
        user.close(1000).await;
        assert_eq!(watcher.expect_json("presence").await["events"][0]["action"], "offline");
    }
}

/// A one-time ticket is good once, on whichever node.
pub async fn a_ticket_is_good_once_on_any_node(cluster: &Cluster) {
    let token = cluster[0].login("u1").await;
    let answer = cluster[0].request("POST", "/ticket").token(&token).send().await.ok();
    let path = format!("/ws?ticket={}", answer["content"]["ticket"].as_str().expect("a ticket"));
    let _client = cluster[1].upgrade(&path).open().await;
    for node in cluster.nodes() {
        assert_eq!(node.upgrade(&path).attempt().await.expect_err("it was taken").status, 401);
    }
}

/// A client that comes back to another node gets what it missed, in order and once.
pub async fn a_client_comes_back_to_any_node(cluster: &Cluster) {
    let mut client = Resuming::join(&cluster[0], "u1").await;
    client.socket.subscribe("room").await;
    let mut pushed = 0;
    for round in 0..12 {
        for n in 0..3 {
            let target = if n == 1 { json!({"channel": "room"}) } else { json!({"loginId": "u1"}) };
            push(&cluster[round % 3], target, &pushed.to_string()).await;
            pushed += 1;
        }
        client.expect(pushed - 2).await;
        match client.back(&cluster[(round + 1) % 3]).await {
            old if round % 2 == 0 => drop(old),
            old => old.reset(),
        }
        client.expect(pushed).await;
    }
    client.socket.expect_silence().await;
    cluster[0].expect_counts(1, 1).await;
}

/// A node drains while pushes go on: its clients resume elsewhere, miss nothing, and nobody is told that they were away.
pub async fn a_node_drains_and_its_clients_miss_nothing(mut cluster: Cluster) {
    let mut watcher = Watcher::new(cluster[0].join_enveloped("watcher").await, "room").await;
    let mut client = Resuming::join(&cluster[2], "u1").await;
    client.socket.subscribe("room").await;
    watcher.expect("join", "subscribe", "u1").await;
    push(&cluster[0], json!({"loginId": "u1"}), "0").await;
    client.expect(1).await;
    let leaving = cluster.take(2);
    let drained = tokio::spawn(leaving.drained());
    assert_eq!(client.socket.expect_json("goodbye").await["code"], 4302);
    client.socket.expect_close(4302).await;
    for n in 1..20 {
        let target = if n % 2 == 0 { json!({"channel": "room"}) } else { json!({"loginId": "u1"}) };
        push(&cluster[n % 2], target, &n.to_string()).await;
    }
    client.back(&cluster[1]).await;
    // The pushes of two nodes come in no order but each node's own.
    let mut next = [2, 1];
    for _ in 1..20 {
        let data = client.socket.expect_json("push").await["data"].clone();
        let n: usize = data.as_str().and_then(|data| data.parse().ok()).expect("a number");
        assert_eq!(n, next[n % 2]);
        next[n % 2] += 2;
    }
    client.socket.expect_silence().await;
    drained.await.expect("it ends well");
    watcher.client().expect_silence().await;
    drop((client, watcher));
    cluster.stop().await;
}
