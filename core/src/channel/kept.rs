//! A connection whose stream is kept for a resume, and comes back or does not. What keeps it is played here: the hub
//! only hears of it.

use std::sync::Arc;

use serde_json::json;

use super::Gone;
use crate::{
    Cause, OnlineManager,
    auth::{Action, Identity},
    connection::Conn,
    policy::Channels,
    testing::{self, Connect, TestClient},
};

fn online() -> OnlineManager {
    let channels = Channels { event_window: std::time::Duration::ZERO, ..Channels::default() };
    testing::builder()
        .channels(channels)
        .authorize(|_: &Identity, _: &Action| true)
        .build()
        .expect("it builds")
}

fn conn(client: &TestClient) -> Arc<Conn> {
    client.connection().conn.clone()
}

fn gone(online: &OnlineManager, client: &TestClient, keeps: bool) {
    let inner = online.inner();
    let ended = Gone { cause: Cause::Disconnect, may_return: true, at: inner.clock.utc() };
    inner.channels.gone(&conn(client), &ended, keeps);
}

fn back(online: &OnlineManager, client: &TestClient) {
    online.inner().channels.back(&conn(client), online.inner().clock.utc());
}

async fn pair(online: &OnlineManager) -> (TestClient, TestClient) {
    let mut watcher = Connect::new(online).user("watcher").open().await;
    watcher.subscribe_presence("lobby").await;
    let mut member = Connect::new(online).user("u1").open().await;
    member.subscribe("lobby").await;
    assert_eq!(action(&mut watcher).await, "join");
    (watcher, member)
}

async fn action(watcher: &mut TestClient) -> serde_json::Value {
    watcher.expect_presence().await["events"][0]["action"].clone()
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_kept_connection_is_no_client_and_pushes_find_it() {
    let online = online();
    let (mut watcher, member) = pair(&online).await;
    gone(&online, &member, true);
    gone(&online, &member, true);
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!((&state["clientAmount"], &state["userAmount"]), (&json!(0), &json!(1)));
    assert_eq!(online.publish("lobby", "held").await.unwrap().matched, 1);
    member.connection().join("sports").unwrap();
    assert_eq!(online.publish("sports", "held").await.unwrap().matched, 1);
    assert_eq!(member.connection().channels(), ["lobby".into(), "sports".into()]);
    watcher.expect_nothing(4 * SECOND).await;
    assert_eq!(action(&mut watcher).await, "offline");
    assert_eq!(online.publish("lobby", "held too").await.unwrap().matched, 1);
    assert_eq!(watcher.subscribe_presence("sports").await["userAmount"], 0);
    back(&online, &member);
    assert_eq!(watcher.subscribe_presence("sports").await["userAmount"], 1);
}

#[tokio::test(start_paused = true)]
async fn back_within_the_grace_period_is_silent_and_later_it_is_online() {
    let online = online();
    let (mut watcher, mut member) = pair(&online).await;
    gone(&online, &member, true);
    back(&online, &member);
    watcher.expect_nothing(10 * SECOND).await;
    member.subscribe("lobby").await; // As after every reconnect; once it is a success.
    let twice = member.request(json!({"type": "subscribe", "channel": "lobby"})).await;
    assert_eq!(twice["error"]["code"], "already_subscribed");
    gone(&online, &member, true);
    assert_eq!(action(&mut watcher).await, "offline");
    back(&online, &member);
    assert_eq!(action(&mut watcher).await, "online");
    assert_eq!(online.publish("lobby", "once").await.unwrap().matched, 1);
}

#[tokio::test(start_paused = true)]
async fn its_feeds_go_on_with_a_fresh_state_and_its_watches_too() {
    let online = online();
    let (mut watcher, member) = pair(&online).await;
    assert!(watcher.request(json!({"type": "watch", "users": ["u2"]})).await["error"].is_null());
    gone(&online, &watcher, true);
    member.connection().leave("lobby");
    let buddy = testing::connect(&online, "u2").await;
    watcher.expect_nothing(SECOND).await;
    back(&online, &watcher);
    assert_eq!(watcher.expect_type("presenceState").await["userAmount"], 0);
    member.connection().join("lobby").unwrap();
    assert_eq!(action(&mut watcher).await, "join");
    buddy.close(1000).await;
    assert_eq!(action(&mut watcher).await, "offline");
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_forgotten_leaves_nothing_and_no_event() {
    let online = online();
    let (mut watcher, member) = pair(&online).await;
    gone(&online, &member, true);
    assert_eq!(action(&mut watcher).await, "offline");
    online.inner().channels.forget(&conn(&member));
    assert_eq!(online.publish("lobby", "nobody").await.unwrap().matched, 0);
    back(&online, &member);
    assert!(member.connection().join("lobby").is_err());
    watcher.expect_nothing(SECOND).await;
    drop((watcher, member));
    testing::assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_for_good_is_not_kept() {
    let online = online();
    let (mut watcher, member) = pair(&online).await;
    gone(&online, &member, false);
    gone(&online, &member, true);
    back(&online, &member);
    assert_eq!(online.publish("lobby", "nobody").await.unwrap().matched, 0);
    watcher.expect_nothing(4 * SECOND).await;
    assert_eq!(action(&mut watcher).await, "offline");
}
