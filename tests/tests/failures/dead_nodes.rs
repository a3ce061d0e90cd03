//! Nodes that are killed.

use std::time::Duration;

use herenow_conformance::now;
use serde_json::json;

use crate::site::{LEASE, ROOM, Site, each, push, users};

/// Users of the node that dies.
const CROWD: usize = 100;
/// From the end of a lease until everybody is told, on a busy machine; alone it takes a beat.
const REAPED: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_node_is_killed_and_its_users_go_offline_once_on_every_other() {
    let mut site = Site::start(&[1, 2]).await;
    let (gone, stay) = (users("u", CROWD), users("stays", 5));
    let crowd = site.crowd(0, "u", CROWD, "join").await;
    let stays = site.crowd(1, "stays", stay.len(), "join").await;

    let killed = now();
    site.kill(0).await;
    drop(crowd);
    site.all_see("offline", &gone).await;
    let took = now() - killed;
    assert!(took > LEASE / 2, "nobody is taken for dead before: {took:?}");
    assert!(took < LEASE + REAPED, "the dead are noticed: {took:?}");
    site.nodes.are_told_offline(&each(&gone, 1)).await;
    site.nodes.all_count(stay.len() + 2, stay.len()).await;
    for (_, node) in site.nodes.all() {
        for user in &gone {
            let report = push(node, user, "too late").await;
            assert_eq!((&report["matched"], &report["offline"]), (&json!(0), &json!([user])), "{report}");
        }
    }

    let mut back = site.crowd(2, "u", CROWD, "online").await;
    for (n, client) in back.iter_mut().enumerate() {
        push(site.nodes.at(1), &format!("u{n}"), "welcome back").await;
        assert_eq!(client.expect_json("push").await["data"], "welcome back");
    }
    for place in [1, 2] {
        let online = site.nodes.told(place, "cluster", "online").await;
        assert!(gone.iter().all(|user| online[user] == 2), "once again, and once: {online:?}");
    }
    site.nothing_else_is_seen().await;
    site.nodes.are_told_offline(&each(&gone, 1)).await;
    drop((back, stays));
    site.stop().await;
}

/// The new nodes find what the old ones left, and clean up after them once their leases are over.
#[tokio::test]
async fn all_nodes_are_killed_and_of_their_users_those_stay_online_who_are_back() {
    let mut site = Site::start(&[]).await;
    let mut old = Vec::new();
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        old.push(site.crowd(place, name, 10, "join").await);
    }
    site.nodes.all_count(30, 30).await;
    for place in 0..3 {
        site.kill(place).await;
    }
    drop(old);

    let began = now();
    for place in 0..3 {
        site.nodes.put(place).await;
    }
    // To another node than before; most likely before the others could be known to be dead.
    let mut back = Vec::new();
    for n in 0..5 {
        let mut client = site.nodes.at(1).join_enveloped(&format!("a{n}")).await;
        client.subscribe(ROOM).await;
        back.push(client);
    }
    let returned = users("a", 5);
    for place in 0..3 {
        let mut left = site.watch(place).await;
        left.retain(|user| !returned.contains(user));
        site.see(&[place], "offline", &left).await;
    }
    site.nodes.all_count(5 + 3, 5).await;
    let took = now() - began;
    assert!(took < LEASE + REAPED, "nothing is left of the dead: {took:?}");
    site.redis.wait_for(&["ZCARD", "herenow:nodes"], "the dead are buried", |left: &usize| *left == 3).await;

    // Who came back while it was online still was never offline; of the others each was made so by one of the nodes.
    let made = site.nodes.made_offline().await;
    assert!(made.values().all(|times| *times == 1), "{made:?}");
    let gone =
        ["a", "b", "c"].iter().flat_map(|name| users(name, 10)).filter(|user| !returned.contains(user));
    assert!(gone.into_iter().all(|user| made.contains_key(&user)), "{made:?}");
    site.nothing_else_is_seen().await;
    drop(back);
    site.stop().await;
}
