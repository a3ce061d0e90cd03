//! Several Redis that share the load, and know nothing of each other.

use std::time::Duration;

use bytes::Bytes;
use herenow::cluster::{AskTo, Engine, Health, Reach, Receipt};
use herenow_redis::{RedisConfig, Server};

use crate::support::{Node, Redis, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

fn over(all: &[&Redis]) -> RedisConfig {
    RedisConfig::sharded(all.iter().map(|redis| Server::at(redis.url())))
        .heartbeat(SECOND / 10)
        .lease(SECOND * 6 / 10)
        .command_timeout(SECOND * 3 / 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_up_when_all_are_and_what_any_can_carry_goes_by_one_that_works() {
    let (mut first, second) = (Redis::start().await, Redis::start().await);
    let (a, b) = (Node::up(over(&[&first, &second])).await, Node::up(over(&[&first, &second])).await);
    a.wait_for_others().await;
    for redis in [&first, &second] {
        assert_eq!(redis.run::<usize>(&["ZCARD", "herenow:nodes"]).await, 2);
    }
    let Receipt::Pending(counts) = a.engine.route(Reach::Everyone, Bytes::from_static(b"all")) else {
        panic!()
    };
    assert_eq!(within("counts", SECOND, counts).await.unwrap().nodes, 1);
    assert_eq!(b.heard(b"all"), 1, "once, not by each Redis");
    within("both ways", SECOND, b.engine.caught_up()).await.unwrap();

    first.kill();
    a.wait_for(Health::Down).await;
    let known = || {
        matches!(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"other way")), Receipt::Pending(_))
    };
    eventually("it goes by the other one", 3 * SECOND, || known() && b.heard(b"other way") > 0).await;
    let query = Bytes::from_static(b"kick");
    let answers =
        within("answers", SECOND, a.engine.ask(AskTo::OthersSurely, query.clone(), SECOND / 2)).await;
    assert_eq!((answers.answers.len(), b.asked(&query)), (1, 1));
    first.restart().await;
    eventually("both are up", 3 * SECOND, || a.health() == Health::Up && b.health() == Health::Up).await;
    assert_eq!(b.asked(&query), 1, "told again by the other log, carried out once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_retire_everywhere_retires_nowhere() {
    let (one, mut other) = (Redis::start().await, Redis::start().await);
    let (a, b) = (Node::up(over(&[&one, &other])).await, Node::up(over(&[&one, &other])).await);
    a.wait_for_others().await;
    let users: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
    users.iter().for_each(|user| b.comes(user));
    b.settles().await;
    other.kill();
    b.wait_for(Health::Down).await;
    assert!(b.engine.retire(60 * SECOND).await.is_err());
    let mut told = 0;
    for user in &users {
        if let Receipt::Pending(receipt) = a.engine.route(Reach::User(&user.as_str().into()), "still".into())
        {
            let counts = within("counts", 5 * SECOND, receipt).await.unwrap_or_default();
            assert_eq!(counts.held, 0, "nobody would fetch it");
            told += counts.nodes;
        }
    }
    assert!(told > 0 && told == b.heard(b"still"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_retirement_nobody_waits_for_is_not_retired() {
    let (one, other) = (Redis::start().await, Redis::start().await);
    let (a, b) = (Node::up(over(&[&one, &other])).await, Node::up(over(&[&one, &other])).await);
    a.wait_for_others().await;
    let users: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
    users.iter().for_each(|user| b.comes(user));
    b.settles().await;
    other.freeze();
    assert!(tokio::time::timeout(SECOND / 10, b.engine.retire(60 * SECOND)).await.is_err());
    other.thaw();
    eventually("both are up", 5 * SECOND, || a.health() == Health::Up && b.health() == Health::Up).await;
    for redis in [&one, &other] {
        redis.wait_for(&["EXISTS", "herenow:retired"], "it is not retired", |left: &usize| *left == 0).await;
    }
    b.settles().await;
    for user in &users {
        let Receipt::Pending(receipt) = a.engine.route(Reach::User(&user.as_str().into()), "still".into())
        else {
            panic!()
        };
        let counts = within("counts", 5 * SECOND, receipt).await.unwrap();
        assert_eq!((counts.nodes, counts.held), (1, 0), "{user}");
    }
    assert_eq!(b.heard(b"still"), users.len());
}
