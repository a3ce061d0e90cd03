//! After a reconnect a node writes all it has once more: what differed is put right, and told once.

use std::time::Duration;

use herenow::{
    Status,
    cluster::{ClusterEvent, Entry, Health, Here},
};

use crate::support::{
    Node, Proxy, Redis, eventually, quick,
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
    assert_eq!((watcher.status("lost").await, watcher.status("altered").await), (Status::Offline, Status::Away));
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
