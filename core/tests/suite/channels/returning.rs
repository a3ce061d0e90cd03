//! A client of channels that is cut, and comes back to its stream or does not.

use herenow::{
    Hooks, OnlineManager,
    testing::{Connect, TestClient, assert_all_gone, connect},
};
use serde_json::{Value, json};

use super::{at_once, expected, next, tab, told, watcher, windowed};
use crate::support::{millis, pass, secs};

async fn back(online: &OnlineManager, user: &str, welcome: &Value, seq: u64) -> TestClient {
    let resume = json!({"type": "hello", "resume": {"token": welcome["resumeToken"], "seq": seq}});
    let client = Connect::new(online).user(user).hello(resume).open().await;
    assert_eq!(client.welcome()["resumed"], true);
    client
}

/// Cut, but for its welcome.
async fn cut(client: TestClient) -> Value {
    let welcome = client.welcome().clone();
    client.vanish().await;
    welcome
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_away_gets_what_was_published_when_it_is_back() {
    let online = at_once(|builder| builder);
    let welcome = cut(tab(&online, "u1", "lobby").await).await;
    let report = online.publish("lobby", "missed").await.unwrap();
    assert_eq!((report.matched, report.held), (0, 1));
    pass(secs(60)).await;
    assert_eq!(online.publish("lobby", "missed too").await.unwrap().held, 1);
    let mut client = back(&online, "u1", &welcome, 0).await;
    for text in ["missed", "missed too"] {
        let push = client.expect_type("push").await;
        assert_eq!((&push["data"], &push["channel"]), (&json!(text), &json!("lobby")));
    }
    assert_eq!(online.publish("lobby", "live").await.unwrap().matched, 1);
    assert_eq!(client.expect_push().await, "live");
}

#[tokio::test(start_paused = true)]
async fn back_within_the_grace_period_is_silent_and_later_it_is_online() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let member = tab(&online, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let welcome = cut(member).await;
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!((&state["clientAmount"], &state["userAmount"]), (&json!(0), &json!(1)));
    pass(secs(4)).await;
    let member = back(&online, "u1", &welcome, 0).await;
    watcher.expect_nothing(secs(30)).await;
    cut(member).await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    pass(secs(60)).await;
    let mut member = back(&online, "u1", &welcome, 0).await;
    assert_eq!(next(&mut watcher).await, expected("online u1 by reconnect", 1, 1));
    member.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_subscribes_again_is_told_that_it_worked_once() {
    let online = at_once(|builder| builder);
    let welcome = cut(tab(&online, "u1", "lobby").await).await;
    let mut client = back(&online, "u1", &welcome, 0).await;
    client.subscribe("lobby").await;
    let twice = client.request(json!({"type": "subscribe", "channel": "lobby"})).await;
    assert_eq!(twice["error"]["code"], "already_subscribed");
    assert_eq!(online.publish("lobby", "once").await.unwrap().matched, 1);
}

#[tokio::test(start_paused = true)]
async fn feeds_go_on_and_their_count_says_whether_something_was_missed() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let mut member = tab(&online, "u1", "lobby").await;
    let before = watcher.expect_presence().await["ver"].as_u64().unwrap();
    let mut other = Connect::new(&online).user("other").open().await;
    other.subscribe_presence("lobby").await;
    for missed in [0, 2] {
        let welcome = cut(watcher).await;
        if missed > 0 {
            member.unsubscribe("lobby").await;
            member.subscribe("lobby").await;
        }
        watcher = back(&online, "watcher", &welcome, 0).await;
        watcher.expect_nothing(secs(1)).await;
        let word = if missed > 0 { "here" } else { "busy" };
        online.set_status("u1", word.into()).await.unwrap();
        let ver = watcher.expect_presence().await["ver"].as_u64().unwrap();
        assert_eq!(ver, before + 1 + missed + u64::from(missed > 0), "{missed} missed");
    }
}

#[tokio::test(start_paused = true)]
async fn watched_users_are_to_be_named_again() {
    let online = at_once(|builder| builder);
    let mut client = connect(&online, "u1").await;
    let watch = json!({"type": "watch", "users": ["u2"]});
    assert!(client.request(watch.clone()).await["error"].is_null());
    let welcome = cut(client).await;
    let mut client = back(&online, "u1", &welcome, 0).await;
    let buddy = connect(&online, "u2").await;
    client.expect_nothing(secs(1)).await;
    assert_eq!(client.request(watch).await["result"]["users"][0]["status"], "online");
    buddy.close(1000).await;
    assert_eq!(client.expect_presence().await["events"][0]["action"], "offline");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ended_while_nobody_watched_opens_again() {
    let online = windowed(|builder| builder.event_window(millis(100)));
    let mut client = tab(&online, "u1", "lobby").await;
    client.subscribe_presence("lobby").await;
    let welcome = cut(client).await;
    pass(secs(1)).await;
    let mut client = back(&online, "u1", &welcome, 0).await;
    let other = tab(&online, "u2", "lobby").await;
    assert_eq!(told(&client.expect_presence().await), (vec!["join u2 by subscribe".to_owned()], (2, 2)));
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_channel_of_nobody_but_who_may_come_back_does_not_count() {
    let online = at_once(|builder| builder);
    cut(tab(&online, "u1", "lobby").await).await;
    assert_eq!(online.channels(), 1, "in the grace period");
    pass(secs(6)).await;
    assert_eq!(online.channels(), 0);
    pass(secs(121)).await;
    assert_eq!(online.publish("lobby", "nobody").await.unwrap().held, 0);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_of_who_is_away_is_offline_at_once() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let member = tab(&online, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    cut(member).await;
    let _report = online.kick_out("u1", "").await.unwrap();
    assert_eq!(next(&mut watcher).await, expected("offline u1 by kicked", 0, 0));
    assert_eq!(online.publish("lobby", "nobody").await.unwrap().held, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_application_joined_it_to_it_is_in_once() {
    let online = at_once(|builder| builder);
    let open = |hello: Value| {
        let hooks = Hooks::default().join("lobby");
        Connect::new(&online).user("u1").hooks(hooks).hello(hello).open()
    };
    let welcome = cut(open(json!({"type": "hello"})).await).await;
    let resume = json!({"token": welcome["resumeToken"], "seq": 0});
    let mut client = open(json!({"type": "hello", "resume": resume})).await;
    assert_eq!(online.publish("lobby", "once").await.unwrap().matched, 1);
    assert_eq!(client.expect_push().await, "once");
    client.expect_nothing(secs(1)).await;
}
