//! Pushes that somebody waits to hear of.

use std::time::Duration;

use herenow::testing::{Connect, connect};
use serde_json::json;

use super::{expect, push, reconnect};
use crate::support::{online, pass, secs};

#[tokio::test(start_paused = true)]
async fn acknowledgements_are_waited_for() {
    let online = online();
    let mut client = connect(&online, "u1").await;
    let raw = Connect::new(&online).user("u1").raw().open().await;
    push(&online, 0).await;
    expect(&mut client, [0]).await;
    let asked = tokio::spawn({
        let online = online.clone();
        async move { online.push_with_ack("u1", "1", Duration::from_secs(5)).await.unwrap() }
    });
    let frame = client.expect_type("push").await;
    assert_eq!(frame["ack"], true);
    client.send_json(&json!({"type": "ack", "seq": 2}));
    let report = asked.await.unwrap();
    assert_eq!(report.acked, [client.connection().id()]);
    assert!(report.is_complete() && report.push.enqueued == 2, "{report:?}");
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_acknowledge_in_time_is_named_and_who_comes_back_in_time_has_it() {
    let online = online();
    let silent = connect(&online, "u1").await;
    let report = online.push_with_ack("u1", "0", secs(5)).await.unwrap();
    assert_eq!((report.acked.len(), &report.missing[..]), (0, &[silent.connection().id()][..]));
    assert!(!report.is_complete());
    let welcome = silent.welcome().clone();
    silent.vanish().await;
    let asked = tokio::spawn({
        let online = online.clone();
        async move { online.push_with_ack("u1", "1", secs(5)).await.unwrap() }
    });
    pass(secs(1)).await;
    let mut client = reconnect(&online, "u1", &welcome, 1).await;
    expect(&mut client, [1]).await;
    client.send_json(&json!({"type": "ack", "seq": 2}));
    assert_eq!(asked.await.unwrap().acked, [client.connection().id()]);
    let nobody = online.push_with_ack("nobody", "1", secs(5)).await.unwrap();
    assert!(nobody.acked.is_empty() && nobody.missing.is_empty() && !nobody.is_complete());
}
