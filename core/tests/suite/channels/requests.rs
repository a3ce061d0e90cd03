//! How requests are answered: allowed or not, in order, whatever the policy does.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use herenow::{
    Hooks, Inbound, Reply,
    auth::{Action, AuthError, Authorize, Credential, Identity, TokenId},
    http::RequestInfo,
    testing::{Connect, connect},
};
use serde_json::{Value, json};

use super::{at_once, expected, next, watcher};
use crate::support::{millis, now, online, pass, secs, with};

fn ask(kind: &str, channel: &str) -> Value {
    json!({"type": kind, "channel": channel, "data": 1})
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_a_client_may_do_nothing_with_channels() {
    let online = online();
    let mut client = connect(&online, "u1").await;
    for kind in ["subscribe", "subscribePresence", "publish"] {
        let reply = client.request(ask(kind, "lobby")).await;
        let error = &reply["error"];
        assert_eq!((&error["code"], &error["temporary"]), (&json!("forbidden"), &json!(false)));
        let message = error["message"].as_str().unwrap();
        let action = format!("{}{}", kind[..1].to_uppercase(), &kind[1..]);
        assert!(message.contains(&action) && message.contains("\"lobby\""), "{message}");
        assert!(message.contains("authorize"), "a debug build names the hook: {message}");
    }
    let here_now = client.request(json!({"type": "hereNow", "channels": ["lobby"]})).await;
    assert_eq!(here_now["error"]["code"], "forbidden");
    let watch = client.request(json!({"type": "watch", "users": ["u1", "u2"]})).await;
    assert_eq!(watch["error"]["code"], "forbidden");
    assert!(watch["error"]["message"].as_str().unwrap().contains("\"u2\""), "{watch}");
    let own = client.request(json!({"type": "watch", "users": ["u1"]})).await;
    assert_eq!(own["result"]["users"], json!([{"id": "u1", "status": "online"}]));
    assert_eq!(online.channels(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_subscription_and_an_end_of_none_are_told() {
    let online = at_once(|builder| builder);
    let mut client = connect(&online, "u1").await;
    client.subscribe("lobby").await;
    let reply = client.request(ask("subscribe", "lobby")).await;
    assert_eq!(reply["error"]["code"], "already_subscribed");
    for kind in ["unsubscribe", "unsubscribePresence"] {
        let reply = client.request(ask(kind, "sports")).await;
        assert_eq!(reply["error"]["code"], "not_subscribed");
        assert!(reply["error"]["message"].as_str().unwrap().contains("\"sports\""), "{reply}");
    }
    // Of presence a second request is no error: it is how a client asks anew.
    let state = client.subscribe_presence("lobby").await;
    assert_eq!(client.subscribe_presence("lobby").await, state);
    let reply = client.request(ask("unsubscribePresence", "lobby")).await;
    assert_eq!(reply["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn names_that_no_channel_can_have_are_refused() {
    let online = at_once(|builder| builder);
    let mut client = connect(&online, "u1").await;
    for kind in ["subscribe", "subscribePresence", "publish"] {
        for bad in ["", "a\nb", "a\u{202e}b"] {
            assert_eq!(client.request(ask(kind, bad)).await["error"]["code"], "bad_frame", "{bad:?}");
        }
        let long = client.request(ask(kind, &"x".repeat(256))).await;
        assert_eq!(long["error"]["code"], "limit_exceeded");
    }
    client.subscribe(&"é".repeat(127)).await;
    assert!(client.connection().is_open());
}

#[tokio::test(start_paused = true)]
async fn here_now_over_the_socket_is_the_body_that_rest_has() {
    let online = at_once(|builder| builder);
    let mut client = connect(&online, "u1").await;
    client.subscribe("lobby").await;
    let asked =
        json!({"type": "hereNow", "channels": ["lobby", "nobody's"], "includeUsers": true, "distinct": true});
    let reply = client.request(asked).await;
    let expected = json!({"code": 200, "content": {"channels": {
        "lobby": {"channel": "lobby", "clientAmount": 1, "userAmount": 1, "users": [{"id": "u1", "data": ""}]},
        "nobody's": {"channel": "nobody's", "clientAmount": 0, "userAmount": 0, "users": []},
    }}});
    assert_eq!(reply["result"], expected);
    let none = client.request(json!({"type": "hereNow", "channels": []})).await;
    assert_eq!(none["error"]["code"], "bad_frame");
}

#[tokio::test(start_paused = true)]
async fn requests_and_messages_are_done_one_after_the_other() {
    let online = at_once(|builder| builder);
    let hooks = Hooks::default().on_message(async |connection: herenow::Connection, _: Inbound| {
        pass(secs(1)).await;
        Reply::json(&connection.channels())
    });
    let mut client = Connect::new(&online).user("u1").hooks(hooks).open().await;
    let message = |id: u64| json!({"type": "message", "id": id, "data": null});
    client.send_json(&json!({"type": "subscribe", "id": 1, "channel": "a"}));
    client.send_json(&message(2));
    client.send_json(&json!({"type": "unsubscribe", "id": 3, "channel": "a"}));
    client.send_json(&json!({"type": "subscribe", "id": 4, "channel": "b"}));
    client.send_json(&message(5));
    let mut replies = Vec::new();
    for _ in 0..5 {
        let reply = client.expect_type("reply").await;
        replies.push((reply["id"].clone(), reply["result"].clone()));
    }
    let expected = [(1, json!({})), (2, json!(["a"])), (3, json!({})), (4, json!({})), (5, json!(["b"]))];
    assert_eq!(replies, expected.map(|(id, result)| (json!(id), result)));
}

#[tokio::test(start_paused = true)]
async fn an_application_with_a_session_of_its_own_has_channels_beside_it() {
    let online = at_once(|builder| builder);
    let hooks = Hooks::default().serve(async |mut socket| {
        while let Some(inbound) = socket.recv().await {
            socket.send(format!("heard {}", inbound.body.as_text().unwrap())).unwrap();
        }
    });
    let mut client = Connect::new(&online).user("u1").hooks(hooks).open().await;
    client.subscribe("lobby").await;
    client.send_json(&json!({"type": "message", "data": 7}));
    assert_eq!(client.expect_push().await, "heard 7");
    client.send_json(&json!({"type": "publish", "id": 5, "channel": "lobby", "data": 8}));
    assert_eq!(client.expect_push().await, 8);
    assert_eq!(client.expect_type("reply").await["result"]["matched"], 1);
    client.close(1000).await;
}

/// A policy that fails at some channels.
struct Moody;

#[async_trait::async_trait]
impl Authorize for Moody {
    async fn authorize(&self, _: &Identity, action: &Action) -> bool {
        match action {
            Action::Subscribe { channel } if &**channel == "panics" => {
                panic!("a policy that panics, on purpose")
            }
            Action::Subscribe { channel } if &**channel == "hangs" => pending().await,
            _ => true,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_or_hangs_costs_only_its_request() {
    let online = with(|builder| builder.authorize(Moody).authenticator_deadline(secs(3)));
    let mut client = connect(&online, "u1").await;
    let reply = client.request(ask("subscribe", "panics")).await;
    assert_eq!((&reply["error"]["code"], &reply["error"]["temporary"]), (&json!("internal"), &json!(true)));
    let began = now();
    client.send_json(&json!({"type": "subscribe", "id": 90, "channel": "hangs"}));
    client.send_json(&json!({"type": "ping"}));
    assert_eq!(client.expect_type("pong").await["type"], "pong");
    online.push_to_user("u1", "meanwhile").await.unwrap();
    assert_eq!(client.expect_push().await, "meanwhile");
    let reply = client.expect_type("reply").await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(90), &json!("timeout")));
    assert!(now() - began >= secs(3) && now() - began < secs(3) + millis(20));
    client.subscribe("fine").await;
    assert_eq!(client.connection().channels(), ["fine".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kicked_while_the_policy_thinks_joins_nothing() {
    struct Slow;
    #[async_trait::async_trait]
    impl Authorize for Slow {
        async fn authorize(&self, _: &Identity, action: &Action) -> bool {
            if matches!(action, Action::Subscribe { .. }) {
                pass(millis(500)).await;
            }
            true
        }
    }
    let online = with(|builder| builder.authorize(Slow).event_window(secs(0)));
    let mut watcher = watcher(&online, "lobby").await;
    let client = connect(&online, "u1").await;
    client.stop_reading();
    client.send_json(&json!({"type": "subscribe", "id": 1, "channel": "lobby"}));
    pass(millis(100)).await;
    let _report = online.kick_out("u1", "").await.unwrap();
    watcher.expect_nothing(secs(10)).await;
    assert_eq!(online.channels(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_keeps_only_the_channels_it_is_allowed() {
    let strict = Arc::new(AtomicBool::new(false));
    let decides = strict.clone();
    let policy = move |_: &Identity, action: &Action| match action {
        Action::Subscribe { channel } | Action::SubscribePresence { channel } => {
            !(decides.load(Ordering::SeqCst) && channel.starts_with("staff"))
        }
        _ => true,
    };
    let check = async |credential: Credential, _: RequestInfo| -> Result<Identity, AuthError> {
        Ok(Identity::new("u1").token_id(TokenId::of(credential.token.expose())))
    };
    let online = with(|builder| builder.authenticator(check).authorize(policy).event_window(secs(0)));
    let mut client = Connect::new(&online).bearer("t1").open().await;
    for channel in ["lobby", "staff", "staff by app"] {
        if channel.ends_with("app") {
            client.connection().join(channel).unwrap();
        } else {
            client.subscribe(channel).await;
        }
    }
    client.subscribe_presence("staff").await;
    let mut watcher = Connect::new(&online).user("watcher").open().await;
    watcher.subscribe_presence("staff").await;
    strict.store(true, Ordering::SeqCst);
    client.send_json(&json!({"type": "auth", "id": 50, "token": "t2"}));
    assert_eq!(client.expect_type("reply").await["id"], 50);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let Some(herenow::testing::Frame::Text(text)) = client.recv().await else { panic!() };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] == "error" {
            assert_eq!(frame["code"], "forbidden");
            ended.push(frame["message"].as_str().unwrap().to_owned());
        }
    }
    assert!(ended[0].contains("Subscribe of channel \"staff\""), "{ended:?}");
    assert!(ended[1].contains("SubscribePresence of channel \"staff\""), "{ended:?}");
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
    let mut left = client.connection().channels();
    left.sort();
    assert_eq!(left, ["lobby".into(), "staff by app".into()]);
}
