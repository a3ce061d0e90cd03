//! The slow look through everything: what nobody owns is taken out, what is not true any more is put right, and who is only
//! just coming is left alone. A round takes ten minutes, and begins with the tag that the last byte of the node's id names:
//! what stands in every tag is found in the first ones soon.

use std::time::Duration;

use herenow::{
    Status,
    cluster::{Engine, Entry, Here, LocalNode, Lookup},
};
use herenow_redis::RedisEngine;

use crate::support::{
    Local, Node, Proxy, Redis, eventually, quick,
    raw::{self, DEAD, ONLINE},
};

const SECOND: Duration = Duration::from_secs(1);

/// In which tags a node looks first.
fn first_tags(node: &Node) -> [usize; 2] {
    let first = node.id().to_be_bytes()[3];
    [first, first.wrapping_add(1)].map(usize::from)
}

/// How often this is among what was told.
fn times(told: &[String], what: &str) -> usize {
    told.iter().filter(|told| *told == what).count()
}

/// Nothing was told twice, and nothing made twice or by nobody.
fn each_once(watcher: &Node, makers: &[&Node]) {
    let [_, heard] = watcher.told();
    let made: Vec<String> = makers.iter().flat_map(|node| node.told()[0].clone()).collect();
    for told in &heard {
        assert_eq!((times(&heard, told), times(&made, told)), (1, 1), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_lease_that_nobody_has_are_taken_out_and_told_once() {
    let redis = Redis::start().await;
    let watcher = Node::up(quick(&redis.url())).await;
    watcher.hears_everything(&redis, 1).await;
    let [alone, both, channels] = ["alone", "both", "channel"].map(raw::one_in_each_tag);
    let mut pipe = redis::pipe();
    for ((alone, both), channel) in alone.iter().zip(&both).zip(&channels) {
        raw::put_user(&mut pipe, alone, DEAD);
        raw::put_user(&mut pipe, both, DEAD);
        raw::put_member(&mut pipe, channel, "member", DEAD);
    }
    redis.run_all(&pipe).await;
    for user in &both {
        watcher.comes(user);
    }
    watcher.settles().await;
    assert_eq!(watcher.status(&alone[0]).await, Status::Offline, "nobody believes it meanwhile");
    assert_eq!(watcher.status(&both[0]).await, Status::Online);

    let sweeper = Node::up(quick(&redis.url())).await;
    for tag in first_tags(&sweeper) {
        for gone in [format!("Offline {}", alone[tag]), format!("Leave member@{}", channels[tag])] {
            eventually(&gone, 15 * SECOND, || times(&watcher.told()[1], &gone) > 0).await;
        }
        // The users of a tag are looked at before its channels.
        assert!(!redis.run::<bool>(&["HEXISTS", &raw::bucket_of(&alone[tag]), &alone[tag]]).await);
        assert!(!redis.run::<bool>(&["EXISTS", &raw::members_of(&channels[tag])]).await);
        assert!(!redis.run::<bool>(&["HEXISTS", &raw::channels_with(&channels[tag]), &channels[tag]]).await);
        let left: Vec<u8> = redis.run(&["HGET", &raw::bucket_of(&both[tag]), &both[tag]]).await;
        assert_eq!(left, raw::record(watcher.id().to_be_bytes(), ONLINE), "who is somewhere stays there");
        assert_eq!(redis.run::<usize>(&["GET", &raw::count_of(&both[tag])]).await, 1);
    }
    watcher.settles().await;
    let [_, heard] = watcher.told();
    // These were online before, if by a record of nobody's: it was no transition.
    assert!(heard.iter().all(|told| !told.contains("both")), "{heard:?}");
    each_once(&watcher, &[&watcher, &sweeper]);
}

// On one thread: nothing is written before all is to be.
#[tokio::test]
async fn a_write_that_comes_after_its_node_was_taken_out_is_taken_out_again() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let watcher = Node::up(quick(&redis.url())).await;
    watcher.hears_everything(&redis, 1).await;
    // It does not live to see that no answer comes.
    let late = Node::up(quick(&proxy.url()).command_timeout(5 * SECOND)).await;
    let lease = late.id().to_be_bytes();
    late.comes("early");
    late.settles().await;
    // What it writes now is on its way for longer than it lives.
    proxy.hold();
    let users = raw::one_in_each_tag("late");
    users.iter().for_each(|user| late.comes(user));
    let all_are_held = || {
        let held = proxy.held();
        users.iter().all(|user| held.contains(&format!("{user}\r\n")))
    };
    eventually("all is on its way", 3 * SECOND, all_are_held).await;
    let mut made = late.told()[0].clone();
    drop(late);
    redis.wait_for(&["ZCARD", "herenow:nodes"], "it is taken out", |count: &usize| *count == 1).await;
    let none = |claims: &Vec<String>| claims.is_empty();
    redis.wait_for(&["KEYS", "herenow:reap:*"], "nobody is at it any more", none).await;
    assert_eq!(watcher.told()[1], ["Online early", "Offline early"]);

    proxy.release();
    let online = |count: &Option<Vec<u8>>| count.is_some();
    for user in &users {
        redis.wait_for(&["HGET", &raw::bucket_of(user), user], "it came after all", online).await;
        assert_eq!(watcher.status(user).await, Status::Offline, "and nobody believes it");
    }
    let record: Vec<u8> = redis.run(&["HGET", &raw::bucket_of(&users[0]), &users[0]]).await;
    assert_eq!(record, raw::record(lease, ONLINE));
    // It is not there any more to be told that it made them.
    made.extend(users.iter().map(|user| format!("Online {user}")));
    let sweeper = Node::up(quick(&redis.url())).await;
    for tag in first_tags(&sweeper) {
        let gone = format!("Offline {}", users[tag]);
        eventually(&gone, 15 * SECOND, || times(&watcher.told()[1], &gone) > 0).await;
        assert!(!redis.run::<bool>(&["HEXISTS", &raw::bucket_of(&users[tag]), &users[tag]]).await);
    }
    watcher.settles().await;
    made.extend(watcher.told()[0].iter().chain(&sweeper.told()[0]).cloned());
    for told in &watcher.told()[1] {
        assert_eq!((times(&watcher.told()[1], told), times(&made, told)), (1, 1), "{told}");
    }
}

/// Registers somebody for a minute, with a record in each of some places: as a node does it, but in no time.
const COME: &str = "
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[1], time[1] * 1000 + 60000, ARGV[1] .. ARGV[1])
    for i = 2, #KEYS do
        local before = redis.call('HGET', KEYS[i], ARGV[i]) or ''
        redis.call('HSET', KEYS[i], ARGV[i], before .. '\\5' .. ARGV[1] .. '\\2')
    end";

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_while_its_records_are_being_looked_at_is_left_alone() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let watcher = Node::up(quick(&redis.url())).await;
    watcher.hears_everything(&redis, 1).await;
    let sweeper = Node::up(quick(&proxy.url()).heartbeat(SECOND / 20)).await;
    // Between any two steps of it somebody comes.
    proxy.go_step_by_step();
    let [tag, _] = first_tags(&sweeper);
    let users = raw::one_in_each_bucket(tag as u8);
    let mut connection = redis.connection().await;
    // The sweep goes through the buckets in their order: where the last of these is gone, it has seen all.
    let orphans: Vec<String> = users.iter().map(|user| format!("{user} of nobody")).collect();
    let mut pipe = redis::pipe();
    for (user, orphan) in users.iter().zip(&orphans) {
        pipe.hset(raw::bucket_of(user), orphan, raw::record(DEAD, ONLINE)).incr(raw::count_of(user), 1);
    }
    redis.run_all(&pipe).await;

    let (mut came, mut expected) = (0_u32, Vec::new());
    let gone = |orphan: &str| times(&watcher.told()[1], &format!("Offline {orphan}")) > 0;
    while !gone(&orphans[63]) {
        came += 1;
        assert!(came < 5_000, "the sweep does not come to an end");
        let lease = [b'l', (came >> 16) as u8, (came >> 8) as u8, came as u8];
        let mut come = redis::cmd("EVAL");
        let buckets: Vec<String> = users.iter().map(|user| raw::bucket_of(user)).collect();
        come.arg(COME).arg(1 + users.len()).arg("herenow:nodes").arg(buckets).arg(&lease[..]).arg(&users);
        come.exec_async(&mut connection).await.unwrap();
        expected.extend(raw::record(lease, ONLINE));
        proxy.step().await;
    }
    for (user, orphan) in users.iter().zip(&orphans) {
        assert!(gone(orphan), "{orphan} is still there");
        let there: Vec<u8> = redis.run(&["HGET", &raw::bucket_of(user), user]).await;
        assert!(there == expected, "of {came} who came, {} are there", there.len() / 6);
    }
    watcher.settles().await;
    assert_eq!(watcher.told()[1].len(), orphans.len());
    each_once(&watcher, &[&watcher, &sweeper]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_lost_is_written_again_and_what_it_has_no_more_is_taken_out() {
    let redis = Redis::start().await;
    let watcher = Node::up(quick(&redis.url())).await;
    watcher.hears_everything(&redis, 1).await;
    let [lost, ghosts, rooms, haunted] = ["lost", "ghost", "room", "haunted"].map(raw::one_in_each_tag);
    let local = Local::default();
    let here = || Here { clients: 1, status: Status::Online, data: None };
    for (lost, room) in lost.iter().zip(&rooms) {
        local.here.lock().insert(Entry::User(lost.as_str().into()), Here { clients: 0, ..here() });
        local.here.lock().insert(Entry::Member(room.as_str().into(), "lost".into()), here());
    }
    let owner = Node::with(RedisEngine::connect(quick(&redis.url())).await.unwrap(), local);
    owner.wait_for(herenow::cluster::Health::Up).await;
    owner.engine.lookup(Lookup::Count).await.unwrap();
    watcher.settles().await;
    assert_eq!(watcher.told()[1].len(), 512);
    let (owners, mut pipe) = (owner.id().to_be_bytes(), redis::pipe());
    for ((lost, ghost), (room, haunted)) in lost.iter().zip(&ghosts).zip(rooms.iter().zip(&haunted)) {
        raw::drop_user(&mut pipe, lost);
        raw::drop_member(&mut pipe, room, "lost");
        raw::put_user(&mut pipe, ghost, owners);
        raw::put_member(&mut pipe, haunted, "ghost", owners);
    }
    watcher.forgets();
    owner.forgets();
    redis.run_all(&pipe).await;

    for tag in first_tags(&owner) {
        let told = [
            format!("Online {}", lost[tag]),
            format!("Offline {}", ghosts[tag]),
            format!("Join lost@{}", rooms[tag]),
            format!("Leave ghost@{}", haunted[tag]),
        ];
        for told in &told {
            eventually(told, 15 * SECOND, || times(&watcher.told()[1], told) > 0).await;
        }
        assert_eq!(watcher.status(&lost[tag]).await, Status::Online);
        assert_eq!(watcher.status(&ghosts[tag]).await, Status::Offline);
        assert_eq!(redis.run::<usize>(&["GET", &raw::count_of(&lost[tag])]).await, 1);
        let (members, connections) = (raw::members_of(&rooms[tag]), raw::channels_with(&rooms[tag]));
        let member: Vec<u8> = redis.run(&["HGET", &members, "lost"]).await;
        assert_eq!(member, raw::member_record(owners, ONLINE));
        assert_eq!(redis.run::<usize>(&["HGET", &connections, &rooms[tag]]).await, 1);
        assert!(!redis.run::<bool>(&["EXISTS", &raw::members_of(&haunted[tag])]).await);
    }
    assert!(owner.local.here(&Entry::User(ghosts[0].as_str().into())).is_none());
    watcher.settles().await;
    each_once(&watcher, &[&owner]);
}
