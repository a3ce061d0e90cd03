//! A Redis that hangs, dies or forgets.

use futures_util::future::join_all;

use crate::{
    load::Pusher,
    nodes::{Nodes, Times},
    redis_server::Redis,
    site::{LEASE, Site, each, push, users},
    wait::lasts,
};

/// Users of a node that dies.
const CROWD: usize = 100;
/// Users who are pushed to all the time.
const BUSY: usize = 20;

#[tokio::test]
async fn while_redis_hangs_nobody_dies_but_those_who_did() {
    let mut site = Site::start(&[0, 1]).await;
    let crowd = site.crowd(2, "u", CROWD, "join").await;
    let (mut here, there) = (site.crowd(0, "here", 5, "join").await, site.crowd(1, "there", 5, "join").await);
    site.redis.freeze();
    site.kill(2).await;
    drop(crowd);
    lasts(2 * LEASE).await;
    push(site.nodes.at(0), "here3", "local").await;
    assert_eq!(here[3].expect_json("push").await["data"], "local");
    site.redis.thaw();
    let gone = users("u", CROWD);
    site.all_see("offline", &gone).await;
    site.nodes.all_count(12, 10).await;
    site.nothing_else_is_seen().await;
    site.nodes.are_told_offline(&each(&gone, 1)).await;
    drop((here, there));
    site.stop().await;
}

#[tokio::test]
async fn redis_dies_under_load_and_comes_back_empty_and_nobody_was_away() {
    under_load(async |nodes, redis| {
        redis.kill();
        for place in 0..3 {
            nodes.engine_is(place, "down").await;
        }
        let report = push(nodes.at(0), "nobody", "lost").await;
        assert_eq!(report["remote"], "unavailable", "{report}");
        lasts(LEASE).await;
        redis.restart().await;
        for place in 0..3 {
            nodes.engine_is(place, "up").await;
        }
    })
    .await;
}

#[tokio::test]
async fn redis_is_emptied_under_load_and_nobody_was_away() {
    under_load(async |_, redis| drop(redis.run::<String>(&["FLUSHALL"]).await)).await;
}

/// Pushes go on, to users of the own node and of another, while this happens.
async fn under_load(happens: impl AsyncFnOnce(&Nodes, &mut Redis)) {
    let mut site = Site::start(&[0, 1, 2]).await;
    let mut near = site.crowd(1, "near", BUSY, "join").await;
    let mut far = site.crowd(2, "far", BUSY, "join").await;
    let all = 2 * BUSY + 3;
    let (nodes, redis) = (&site.nodes, &mut site.redis);
    let (here, there) = (Pusher::new("here"), Pusher::new("there"));
    let happening = async {
        tokio::join!(here.pushes_some(), there.pushes_some());
        happens(nodes, redis).await;
        nodes.all_count(all, 2 * BUSY).await;
        // Were anybody taken for dead, that would be so by now.
        lasts(2 * LEASE).await;
        tokio::join!(here.pushes_some(), there.pushes_some());
        here.ends();
        there.ends();
    };
    let ((), near_pushed, far_pushed, near_heard, far_heard) = tokio::join!(
        happening,
        here.push(nodes.at(1), "near", BUSY),
        there.push(nodes.at(0), "far", BUSY),
        join_all(near.iter_mut().map(|client| here.numbers(client))),
        join_all(far.iter_mut().map(|client| there.numbers(client))),
    );
    for heard in near_heard {
        assert!(heard.into_iter().eq(0..near_pushed), "whoever is on the node misses nothing");
    }
    for heard in far_heard {
        assert!(heard.is_sorted_by(|one, next| one < next), "nothing comes twice or late: {heard:?}");
        assert_eq!(heard.last().map(|last| last + 1), Some(far_pushed), "it goes on: {heard:?}");
    }
    site.nodes.all_count(all, 2 * BUSY).await;
    site.nothing_else_is_seen().await;
    site.nodes.are_told_offline(&Times::new()).await;
    drop((near, far));
    site.stop().await;
}
