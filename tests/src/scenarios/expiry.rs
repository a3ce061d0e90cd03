//! A token's time, and its being taken back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Server, client::Client, eventually, now};

/// No grace after the end of a token.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--expiry-grace-ms", "0"];
/// A second and a half in which an envelope may still refresh.
pub const GRACE: &[&str] = &["--grace-ms", "0", "--expiry-grace-ms", "1500"];
/// Credentials are looked at again ten times a second.
pub const RECHECK: &[&str] = &["--grace-ms", "0", "--recheck-ms", "100"];

const SECOND: Duration = Duration::from_secs(1);

async fn short(server: &Server, seconds: f64) -> String {
    server.login_as(&json!({"loginId": "alice", "ttlSeconds": seconds})).await
}

async fn welcomed(server: &Server, token: &str) -> (Client, Value) {
    let mut client = server.envelope().token(token).open().await;
    let welcome = client.hello(json!({})).await;
    (client, welcome)
}

/// Within a second of the moment, in both modes.
pub async fn a_connection_ends_with_its_token(server: &Server) {
    let start = now();
    let token = short(server, 1.2).await;
    let mut raw = server.raw().token(&token).join().await;
    let (mut enveloped, welcome) = welcomed(server, &token).await;
    assert!(welcome["expiresIn"].as_u64().is_some_and(|left| left <= 1200), "{welcome}");
    let (_, ending) = tokio::join!(raw.expect_close(4301), enveloped.expect_close(4301));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1190) && took < Duration::from_millis(1200) + SECOND, "{took:?}");
    assert!(ending.frame("authExpiring").is_some(), "it was told before: {ending:?}");
    let goodbye = ending.frame("goodbye").expect("and at the end");
    assert_eq!((&goodbye["reason"], &goodbye["reconnect"]), (&json!("token_expired"), &json!(true)));
    server.expect_counts(0, 0).await;
}

/// A genuine token whose time is over is told apart from one that is no good.
pub async fn a_token_whose_time_is_over_is_told_so(server: &Server) {
    let token = short(server, 0.0).await;
    let refusal = server.raw().token(&token).send().await;
    assert_eq!(refusal.status, 401);
    assert!(refusal.json()["content"].as_str().is_some_and(|text| text.contains("token_expired")));
    let mut visible = server.envelope().token(&token).open().await;
    assert_eq!(visible.expect_json("error").await["code"], "token_expired");
    visible.expect_close(4301).await;
}

/// A new token on the same connection.
pub async fn a_refresh_carries_a_connection_over_the_end_of_its_token(server: &Server) {
    let (mut client, _) = welcomed(server, &short(server, 1.0).await).await;
    client.expect_json("authExpiring").await;
    let before = server.user("alice").await["sessions"][0]["connectTime"].clone();
    let fresh = server.login("alice").await;
    client.json(&json!({"type": "auth", "id": 1, "token": fresh})).await;
    let reply = client.expect_json("reply").await;
    assert_eq!(reply["id"], 1);
    assert!(reply["result"]["expiresIn"].as_u64().is_some_and(|left| left > 3_590_000), "{reply}");
    assert!(client.hear_within(SECOND * 2).await.is_none(), "nothing happens at the old end");
    assert_eq!(server.user("alice").await["sessions"][0]["connectTime"], before);
    let (_, report) = tokio::join!(client.expect_close(4423), async {
        server.admin("kick", json!({"token": fresh, "reason": "x"})).await
    });
    assert_eq!(report["matched"], 1, "the connection goes by its new token");
}

/// The grace after the end is for a refresh.
pub async fn a_refresh_within_the_grace_after_the_end_is_taken(server: &Server) {
    let start = now();
    let token = short(server, 0.5).await;
    let (mut client, _) = welcomed(server, &token).await;
    let (mut late, _) = welcomed(server, &token).await;
    let mut raw = server.raw().token(&token).join().await;
    raw.expect_close(4301).await; // Raw mode cannot refresh, and has no grace.
    assert!(start.elapsed() < Duration::from_millis(500) + SECOND);
    client.expect_json("authExpiring").await;
    client.json(&json!({"type": "auth", "id": 1, "token": server.login("alice").await})).await;
    client.expect_json("reply").await;
    late.expect_close(4301).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1990) && took < Duration::from_millis(2000) + SECOND, "{took:?}");
    client.json(&json!({"type": "ping"})).await;
    client.expect_json("pong").await;
}

/// The user of a connection never changes.
pub async fn a_refresh_with_a_bad_token_changes_nothing(server: &Server) {
    let mut client = server.join_enveloped("alice").await;
    for (id, token) in
        [(1, server.login("bob").await), (2, "forged".to_owned()), (3, short(server, 0.0).await)]
    {
        client.json(&json!({"type": "auth", "id": id, "token": token})).await;
        let reply = client.expect_json("reply").await;
        assert_eq!(reply["id"], id);
        assert!(reply["error"]["code"].is_string(), "{reply}");
    }
    assert_eq!(server.user("bob").await["online"], false);
    assert_eq!(server.user("alice").await["online"], true);
}

/// The authenticator forgets the token, and tells nobody.
pub async fn a_revoked_token_is_found_by_the_recheck(server: &Server) {
    let token = server.login("alice").await;
    let mut raw = server.raw().token(&token).join().await;
    let (mut enveloped, _) = welcomed(server, &token).await;
    let mut other = server.join("alice").await;
    let start = now();
    assert_eq!(server.try_admin("revoke", &json!({"token": token})).await.status, 204);
    tokio::join!(raw.expect_close(4401), enveloped.expect_close(4401));
    assert!(start.elapsed() < SECOND * 2, "{:?}", start.elapsed());
    other.expect_echo("another token of the user").await;
    eventually("its sessions are gone", async || server.counts().await == (1, 1)).await;
    let (revoked, unknown) = (server.raw().token(&token).send(), server.raw().token("unknown").send());
    let (revoked, unknown) = tokio::join!(revoked, unknown);
    assert_eq!((revoked.status, revoked.body), (401, unknown.body));
}
