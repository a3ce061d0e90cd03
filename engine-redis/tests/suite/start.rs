//! What connecting says when it cannot be done, and what it leaves alone.

use std::time::Duration;

use herenow::cluster::{Engine, Health, Leave};
use herenow_redis::{ConnectError, RedisConfig, RedisEngine};

use crate::support::{Node, Redis, quick, within};

async fn refused(config: RedisConfig) -> ConnectError {
    within("an answer", Duration::from_secs(5), RedisEngine::connect(config)).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let mut redis = Redis::start().await;
    redis.kill();
    let error = refused(quick(&redis.url())).await;
    assert!(
        matches!(&error, ConnectError::Unreachable { address, .. } if address.contains(&redis.port().to_string()))
    );
    assert!(error.to_string().contains("is it running"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_no_server() {
    let redis = Redis::start().await;
    redis.freeze();
    let error = refused(quick(&redis.url())).await;
    redis.thaw();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_matter_of_the_password() {
    let redis = Redis::with(&["--requirepass", "right"]).await;
    for url in [redis.url().replace("right", "wrong"), redis.url().replace(":right@", "")] {
        let error = refused(quick(&url)).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        assert!(
            error.to_string().contains("user:password@host") && !error.to_string().contains("wrong@"),
            "{error}"
        );
    }
    let node = Node::up(quick(&redis.url())).await;
    node.engine.shutdown(Leave::Now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_user_and_a_database_of_its_own_will_do() {
    let redis = Redis::start().await;
    let rules = ["ACL", "SETUSER", "app", "on", ">pass", "~shop:*", "&shop:*", "+@all"];
    redis.run::<()>(&rules).await;
    let url = format!("redis://app:pass@127.0.0.1:{}/3", redis.port());
    let node = Node::up(quick(&url).prefix("shop")).await;
    assert_eq!(redis.run::<usize>(&["DBSIZE"]).await, 0, "nothing is in database 0");
    drop(node);
    let error = refused(quick(&url).prefix("other")).await;
    assert!(matches!(error, ConnectError::Unsuitable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_layout_are_left_alone() {
    let redis = Redis::start().await;
    redis.run::<usize>(&["HSET", "herenow:meta", "layout", "0;7;7"]).await;
    let error = refused(quick(&redis.url())).await;
    assert!(matches!(&error, ConnectError::Layout { found, .. } if found == "0;7;7"), "{error:?}");
    assert!(error.to_string().contains("another prefix"), "{error}");
    assert_eq!(redis.run::<Vec<String>>(&["KEYS", "*"]).await, ["herenow:meta"]);
    assert_eq!(redis.run::<Vec<String>>(&["HGETALL", "herenow:meta"]).await, ["layout", "0;7;7"]);

    redis.run::<usize>(&["DEL", "herenow:meta"]).await;
    redis.run::<()>(&["SET", "herenow:meta", "somebody else's"]).await;
    let error = refused(quick(&redis.url())).await;
    assert!(matches!(error, ConnectError::Unsuitable { .. }), "{error:?}");
    assert_eq!(redis.run::<String>(&["GET", "herenow:meta"]).await, "somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused() {
    let master = Redis::start().await;
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    let error = refused(quick(&replica.url())).await;
    assert!(matches!(error, ConnectError::Replica { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_node_comes_up_when_redis_does() {
    let mut redis = Redis::start().await;
    redis.kill();
    let node = Node::over(RedisEngine::connect_lazily(quick(&redis.url())).unwrap());
    assert_eq!(node.health(), Health::Down);
    redis.restart().await;
    let took = node.wait_for(Health::Up).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = RedisEngine::connect_lazily("redis://127.0.0.1/").unwrap_err();
    assert!(matches!(error, ConnectError::NoRuntime));
}
