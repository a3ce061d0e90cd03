//! Who receives what, in which order, and what the report says.

use bytes::Bytes;
use futures_util::FutureExt;
use herenow::{
    Content, MessageType, PushError, PushMessage, Remote, SendError, Target, UserKey,
    testing::{Connect, assert_all_gone, connect},
};
use serde_json::{Value, json};

use crate::support::{online, secs, session, with};

#[tokio::test(start_paused = true)]
async fn each_target_reaches_whom_it_names_and_nobody_else() {
    let online = online();
    let to = |user: &str, token: &str, device: &str| {
        Connect::new(&online).user(user).token(token).device(device).open()
    };
    let mut phone = to("a", "a1", "ios").await;
    let mut laptop = to("a", "a2", "web").await;
    let mut tab = to("a", "a2", "web").await;
    let mut bob = to("b", "b1", "web").await;
    let tab_id = tab.connection().id();
    let rows = [
        (Target::user("a"), [1, 1, 1, 0]),
        (Target::users(["a", "b", "a"]), [1, 1, 1, 1]),
        (Target::device("a", "web"), [0, 1, 1, 0]),
        (Target::token("a2"), [0, 1, 1, 0]),
        (Target::connection(tab_id), [0, 0, 1, 0]),
        (Target::everyone(), [1, 1, 1, 1]),
        (Target::everyone().except_user("a"), [0, 0, 0, 1]),
        (Target::user("a").except_connection(tab_id), [1, 1, 0, 0]),
        (Target::everyone().except_connection(tab_id), [1, 1, 0, 1]),
        (Target::users(["a", "b"]).except_token("a2"), [1, 0, 0, 1]),
        (Target::account("elsewhere"), [0, 0, 0, 0]),
    ];
    for (row, (target, receives)) in rows.into_iter().enumerate() {
        let report = online.push(target, format!("row {row}")).await.unwrap();
        assert_eq!(report.reached(), receives.iter().sum::<usize>(), "row {row}");
        assert_eq!(report.matched, report.enqueued, "row {row}");
        for (client, receives) in [&mut phone, &mut laptop, &mut tab, &mut bob].into_iter().zip(receives) {
            if receives == 1 {
                assert_eq!(client.expect_push().await, format!("row {row}"));
            }
        }
    }
    for client in [&mut phone, &mut laptop, &mut tab, &mut bob] {
        client.expect_nothing(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_report_and_no_error() {
    let online = online();
    online.mark_online(session("marked", "t")).await;
    let report = online.push_to_users(["gone", "marked"], "Hello?").await.unwrap();
    assert_eq!((report.reached(), report.matched, report.dropped), (0, 0, 0));
    assert_eq!(report.offline, [UserKey::from("gone")]);
    assert!(matches!(report.remote, Remote::NotAsked));
    assert_eq!(report.ok_or_offline().unwrap_err(), PushError::Offline { offline: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_connection_sees_pushes_in_their_order_though_some_are_broadcasts() {
    let online = online();
    let mut clients = [connect(&online, "a").await, Connect::new(&online).user("b").raw().open().await];
    for n in 0..300 {
        let target = if n % 3 == 0 { Target::everyone() } else { Target::users(["a", "b"]) };
        let (online, text) = (online.clone(), n.to_string());
        if n % 2 == 0 {
            let _ = online.push(target, text).await.unwrap();
        } else {
            // Not waited for: what was begun first still goes first.
            let push = online.push(target, text);
            drop(push.now_or_never());
        }
    }
    for client in &mut clients {
        for n in 0..300 {
            assert_eq!(client.expect_push().await, n.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_push_has_one_message_id() {
    let online = online();
    let (mut one, mut other) = (connect(&online, "a").await, connect(&online, "b").await);
    let message = PushMessage::new("text").kind(MessageType::Notification).metadata("severity", "low");
    let report = online.broadcast(message.clone()).await.unwrap();
    let (first, second) = (one.expect_type("push").await, other.expect_type("push").await);
    assert_eq!(first, second);
    assert_eq!(first["mid"], report.message_id);
    assert_eq!((&first["kind"], &first["metadata"]["severity"]), (&json!("notification"), &json!("low")));
    assert_eq!(first["time"], message.timestamp.timestamp_millis());
}

#[tokio::test(start_paused = true)]
async fn every_content_goes_out_as_itself_in_raw_mode_and_as_data_in_envelopes() {
    let online = online();
    let mut raw = Connect::new(&online).user("a").raw().open().await;
    let mut envelope = connect(&online, "a").await;
    let json = Content::json(&json!({"unread": 3})).unwrap();
    let rows: [(PushMessage, &str, Value); 5] = [
        ("text \"quoted\"".into(), "text", json!("text \"quoted\"")),
        (PushMessage::new(json.clone()), "text", json!({"unread": 3})),
        (
            PushMessage::new(json).kind(MessageType::Custom("order-paid".into())),
            "order-paid",
            json!({"unread": 3}),
        ),
        (vec![0, 255].into(), "binary", json!("AP8=")),
        (PushMessage::new("bye").kind(MessageType::KickOut), "kickOut", json!("bye")),
    ];
    for (message, kind, data) in rows {
        let content = message.content.clone();
        assert_eq!(online.push_message_to_user("a", message).await.unwrap().reached(), 2);
        match content {
            Content::Binary(bytes) => assert_eq!(raw.expect_binary().await, bytes),
            other => assert_eq!(raw.expect_text().await, other.as_text().unwrap()),
        }
        let push = envelope.expect_type("push").await;
        assert_eq!((&push["kind"], &push["data"]), (&json!(kind), &data));
        assert_eq!(push["encoding"] == "base64", kind == "binary");
    }
    assert_eq!(online.get_connection_count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_an_error_and_nothing_is_attempted() {
    let online = with(|builder| builder.max_push(100));
    let mut phone = connect(&online, "a").await;
    let large = online.push_to_user("a", "x".repeat(101)).await.unwrap_err();
    assert_eq!(large, PushError::TooLarge { size: 101, limit: 100 });
    for kind in ["", "Upper", "text", "kickOut", "spa ce", &"x".repeat(33)] {
        let message = PushMessage::new("text").kind(MessageType::Custom(kind.into()));
        assert_eq!(online.broadcast(message).await.unwrap_err(), PushError::BadKind(kind.into()));
    }
    assert!(online.push_to_user("a\u{0}", "text").await.is_err());
    let connection = phone.connection().clone();
    assert!(matches!(connection.send("x".repeat(101)), Err(SendError::Message(PushError::TooLarge { .. }))));
    phone.expect_nothing(secs(1)).await;
    let _ = online.push_to_user("a", "x".repeat(100)).await.unwrap();
    assert_eq!(phone.expect_push().await, "x".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn after_a_shutdown_a_push_is_refused() {
    let online = online();
    online.shutdown(secs(1)).await;
    assert_eq!(online.push_to_user("a", "text").await.unwrap_err(), PushError::ShutDown);
}

#[tokio::test(start_paused = true)]
async fn push_and_close_sends_the_last_word_first() {
    let online = online();
    let mut phone = connect(&online, "a").await;
    let close = herenow::Close::app(4001, "done").unwrap();
    let report = online.push_and_close("a", "The end", close).await.unwrap();
    assert_eq!(report.reached(), 1);
    assert_eq!(phone.expect_push().await, "The end");
    assert_eq!(phone.expect_close().await, (4001, "done".to_owned()));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_sends_to_itself_alone_and_not_after_its_end() {
    let online = online();
    let (mut one, mut other) = (connect(&online, "a").await, connect(&online, "a").await);
    let connection = one.connection().clone();
    connection.send(Bytes::from_static(b"x")).unwrap();
    assert_eq!(one.expect_push().await, "eA==");
    connection.close(herenow::Close::NORMAL);
    assert_eq!(connection.send("late"), Err(SendError::Closed));
    assert_eq!(one.expect_close().await.0, 1000);
    other.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_before_the_first_connection_reaches_nobody_at_once() {
    let online = online();
    assert_eq!(online.broadcast("Anybody?").await.unwrap().reached(), 0);
    assert_eq!(herenow::OnlineManager::new().broadcast("Anybody?").await.unwrap().reached(), 0);
}
