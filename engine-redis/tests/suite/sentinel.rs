//! Redis behind Sentinel: the master is found, and followed when it is another one.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use herenow::{
    Status,
    cluster::{Engine, Health, Reach},
};
use herenow_redis::{ConnectError, RedisConfig, RedisEngine, Server};

use crate::support::{Node, Redis, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

fn behind(sentinel: &Redis, name: &str) -> RedisConfig {
    RedisConfig::new(Server::sentinel([sentinel.url()], name))
        .heartbeat(SECOND / 5)
        .lease(2 * SECOND)
        .command_timeout(SECOND / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_and_nobody_goes_offline() {
    let mut master = Redis::start().await;
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    replica
        .wait_for(&["INFO", "replication"], "it replicates", |info: &String| {
            info.contains("master_link_status:up")
        })
        .await;
    let sentinel = Redis::sentinel(&master, "mymaster", SECOND).await;
    sentinel
        .wait_for(
            &["SENTINEL", "REPLICAS", "mymaster"],
            "the replica is known",
            |known: &Vec<redis::Value>| known.len() == 1,
        )
        .await;
    let (a, b) =
        (Node::up(behind(&sentinel, "mymaster")).await, Node::up(behind(&sentinel, "mymaster")).await);
    a.wait_for_others().await;
    b.hears_everything(&master, 1).await;
    let users = ["u1", "u2", "u3"];
    users.iter().for_each(|user| a.comes(user));
    a.settles().await;
    b.settles().await;
    assert_eq!(b.told()[1].len(), users.len());
    master.kill();
    a.wait_for(Health::Down).await;
    let took = eventually("the new master is used", 15 * SECOND, || {
        a.health() == Health::Up && b.health() == Health::Up
    })
    .await;
    assert!(took < 10 * SECOND, "{took:?}");
    let role: Vec<redis::Value> = replica.run(&["ROLE"]).await;
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()));
    a.wait_for_others().await;
    let mut tries = 0;
    eventually("pushes arrive", 3 * SECOND, || {
        tries += 1;
        if tries % 8 == 1 {
            drop(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"after")));
        }
        b.heard(b"after") > 0
    })
    .await;
    for user in users {
        assert_eq!(b.status(user).await, Status::Online);
    }
    // What would be told of who was there before would be told by now.
    replica.beats(20).await;
    a.comes("u4");
    a.settles().await;
    b.settles().await;
    let told: BTreeSet<String> = b.told()[1].iter().cloned().collect();
    let expected = ["u1", "u2", "u3", "u4"].map(|user| format!("Online {user}"));
    assert_eq!(
        (told, b.told()[1].len()),
        (BTreeSet::from(expected), 4),
        "each once, and nobody went offline"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_sentinel_knows_is_named() {
    let master = Redis::start().await;
    let sentinel = Redis::sentinel(&master, "mymaster", SECOND).await;
    let connecting = RedisEngine::connect(behind(&sentinel, "another"));
    let error = within("an answer", 5 * SECOND, connecting).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unreachable { reason, .. } if reason.contains("`another`")),
        "{error}"
    );
}
