//! Nodes that are replaced, as in a deploy.

use futures_util::future::join_all;
use herenow_conformance::{Server, client::Resuming};

use crate::{
    load::Pusher,
    nodes::Times,
    site::{ROOM, Site, each, users},
};

const CLIENTS: usize = 30;
/// The place of a node that is not replaced.
const STAYS: usize = 3;
/// A client has so long to come back on a busy machine, and what is pushed meanwhile is kept.
const OPTIONS: [&str; 4] = ["--grace-ms", "10000", "--resume-messages", "2000"];

/// Everybody is pushed to from every node, while one node after the other is drained and a new process takes its place.
#[tokio::test]
async fn three_nodes_are_replaced_one_by_one_and_nobody_misses_anything() {
    let mut site = Site::with(&OPTIONS, &[]).await;
    // Whoever looks on sits on a node that stays.
    site.nodes.put(STAYS).await;
    site.nodes.everybody_hears_everything().await;
    site.watch(STAYS).await;
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let mut client = Resuming::join(site.nodes.at(n % 3), &format!("u{n}")).await;
        client.socket.subscribe(ROOM).await;
        clients.push(client);
    }
    let everybody = users("u", CLIENTS);
    site.all_see("join", &everybody).await;
    for (round, place) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
        let leaving = site.nodes.take_out(place);
        let others: Vec<&Server> =
            site.nodes.all().filter(|(place, _)| *place != STAYS).map(|(_, node)| node).collect();
        let pushers = [0, 1].map(|n| Pusher::new(format!("{round}-{n}")));
        let pushing = pushers.iter().zip(&others).map(|(pusher, from)| pusher.push(from, "u", CLIENTS));
        let hearing =
            clients.iter_mut().enumerate().map(|(n, client)| hear_all(client, &pushers, others[n % 2]));
        let replacing = async {
            join_all(pushers.iter().map(Pusher::pushes_some)).await;
            leaving.drained().await;
            let fresh = site.nodes.fresh(place).await;
            join_all(pushers.iter().map(Pusher::pushes_some)).await;
            pushers.iter().for_each(Pusher::ends);
            fresh
        };
        let (fresh, _, _) = tokio::join!(replacing, join_all(pushing), join_all(hearing));
        site.nodes.take_in(place, fresh);
    }
    site.nodes.all_count(CLIENTS + 1, CLIENTS).await;
    let mut online = each(&everybody, 1);
    online.insert(format!("watcher{STAYS}"), 1);
    let cluster = async |kind| site.nodes.told(STAYS, "cluster", kind).await;
    assert_eq!(cluster("online").await, online);
    for kind in ["offline", "leave"] {
        assert_eq!(cluster(kind).await, Times::new(), "{kind}");
    }
    site.nothing_else_is_seen().await;
    drop(clients);
    site.stop().await;
}

/// Reads all that these push; where its node sends it away it goes on at another.
async fn hear_all(client: &mut Resuming, pushers: &[Pusher], other: &Server) {
    while !pushers.iter().all(|pusher| client.has_all_of(&pusher.name)) {
        if !client.hear().await {
            let mut old = client.back(other).await;
            old.ending().await;
        }
    }
}
