//! Tabs, devices, reloads, statuses.

use serde_json::{Value, json};

use crate::{Server, client::Client, eventually};

/// Longer than any scenario: who is offline in here is so at once, not after it.
pub const OPTIONS: &[&str] = &["--grace-ms", "60000"];
/// For the scenario that waits for the end of it.
pub const SHORT_GRACE: &[&str] = &["--grace-ms", "400"];

async fn reached(server: &Server, login_id: &str) -> Value {
    server.admin("push", json!({"loginId": login_id, "content": "hello"})).await["enqueued"].clone()
}

/// Tabs share a token.
pub async fn two_tabs_of_one_token_are_one_session_with_two_connections(server: &Server) {
    let token = server.login("alice").await;
    let mut first = server.raw().token(&token).join().await;
    let mut second = server.raw().token(&token).join().await;
    server.expect_counts(1, 2).await;
    server.expect_sessions("alice", 1).await;
    assert_eq!(reached(server, "alice").await, 2);
    assert_eq!((first.expect_text().await, second.expect_text().await), ("hello".into(), "hello".into()));
    first.close(1000).await;
    server.expect_counts(1, 1).await;
    assert_eq!(server.user("alice").await["online"], true);
    second.expect_echo("the other tab").await;
    second.close(1000).await;
    server.expect_counts(0, 0).await;
    assert_eq!(server.user("alice").await["status"], "offline");
}

/// Devices have tokens of their own.
pub async fn two_devices_are_two_sessions_and_can_be_meant_one_by_one(server: &Server) {
    let on = async |device: &str| {
        let token = server.login_as(&json!({"loginId": "alice", "device": device})).await;
        server.raw().token(&token).join().await
    };
    let (mut web, mut ios) = (on("web").await, on("ios").await);
    server.expect_sessions("alice", 2).await;
    let to_ios = json!({"loginId": "alice", "device": "ios", "content": "for the phone"});
    assert_eq!(server.admin("push", to_ios).await["enqueued"], 1);
    assert_eq!(ios.expect_text().await, "for the phone");
    let kick = json!({"loginId": "alice", "device": "ios", "reason": "lost"});
    let (report, _) = tokio::join!(server.admin("kick", kick), ios.expect_close(4423));
    assert_eq!(report["matched"], 1);
    web.expect_echo("not meant").await;
    server.expect_counts(1, 1).await;
    web.close(1000).await;
    server.expect_counts(0, 0).await;
}

/// A device that the token does not name may be named by `hello`.
pub async fn hello_names_the_device_where_the_token_does_not(server: &Server) {
    let mut client = server.envelope().token(&server.login("alice").await).open().await;
    client.hello(json!({"device": "tablet"})).await;
    let named = server.login_as(&json!({"loginId": "bob", "device": "web"})).await;
    let mut other = server.envelope().token(&named).open().await;
    other.hello(json!({"device": "a lie"})).await;
    assert_eq!(server.user("alice").await["sessions"][0]["device"], "tablet");
    assert_eq!(server.user("bob").await["sessions"][0]["device"], "web");
}

/// Browsers close with 1001 when a page reloads.
pub async fn a_reload_is_silent_and_a_clean_close_is_not(server: &Server) {
    let token = server.login("alice").await;
    let first = server.raw().token(&token).join().await;
    first.close(1001).await;
    server.expect_counts(1, 0).await; // Nobody's socket, but still a user.
    assert_eq!(server.user("alice").await["status"], "online");
    assert_eq!(reached(server, "alice").await, 0);
    let second = server.raw().token(&token).join().await;
    server.expect_counts(1, 1).await;
    second.close(1000).await;
    server.expect_counts(0, 0).await;
}

/// A network that is lost may come back; one that does not is offline then.
pub async fn the_grace_period_ends(server: &Server) {
    drop(server.join("alice").await);
    server.expect_counts(1, 0).await;
    server.expect_counts(0, 0).await;
    assert!(server.user("alice").await["lastSeen"].is_i64());
}

/// A kick leaves no grace to anybody.
pub async fn a_kick_within_the_grace_period_is_offline_at_once(server: &Server) {
    server.join("alice").await.close(1001).await;
    server.expect_counts(1, 0).await;
    assert_eq!(server.admin("kick", json!({"loginId": "alice", "reason": "x"})).await["matched"], 0);
    server.expect_counts(0, 0).await;
}

/// The status that clients set.
pub async fn a_user_is_away_when_every_connection_is(server: &Server) {
    let (mut first, mut second) =
        (server.join_enveloped("alice").await, server.join_enveloped("alice").await);
    let say = async |client: &mut Client, status: &str| {
        client.json(&json!({"type": "status", "status": status})).await;
    };
    say(&mut first, "away").await;
    first.json(&json!({"type": "ping"})).await;
    first.expect_json("pong").await; // The status before it was read.
    assert_eq!(server.user("alice").await["status"], "online");
    say(&mut second, "away").await;
    server.expect_status("alice", "away").await;
    say(&mut second, "in a call").await;
    server.expect_status("alice", "in a call").await;
    assert_eq!(server.user("alice").await["online"], true);
}

/// Names of users are bytes: nothing is normalised, nothing is mistaken for a path.
pub async fn any_name_is_a_user_of_its_own(server: &Server) {
    for (name, in_path) in
        [("a/b", "a%2Fb"), ("张三", "%E5%BC%A0%E4%B8%89"), ("a b+c", "a%20b+c"), ("{x}", "%7Bx%7D")]
    {
        let client = server.join(name).await;
        assert_eq!(server.user(in_path).await["online"], true, "{name}");
        client.close(1000).await;
    }
    server.expect_counts(0, 0).await;
}

/// A tenant is an account of its own.
pub async fn accounts_never_meet(server: &Server) {
    let token = server.login_as(&json!({"loginId": "alice", "tenant": "t1"})).await;
    let mut tenants = server.raw().token(&token).join().await;
    let mut ours = server.join("alice").await;
    assert_eq!(reached(server, "alice").await, 1);
    assert_eq!(ours.expect_text().await, "hello");
    let body = json!({"loginId": "alice", "tenant": "t1", "content": "for the tenant"});
    assert_eq!(server.admin("push", body).await["enqueued"], 1);
    assert_eq!(server.admin("broadcast", json!({"content": "to all of ours"})).await["matched"], 1);
    assert_eq!(tenants.expect_text().await, "for the tenant");
    assert_eq!(ours.expect_text().await, "to all of ours");
    tokio::join!(
        server.admin("kick", json!({"loginId": "alice", "reason": "ours"})),
        ours.expect_close(4423)
    );
    tenants.expect_echo("not meant").await;
    assert_eq!(server.user("alice?tenant=t1").await["online"], true);
}

/// The library's routes: members see members, and an unknown user is offline.
pub async fn the_rest_routes_tell_members_who_is_there(server: &Server) {
    let token = server.login("alice").await;
    let _alice = server.raw().token(&token).join().await;
    let get = async |path: &str| server.request("GET", path).token(&token).send().await;
    let online = get("/presence/online").await.ok();
    assert_eq!(online["content"]["count"], 1, "{online}");
    assert_eq!(online["content"]["users"], json!([{"id": "alice", "status": "online"}]));
    assert_eq!(get("/presence/online/alice").await.ok()["content"]["online"], true);
    assert_eq!(get("/presence/online/nobody").await.ok()["content"]["online"], false);
    let asked = server.request("POST", "/presence/status").token(&token);
    let answer = asked.body(&json!({"users": ["alice", "nobody"]})).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.request("GET", "/presence/online").send().await.status, 401);
    assert_eq!(server.request("GET", "/presence/online/alice").send().await.status, 401);
    for route in ["push", "broadcast", "kick"] {
        let request = server.request("POST", &format!("/presence/{route}")).token(&token);
        let answer = request.body(&json!({"loginId": "alice", "content": "x"})).send().await;
        assert!([403, 404, 405].contains(&answer.status), "admin routes are not mounted: {answer:?}");
    }
}

/// Requests over HTTP are activity, which a person away from the socket shows too.
pub async fn an_authenticated_request_counts_as_activity(server: &Server) {
    let token = server.login("alice").await;
    let _client = server.raw().token(&token).join().await;
    let active = async || server.user("alice").await["sessions"][0]["lastActivity"].as_i64();
    let before = active().await;
    eventually("a request moves the last activity", async || {
        assert_eq!(server.request("GET", "/me").token(&token).send().await.status, 200);
        active().await > before
    })
    .await;
}
