//! Nodes that do nothing for a while, as in a debugger, on a machine that swaps, or while one is moved.

use herenow_conformance::eventually;

use crate::{
    nodes::Times,
    site::{LEASE, Site, each, push, users},
    wait::lasts,
};

const CROWD: usize = 100;

#[tokio::test]
async fn a_node_that_hung_beyond_its_lease_goes_on_with_its_clients() {
    let mut site = Site::start(&[0, 1, 2]).await;
    let hung = users("u", CROWD);
    let mut crowd = site.crowd(1, "u", CROWD, "join").await;
    let stays = (site.crowd(0, "here", 5, "join").await, site.crowd(2, "there", 5, "join").await);

    site.nodes.at(1).freeze().await;
    site.see(&[0, 2], "offline", &hung).await;
    // Members of a channel are taken out in one go, users one part after the other: who is not told of by then never was away.
    let mut away = each(&hung, 1);
    away.insert("watcher1".to_owned(), 1);
    for place in [0, 2] {
        let told = async || site.nodes.told(place, "cluster", "offline").await == away;
        eventually("the others are told who is away", told).await;
    }
    let report = push(site.nodes.at(0), "u3", "nobody hears it").await;
    assert_eq!(report["matched"], 0, "{report}");
    site.nodes.at(1).thaw().await;
    site.see(&[0, 2], "online", &hung).await;

    site.nodes.engine_is(1, "up").await;
    site.nodes.all_count(CROWD + 13, CROWD + 10).await;
    for (n, client) in crowd.iter_mut().enumerate() {
        push(site.nodes.at(2 * (n % 2)), &format!("u{n}"), "still there").await;
        assert_eq!(client.expect_json("push").await["data"], "still there");
    }
    // Who watches on the node itself may hear that for the others it was away, and then that it is back.
    site.nothing_else_is_seen_but_flicker(1, &hung).await;
    for place in [0, 2] {
        assert_eq!(site.nodes.told(place, "cluster", "offline").await, away);
        let back = async || {
            let online = site.nodes.told(place, "cluster", "online").await;
            hung.iter().all(|user| online[user] == 2) && users("here", 5).iter().all(|user| online[user] == 1)
        };
        eventually("the others are told once that they are back, and of nobody else", back).await;
    }
    assert_eq!(site.nodes.made_offline().await, away, "one node made each of it");
    drop((crowd, stays));
    site.stop().await;
}

#[tokio::test]
async fn a_node_that_hung_for_less_than_its_lease_was_never_away() {
    let mut site = Site::start(&[0, 1]).await;
    let mut crowd = site.crowd(2, "u", CROWD, "join").await;
    site.nodes.at(2).freeze().await;
    push(site.nodes.at(0), "u3", "waits").await;
    lasts(LEASE / 3).await;
    site.nodes.at(2).thaw().await;
    assert_eq!(crowd[3].expect_json("push").await["data"], "waits");
    // Were it taken for dead, that would be so by now.
    lasts(LEASE).await;
    site.nodes.all_count(CROWD + 2, CROWD).await;
    site.nothing_else_is_seen().await;
    site.nodes.are_told_offline(&Times::new()).await;
    drop(crowd);
    site.stop().await;
}
