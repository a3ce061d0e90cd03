//! What becomes of a node when the way to its Redis fails, and how soon it is whole again.

use std::time::Duration;

use bytes::Bytes;
use herenow::{
    Status,
    cluster::{AskTo, ClusterEvent, Engine, Entry, Found, Health, Here, Leave, Lookup, Reach, Receipt},
};
use herenow_redis::{RedisConfig, RedisEngine};

use crate::support::{Node, Proxy, Redis, eventually, lasts, quick, within};

const SECOND: Duration = Duration::from_secs(1);

async fn nodes(redis: &Redis) -> Vec<Vec<u8>> {
    // Those that are dead and not yet reaped stand at 0.
    let mut nodes: Vec<_> = redis.run(&["ZRANGEBYSCORE", "herenow:nodes", "1", "+inf"]).await;
    nodes.sort_unstable();
    nodes
}

/// Pushes to everybody until the other node hears one.
async fn reaches(from: &Node, to: &Node, within: Duration) -> Duration {
    let (mut tries, before) = (0, to.local.pushes.lock().len());
    eventually("a push arrives", within, || {
        tries += 1;
        if tries % 4 == 1 {
            drop(from.engine.route(Reach::Everyone, Bytes::from_static(b"are you there?")));
        }
        to.local.pushes.lock().len() > before
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_redis_is_used_again_and_the_node_looks_anew() {
    let mut redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    b.wait_for_others().await;
    let resyncs = a.resyncs();
    redis.kill();
    a.wait_for(Health::Down).await;
    assert!(matches!(a.engine.route(Reach::Everyone, Bytes::new()), Receipt::Unavailable));
    redis.restart().await;
    let took = a.wait_for(Health::Up).await;
    assert!(took < 3 * SECOND, "{took:?}");
    // Once the others have written theirs too.
    eventually("it looks anew", 3 * SECOND, || a.resyncs() > resyncs).await;
    b.wait_for(Health::Up).await;
    a.wait_for_others().await;
    reaches(&a, &b, SECOND).await;
    assert_eq!(nodes(&redis).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_connection_that_is_killed_is_replaced() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    for kind in ["subscribe", "evalsha", "client", "script", "publish"] {
        redis.kill_clients(kind).await;
        eventually("both are up", 3 * SECOND, || a.health() == Health::Up && b.health() == Health::Up).await;
        reaches(&a, &b, 3 * SECOND).await;
        reaches(&b, &a, 3 * SECOND).await;
    }
    assert_eq!(nodes(&redis).await.len(), 2, "nobody was taken for dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_heartbeat_is_no_outage() {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url())).await;
    let lease = nodes(&redis).await;
    let mut health = node.engine.health();
    health.borrow_and_update();
    // The heartbeat's own connection is the one that runs scripts all the time.
    assert!(redis.kill_clients("evalsha").await >= 1);
    redis.beats(3).await;
    assert!(!health.has_changed().unwrap() || *health.borrow() == Health::Up);
    assert_eq!(nodes(&redis).await, lease);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_subscription_is_noticed_and_replaced_within_three_beats() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    // At the usual pace: the figure is the design's.
    let deaf = Node::up(RedisConfig::try_from(proxy.url().as_str()).unwrap()).await;
    let other = Node::up(quick(&redis.url()).lease(6 * SECOND)).await;
    other.wait_for_others().await;
    reaches(&other, &deaf, SECOND).await;
    let resyncs = deaf.resyncs();
    assert_eq!(proxy.deafen(), 1);
    let took = reaches(&other, &deaf, 6 * SECOND).await;
    assert!(took < 4 * SECOND, "{took:?}");
    deaf.wait_for(Health::Up).await;
    assert!(deaf.resyncs() > resyncs, "it is told to look anew");
    assert_eq!(nodes(&redis).await.len(), 2, "nobody was taken for dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_frozen_is_noticed_and_nobody_dies_of_it() {
    let redis = Redis::start().await;
    let config = || quick(&redis.url()).lease(2 * SECOND);
    let (a, b) = (Node::up(config()).await, Node::up(config()).await);
    a.wait_for_others().await;
    let before = nodes(&redis).await;
    for frozen in [SECOND * 7 / 10, 5 * SECOND] {
        redis.freeze();
        let (took, ()) = tokio::join!(a.wait_for(Health::Down), lasts(frozen));
        assert!(took < SECOND, "a beat and its timeout: {took:?}");
        redis.thaw();
        eventually("both are up", 3 * SECOND, || a.health() == Health::Up && b.health() == Health::Up).await;
        assert_eq!(nodes(&redis).await, before, "the same leases hold after {frozen:?}");
    }
    reaches(&a, &b, SECOND).await;
    let quiet =
        |node: &Node| node.local.events.lock().iter().all(|event| matches!(event, ClusterEvent::Resync));
    assert!(quiet(&a) && quiet(&b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_emptied_is_filled_again() {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url())).await;
    let (before, resyncs) = (nodes(&redis).await, node.resyncs());
    redis.run::<()>(&["FLUSHALL"]).await;
    eventually("it looks anew", 3 * SECOND, || node.resyncs() > resyncs && node.health() == Health::Up).await;
    let after = nodes(&redis).await;
    assert!(after.len() == 1 && after != before, "a new epoch, a new lease");
    redis.run::<()>(&["SCRIPT", "FLUSH"]).await;
    let resyncs = node.resyncs();
    eventually("beats go on", 3 * SECOND, || node.health() == Health::Up).await;
    assert_eq!(
        (nodes(&redis).await, node.resyncs()),
        (after, resyncs),
        "scripts are loaded where they are missed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_beyond_its_lease_comes_back_under_a_new_one() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, b) = (Node::up(quick(&proxy.url())).await, Node::up(quick(&redis.url())).await);
    b.wait_for_others().await;
    proxy.cut();
    a.wait_for(Health::Down).await;
    redis
        .wait_for(
            "ZCARD herenow:nodes".split(' ').collect::<Vec<_>>().as_slice(),
            "it is reaped",
            |count: &usize| *count == 1,
        )
        .await;
    proxy.heal();
    let took = a.wait_for(Health::Up).await;
    assert!(took < 3 * SECOND, "{took:?}");
    let live = nodes(&redis).await;
    assert_eq!(live.len(), 2);
    assert!(
        live.iter().all(|member| member[..4] != a.id().to_be_bytes()),
        "its first lease id is not used again"
    );
    a.wait_for_others().await;
    reaches(&a, &b, SECOND).await;
    reaches(&b, &a, SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_swallows_everything_is_given_up() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, b) = (Node::up(quick(&proxy.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    let resyncs = a.resyncs();
    proxy.blackhole();
    eventually("other connections are used", 3 * SECOND, || {
        a.resyncs() > resyncs && a.health() == Health::Up
    })
    .await;
    reaches(&b, &a, 3 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_whoever_registered_it_last() {
    let redis = Redis::start().await;
    let named = |name: &str| quick(&redis.url()).node_name(name).lease(30 * SECOND);
    let first = Node::up(named("web-1")).await;
    let first_id = first.id().to_be_bytes();
    // As a crash: its lease would hold for 30 s.
    drop(first);
    let second = Node::up(named("web-1")).await;
    redis
        .wait_for(&["ZCARD", "herenow:nodes"], "the one before is gone at once", |count: &usize| *count == 1)
        .await;
    assert_ne!(nodes(&redis).await[0][..4], first_id);

    // Two that go by one name at once: the first of them goes on without it.
    let third = Node::up(named("web-1")).await;
    let live = ["ZCOUNT", "herenow:nodes", "1", "+inf"];
    redis.wait_for(&live, "both are there", |count: &usize| *count == 2).await;
    eventually("both are up", 3 * SECOND, || second.health() == Health::Up && third.health() == Health::Up)
        .await;
    let leases = nodes(&redis).await;
    redis.beats(8).await;
    assert_eq!(nodes(&redis).await, leases, "they do not take it from each other for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_all_again_does_not_cost_the_lease() {
    let redis = Redis::start().await;
    let config = quick(&redis.url()).command_timeout(SECOND);
    let node = Node::over(RedisEngine::connect(config).await.unwrap());
    node.wait_for(Health::Up).await;
    const USERS: usize = 100_000;
    for n in 0..USERS {
        let here = Here { clients: 0, status: Status::Online, data: None };
        node.local.here.lock().insert(Entry::User(format!("user-{n}").as_str().into()), here);
    }
    let resyncs = node.resyncs();
    redis.run::<()>(&["FLUSHALL"]).await;
    eventually("all is written", 60 * SECOND, || node.resyncs() > resyncs && node.health() == Health::Up)
        .await;
    let lease = nodes(&redis).await;
    let count = node.engine.lookup(Lookup::Count).await;
    assert!(matches!(count, Ok(Found::Count(USERS))), "{count:?}");
    // And again, since the connection for commands is another one.
    for _ in 0..2 {
        redis.kill_clients("evalsha").await;
        redis.kill_clients("ping").await;
        node.wait_for(Health::Up).await;
    }
    assert_eq!(nodes(&redis).await, lease, "one registration for all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_nodes_come_back_from_a_restart_together() {
    let mut redis = Redis::start().await;
    let config = || quick(&redis.url()).command_timeout(SECOND).lease(2 * SECOND);
    let up = (0..40).map(|_| Node::up(config()));
    let all = futures_util::future::join_all(up).await;
    eventually("everybody knows everybody", 3 * SECOND, || {
        all.iter().all(|node| node.health() == Health::Up)
    })
    .await;
    redis.kill();
    for node in &all {
        node.wait_for(Health::Down).await;
    }
    redis.restart().await;
    let took =
        eventually("all are up", 10 * SECOND, || all.iter().all(|node| node.health() == Health::Up)).await;
    assert!(took < 3 * SECOND, "{took:?}");
    assert_eq!(nodes(&redis).await.len(), 40);
    all[0].wait_for_others().await;
    eventually("a push reaches all", 3 * SECOND, || {
        let heard = all[1..].iter().filter(|node| node.heard(b"all") > 0).count();
        if heard == 0 {
            drop(all[0].engine.route(Reach::Everyone, Bytes::from_static(b"all")));
        }
        heard == 39
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_dropped_leaves_no_connection_behind() {
    let redis = Redis::start().await;
    let clients = async || redis.run::<String>(&["CLIENT", "LIST"]).await.lines().count();
    let before = clients().await;
    let node = Node::up(quick(&redis.url())).await;
    assert_eq!(clients().await, before + 3, "commands, heartbeat, subscriber");
    drop(node);
    redis
        .wait_for(&["CLIENT", "LIST"], "all are closed", |list: &String| list.lines().count() == before)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_gone_at_once_or_when_it_said() {
    let redis = Redis::start().await;
    let stays = Node::up(quick(&redis.url())).await;
    let now = Node::up(quick(&redis.url())).await;
    stays.wait_for_others().await;
    now.engine.shutdown(Leave::Now).await;
    assert_eq!(nodes(&redis).await.len(), 1);

    let lingers = Node::up(quick(&redis.url())).await;
    lingers.engine.shutdown(Leave::Linger(2 * SECOND)).await;
    drop(lingers);
    redis.beats(3).await;
    let asked = stays.engine.ask(AskTo::OthersSurely, Bytes::new(), 60 * SECOND);
    let answers = within("nobody waits for it", SECOND, asked).await;
    assert_eq!((answers.answers.len(), answers.unreachable), (0, 0));
    // Three leases later it is still taken for alive, and then it is not.
    redis.beats(12).await;
    assert_eq!(nodes(&redis).await.len(), 2);
    redis.wait_for(&["ZCARD", "herenow:nodes"], "it is gone", |count: &usize| *count == 1).await;
}
