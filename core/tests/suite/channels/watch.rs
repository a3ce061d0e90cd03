//! Single users that are watched, wherever they are: a buddy list.

use herenow::{
    LastSeen, UserKey,
    auth::{Action, Identity},
    testing::{Connect, TestClient, assert_all_gone, connect, joined_nodes},
};
use serde_json::{Value, json};

use super::at_once;
use crate::support::{millis, pass, secs, with};

async fn watch(client: &mut TestClient, users: &[&str]) -> Value {
    let reply = client.request(json!({"type": "watch", "users": users})).await;
    assert!(reply["error"].is_null(), "{reply}");
    reply["result"]["users"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_watched_user_is_told_without_a_channel() {
    let online = at_once(|builder| builder);
    let mut watcher = connect(&online, "watcher").await;
    let away = connect(&online, "u2").await;
    online.set_away("u2").await;
    let users = watch(&mut watcher, &["u1", "u2", "u1"]).await;
    assert_eq!(users, json!([{"id": "u1", "status": "offline"}, {"id": "u2", "status": "away"}]));
    let hello = json!({"type": "hello", "data": "18 years old"});
    let page = Connect::new(&online).user("u1").hello(hello).open().await;
    let frame = watcher.expect_presence().await;
    for absent in ["channel", "ver", "clientAmount", "userAmount"] {
        assert_eq!(frame.get(absent), None, "{frame}");
    }
    let event = &frame["events"][0];
    assert_eq!(
        (&event["action"], &event["cause"], &event["status"]),
        (&json!("online"), &json!("connect"), &json!("online"))
    );
    assert_eq!(event["user"], json!({"id": "u1", "data": "18 years old"}));
    online.set_away("u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "update");
    page.vanish().await;
    watcher.expect_nothing(millis(4900)).await;
    let event = watcher.expect_presence().await["events"][0].clone();
    assert_eq!((&event["action"], &event["lastSeen"]), (&json!("offline"), &event["time"]));
    let users = watch(&mut watcher, &["u1"]).await;
    assert_eq!((&users[0]["status"], &users[0]["lastSeen"]), (&json!("offline"), &event["time"]));
    drop(away);
}

#[tokio::test(start_paused = true)]
async fn who_is_unwatched_or_watched_by_others_is_not_told() {
    let online = at_once(|builder| builder);
    let (mut one, mut other) = (connect(&online, "one").await, connect(&online, "other").await);
    watch(&mut one, &["u1", "u2"]).await;
    watch(&mut other, &["u2"]).await;
    let reply = one.request(json!({"type": "unwatch", "users": ["u2", "nobody"]})).await;
    assert_eq!(reply["result"], json!({}));
    let page = connect(&online, "u2").await;
    assert_eq!(other.expect_presence().await["events"][0]["user"]["id"], "u2");
    let stranger = connect(&online, "u3").await;
    one.expect_nothing(secs(1)).await;
    other.expect_nothing(secs(1)).await;
    let tenant = connect(&online, UserKey::in_account("tenant", "u1")).await;
    one.expect_nothing(secs(1)).await;
    drop((one, other, tenant, page, stranger));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn many_watchers_are_told_in_the_order_of_what_happened() {
    let online = at_once(|builder| builder);
    let mut watchers = Vec::new();
    for n in 0..30 {
        let mut watcher = connect(&online, format!("w{n}")).await;
        watch(&mut watcher, &["u1"]).await;
        watchers.push(watcher);
    }
    for _ in 0..5 {
        connect(&online, "u1").await.close(1000).await;
    }
    for watcher in &mut watchers {
        for _ in 0..5 {
            assert_eq!(watcher.expect_presence().await["events"][0]["action"], "online");
            assert_eq!(watcher.expect_presence().await["events"][0]["action"], "offline");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_answer_is_made_comes_behind_it() {
    struct Slow;
    #[async_trait::async_trait]
    impl LastSeen for Slow {
        async fn record(&self, _: &UserKey, _: chrono::DateTime<chrono::Utc>) {}
        async fn last_seen(&self, _: &UserKey) -> Option<chrono::DateTime<chrono::Utc>> {
            pass(millis(500)).await;
            chrono::DateTime::from_timestamp_millis(1_700_000_000_000)
        }
    }
    let online = at_once(|builder| builder.last_seen(Slow));
    let mut watcher = connect(&online, "watcher").await;
    watcher.send_json(&json!({"type": "watch", "id": 1, "users": ["u1"]}));
    pass(millis(100)).await;
    let _page = connect(&online, "u1").await;
    let reply = watcher.expect_type("reply").await;
    let then = json!({"id": "u1", "status": "offline", "lastSeen": 1_700_000_000_000_u64});
    assert_eq!(reply["result"]["users"], json!([then]));
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "online");
    online.set_away("u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "update");
}

#[tokio::test(start_paused = true)]
async fn a_store_of_last_seen_that_hangs_costs_the_answer_nothing_but_that() {
    struct Hangs;
    #[async_trait::async_trait]
    impl LastSeen for Hangs {
        async fn record(&self, _: &UserKey, _: chrono::DateTime<chrono::Utc>) {}
        async fn last_seen(&self, _: &UserKey) -> Option<chrono::DateTime<chrono::Utc>> {
            std::future::pending().await
        }
    }
    let online = at_once(|builder| builder.last_seen(Hangs));
    let mut watcher = connect(&online, "watcher").await;
    let ids: Vec<String> = (0..200).map(|n| format!("u{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let users = watch(&mut watcher, &ids).await;
    assert_eq!(users.as_array().unwrap().len(), 200);
    assert_eq!(users[7], json!({"id": "u007", "status": "offline"}));
}

#[tokio::test(start_paused = true)]
async fn a_watched_user_is_told_from_every_node_of_a_cluster() {
    let [here, there] = joined_nodes::<2>(|builder| builder.authorize(|_: &Identity, _: &Action| true));
    let mut watcher = connect(&here, "watcher").await;
    let elsewhere = connect(&there, "u2").await;
    assert_eq!(watch(&mut watcher, &["u1", "u2"]).await[1]["status"], "online");
    let first = connect(&there, "u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "online");
    let second = connect(&here, "u1").await;
    first.close(1000).await;
    watcher.expect_nothing(secs(1)).await;
    second.close(1000).await;
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "offline");
    drop((watcher, elsewhere));
    assert_all_gone(&here).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_watched_without_permission() {
    let online = with(|builder| builder.authorize(herenow::policy::members_see_members()));
    let mut watcher = connect(&online, "watcher").await;
    watch(&mut watcher, &["u1"]).await;
    let _page = connect(&online, "u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["user"]["id"], "u1");
}
