//! Who comes and goes while Redis is away: who came is told of once it is back, who left one lease later, and nobody who is
//! somewhere by then.

use std::time::Duration;

use herenow::{
    Status,
    cluster::{Engine, Entry, Health, Here, Lookup},
};

use crate::support::{Node, Proxy, Redis, eventually, quick};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn who_left_during_an_outage_is_told_of_a_lease_later_unless_it_is_back_somewhere() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let config = |url: &str| quick(url).lease(LEASE);
    let (a, b) = (Node::up(config(&proxy.url())).await, Node::up(config(&proxy.url())).await);
    // Somebody who misses nothing.
    let watcher = Node::up(config(&redis.url())).await;
    watcher.hears_everything(&redis, 1).await;
    let left = ["gone", "back", "back later", "elsewhere", "elsewhere later"];
    left.iter().for_each(|user| a.comes(user));
    a.settles().await;
    watcher.settles().await;
    let mut expected: Vec<String> = left.iter().map(|user| format!("Online {user}")).collect();
    assert_eq!(sorted(&watcher.told()[1]), sorted(&expected));

    proxy.cut();
    a.wait_for(Health::Down).await;
    b.wait_for(Health::Down).await;
    left.iter().for_each(|user| a.goes(user));
    a.comes("back");
    b.comes("elsewhere");
    a.comes("new");
    a.comes("there and gone");
    a.goes("there and gone");
    assert_eq!(watcher.told()[1].len(), left.len(), "nobody is told meanwhile");
    let told_of_gone = eventually("it is told of", LEASE + 10 * SECOND, || {
        watcher.told()[1].iter().any(|told| told == "Offline gone")
    });
    let meanwhile = async {
        // What can be written is not yet to be: the subscriptions come last.
        proxy.stall(true);
        proxy.heal();
        a.wait_for(Health::Degraded).await;
        redis.beats(5).await;
        proxy.stall(false);
        a.wait_for(Health::Up).await;
        a.comes("back later");
        b.wait_for(Health::Up).await;
        b.comes("elsewhere later");
    };
    // Its time is taken from before it is healed on.
    let (took, ()) = tokio::join!(biased; told_of_gone, meanwhile);
    assert!(took >= LEASE, "{took:?}: it might still have come back");

    // All that waited was waiting for the same moment.
    a.settles().await;
    b.settles().await;
    watcher.settles().await;
    expected.extend(["Online new", "Offline gone"].map(str::to_owned));
    assert_eq!(sorted(&watcher.told()[1]), sorted(&expected));
    let made = [&a, &b, &watcher].map(|node| node.told()[0].clone()).concat();
    assert_eq!(sorted(&made), sorted(&expected), "and each was made on one node");
    for user in ["back", "back later", "elsewhere", "elsewhere later", "new"] {
        assert_eq!((a.status(user).await, b.status(user).await), (Status::Online, Status::Online), "{user}");
    }
    assert_eq!(b.status("gone").await, Status::Offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_beyond_the_lease_is_told_of_once_and_so_is_who_left_meanwhile() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, b) = (Node::up(quick(&proxy.url())).await, Node::up(quick(&redis.url())).await);
    b.hears_everything(&redis, 1).await;
    ["stays", "goes", "moves"].iter().for_each(|user| a.comes(user));
    a.settles().await;
    b.settles().await;
    b.forgets();
    proxy.cut();
    a.wait_for(Health::Down).await;
    b.comes("moves");
    a.goes("goes");
    a.goes("moves");
    redis.wait_for(&["ZCARD", "herenow:nodes"], "it is taken out", |count: &usize| *count == 1).await;
    b.settles().await;
    assert_eq!(sorted(&b.told()[1]), ["Offline goes", "Offline stays"]);

    proxy.heal();
    a.wait_for(Health::Up).await;
    eventually("it is back", 5 * SECOND, || b.told()[1].len() > 2).await;
    // What was deferred is written one lease after that; it has been when this is, which was told after it.
    redis.beats(40).await;
    a.settles().await;
    b.settles().await;
    assert_eq!(sorted(&b.told()[1]), ["Offline goes", "Offline stays", "Online stays"]);
    assert_eq!(b.status("moves").await, Status::Online);
    assert!(matches!(b.engine.lookup(Lookup::Count).await, Ok(herenow::cluster::Found::Count(2))));
}

fn sorted(told: &[String]) -> Vec<String> {
    let mut told = told.to_vec();
    told.sort_unstable();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_to_everything_for_a_while_hears_each_thing_once() {
    const TIMES: usize = 300;
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    a.wishes(herenow::cluster::Wish::User("u1".into()));
    a.settles().await;
    for time in 0..TIMES {
        if time % 2 == 0 {
            b.comes("u1");
        } else {
            b.goes("u1");
        }
        b.settles().await;
        if time % 5 == 0 {
            a.engine.wishes(&herenow::cluster::Wish::Everything, time % 10 == 0);
        }
    }
    a.settles().await;
    let heard = &a.told()[1];
    assert_eq!(heard.len(), TIMES, "of all: {:?}", &heard[..heard.len().min(9)]);
    let alternate = heard.chunks(2).all(|two| two == ["Online u1", "Offline u1"]);
    assert!(alternate, "in their order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_is_too_long_keeps_nobody_else_from_being_written() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    b.hears_everything(&redis, 1).await;
    for word in [String::new(), "x".repeat(33), "x".repeat(300)] {
        let here = Here { clients: 1, status: Status::Custom(word.as_str().into()), data: None };
        let user = format!("u{}", word.len());
        a.set(Entry::User(user.as_str().into()), Some(here.clone()));
        a.set(Entry::Member("room".into(), user.as_str().into()), Some(here));
        a.comes(&format!("beside {user}"));
        a.settles().await;
        assert_eq!(
            (b.status(&user).await, b.status(&format!("beside {user}")).await),
            (Status::Online, Status::Online)
        );
    }
    b.settles().await;
    assert_eq!(b.told()[1].len(), 9, "{:?}", b.told()[1]);
}
