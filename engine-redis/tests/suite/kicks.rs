//! Questions to other nodes, and what nobody may miss.

use std::time::Duration;

use bytes::Bytes;
use herenow::cluster::{AskTo, Engine, Health, Lookup};
use herenow_redis::RedisEngine;

use crate::support::{Node, Proxy, Redis, eventually, quick, within};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_asked_once_and_answers() {
    let redis = Redis::start().await;
    let nodes = [
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
    ];
    let [a, b, c] = &nodes;
    a.wait_for_others().await;
    // The third may have come a moment later.
    redis.beats(8).await;
    for to in [AskTo::Others, AskTo::OthersSurely] {
        let query = Bytes::from(format!("{to:?}"));
        let answers = within("answers", SECOND, a.engine.ask(to, query.clone(), 5 * SECOND)).await;
        assert_eq!((answers.answers, answers.unreachable), (vec![query.clone(), query.clone()], 0));
        // Beats read the log too, and nobody does it twice.
        redis.beats(8).await;
        assert_eq!((a.asked(&query), b.asked(&query), c.asked(&query)), (0, 1, 1));
    }
    let query = Bytes::from_static(b"you alone");
    let answers = a.engine.ask(AskTo::Node(c.id()), query.clone(), 5 * SECOND).await;
    assert_eq!((answers.answers.len(), b.asked(&query), c.asked(&query)), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_user_those_are_asked_who_have_something_of_it() {
    let redis = Redis::start().await;
    let nodes = [
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
    ];
    let [a, b, c] = &nodes;
    a.wait_for_others().await;
    let query = Bytes::from_static(b"sessions?");
    let ask = || a.engine.ask(AskTo::Owners("u1".into()), query.clone(), 3 * SECOND);
    let nobody = within("nobody has it", SECOND, ask()).await;
    assert_eq!((nobody.answers.len(), nobody.unreachable), (0, 0));
    b.comes("u1");
    a.comes("u1");
    b.engine.lookup(Lookup::Count).await.unwrap();
    let answers = ask().await;
    assert_eq!((answers.answers.len(), answers.unreachable), (1, 0));
    assert_eq!((b.asked(&query), c.asked(&query)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_there_is_not_waited_for() {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url())).await;
    let ask = |to| node.engine.ask(to, Bytes::new(), 60 * SECOND);
    let answers = within("no answer", SECOND, ask(AskTo::Node(node.id() ^ 1))).await;
    assert_eq!((answers.answers.len(), answers.unreachable), (0, 1));
    let answers = within("nobody", SECOND, ask(AskTo::Others)).await;
    assert_eq!((answers.answers.len(), answers.unreachable), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_reaches_a_deaf_node_with_its_next_beat() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let usual = herenow_redis::RedisConfig::try_from(proxy.url().as_str()).unwrap();
    let (a, deaf) = (Node::up(quick(&redis.url()).lease(6 * SECOND)).await, Node::up(usual).await);
    a.wait_for_others().await;
    assert_eq!(proxy.deafen(), 1);
    let query = Bytes::from_static(b"kick");
    let (tell, asking) = (query.clone(), a.engine.ask(AskTo::OthersSurely, query.clone(), 3 * SECOND));
    let answers = within("the kick is carried out and answered", 3 * SECOND / 2, asking).await;
    assert_eq!((answers.answers, answers.unreachable), (vec![tell], 0));
    assert_eq!(deaf.asked(&query), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_kicks_are_read_from_the_log_each_once() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, away) = (Node::up(quick(&redis.url())).await, Node::up(quick(&proxy.url())).await);
    a.wait_for_others().await;
    proxy.cut();
    away.wait_for(Health::Down).await;
    const KICKS: usize = 5000;
    for n in 0..KICKS {
        a.engine.ask(AskTo::OthersSurely, Bytes::from(n.to_string()), Duration::from_millis(1)).await;
    }
    proxy.heal();
    eventually("all are carried out", 5 * SECOND, || away.local.queries.lock().len() >= KICKS).await;
    let mut carried_out = away.local.queries.lock().clone();
    carried_out.sort_unstable();
    carried_out.dedup();
    assert_eq!((carried_out.len(), away.local.queries.lock().len()), (KICKS, KICKS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_reaches_a_node_that_was_cut_off_when_it_is_back() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, away) = (Node::up(quick(&redis.url())).await, Node::up(quick(&proxy.url())).await);
    a.wait_for_others().await;
    proxy.cut();
    away.wait_for(Health::Down).await;
    // Also when nobody is left who could be asked.
    redis.wait_for(&["ZCARD", "herenow:nodes"], "it is reaped", |count: &usize| *count == 1).await;
    let query = Bytes::from_static(b"kick");
    a.engine.ask(AskTo::OthersSurely, query.clone(), SECOND / 10).await;
    proxy.heal();
    eventually("it is carried out", 3 * SECOND, || away.asked(&query) == 1).await;

    let late = Node::up(quick(&redis.url())).await;
    redis.beats(8).await;
    assert_eq!(late.asked(&query), 0, "who starts does not carry out what was said before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_during_an_outage_is_told_when_redis_is_back() {
    let mut redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    let before = Bytes::from_static(b"before");
    a.engine.ask(AskTo::OthersSurely, before.clone(), SECOND).await;
    redis.kill();
    a.wait_for(Health::Down).await;
    b.wait_for(Health::Down).await;
    let during = Bytes::from_static(b"during");
    let answers = a.engine.ask(AskTo::OthersSurely, during.clone(), SECOND).await;
    assert_eq!((answers.answers.len(), answers.unreachable), (0, 1));
    redis.restart().await;
    eventually("it is carried out", 5 * SECOND, || b.asked(&during) == 1).await;
    redis.beats(8).await;
    assert_eq!((b.asked(&before), b.asked(&during)), (1, 1), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_fail_at_once_while_redis_is_down() {
    let mut redis = Redis::start().await;
    redis.kill();
    let node = Node::over(RedisEngine::connect_lazily(quick(&redis.url())).unwrap());
    let asking = node.engine.ask(AskTo::Node(1), Bytes::new(), 60 * SECOND);
    assert_eq!(within("an answer", SECOND, asking).await.unreachable, 1);
}
