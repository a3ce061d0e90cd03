//! What one connection may take, and what it is told where it takes too much.

use herenow::{policy::Channels, testing::Connect};
use serde_json::{Value, json};

use super::{at_once, windowed};
use crate::support::with;

fn small(channels: Channels) -> herenow::OnlineManager {
    windowed(|builder| builder.channels(channels))
}

async fn code(client: &mut herenow::testing::TestClient, request: Value) -> Value {
    client.request(request).await["error"]["code"].clone()
}

#[tokio::test(start_paused = true)]
async fn welcome_says_how_many_channels_and_one_more_is_refused() {
    let online = small(Channels { max_channels: 2, ..Channels::default() });
    let mut client = herenow::testing::connect(&online, "u1").await;
    assert_eq!(client.welcome()["limits"]["maxChannels"], 2);
    for kind in ["subscribe", "subscribePresence"] {
        for channel in ["a", "b"] {
            let reply = client.request(json!({"type": kind, "channel": channel})).await;
            assert_eq!(reply["result"], json!({}), "{reply}");
        }
        let reply = client.request(json!({"type": kind, "channel": "c"})).await;
        assert_eq!(reply["error"]["code"], "limit_exceeded");
        assert!(reply["error"]["message"].as_str().unwrap().contains("2 channels"), "{reply}");
        assert_eq!(reply["error"]["temporary"], false);
    }
    client.unsubscribe("a").await;
    client.subscribe("c").await;
    let again = client.request(json!({"type": "subscribePresence", "channel": "b"})).await;
    assert_eq!(again["result"], json!({}), "one that it has is not one more");
}

#[tokio::test(start_paused = true)]
async fn by_default_a_connection_may_be_in_128_channels() {
    let online = at_once(|builder| builder);
    let mut client = herenow::testing::connect(&online, "u1").await;
    assert_eq!(client.welcome()["limits"]["maxChannels"], 128);
    for n in 0..128 {
        client.connection().join(format!("room {n}")).unwrap();
    }
    assert_eq!(
        code(&mut client, json!({"type": "subscribe", "channel": "one more"})).await,
        "limit_exceeded"
    );
    assert_eq!(online.channels(), 128);
    assert_eq!(client.connection().channels().len(), 128);
}

#[tokio::test(start_paused = true)]
async fn a_node_has_no_more_channels_than_it_may() {
    let online = small(Channels { max_channels: 2, max_channels_in_all: 2, ..Channels::default() });
    let mut one = herenow::testing::connect(&online, "u1").await;
    let mut other = herenow::testing::connect(&online, "u2").await;
    one.subscribe("a").await;
    one.subscribe_presence("b").await;
    let mut listener = online.subscribe_presence("c");
    assert!(listener.try_recv().is_none());
    for kind in ["subscribe", "subscribePresence"] {
        assert_eq!(code(&mut other, json!({"type": kind, "channel": "c"})).await, "limit_exceeded");
    }
    other.subscribe("a").await;
    other.subscribe("b").await;
    assert_eq!(online.channels(), 2);
    one.close(1000).await;
    other.unsubscribe("a").await;
    other.subscribe("c").await;
    assert_eq!(online.channels(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_watches_no_more_users_than_it_may() {
    let online = small(Channels { max_watched: 3, ..Channels::default() });
    let mut client = herenow::testing::connect(&online, "u1").await;
    let watch = |users: &[&str]| json!({"type": "watch", "users": users});
    assert!(client.request(watch(&["a", "b", "a"])).await["error"].is_null());
    assert_eq!(code(&mut client, watch(&["c", "d"])).await, "limit_exceeded");
    assert!(client.request(watch(&["a", "c"])).await["error"].is_null());
    assert_eq!(code(&mut client, watch(&["d"])).await, "limit_exceeded");
    assert!(client.request(json!({"type": "unwatch", "users": ["a", "never"]})).await["error"].is_null());
    assert!(client.request(watch(&["d"])).await["error"].is_null());
}

/// The states together take many times the outbox: each waits until the one before it is written.
#[tokio::test(start_paused = true)]
async fn who_asks_for_many_large_feeds_at_once_gets_them_all() {
    const FEEDS: usize = 16;
    let online = with(|builder| {
        let outbox = herenow::policy::Outbox { bytes: 64 * 1024, ..Default::default() };
        builder
            .outbox(outbox)
            .max_push(32 * 1024)
            .authorize(|_: &herenow::auth::Identity, _: &herenow::auth::Action| true)
    });
    let mut members = Vec::new();
    for n in 0..25 {
        let data = serde_json::value::to_raw_value(&"x".repeat(1000)).unwrap();
        let who = herenow::auth::Identity::new(format!("m{n}")).data(data);
        let member = Connect::new(&online).identity(who).open().await;
        for feed in 0..FEEDS {
            member.connection().join(format!("feed {feed}")).unwrap();
        }
        members.push(member);
    }
    let mut client = Connect::new(&online).user("u1").pipe(4 * 1024).open().await;
    for feed in 0..FEEDS {
        client.send_json(
            &json!({"type": "subscribePresence", "id": feed + 1, "channel": format!("feed {feed}")}),
        );
    }
    for feed in 0..FEEDS {
        assert_eq!(client.expect_type("reply").await["id"], feed + 1);
        let state = client.expect_type("presenceState").await;
        assert_eq!(state["channel"], format!("feed {feed}"));
        assert_eq!(state["users"].as_array().unwrap().len(), 25);
    }
    assert!(client.connection().is_open());
}

#[test]
fn settings_that_cannot_work_do_not_build() {
    let fails = |channels: Channels| {
        herenow::OnlineManager::builder().channels(channels).build().unwrap_err().to_string()
    };
    let over = Channels { max_channels: 5, max_channels_in_all: 4, ..Channels::default() };
    assert!(fails(over).contains("max_channels_in_all"));
    let slow = Channels { event_window: std::time::Duration::from_secs(61), ..Channels::default() };
    assert!(fails(slow).contains("event_window"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_requests_is_read_on_when_there_is_room() {
    let online = with(|builder| {
        let inbound = herenow::policy::Inbound { queue_messages: 2, ..Default::default() };
        builder.inbound(inbound).authorize(|_: &herenow::auth::Identity, _: &herenow::auth::Action| true)
    });
    let mut client = herenow::testing::connect(&online, "u1").await;
    for id in 1..=60 {
        client.send_json(&json!({"type": "subscribe", "id": id, "channel": format!("room {id}")}));
    }
    for id in 1..=60 {
        assert_eq!(client.expect_type("reply").await["id"], id);
    }
    assert_eq!(online.channels(), 60);
}
