//! Who cleans up after the dead: however much there is, it costs no survivor its lease or its subscription, and each user is
//! told of once.

use std::time::Duration;

use herenow::{
    Status,
    cluster::{Engine, Entry, Found, Health, Here, Lookup},
};

use crate::{
    slow::subscribers,
    support::{Node, Proxy, Redis, Tally, eventually, quick},
};

const SECOND: Duration = Duration::from_secs(1);
const BUCKETS: usize = 16_384;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_node_with_very_many_users_every_survivor_hears_of_each_once_and_none_is_late() {
    const MANY: usize = 100_000;
    const LEASE: Duration = Duration::from_secs(2);
    let redis = Redis::start().await;
    let config = |url: &str| quick(url).heartbeat(SECOND * 2 / 5).lease(LEASE).command_timeout(2 * SECOND);
    let (mut proxies, mut survivors) = (Vec::new(), Vec::new());
    for count in 1..=3 {
        let proxy = Proxy::to(redis.port()).await;
        let node = Node::up(config(&proxy.url())).await;
        node.local.tally.set(Tally::of(MANY)).unwrap();
        node.hears_everything(&redis, count).await;
        proxies.push(proxy);
        survivors.push(node);
    }
    let tallies: Vec<&Tally> = survivors.iter().map(|node| node.local.tally.get().unwrap()).collect();
    let before: Vec<Vec<u8>> = redis.run(&["ZRANGE", "herenow:nodes", "0", "-1"]).await;
    let hearing = subscribers(&redis).await;
    let victim = Node::up(config(&redis.url())).await;
    (0..MANY).for_each(|n| victim.comes(&format!("u{n}")));
    for tally in &tallies {
        eventually("all are there", 30 * SECOND, || tally.heard_online() == MANY).await;
    }
    for node in &survivors {
        node.wait_for(Health::Up).await;
    }
    let mut health = survivors.iter().map(|node| node.engine.health()).collect::<Vec<_>>();
    health.iter_mut().for_each(|health| drop(health.borrow_and_update()));
    let resyncs: Vec<usize> = survivors.iter().map(Node::resyncs).collect();

    for proxy in &proxies {
        // Whoever cleans up takes longer than a lease, and hears some 8 MB a second, of what Redis keeps at most 32 MB of.
        proxy.slow_down(100, 3 << 20);
    }
    let published = redis.calls("publish").await;
    drop(victim);
    eventually("somebody is told of", 30 * SECOND, || tallies[0].heard_offline() > 0).await;
    let mut took = Duration::ZERO;
    for tally in &tallies {
        took += eventually("all are told of", 30 * SECOND, || tally.heard_offline() >= MANY).await;
    }
    assert_eq!(alive(&redis).await, 3, "no beat was late for it");
    let claims: Vec<String> = redis.run(&["KEYS", "herenow:reap:*"]).await;
    assert!(claims.len() <= 1, "nobody cleans up after a survivor: {claims:?}");
    assert!(took > LEASE, "{took:?}: too fast to say anything of the leases");
    let published = redis.calls("publish").await - published;
    assert!(published < 2 * BUCKETS, "{published} messages for what is in {BUCKETS} buckets");
    redis.wait_for(&["ZCARD", "herenow:nodes"], "nothing is left of it", |count: &usize| *count == 3).await;
    let mut made = vec![0; MANY];
    for (node, tally) in survivors.iter().zip(&tallies) {
        node.engine.caught_up().await.unwrap();
        assert_eq!((tally.differs(1, 1), tally.strange()), (None, 0));
        made.iter_mut().zip(tally.made_offline()).for_each(|(sum, made)| *sum += made);
    }
    assert!(made.iter().all(|made| *made == 1), "each is made on one node");
    let after: Vec<Vec<u8>> = redis.run(&["ZRANGE", "herenow:nodes", "0", "-1"]).await;
    assert_eq!(sorted(after), sorted(before), "no lease ended");
    assert_eq!(subscribers(&redis).await, hearing, "no subscription did");
    assert!(health.iter().all(|health| !health.has_changed().unwrap()), "and nobody thought so");
    assert_eq!(survivors.iter().map(Node::resyncs).collect::<Vec<_>>(), resyncs);
    assert!(matches!(survivors[0].engine.lookup(Lookup::Count).await, Ok(Found::Count(0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_nodes_died_the_next_ones_clean_up_and_tell_of_each_user_once() {
    let redis = Redis::start().await;
    let config = || quick(&redis.url()).lease(2 * SECOND);
    let dead = [Node::up(config()).await, Node::up(config()).await];
    for (node, name) in dead.iter().zip(["a", "b"]) {
        for n in 0..50 {
            node.comes(&format!("{name}{n}"));
            let member = Entry::Member("room".into(), format!("{name}{n}").as_str().into());
            node.set(member, Some(Here { clients: 1, status: Status::Online, data: None }));
        }
        node.comes("both");
        node.settles().await;
    }
    drop(dead);
    // However long ago that was.
    redis.wait_for(&["EVAL", ALIVE, "0"], "their leases are over", |alive: &usize| *alive == 0).await;
    assert_eq!(redis.run::<usize>(&["ZCARD", "herenow:nodes"]).await, 2, "nobody cleaned up");

    let (one, two) = tokio::join!(Node::up(config()), Node::up(config()));
    one.wishes(herenow::cluster::Wish::Everything);
    two.wishes(herenow::cluster::Wish::Everything);
    let mut expected: Vec<String> = ["a", "b"]
        .iter()
        .flat_map(|name| (0..50).map(move |n| format!("{name}{n}")))
        .flat_map(|user| [format!("Offline {user}"), format!("Leave {user}@room")])
        .collect();
    expected.push("Offline both".to_owned());
    // What nobody could say of themselves while nobody beat they get another lease for.
    let all_are_told = || [&one, &two].iter().all(|node| node.told()[1].len() >= expected.len());
    let took = eventually("all are told of", 15 * SECOND, all_are_told).await;
    assert!(took < 6 * SECOND, "{took:?}");
    redis.wait_for(&["ZCARD", "herenow:nodes"], "nothing is left of them", |count: &usize| *count == 2).await;
    one.settles().await;
    two.settles().await;
    expected.sort_unstable();
    for node in [&one, &two] {
        assert_eq!(sorted(node.told()[1].clone()), expected);
    }
    assert_eq!(sorted([one.told()[0].clone(), two.told()[0].clone()].concat()), expected, "made once");
    for keys in ["herenow:*:b:*", "herenow:*:m:*", "herenow:*:c"] {
        assert_eq!(redis.run::<Vec<String>>(&["KEYS", keys]).await, [""; 0], "{keys}");
    }
    let none = |claims: &Vec<String>| claims.is_empty();
    redis.wait_for(&["KEYS", "herenow:reap:*"], "the claims are given back", none).await;
    assert!(matches!(one.engine.lookup(Lookup::Count).await, Ok(Found::Count(0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_is_looked_for_everywhere_once_and_not_again() {
    let redis = Redis::start().await;
    let (survivor, victim) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    survivor.wait_for_others().await;
    drop(victim);
    let before = redis.calls("hgetall").await;
    redis.wait_for(&["ZCARD", "herenow:nodes"], "it is taken out", |count: &usize| *count == 1).await;
    // Beats that named it dead came while it was being taken out.
    redis.beats(30).await;
    let looked = redis.calls("hgetall").await - before;
    assert!((BUCKETS..BUCKETS * 3 / 2).contains(&looked), "{looked} looks into {BUCKETS} buckets");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_channel_the_members_of_a_dead_node_are_taken_out_part_by_part() {
    const MEMBERS: usize = 3_000;
    let redis = Redis::start().await;
    let (survivor, victim) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    survivor.hears_everything(&redis, 1).await;
    let joins = |node: &Node, user: &str| {
        let here = Here { clients: 1, status: Status::Online, data: None };
        node.set(Entry::Member("room".into(), user.into()), Some(here));
    };
    joins(&survivor, "stays");
    (0..MEMBERS).for_each(|n| joins(&victim, &format!("u{n}")));
    victim.settles().await;
    survivor.settles().await;
    survivor.forgets();
    drop(victim);
    let all_are_told = || survivor.told()[1].len() >= MEMBERS;
    eventually("all are told of", 15 * SECOND, all_are_told).await;
    redis.wait_for(&["ZCARD", "herenow:nodes"], "nothing is left of it", |count: &usize| *count == 1).await;
    survivor.settles().await;
    let expected = sorted((0..MEMBERS).map(|n| format!("Leave u{n}@room")).collect());
    for told in survivor.told() {
        assert!(sorted(told) == expected, "each once");
    }
    let members = Lookup::Members { channel: "room".into(), listed: 10 };
    let Ok(Found::Members(members)) = survivor.engine.lookup(members).await else { panic!() };
    assert_eq!((members.clients, members.users, members.listed.len()), (1, 1, 1));
}

/// How many leases are not over.
const ALIVE: &str = "
    local time = redis.call('TIME')
    return redis.call('ZCOUNT', 'herenow:nodes', time[1] * 1000 + time[2] / 1000, '+inf')";

async fn alive(redis: &Redis) -> usize {
    redis.run(&["EVAL", ALIVE, "0"]).await
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all
}
