//! FLUSHALL under many users: every node writes its part again, and nobody is told anything.

use std::{collections::BTreeMap, time::Duration};

use herenow::{
    Cause, Status, UserKey,
    cluster::{Engine, Entry, Found, Health, Here, Lookup},
};

use crate::support::{Node, Redis, Tally, eventually, quick, within};

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 3;
/// On each node.
const USERS: usize = 20_000;
/// Of these, how many are on the next node too.
const SHARED: usize = 2_000;
const ALL: usize = NODES * (USERS - SHARED) + SHARED;
const MEMBERS: usize = 1_000;

fn first(node: usize) -> usize {
    node * (USERS - SHARED)
}

/// On how many nodes each user is, by what stands in Redis.
async fn records(redis: &Redis) -> BTreeMap<String, usize> {
    let keys: Vec<String> = redis.run(&["KEYS", "herenow:*:b:*"]).await;
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.hgetall(key);
    }
    let buckets: Vec<Vec<(String, Vec<u8>)>> = pipe.query_async(&mut redis.connection().await).await.unwrap();
    buckets.into_iter().flatten().map(|(user, records)| (user, records.len() / 6)).collect()
}

async fn epoch(redis: &Redis) -> Option<u64> {
    redis.run(&["HGET", "herenow:meta", "epoch"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flushall_under_many_users_is_told_to_nobody_and_everything_is_there_again() {
    let redis = Redis::start().await;
    let config = || quick(&redis.url()).command_timeout(2 * SECOND).lease(3 * SECOND);
    let mut nodes = Vec::new();
    for n in 0..NODES {
        let node = Node::up(config()).await;
        node.local.tally.set(Tally::of(ALL)).unwrap();
        node.hears_everything(&redis, n + 1).await;
        nodes.push(node);
    }
    for (n, node) in nodes.iter().enumerate() {
        for user in first(n)..first(n) + USERS {
            node.comes(&format!("u{user}"));
        }
        for user in first(n)..first(n) + MEMBERS {
            let member = Entry::Member("room".into(), format!("u{user}").as_str().into());
            node.set(member, Some(Here { clients: 1, status: Status::Online, data: None }));
        }
    }
    let tally = |node: &Node| {
        let tally = node.local.tally.get().unwrap();
        (tally.heard_online(), tally.heard_offline(), tally.strange())
    };
    let joined = |node: &Node| node.told()[1].len();
    for node in &nodes {
        let all_are_there = || tally(node).0 >= ALL && joined(node) >= NODES * MEMBERS;
        eventually("all are there", 30 * SECOND, all_are_there).await;
    }
    for node in &nodes {
        node.settles().await;
        assert_eq!((tally(node), joined(node)), ((ALL, 0, 0), NODES * MEMBERS));
    }
    let (before, stood) = (epoch(&redis).await, records(&redis).await);
    assert_eq!((stood.len(), stood.values().sum::<usize>()), (ALL, NODES * USERS));
    let resyncs: Vec<usize> = nodes.iter().map(Node::resyncs).collect();

    redis.run::<()>(&["FLUSHALL"]).await;
    for (node, resyncs) in nodes.iter().zip(resyncs) {
        let is_whole = || node.resyncs() > resyncs && node.health() == Health::Up;
        eventually("it looks anew", 30 * SECOND, is_whole).await;
        // It is told to look when all have written, and not before.
        assert!(matches!(node.engine.lookup(Lookup::Count).await, Ok(Found::Count(ALL))));
    }
    for node in &nodes {
        node.settles().await;
        assert_eq!((tally(node), joined(node)), ((ALL, 0, 0), NODES * MEMBERS), "nobody is told anything");
        assert!(node.local.tally.get().unwrap().differs(1, 0).is_none());
    }
    let after = epoch(&redis).await;
    assert!(after.is_some() && after != before, "{before:?} {after:?}");
    assert!(records(&redis).await == stood, "the directory is what the nodes have");

    let (mut listed, mut last) = (Vec::<UserKey>::new(), None);
    loop {
        let page = Lookup::Page { after: last, limit: 10_000 };
        let found = within("a page", 10 * SECOND, nodes[0].engine.lookup(page)).await;
        let Ok(Found::Users(page)) = found else { panic!("{found:?}") };
        last = page.last().cloned();
        listed.extend(page);
        if last.is_none() || listed.len() > ALL {
            break;
        }
    }
    let mut listed: Vec<&str> = listed.iter().map(UserKey::login_id).collect();
    listed.sort_unstable();
    assert!(listed.iter().copied().eq(stood.keys().map(String::as_str)), "{} of {ALL}", listed.len());
    let members = Lookup::Members { channel: "room".into(), listed: 0 };
    let Ok(Found::Members(members)) = nodes[1].engine.lookup(members).await else { panic!() };
    assert_eq!((members.clients, members.users), (NODES * MEMBERS, NODES * MEMBERS));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_while_redis_loses_everything_is_told_of_once_where_it_was() {
    let mut redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    b.hears_everything(&redis, 1).await;
    ["stays", "is away", "goes", "moves"].iter().for_each(|user| a.comes(user));
    a.settles().await;
    b.settles().await;
    a.forgets();
    b.forgets();
    redis.kill();
    a.wait_for(Health::Down).await;
    b.wait_for(Health::Down).await;
    a.goes("goes");
    a.goes("moves");
    b.comes("moves");
    a.comes("there and gone");
    a.goes("there and gone");
    let away = Here { clients: 0, status: Status::Away, data: None };
    a.local.here.lock().insert(Entry::User("is away".into()), away);
    a.changed(Entry::User("is away".into()), Cause::Status, Status::Away);
    redis.restart().await;
    a.wait_for(Health::Up).await;
    b.wait_for(Health::Up).await;
    let told = || a.told()[0].iter().any(|told| told == "Offline goes");
    eventually("it is told of", 5 * SECOND, told).await;
    // What else would be told would be by then.
    redis.beats(10).await;
    a.settles().await;
    b.settles().await;
    assert_eq!(a.told()[0], ["Offline goes"], "of all others nobody is told anything");
    // It came to a node that did not know it.
    assert!(
        b.told()[0].len() <= 1 && b.told()[0].iter().all(|told| told == "Online moves"),
        "{:?}",
        b.told()[0]
    );
    for (user, status) in [("stays", Status::Online), ("is away", Status::Away), ("moves", Status::Online)] {
        assert_eq!(b.status(user).await, status);
    }
    assert_eq!(b.status("goes").await, Status::Offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stays_while_redis_loses_everything_was_never_away_whatever_its_tabs_do() {
    let mut redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    b.hears_everything(&redis, 1).await;
    let member = |user: &str| Entry::Member("room".into(), user.into());
    let one_tab = || Some(Here { clients: 1, status: Status::Online, data: None });
    let stays = [Entry::User("u1".into()), member("u1"), Entry::User("u2".into()), member("u2")];
    stays.iter().for_each(|entry| a.set(entry.clone(), one_tab()));
    a.settles().await;
    b.settles().await;
    a.forgets();
    b.forgets();
    redis.kill();
    a.wait_for(Health::Down).await;
    b.wait_for(Health::Down).await;
    for entry in &stays {
        // A tab of the one is closed, the other one opens another.
        let closes = matches!(entry, Entry::User(user) | Entry::Member(_, user) if user.login_id() == "u1");
        let cause = if closes { Cause::Disconnect } else { Cause::Subscribe };
        a.changed(entry.clone(), cause, Status::Online);
    }
    redis.restart().await;
    a.wait_for(Health::Up).await;
    b.wait_for(Health::Up).await;
    a.settles().await;
    b.settles().await;
    assert_eq!((a.told(), b.told()), Default::default(), "nobody came or went");
    assert_eq!(b.status("u1").await, Status::Online);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_which_nobody_was_as_redis_lost_everything_tells_of_everything_afterwards() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    b.hears_everything(&redis, 1).await;
    let (resyncs, before) = (a.resyncs(), epoch(&redis).await);
    redis.run::<()>(&["FLUSHALL"]).await;
    let is_whole = || a.resyncs() > resyncs && a.health() == Health::Up;
    eventually("it looks anew", 10 * SECOND, is_whole).await;
    assert_ne!(epoch(&redis).await, before);
    b.wait_for(Health::Up).await;
    a.comes("u1");
    a.settles().await;
    let away = Here { clients: 0, status: Status::Away, data: None };
    a.local.here.lock().insert(Entry::User("u1".into()), away);
    a.changed(Entry::User("u1".into()), Cause::Status, Status::Away);
    let told = || b.told()[1] == ["Online u1", "Update u1"];
    eventually("both are told of", 5 * SECOND, told).await;
}
