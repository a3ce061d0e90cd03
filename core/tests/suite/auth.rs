//! Credentials on an open connection: the first message, expiry, refresh, recheck.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herenow::{
    Clock, OnlineManager,
    auth::{AuthError, Authenticator, Credential, Identity, Validity},
    http::RequestInfo,
    testing::{Connect, ManualClock, TestClient, assert_all_gone},
};
use serde_json::{Value, json};
use std::sync::Mutex;

use crate::support::{millis, now, pass, secs, with};

/// A token is `user:seconds it lives:anything`; what a recheck says is set by the test.
#[derive(Clone)]
struct Tokens {
    clock: ManualClock,
    validity: Arc<Mutex<Validity>>,
    slow: Arc<Mutex<bool>>,
}

#[async_trait::async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credential: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        if *self.slow.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let mut parts = credential.token.expose().split(':');
        let (user, lives) = (parts.next().unwrap_or_default(), parts.next());
        let identity = Identity::new(user).issued_at(self.clock.utc());
        match lives.map(str::parse) {
            Some(Ok(lives)) => Ok(identity.expires_at(self.clock.utc() + secs(lives))),
            Some(Err(_)) if lives == Some("") => Ok(identity),
            _ => Err(AuthError::Unauthorized),
        }
    }

    async fn recheck(&self, _: &Identity) -> Validity {
        *self.validity.lock().unwrap()
    }
}

fn set_up(more: impl FnOnce(herenow::Builder) -> herenow::Builder) -> (OnlineManager, Tokens) {
    let clock = ManualClock::new();
    let validity = Arc::new(Mutex::new(Validity::Valid));
    let tokens = Tokens { clock: clock.clone(), validity, slow: Arc::default() };
    let online = with(|builder| more(builder.clock(clock).authenticator(tokens.clone())));
    (online, tokens)
}

async fn open(online: &OnlineManager, token: &str) -> TestClient {
    Connect::new(online).bearer(token).open().await
}

/// The seconds until the close frame comes, and its code.
async fn closes_after(client: &mut TestClient) -> (f64, u16) {
    let began = now();
    let (code, _) = loop_close(client).await;
    ((now() - began).as_secs_f64(), code)
}

/// Waits longer than one expectation may take.
async fn loop_close(client: &mut TestClient) -> (u16, String) {
    loop {
        if let Ok(close) = tokio::time::timeout(secs(29), client.expect_close()).await {
            return close;
        }
    }
}

fn is_about(seconds: f64, expected: f64) -> bool {
    (seconds - expected).abs() < 0.01
}

#[tokio::test(start_paused = true)]
async fn the_first_message_may_carry_the_token() {
    let (online, _) = set_up(|builder| builder);
    let client = Connect::new(&online).first_message("alice:").open().await;
    assert_eq!(client.welcome()["user"], "alice");
    assert_eq!(client.connection().user().login_id(), "alice");
    assert_eq!(client.welcome()["connection"], client.connection().id().to_string());
    client.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_message_with_a_bad_token_or_none_is_refused_and_nothing_is_left() {
    let (online, _) = set_up(|builder| builder);
    let mut events = online.events();
    let bad = Connect::new(&online).first_message("nonsense");
    for connect in [bad, Connect::new(&online)] {
        let mut client = connect.start().await.unwrap();
        assert_eq!(client.expect_type("error").await["code"], "unauthorized");
        assert_eq!(client.expect_close().await, (4401, "unauthorized".to_owned()));
    }
    assert_all_gone(&online).await;
    assert!(events.try_recv().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_for_ten_seconds_is_told_so() {
    let (online, _) = set_up(|builder| builder);
    let mut client = Connect::new(&online).silent().start().await.unwrap();
    let (after, code) = closes_after(&mut client).await;
    assert!(is_about(after, 10.0), "{after}");
    assert_eq!(code, 4507);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn where_first_messages_are_off_the_refusal_comes_at_the_upgrade() {
    let sources = herenow::auth::Sources::default().without_first_message();
    let (online, _) = set_up(|builder| builder.sources(sources).visible_refusal(false));
    let refusal = Connect::new(&online).first_message("alice:").start().await.unwrap_err();
    assert_eq!(refusal.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn an_authenticator_that_never_answers_is_a_503_after_its_deadline() {
    let (online, tokens) = set_up(|builder| builder);
    *tokens.slow.lock().unwrap() = true;
    let began = now();
    let refusal = Connect::new(&online).bearer("alice:").raw().start().await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), now() - began), (503, secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_after_the_grace_in_envelopes_and_to_the_moment_in_raw_mode() {
    let (online, _) = set_up(|builder| builder);
    let began = now();
    let mut envelope = open(&online, "alice:100").await;
    let mut raw = Connect::new(&online).bearer("alice:100").raw().open().await;
    assert_eq!(envelope.welcome()["expiresIn"], 100_000);
    pass(millis(39_900)).await;
    let expiring = envelope.expect_type("authExpiring").await;
    assert!(is_about((now() - began).as_secs_f64(), 40.0));
    assert!((59_990..=60_000).contains(&expiring["expiresIn"].as_u64().unwrap()));
    assert_eq!(closes_after(&mut raw).await.1, 4301);
    assert!(is_about((now() - began).as_secs_f64(), 100.0));
    assert_eq!(closes_after(&mut envelope).await.1, 4301);
    assert!(is_about((now() - began).as_secs_f64(), 125.0));
    assert!(!online.is_online("alice").await);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_nobody_early() {
    let (online, tokens) = set_up(|builder| builder);
    let mut raw = Connect::new(&online).bearer("alice:100").raw().open().await;
    tokens.clock.jump(chrono::TimeDelta::hours(1));
    let (after, code) = closes_after(&mut raw).await;
    assert!(is_about(after, 100.0), "{after}");
    assert_eq!(code, 4301);
}

async fn refresh(client: &mut TestClient, token: &str) -> Value {
    client.send_json(&json!({"type": "auth", "id": 7, "token": token}));
    let reply = client.expect_type("reply").await;
    assert_eq!(reply["id"], 7);
    reply
}

#[tokio::test(start_paused = true)]
async fn a_refresh_moves_the_connection_to_the_new_token_without_an_event() {
    let (online, _) = set_up(|builder| builder.idle_after(secs(0)));
    let mut client = open(&online, "alice:100").await;
    let mut events = online.events();
    let before = online.get_user_sessions("alice").await.remove(0);
    pass(secs(30)).await;
    assert_eq!(refresh(&mut client, "alice:1000:new").await["result"]["expiresIn"], 1_000_000);
    let after = online.get_user_sessions("alice").await.remove(0);
    assert_eq!(after.connect_time, before.connect_time);
    assert_ne!(after.token, before.token);
    assert_eq!(online.kick_out(herenow::Target::token("alice:100"), "").await.unwrap().matched, 0);
    let mut quiet = 0.0;
    while quiet < 500.0 {
        client.expect_nothing(secs(20)).await;
        quiet += 20.0;
    }
    assert!(events.try_recv().is_none());
    assert_eq!(online.kick_out(herenow::Target::token("alice:1000:new"), "").await.unwrap().matched, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_within_the_expiry_grace_saves_the_connection() {
    let (online, _) = set_up(|builder| builder);
    let mut client = open(&online, "alice:70").await;
    pass(secs(20)).await;
    client.expect_type("authExpiring").await;
    pass(secs(60)).await;
    assert!(refresh(&mut client, "alice::new").await.get("error").is_none());
    for _ in 0..10 {
        client.expect_nothing(secs(25)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_to_another_user_or_a_kicked_token_is_refused_and_the_connection_stays() {
    let (online, _) = set_up(|builder| builder);
    let mut client = open(&online, "alice:").await;
    assert_eq!(refresh(&mut client, "bob:").await["error"]["code"], "forbidden");
    assert_eq!(refresh(&mut client, "nonsense").await["error"]["code"], "unauthorized");
    let other = open(&online, "alice::stolen").await;
    assert!(online.kick_out(herenow::Target::token("alice::stolen"), "").await.unwrap().is_complete());
    other.server_is_done().await;
    assert_eq!(refresh(&mut client, "alice::stolen").await["error"]["code"], "unauthorized");
    assert_eq!(client.connection().user().login_id(), "alice");
    assert!(online.is_online("alice").await);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_credential_ends_at_the_next_recheck() {
    let (online, tokens) = set_up(|builder| builder);
    let mut client = open(&online, "alice:").await;
    *tokens.validity.lock().unwrap() = Validity::Revoked;
    let (after, code) = closes_after(&mut client).await;
    assert!(is_about(after, 60.0), "{after}");
    assert_eq!(code, 4401);
    assert!(!online.is_online("alice").await);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_authenticator_is_borne_with_three_times_or_not_at_all() {
    for (fail_closed, expected) in [(false, 180.0), (true, 60.0)] {
        let (online, tokens) = set_up(|builder| builder.fail_closed(fail_closed));
        let mut client = open(&online, "alice:").await;
        *tokens.validity.lock().unwrap() = Validity::Unavailable;
        let (after, code) = closes_after(&mut client).await;
        assert!(is_about(after, expected), "{after}");
        assert_eq!(code, 4503);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_verdict_is_ignored_within_the_expiry_grace() {
    let (online, tokens) = set_up(|builder| builder);
    let mut client = open(&online, "alice:50").await;
    *tokens.validity.lock().unwrap() = Validity::Expired;
    let (after, code) = closes_after(&mut client).await;
    assert!(is_about(after, 75.0), "{after}");
    assert_eq!(code, 4301);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_good_once_and_for_thirty_seconds() {
    let (online, _) = set_up(|builder| builder);
    let identity = Identity::new("alice").device("sse");
    let ticket = online.issue_ticket(&identity).await.unwrap();
    let client = Connect::new(&online).ticket(&ticket).open().await;
    assert_eq!(client.connection().identity().device_label(), "sse");
    assert_eq!(Connect::new(&online).ticket(&ticket).raw().start().await.unwrap_err().status(), 401);
    let late = online.issue_ticket(&identity).await.unwrap();
    pass(secs(31)).await;
    assert_eq!(Connect::new(&online).ticket(&late).raw().start().await.unwrap_err().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn two_different_credentials_are_refused() {
    let (online, _) = set_up(|builder| builder);
    let ticket = online.issue_ticket(&Identity::new("alice")).await.unwrap();
    let both = Connect::new(&online).ticket(&ticket).bearer("bob:").raw();
    assert_eq!(both.start().await.unwrap_err().status(), 400);
}

#[tokio::test(start_paused = true)]
async fn data_and_device_of_hello_count_where_the_token_says_nothing() {
    let (online, _) = set_up(|builder| builder);
    let hello = json!({"type": "hello", "device": "web", "data": {"nick": "Ted"}});
    let client = Connect::new(&online).bearer("alice:").hello(hello.clone()).open().await;
    let identity = client.connection().identity();
    assert_eq!(
        (identity.device_label(), identity.data.as_deref().unwrap().get()),
        ("web", r#"{"nick":"Ted"}"#)
    );
    let named = Connect::new(&online).user("bob").device("ios").hello(hello).open().await;
    assert_eq!(named.connection().identity().device_label(), "ios");
    let _: Option<DateTime<Utc>> = named.connection().identity().issued_at;
}
