//! What ends while its client is away, and what its client may not do any more.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use herenow::{
    Close, HereNow, Target,
    auth::{Action, AuthError, Authenticator, Credential, Identity, TokenId},
    http::RequestInfo,
    policy::{LoginPolicy, Outbox, Overflow},
    testing::{self, Connect, assert_all_gone, connect},
};
use serde_json::{Value, json};

use super::{back, held::Sink, reconnect};
use crate::support::{millis, online, pass, secs, with};

#[tokio::test(start_paused = true)]
async fn who_comes_back_with_fewer_rights_is_out_of_what_it_may_not_hear() {
    let admins = |who: &Identity, _: &Action| who.token_id == TokenId::of("admin");
    let online = with(|builder| builder.authorize(admins));
    let mut client = Connect::new(&online).user("u1").token("admin").open().await;
    client.subscribe("secret").await;
    client.subscribe_presence("secret").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    let guest = Connect::new(&online).user("u1").token("guest").hello(back(&welcome, 0));
    let mut guest = guest.open().await;
    assert_eq!(guest.welcome()["resumed"], true);
    for _ in 0..2 {
        assert_eq!(guest.expect_type("error").await["code"], "forbidden");
    }
    assert_eq!(online.publish("secret", "for admins").await.unwrap().matched, 0);
    guest.expect_nothing(secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_closing_connection_keeps_is_not_given_to_the_sink_as_well() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.stop_reading();
    pass(millis(1)).await;
    client.connection().close(Close::DRAIN);
    assert_eq!(online.push_to_user("u1", "once").await.unwrap().held, 1);
    let mut client = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!(client.expect_push().await, "once");
    pass(secs(300)).await;
    assert!(sink.texts().is_empty(), "{:?}", sink.texts());
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_for_a_slow_reader_is_acknowledged_by_no_count() {
    let bounds = Outbox { messages: 4, overflow: Overflow::DropNewest, ..Outbox::default() };
    let online = with(|builder| builder.outbox(bounds));
    let mut client = Connect::new(&online).user("u1").pipe(512).open().await;
    client.stop_reading();
    for n in 0..20 {
        online.push_to_user("u1", n.to_string()).await.unwrap();
    }
    let asked = tokio::spawn({
        let online = online.clone();
        async move { online.push_with_ack("u1", "important", secs(5)).await.unwrap() }
    });
    pass(millis(10)).await;
    client.read_on();
    let mut seq = 0;
    while seq < 21 {
        let frame: Value = serde_json::from_str(&client.expect_text().await).unwrap();
        seq += frame["count"].as_u64().unwrap_or(1);
        assert_ne!(frame["data"], "important", "this test is of a push that was dropped");
    }
    client.send_json(&json!({"type": "ack", "seq": seq}));
    let report = asked.await.unwrap();
    assert_eq!((report.push.dropped, report.acked.len(), report.missing.len()), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn one_user_leaves_only_so_many_connections_behind() {
    for (limit, kept) in [(1, 1), (100, 8)] {
        let online = with(|builder| builder.max_connections_per_user(limit));
        for _ in 0..20 {
            connect(&online, "u1").await.vanish().await;
        }
        assert_eq!(online.push_to_user("u1", "x").await.unwrap().held, kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kick_of_what_is_parked_ends_its_grace() {
    for by_device in [true, false] {
        let online = online();
        let client = Connect::new(&online).user("u1").device("ios").open().await;
        let target = if by_device {
            Target::device("u1", "ios")
        } else {
            Target::connection(client.connection().id())
        };
        client.vanish().await;
        assert!(online.is_online("u1").await);
        assert_eq!(online.kick_out(target, "").await.unwrap().matched, 0);
        assert!(!online.is_online("u1").await, "by device: {by_device}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_said_on_a_connection_is_said_still_when_it_is_back() {
    let online = online();
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.send_json(&json!({"type": "status", "status": "busy"}));
    pass(secs(1)).await;
    client.vanish().await;
    let client = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!(online.get_status("u1").await.to_string(), "busy");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_login_elsewhere_ends_what_it_would_have_replaced() {
    for (limit, resumes) in [(1, false), (2, true)] {
        let online = with(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(limit)));
        let first = Connect::new(&online).user("u1").token("first").open().await;
        let welcome = first.welcome().clone();
        first.vanish().await;
        let second = Connect::new(&online).user("u1").token("second").open().await;
        let again = Connect::new(&online).user("u1").token("first").hello(back(&welcome, 0)).open().await;
        assert_eq!(again.welcome()["resumed"], resumes, "{limit}");
        drop(second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_application_ended_is_not_resumed() {
    let online = online();
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    online.push_and_close("u1", "bye", Close::SESSION_ENDED).await.unwrap();
    assert_eq!(reconnect(&online, "u1", &welcome, 0).await.welcome()["resumed"], false);
}

#[derive(Clone, Default)]
struct Counting(Arc<AtomicU32>);

#[async_trait]
impl Authenticator for Counting {
    async fn authenticate(&self, _: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        Err(AuthError::Unauthorized)
    }

    async fn revoke(&self, _: &Identity) -> Result<(), AuthError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_kick_revokes_the_token_of_what_is_parked() {
    let revoked = Counting::default();
    let online = with(|builder| builder.authenticator(revoked.clone()));
    connect(&online, "u1").await.vanish().await;
    let _report = online.kick_out("u1", "").await.unwrap();
    assert_eq!(revoked.0.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_that_races_a_disconnect_leaves_no_member_behind() {
    let online = testing::builder().authorize(|_: &Identity, _: &Action| true).build().unwrap();
    for round in 0..1000 {
        let user = format!("u{round}");
        let mut client = connect(&online, user.as_str()).await;
        client.subscribe("room").await;
        client.subscribe_presence("room").await;
        let kick = tokio::spawn({
            let (online, user) = (online.clone(), user.clone());
            async move {
                (0..round % 60 * 10).for_each(|_| std::hint::spin_loop());
                online.kick_out(user.as_str(), "").await.unwrap()
            }
        });
        client.vanish().await;
        let _report = kick.await.unwrap();
    }
    let room = online.here_now(HereNow::of(["room"])).await;
    assert_eq!(room.channel("room").unwrap().user_amount, 0);
    assert_all_gone(&online).await;
}
