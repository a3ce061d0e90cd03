//! Server-sent events, for those who only listen.

use serde_json::json;

use crate::{Server, client::Events};

/// Nobody who leaves is kept for a while.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];
/// A rhythm that a test can wait for.
pub const HEARTBEAT: &[&str] = &["--grace-ms", "0", "--heartbeat-ms", "300", "--timeout-ms", "200"];
/// One session for each user; the oldest gives way.
pub const REPLACE: &[&str] = &["--grace-ms", "0", "--max-per-user", "1", "--on-limit", "replace-oldest"];

const PATH: &str = "/presence/events";

async fn listen(server: &Server, login_id: &str) -> Events {
    let token = server.login(login_id).await;
    let mut events = server.request("GET", PATH).token(&token).listen().await;
    let (welcome, _) = events.expect("welcome").await;
    assert_eq!(welcome["user"], login_id);
    events
}

/// The same pushes as a socket gets, in order, and the head that proxies and browsers need.
pub async fn a_listener_is_online_and_hears_every_push(server: &Server) {
    let mut events = listen(server, "alice").await;
    assert_eq!(events.response().header("content-type"), Some("text/event-stream"));
    assert_eq!(events.response().header("cache-control"), Some("no-store"));
    server.expect_counts(1, 1).await;
    for n in 0..100 {
        server.admin("push", json!({"loginId": "alice", "content": n.to_string()})).await;
    }
    for n in 0..100 {
        assert_eq!(events.expect("push").await.0["data"], n.to_string());
    }
    let big = "é\n".repeat(40_000);
    server.admin("broadcast", json!({"content": big})).await;
    assert_eq!(events.expect("push").await.0["data"], big);
}

/// A closed page is noticed without a write.
pub async fn a_listener_that_leaves_is_gone(server: &Server) {
    let events = listen(server, "alice").await;
    server.expect_counts(1, 1).await;
    drop(events);
    server.expect_counts(0, 0).await;
}

/// It cannot answer pings, so none is expected.
pub async fn a_listener_is_not_taken_for_silent(server: &Server) {
    let mut events = listen(server, "alice").await;
    for _ in 0..5 {
        events.expect("ping").await;
    }
    assert_eq!(server.counts().await, (1, 1));
}

/// An `EventSource` comes back by itself, but for a 204.
pub async fn a_kicked_listener_is_told_and_stays_away(server: &Server) {
    let mut events = listen(server, "alice").await;
    let report = server.admin("kick", json!({"loginId": "alice", "reason": "Go"})).await;
    assert_eq!((&report["matched"], &report["closed"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(events.expect("kicked").await.0["message"], "Go");
    let last = events.next().await.expect("the word to stay away");
    assert_eq!((last.id.as_deref(), last.data.as_str()), (Some("stop"), ""));
    assert_eq!(events.next().await, None);
    let back = server.request("GET", PATH).header("Last-Event-ID", "stop");
    assert_eq!(back.send().await.status, 204);
    server.expect_counts(0, 0).await;
}

/// Where coming back would end another tab for ever, it is not to come back.
pub async fn a_replaced_listener_stays_away(server: &Server) {
    let mut events = listen(server, "alice").await;
    let _newer = server.join("alice").await;
    assert_eq!(events.expect("kicked").await.0["code"], 4409);
    assert_eq!(events.next().await.and_then(|event| event.id).as_deref(), Some("stop"));
    server.expect_counts(1, 1).await;
}

/// The time of a token is over: a fresh one helps, so nothing says "stop".
pub async fn a_stream_ends_with_its_token(server: &Server) {
    let token = server.login_as(&json!({"loginId": "alice", "ttlSeconds": 1.0})).await;
    let mut events = server.request("GET", PATH).token(&token).listen().await;
    events.expect("welcome").await;
    assert_eq!(events.expect("goodbye").await.0["code"], 4301);
    assert_eq!(events.next().await, None);
    server.expect_counts(0, 0).await;
}

/// The same refusals as everywhere, over HTTP.
pub async fn whoever_may_not_listen_is_refused(server: &Server) {
    let ask = || server.request("GET", PATH);
    let token = server.login("alice").await;
    assert_eq!(ask().send().await.status, 401);
    assert_eq!(ask().token("forged").send().await.status, 401);
    assert_eq!(ask().token(&token).origin("https://evil.example").send().await.status, 403);
    assert_eq!(ask().cookie(&token).origin("https://evil.example").send().await.status, 403);
    assert_eq!(server.counts().await, (0, 0));
}

/// What an `EventSource` can send.
pub async fn a_ticket_or_a_cookie_opens_a_stream(server: &Server) {
    let token = server.login("alice").await;
    let ticket = server.request("POST", "/presence/ticket").token(&token).send().await.ok();
    let path = format!("{PATH}?ticket={}", ticket["content"]["ticket"].as_str().expect("a ticket is text"));
    let mut by_ticket = server.request("GET", &path).listen().await;
    by_ticket.expect("welcome").await;
    let own = format!("http://{}", server.address());
    let mut by_cookie = server.request("GET", PATH).cookie(&token).origin(&own).listen().await;
    by_cookie.expect("welcome").await;
    server.expect_counts(1, 2).await;
}
