//! After a reconnect a node writes all it has once more: what differed is put right, and told once.

use std::time::Duration;

use herenow::{
    Status,
    cluster::{ClusterEvent, Engine, Entry, Found, Health, Here, Lookup},
};
use herenow_redis::RedisEngine;

use crate::support::{
    Local, Node, Proxy, Redis, eventually, quick,
    raw::{self, AWAY, ONLINE},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_or_altered_in_redis_is_put_right_by_the_next_sync_and_told_once() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let watcher = Node::up(quick(&redis.url()).lease(10 * SECOND)).await;
    watcher.hears_everything(&redis, 1).await;
    let owner = Node::up(quick(&proxy.url()).lease(10 * SECOND)).await;
    let users = ["lost", "altered", "left alone"];
    let member = |user: &str| Entry::Member("room".into(), user.into());
    for user in users {
        owner.comes(user);
        owner.set(member(user), Some(Here { clients: 1, status: Status::Online, data: None }));
    }
    owner.settles().await;
    watcher.settles().await;
    assert_eq!(watcher.told()[1].len(), 6);
    watcher.forgets();
    owner.forgets();

    let (lease, mut pipe) = (owner.id().to_be_bytes(), redis::pipe());
    raw::drop_user(&mut pipe, "lost");
    pipe.hdel(raw::members_of("room"), "lost").hincr(raw::channels_with("room"), "room", -1);
    pipe.hset(raw::bucket_of("altered"), "altered", raw::record(lease, AWAY));
    pipe.hset(raw::members_of("room"), "altered", raw::member_record(lease, AWAY));
    redis.run_all(&pipe).await;
    assert_eq!(
        (watcher.status("lost").await, watcher.status("altered").await),
        (Status::Offline, Status::Away)
    );
    proxy.cut();
    owner.wait_for(Health::Down).await;
    proxy.heal();
    owner.wait_for(Health::Up).await;

    owner.settles().await;
    watcher.settles().await;
    assert_eq!(owner.id().to_be_bytes(), lease);
    let mut expected = ["Join lost@room", "Online lost", "Update altered", "Update altered@room"];
    for mut told in [owner.told()[0].clone(), watcher.told()[1].clone()] {
        told.sort_unstable();
        // What a member is made to be is told to those who hear of it, and made by nobody else.
        expected.sort_unstable();
        assert_eq!(told, expected);
    }
    for user in users {
        assert_eq!(watcher.status(user).await, Status::Online);
        let record: Vec<u8> = redis.run(&["HGET", &raw::bucket_of(user), user]).await;
        assert_eq!(record, raw::record(lease, ONLINE), "the same lease as before");
        let record: Vec<u8> = redis.run(&["HGET", &raw::members_of("room"), user]).await;
        assert_eq!(record, raw::member_record(lease, ONLINE));
    }
    assert_eq!(redis.run::<usize>(&["HGET", &raw::channels_with("room"), "room"]).await, 3);

    // Where nothing differs nothing is told.
    let resyncs = owner.resyncs();
    proxy.cut();
    owner.wait_for(Health::Down).await;
    proxy.heal();
    let is_synced = || owner.resyncs() > resyncs && owner.health() == Health::Up;
    eventually("it is synced again", 10 * SECOND, is_synced).await;
    watcher.settles().await;
    assert_eq!([owner.told()[0].len(), watcher.told()[1].len()], [4, 4]);
    let strange = |event: &&ClusterEvent| matches!(event, ClusterEvent::Resync);
    assert_eq!(watcher.local.events.lock().iter().filter(strange).count(), 0, "it lost nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_takes_longer_than_the_lease_does_not_cost_it() {
    const USERS: usize = 20_000;
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    // Where nobody else beats, no lease ends.
    let other = Node::up(quick(&redis.url())).await;
    other.hears_everything(&redis, 1).await;
    let local = Local::default();
    for n in 0..USERS {
        let here = Here { clients: 0, status: Status::Online, data: None };
        local.here.lock().insert(Entry::User(format!("u{n}").as_str().into()), here);
    }
    let engine = RedisEngine::connect(quick(&proxy.url()).command_timeout(SECOND)).await.unwrap();
    // Of 32 parts two in a beat, and six beats are a lease.
    proxy.slow_down(2, usize::MAX);
    let node = Node::with(engine, local);
    let took = node.wait_for(Health::Up).await;
    assert!(took > 2 * Duration::from_millis(600), "{took:?}: it fits into a lease");
    let after: Vec<Vec<u8>> = redis.run(&["ZRANGE", "herenow:nodes", "0", "-1"]).await;
    assert!(after.iter().any(|lease| lease[..4] == node.id().to_be_bytes()), "it is the first one still");
    assert_eq!(after.len(), 2);
    assert!(matches!(other.engine.lookup(Lookup::Count).await, Ok(Found::Count(USERS))));
    other.settles().await;
    assert_eq!(other.told()[1].len(), USERS, "each was told of once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_redis_forgot_of_its_last_moments_is_put_right() {
    let mut redis = Redis::start().await;
    let (node, watcher) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    watcher.hears_everything(&redis, 1).await;
    ["stays", "leaves"].iter().for_each(|user| node.comes(user));
    node.settles().await;
    // What it starts again with; a replica that takes over has as little.
    redis.run::<()>(&["SAVE"]).await;
    node.goes("leaves");
    node.comes("comes");
    node.settles().await;
    redis.kill();
    node.wait_for(Health::Down).await;
    watcher.wait_for(Health::Down).await;
    redis.restart().await;
    assert!(redis.run::<bool>(&["HEXISTS", &raw::bucket_of("leaves"), "leaves"]).await, "it forgot");
    node.wait_for(Health::Up).await;
    watcher.wait_for(Health::Up).await;
    assert_eq!(watcher.status("stays").await, Status::Online);
    assert_eq!(watcher.status("comes").await, Status::Online);
    let gone = |there: &bool| !there;
    redis.wait_for(&["HEXISTS", &raw::bucket_of("leaves"), "leaves"], "it is taken out again", gone).await;
    assert_eq!(watcher.status("leaves").await, Status::Offline);
    assert!(matches!(watcher.engine.lookup(Lookup::Count).await, Ok(Found::Count(2))));
    let offline = |user: &str| watcher.told()[1].contains(&format!("Offline {user}"));
    assert!(!offline("stays") && !offline("comes"), "{:?}", watcher.told()[1]);
}
