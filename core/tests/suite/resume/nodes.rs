//! A client comes back to another node than the one it was on.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use herenow::{
    EventKind, OnlineManager, Status, Target,
    auth::{Action, Identity},
    testing::{Connect, TestClient, TestNode, connect, joined_nodes},
};
use serde_json::{Value, json};

use super::{expect, push, reconnect};
use crate::support::{heard, pass, secs};

fn nodes<const N: usize>() -> [TestNode; N] {
    joined_nodes(|builder| builder.authorize(|_: &Identity, _: &Action| true))
}

async fn moved(to: &OnlineManager, welcome: &Value, seq: u64) -> TestClient {
    let client = reconnect(to, "u1", welcome, seq).await;
    let welcome = client.welcome();
    assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(true), &json!(seq)));
    client
}

async fn cut(client: TestClient) -> Value {
    let welcome = client.welcome().clone();
    client.vanish().await;
    welcome
}

#[tokio::test(start_paused = true)]
async fn what_a_client_missed_follows_it_to_another_node() {
    let [here, there] = nodes();
    let mut listeners = [here.events(), there.events()];
    let mut client = connect(&here, "u1").await;
    push(&here, 0).await;
    expect(&mut client, [0]).await;
    let welcome = cut(client).await;
    push(&there, 1).await;
    push(&here, 2).await;
    let mut client = moved(&there, &welcome, 1).await;
    expect(&mut client, [1, 2]).await;
    push(&here, 3).await;
    push(&there, 4).await;
    expect(&mut client, [3, 4]).await;
    client.expect_nothing(secs(10)).await;
    assert_eq!(here.get_connection_count().await, 1);
    let events: Vec<_> = listeners.iter_mut().flat_map(heard).map(|event| event.0).collect();
    assert_eq!(events, [EventKind::Online], "nobody noticed");
    // Back again, from there.
    let welcome = cut(client).await;
    push(&there, 5).await;
    let mut client = moved(&here, &welcome, 5).await;
    expect(&mut client, [5]).await;
}

/// A socket dies after so many steps of its client, wherever its stream is then; with the token of before the client gets all
/// of it on the next.
#[tokio::test(start_paused = true)]
async fn a_socket_that_dies_on_its_way_takes_nothing_with_it() {
    for steps in 0..24 {
        let [here, there] = nodes();
        let mut client = connect(&here, "u1").await;
        push(&here, 0).await;
        expect(&mut client, [0]).await;
        client.send_json(&json!({"type": "status", "status": "in a call"}));
        let status = Status::from("in a call");
        herenow::testing::until("the status", async || there.get_status("u1").await == status).await;
        let welcome = cut(client).await;
        push(&there, 1).await;
        {
            let mut opening = std::pin::pin!(reconnect(&there, "u1", &welcome, 1));
            for _ in 0..steps {
                let step = |context: &mut Context<'_>| Poll::Ready(opening.as_mut().poll(context).is_ready());
                if poll_fn(step).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        push(&here, 2).await;
        let mut client = moved(&there, &welcome, 1).await;
        push(&there, 3).await;
        expect(&mut client, [1, 2, 3]).await;
        client.expect_nothing(secs(10)).await;
        assert_eq!(here.get_status("u1").await, status, "after {steps} steps");
        herenow::testing::until("the first one is gone", async || there.get_connection_count().await == 1)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_period_it_is_offline_and_its_stream_waits_on() {
    let [here, there] = nodes();
    let welcome = cut(connect(&here, "u1").await).await;
    pass(secs(60)).await;
    assert!(!there.is_online("u1").await);
    let report = there.push_to_user("u1", "0").await.unwrap();
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().held, 1);
    let mut client = moved(&there, &welcome, 0).await;
    expect(&mut client, [0]).await;
    assert!(here.is_online("u1").await);
    pass(secs(120)).await;
    push(&here, 1).await;
    expect(&mut client, [1]).await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_feeds_and_the_status_go_on_there() {
    let [here, there] = nodes();
    let mut client = connect(&here, "u1").await;
    client.subscribe("room").await;
    client.subscribe_presence("room").await;
    client.connection().join("by the application").unwrap();
    client.send_json(&json!({"type": "status", "status": "in a call"}));
    let status = Status::from("in a call");
    herenow::testing::until("the status", async || there.get_status("u1").await == status).await;
    let welcome = cut(client).await;
    let mut client = moved(&there, &welcome, 0).await;
    assert_eq!(here.get_status("u1").await, status);
    for channel in ["room", "by the application"] {
        here.publish(channel, "published").await.unwrap();
        assert_eq!(client.expect_push().await, "published");
    }
    let again = client.request(json!({"type": "subscribe", "channel": "room"})).await;
    assert!(again["error"].is_null(), "{again}");
    let other = Connect::new(&here).user("u2").open().await;
    other.connection().join("room").unwrap();
    let frame = client.expect_presence().await;
    assert_eq!(frame["events"][0]["user"]["id"], "u2");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_still_there_is_let_go_of() {
    let [here, there] = nodes();
    let old = connect(&here, "u1").await;
    let welcome = old.welcome().clone();
    push(&there, 0).await;
    let mut client = moved(&there, &welcome, 0).await;
    expect(&mut client, [0]).await;
    assert_eq!(there.get_connection_count().await, 1);
    drop(old);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_gets_a_stream_and_nobody_gets_one_that_lacks_something() {
    let [here, there] = nodes();
    let welcome = cut(connect(&here, "u1").await).await;
    push(&there, 0).await;
    let thief = reconnect(&there, "u2", &welcome, 0).await;
    assert_eq!(thief.welcome()["resumed"], false);
    let mut forged = welcome.clone();
    let token = welcome["resumeToken"].as_str().unwrap();
    forged["resumeToken"] =
        format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' }).into();
    assert_eq!(reconnect(&there, "u1", &forged, 0).await.welcome()["resumed"], false);
    // It said that it has more than there was.
    assert_eq!(reconnect(&there, "u1", &welcome, 7).await.welcome()["resumed"], false);
    assert_eq!(reconnect(&there, "u1", &welcome, 0).await.welcome()["resumed"], false, "it was given up");
    let report = here.push_to_user("u2", "for the thief alone").await.unwrap();
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().enqueued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_without_a_word_leaves_nothing() {
    let [here, there] = nodes();
    let client = connect(&here, "u1").await;
    let welcome = client.welcome().clone();
    here.cut_off();
    assert_eq!(reconnect(&there, "u1", &welcome, 0).await.welcome()["resumed"], false);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_shuts_down_leaves_its_streams_to_the_others() {
    let [here, there, third] = nodes();
    let mut listeners = [here.events(), there.events(), third.events()];
    let mut client = connect(&here, "u1").await;
    client.subscribe("room").await;
    push(&there, 0).await;
    let welcome = client.welcome().clone();
    let report = here.shutdown(secs(5)).await;
    assert_eq!(report.closed, 1);
    drop(client);
    // Nobody has it now: what is pushed meanwhile is kept by the cluster.
    let report = there.push_to_user("u1", "1").await.unwrap();
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().held, 1);
    there.publish("room", "2").await.unwrap();
    third.broadcast("3").await.unwrap();
    there.push(Target::user("u2"), "of somebody else").await.unwrap();
    let mut client = moved(&third, &welcome, 0).await;
    expect(&mut client, 0..4).await;
    push(&there, 4).await;
    there.publish("room", "5").await.unwrap();
    expect(&mut client, [4, 5]).await;
    drop(here);
    pass(secs(20)).await;
    let events: Vec<_> = listeners.iter_mut().flat_map(heard).map(|event| event.0).collect();
    assert_eq!(events, [EventKind::Online, EventKind::Join], "nobody noticed");
    client.expect_nothing(secs(1)).await;
}
