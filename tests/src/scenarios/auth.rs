//! Where a token may stand.

use std::time::Duration;

use serde_json::json;

use crate::{
    Server,
    client::{Client, bearer},
    now,
};

/// A short patience for `hello`.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--hello-timeout-ms", "500"];
/// The query is switched on.
pub const QUERY: &[&str] = &["--grace-ms", "0", "--allow-query-token"];

fn own_origin(server: &Server) -> String {
    format!("http://{}", server.address())
}

async fn is_alice(mut client: Client, server: &Server) {
    client.expect_echo("who am I").await;
    assert_eq!(server.user("alice").await["online"], true);
    client.close(1000).await;
    server.expect_counts(0, 0).await;
}

/// Programs.
pub async fn a_token_may_stand_in_the_authorization_header(server: &Server) {
    let token = server.login("alice").await;
    is_alice(server.raw().token(&token).open().await, server).await;
    let lower = server.raw().header("authorization", &format!("bearer {token}"));
    is_alice(lower.open().await, server).await;
}

/// Browsers.
pub async fn a_token_may_stand_in_a_subprotocol_and_is_never_echoed(server: &Server) {
    let token = server.login("alice").await;
    let raw = server.raw().offer(&format!("herenow.v1.raw, {}", bearer(&token))).open().await;
    assert_eq!(raw.response().header("sec-websocket-protocol"), Some("herenow.v1.raw"));
    is_alice(raw, server).await;
    let mut client = server.raw().offer(&bearer(&token)).offer("herenow.v1.json").open().await;
    assert_eq!(client.response().header("sec-websocket-protocol"), Some("herenow.v1.json"));
    assert_eq!(client.hello(json!({})).await["user"], "alice");
}

/// A cookie is sent by whichever page asks: only an allowed one may.
pub async fn a_cookie_needs_an_allowed_origin(server: &Server) {
    let token = server.login("alice").await;
    let own = server.raw().cookie(&token).origin(&own_origin(server));
    is_alice(own.open().await, server).await;
    assert_eq!(server.raw().cookie(&token).send().await.status, 403, "no origin at all");
    let evil = server.raw().cookie(&token).origin("http://evil.example");
    assert_eq!(evil.send().await.status, 403);
    server.expect_counts(0, 0).await;
}

/// Clients that can set no header and no subprotocol of their own.
pub async fn a_token_may_stand_in_the_first_message(server: &Server) {
    let mut client = server.envelope().open().await;
    let welcome = client.hello(json!({"token": server.login("alice").await})).await;
    assert_eq!(welcome["user"], "alice");
    server.expect_counts(1, 1).await;
}

/// Whoever says no token there is nobody.
pub async fn a_first_message_without_a_good_token_is_refused(server: &Server) {
    for hello in [json!({"type": "hello"}), json!({"type": "hello", "token": "forged"})] {
        let mut client = server.envelope().open().await;
        client.json(&hello).await;
        let ending = client.expect_close(4401).await;
        assert_eq!(ending.frame("error").expect("it says why")["code"], "unauthorized");
    }
    let expired = server.login_as(&json!({"loginId": "alice", "ttlSeconds": 0})).await;
    let mut client = server.envelope().open().await;
    client.json(&json!({"type": "hello", "token": expired})).await;
    client.expect_close(4301).await;
    server.expect_counts(0, 0).await;
}

/// A socket without a user does not live long.
pub async fn a_first_message_that_does_not_come_is_not_waited_for(server: &Server) {
    let start = now();
    let (mut nobody, mut known) =
        (server.envelope().open().await, server.envelope().token(&server.login("alice").await).open().await);
    tokio::join!(nobody.expect_close(4507), known.expect_close(4507));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// Anything but `hello` first is an error.
pub async fn something_before_hello_is_refused(server: &Server) {
    let token = server.login("alice").await;
    for first in
        [json!({"type": "status", "status": "away"}), json!({"type": "auth", "id": 1, "token": token})]
    {
        let mut client = server.envelope().token(&token).open().await;
        client.json(&first).await;
        let ending = client.expect_close(4400).await;
        assert!(ending.frame("error").is_some() && ending.frame("welcome").is_none(), "{ending:?}");
    }
}

/// Good once, for the user who asked for it.
pub async fn a_ticket_is_good_once(server: &Server) {
    let token = server.login("alice").await;
    let answer = server.request("POST", "/presence/ticket").token(&token).send().await.ok();
    let ticket = answer["content"]["ticket"].as_str().expect("a ticket");
    let path = format!("/ws?ticket={ticket}");
    is_alice(server.upgrade(&path).open().await, server).await;
    assert_eq!(server.upgrade(&path).send().await.status, 401, "the second time");
    assert_eq!(server.upgrade("/ws?ticket=forged").send().await.status, 401);
    assert_eq!(server.request("POST", "/presence/ticket").send().await.status, 401, "nobody gets none");
}

/// It ends up in access logs.
pub async fn a_token_in_the_query_is_not_taken_by_default(server: &Server) {
    let path = format!("/ws?token={}", server.login("alice").await);
    assert_eq!(server.upgrade(&path).send().await.status, 401);
    server.expect_counts(0, 0).await;
}

/// Where it is switched on.
pub async fn a_token_in_the_query_is_taken_where_it_is_switched_on(server: &Server) {
    let path = format!("/ws?a=b&token={}", server.login("alice").await);
    is_alice(server.upgrade(&path).open().await, server).await;
}

/// Never pick one of two.
pub async fn two_different_credentials_are_refused_and_two_equal_ones_are_one(server: &Server) {
    let (one, two) = (server.login("alice").await, server.login("alice").await);
    let raw = || server.raw().origin(&own_origin(server));
    let dials = [
        raw().token(&one).token(&two),
        raw().token(&one).cookie(&two),
        raw().token(&one).offer(&format!("herenow.v1.raw, {}", bearer(&two))),
        raw().offer(&format!("herenow.v1.raw, {}, {}", bearer(&one), bearer(&two))),
        raw().header("Cookie", &format!("token={one}; token={two}")),
    ];
    for dial in dials {
        let asked = format!("{dial:?}");
        let refusal = dial.send().await;
        assert_eq!((refusal.status, &refusal.json()["code"]), (400, &json!(400)), "{asked}");
    }
    let mut visible = server.envelope().token(&one).offer(&bearer(&two)).open().await;
    visible.expect_close(4400).await;
    is_alice(raw().token(&one).cookie(&one).open().await, server).await;
}

/// The extractor insists, the layer does not.
pub async fn a_plain_route_knows_its_user(server: &Server) {
    let token = server.login_as(&json!({"loginId": "alice", "device": "web"})).await;
    let me = server.request("GET", "/me").token(&token).send().await.ok();
    assert_eq!(me, json!({"loginId": "alice", "device": "web"}));
    let refusal = server.request("GET", "/me").send().await;
    assert_eq!((refusal.status, refusal.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(server.request("GET", "/me").token("forged").send().await.body, refusal.body);
}

/// A handle is a name, no credential.
pub async fn the_handle_of_a_session_is_no_credential(server: &Server) {
    let _client = server.join("alice").await;
    let user = server.user("alice").await;
    let handle = user["sessions"][0]["handle"].as_str().expect("a handle");
    assert_eq!(server.raw().token(handle).send().await.status, 401);
}
