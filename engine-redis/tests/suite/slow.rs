//! A subscriber that reads too slowly: Redis drops it, and nothing worse comes of that.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use herenow::cluster::{Engine, Health, Reach, Receipt};
use herenow_redis::observe;

use crate::support::{Counters, Node, Proxy, Redis, eventually, quick};

const SECOND: Duration = Duration::from_secs(1);
/// Of each push.
const SIZE: usize = 64 << 10;
/// More than what the kernel keeps for a connection, many times over.
const MOST: usize = 2_000;

/// Redis's numbers of the connections that subscribed.
pub(crate) async fn subscribers(redis: &Redis) -> BTreeSet<String> {
    let list: String = redis.run(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
    let id = |line: &str| line.split(' ').find_map(|word| word.strip_prefix("id=")).map(str::to_owned);
    list.lines().filter_map(id).collect()
}

// On one thread, so that what is counted is counted here.
#[tokio::test]
async fn a_subscriber_that_redis_drops_subscribes_anew_and_what_was_lost_is_counted() {
    let counters = Counters::default();
    let _counting = counters.begin();
    let redis = Redis::start().await;
    redis.run::<()>(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 262144 0 0"]).await;
    let proxy = Proxy::to(redis.port()).await;
    // Three beats that are not heard mean deafness, and that would be another way to the same end.
    let config = |url: &str| quick(url).heartbeat(3 * SECOND).lease(9 * SECOND).command_timeout(2 * SECOND);
    let sender = Node::up(config(&redis.url())).await;
    sender.hears_everything(&redis, 1).await;
    let others = subscribers(&redis).await;
    let slow = Node::up(config(&proxy.url())).await;
    slow.hears_everything(&redis, 2).await;
    slow.comes("u1");
    slow.settles().await;
    sender.settles().await;
    sender.wait_for_others().await;
    let own: Vec<String> = subscribers(&redis).await.difference(&others).cloned().collect();
    assert_eq!(own.len(), 1);
    let leases: Vec<Vec<u8>> = redis.run(&["ZRANGE", "herenow:nodes", "0", "-1"]).await;
    let counted = || {
        let connects = counters.of(observe::CONNECTS, Some("subscriber"));
        [connects, counters.of(observe::SYNCS, None), counters.of(observe::LEASES_LOST, None)]
    };
    let (resyncs, [connects, syncs, lost]) = (slow.resyncs(), counted());
    assert!(connects >= 2 && syncs >= 2, "they are counted at all: {connects} {syncs}");

    proxy.stall(true);
    let (frame, mut receipts) = (Bytes::from(vec![b'x'; SIZE]), Vec::new());
    while subscribers(&redis).await.contains(&own[0]) {
        assert!(receipts.len() < MOST, "Redis does not drop it");
        for _ in 0..16 {
            match sender.engine.route(Reach::Node(slow.id()), frame.clone()) {
                Receipt::Pending(receipt) => receipts.push(receipt),
                refused => panic!("{refused:?}"),
            }
        }
        sender.engine.caught_up().await.unwrap();
    }
    proxy.stall(false);
    eventually("it looks anew", 5 * SECOND, || slow.resyncs() > resyncs && slow.health() == Health::Up).await;
    slow.settles().await;
    assert_eq!(subscribers(&redis).await.len(), 2);

    // Whoever pushed knows how many of them arrived.
    let (sent, mut arrived) = (receipts.len(), 0);
    for receipt in receipts {
        arrived += receipt.await.unwrap().nodes;
    }
    let heard = slow.heard(&frame);
    assert!(heard < sent, "of {sent} none was lost");
    assert_eq!(arrived, heard, "of {sent}");
    assert_eq!(counted(), [connects + 1, syncs, lost], "one subscription more, and nothing written");
    assert_eq!(counters.of(observe::DEAF, None), 0, "Redis dropped it, and no beat found it deaf");
    assert_eq!(redis.run::<Vec<Vec<u8>>>(&["ZRANGE", "herenow:nodes", "0", "-1"]).await, leases);
    sender.settles().await;
    assert_eq!(sender.told()[1], ["Online u1"], "nobody went offline for it");
    let Receipt::Pending(receipt) = sender.engine.route(Reach::Node(slow.id()), Bytes::from_static(b"again"))
    else {
        panic!("it is not known any more")
    };
    assert_eq!((receipt.await.unwrap().nodes, slow.heard(b"again")), (1, 1));
}
