//! What is published to a channel, and pushed with or without one.

use herenow::{
    InMemoryPusher, Target,
    testing::{Connect, assert_all_gone, connect, two_nodes},
};
use serde_json::json;

use super::{at_once, tab};
use crate::support::{Sink, secs, with};

#[tokio::test(start_paused = true)]
async fn what_is_published_reaches_the_subscribers_and_nobody_else() {
    let online = at_once(|builder| builder);
    let (mut one, mut other) = (tab(&online, "u1", "lobby").await, tab(&online, "u1", "lobby").await);
    let mut elsewhere = tab(&online, "u2", "sports").await;
    let mut nowhere = connect(&online, "u1").await;
    let report = online.publish("lobby", "Hello!").await.unwrap();
    assert_eq!((report.matched, report.enqueued, report.offline.len()), (2, 2, 0));
    for client in [&mut one, &mut other] {
        let push = client.expect_type("push").await;
        assert_eq!((&push["channel"], &push["data"]), (&json!("lobby"), &json!("Hello!")));
        assert_eq!(push["mid"], json!(report.message_id));
    }
    elsewhere.expect_nothing(secs(1)).await;
    nowhere.expect_nothing(secs(1)).await;
    one.unsubscribe("lobby").await;
    assert_eq!(online.publish("lobby", "Again").await.unwrap().matched, 1);
    assert_eq!(other.expect_push().await, "Again");
    one.expect_nothing(secs(1)).await;
    assert_eq!(online.publish("nobody's", "Hello?").await.unwrap().reached(), 0);
    assert!(online.publish("", "no name").await.is_err());
    assert!(online.publish("x".repeat(256), "too long").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_publishes_to_all_subscribers_itself_included() {
    let online = at_once(|builder| builder);
    let (mut one, mut other) = (tab(&online, "u1", "lobby").await, tab(&online, "u2", "lobby").await);
    let mut outside = connect(&online, "u3").await;
    let publish = json!({"type": "publish", "channel": "lobby", "data": {"text": "Hi"}});
    one.send_json(&json!({"type": "publish", "id": 9, "channel": "lobby", "data": {"text": "Hi"}}));
    let push = one.expect_type("push").await;
    assert_eq!((&push["channel"], &push["data"]), (&json!("lobby"), &json!({"text": "Hi"})));
    assert_eq!(one.expect_type("reply").await["result"], json!({"matched": 2}));
    assert_eq!(other.expect_push().await, json!({"text": "Hi"}));
    assert_eq!(outside.request(publish).await["result"], json!({"matched": 2}));
    assert_eq!(other.expect_push().await, json!({"text": "Hi"}));
}

#[tokio::test(start_paused = true)]
async fn a_raw_connection_gets_the_content_and_nothing_around_it() {
    let online = at_once(|builder| builder);
    let mut raw = Connect::new(&online).user("u1").raw().open().await;
    raw.connection().join("lobby").unwrap();
    assert_eq!(online.publish("lobby", "Hello!").await.unwrap().matched, 1);
    assert_eq!(raw.expect_text().await, "Hello!");
}

#[tokio::test(start_paused = true)]
async fn bursts_to_a_crowd_come_whole_and_in_the_order_of_the_pushes() {
    let online = at_once(|builder| builder);
    let mut members = Vec::new();
    for n in 0..40 {
        members.push(tab(&online, &format!("u{n}"), "lobby").await);
    }
    let pushes = (0..50).map(|n| {
        let online = online.clone();
        async move {
            match n % 5 {
                0 => online.broadcast(format!("{n}")).await.unwrap(),
                1 => online.push_to_user("u7", format!("{n}")).await.unwrap(),
                _ => online.publish("lobby", format!("{n}")).await.unwrap(),
            }
        }
    });
    // All are begun in this order, and none waits for the one before.
    let reports = futures_util::future::join_all(pushes).await;
    for (n, report) in reports.iter().enumerate() {
        assert_eq!(report.matched, if n % 5 == 1 { 1 } else { 40 }, "{n}");
    }
    for (index, member) in members.iter_mut().enumerate() {
        for n in (0..50).filter(|n| n % 5 != 1 || index == 7) {
            assert_eq!(member.expect_push().await, format!("{n}"), "u{index}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn excepts_leave_out_users_connections_and_subscribers_of_channels() {
    let online = at_once(|builder| builder);
    let mut both = tab(&online, "u1", "lobby").await;
    both.subscribe("quiet").await;
    let mut one = tab(&online, "u2", "lobby").await;
    let mut other = tab(&online, "u3", "lobby").await;
    let mut many = Vec::new();
    for n in 0..20 {
        many.push(tab(&online, &format!("m{n}"), "lobby").await);
    }
    let push = |target: Target| online.push(target, "x");
    assert_eq!(push(Target::channel("lobby").except_channel("quiet")).await.unwrap().matched, 22);
    assert_eq!(push(Target::channel("quiet").except_channel("lobby")).await.unwrap().matched, 0);
    let but_two = Target::channel("lobby").except_user("u1").except_connection(one.connection().id());
    assert_eq!(push(but_two).await.unwrap().matched, 21);
    assert_eq!(push(Target::everyone().except_channel("quiet")).await.unwrap().matched, 22);
    assert_eq!(push(Target::user("u1").except_channel("quiet")).await.unwrap().matched, 0);
    assert_eq!(push(Target::users(["u1", "u2"]).except_channel("quiet")).await.unwrap().matched, 1);
    both.expect_nothing(secs(1)).await;
    for (client, count) in [(&mut one, 3), (&mut other, 3)] {
        for _ in 0..count {
            client.expect_push().await;
        }
        client.expect_nothing(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn pushers_are_asked_for_the_members_and_no_sink_for_anybody() {
    let (memory, sink) = (InMemoryPusher::new(), Sink::default());
    let online = with(|builder| builder.pusher(memory.clone()).offline_sink(sink.clone()));
    let phone = connect(&online, "u1").await;
    phone.connection().join("lobby").unwrap();
    let _other = connect(&online, "u2").await;
    let report = online.publish("lobby", "Hello!").await.unwrap();
    assert_eq!((report.matched, report.pushers), (1, 1));
    assert_eq!(memory.get_messages("u1").await.len(), 1);
    assert_eq!(memory.get_messages("u2").await.len(), 0);
    phone.close(1000).await;
    assert_eq!(online.publish("lobby", "Hello?").await.unwrap().reached(), 0);
    crate::support::pass(secs(1)).await;
    assert!(sink.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_published_reaches_the_subscribers_on_other_nodes() {
    let [here, there] = two_nodes();
    let mut local = connect(&here, "u1").await;
    let mut remote = connect(&there, "u2").await;
    let mut spared = connect(&there, "u3").await;
    for (client, channel) in [(&local, "lobby"), (&remote, "lobby"), (&spared, "lobby"), (&spared, "quiet")] {
        client.connection().join(channel).unwrap();
    }
    let target = Target::channel("lobby").except_channel("quiet");
    let report = here.push(target, "Hello!").await.unwrap();
    assert_eq!(report.matched, 1);
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().matched, 1);
    let push = remote.expect_type("push").await;
    assert_eq!((&push["channel"], &push["data"]), (&json!("lobby"), &json!("Hello!")));
    assert_eq!(local.expect_push().await, "Hello!");
    spared.expect_nothing(secs(1)).await;
    let (report, kicked) =
        tokio::join!(here.kick_out(Target::channel("quiet"), "Too loud"), spared.expect_type("kicked"),);
    assert_eq!((report.unwrap().matched, &kicked["message"]), (1, &json!("Too loud")));
    drop((local, remote, spared));
    assert_all_gone(&here).await;
    assert_all_gone(&there).await;
}
