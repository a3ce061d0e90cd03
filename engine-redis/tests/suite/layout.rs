//! What another version laid out otherwise is not touched, by whatever way a node comes upon it.

use std::time::Duration;

use bytes::Bytes;
use herenow::{
    Status,
    cluster::{AskTo, Engine, Entry, Health, Here, Leave, Wish},
};
use herenow_redis::{ConnectError, RedisEngine};

use crate::support::{Node, Redis, quick, within};

const SECOND: Duration = Duration::from_secs(1);
const OTHER: &str = "2;512;32";

/// A Redis in which there is some of everything, of nodes that are gone, laid out otherwise.
async fn laid_out_otherwise() -> Redis {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url()).node_name("web-1")).await;
    uses_everything(&node).await;
    assert!(node.engine.put_once("ticket", b"value".to_vec(), 600 * SECOND).await.is_ok());
    node.engine.lookup(herenow::cluster::Lookup::Count).await.unwrap();
    node.engine.ask(AskTo::OthersSurely, Bytes::from_static(b"question"), SECOND).await;
    drop(node);
    redis.run::<usize>(&["HSET", "herenow:meta", "layout", OTHER]).await;
    let no_more = |list: &String| list.lines().count() == 1;
    redis.wait_for(&["CLIENT", "LIST"], "it is gone", no_more).await;
    let keys: Vec<String> = redis.run(&["KEYS", "*"]).await;
    assert!(keys.len() >= 8, "{keys:?}");
    redis
}

async fn uses_everything(node: &Node) {
    node.comes("u1");
    let member = Here { clients: 1, status: Status::Online, data: None };
    node.set(Entry::Member("room".into(), "u1".into()), Some(member));
    node.wishes(Wish::Pushes("room".into()));
    node.wishes(Wish::User("u2".into()));
}

/// Waits until nodes have tried to beat so often.
async fn tries(redis: &Redis, times: usize) {
    let begin = redis.calls("evalsha").await;
    let more = |info: &String| Redis::calls_in(info, "evalsha") >= begin + times;
    redis.wait_for(&["INFO", "commandstats"], "it tries", more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_refused_for_the_layout_leaves_every_key_as_it_is() {
    let redis = laid_out_otherwise().await;
    let before = redis.dump().await;
    let named = quick(&redis.url()).node_name("web-1");
    for config in [quick(&redis.url()), named] {
        let error = within("an answer", 5 * SECOND, RedisEngine::connect(config)).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Layout { found, .. } if found == OTHER), "{error:?}");
        assert!(redis.dump().await == before, "something is not as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_connects_later_never_begins_to_write() {
    let redis = laid_out_otherwise().await;
    let before = redis.dump().await;
    let node = Node::over(RedisEngine::connect_lazily(quick(&redis.url())).unwrap());
    uses_everything(&node).await;
    tries(&redis, 5).await;
    assert_eq!(node.health(), Health::Down);
    within("it leaves", 10 * SECOND, node.engine.shutdown(Leave::Now)).await;
    assert!(redis.dump().await == before, "something is not as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_under_which_the_layout_changes_stops_writing() {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url())).await;
    uses_everything(&node).await;
    node.settles().await;
    redis.run::<usize>(&["HSET", "herenow:meta", "layout", OTHER]).await;
    node.wait_for(Health::Down).await;
    let before = redis.dump().await;
    node.comes("u3");
    node.goes("u1");
    tries(&redis, 5).await;
    assert!(redis.dump().await == before, "something is not as it was");
    // It was another one for a moment only: what waited is written.
    redis.run::<usize>(&["HSET", "herenow:meta", "layout", "2;256;64"]).await;
    node.wait_for(Health::Up).await;
    assert_eq!(node.status("u3").await, Status::Online);
}
