//! What is pushed arrives, once, in order, in both modes.

use serde_json::json;

use crate::Server;

/// Nothing special.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];

/// Broadcasts and pushes to one share one order.
pub async fn pushes_arrive_in_order_and_once(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("alice").await);
    for n in 0..200 {
        let content = n.to_string();
        let report = match n % 2 {
            0 => server.admin("push", json!({"loginId": "alice", "content": content})).await,
            _ => server.admin("broadcast", json!({"content": content})).await,
        };
        assert_eq!(report["enqueued"], 2, "{report}");
    }
    for n in 0..200 {
        assert_eq!(raw.expect_text().await, n.to_string());
        assert_eq!(enveloped.expect_json("push").await["data"], n.to_string());
    }
}

/// What a push looks like in each mode.
pub async fn a_push_has_one_id_and_the_same_content_everywhere(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("bob").await);
    let content = "tricky: \"quotes\", \u{2028}, 😀 and </script>";
    let report = server.admin("broadcast", json!({"content": content})).await;
    assert_eq!(raw.expect_text().await, content);
    let push = enveloped.expect_json("push").await;
    assert_eq!((&push["data"], &push["kind"]), (&json!(content), &json!("text")));
    assert_eq!(push["mid"], report["messageId"]);
    assert!(push["time"].is_i64());
}

/// Nobody there is no error.
pub async fn a_push_to_nobody_says_so(server: &Server) {
    let report = server.admin("push", json!({"loginId": "nobody", "content": "x"})).await;
    assert_eq!((&report["matched"], &report["enqueued"]), (&json!(0), &json!(0)));
    assert_eq!(report["offline"], json!(["nobody"]));
}

/// Frames of every length class, up to the largest push.
pub async fn pushes_of_every_size_arrive(server: &Server) {
    let mut client = server.join("alice").await;
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000] {
        let content = "x".repeat(size);
        let report = server.admin("push", json!({"loginId": "alice", "content": content})).await;
        assert_eq!(report["enqueued"], 1, "{size} bytes");
        assert!(client.expect_text().await == content, "{size} bytes");
    }
    let too_large = json!({"loginId": "alice", "content": "x".repeat(1024 * 1024 + 1)});
    assert_eq!(server.try_admin("push", &too_large).await.status, 400);
}

/// What clients send to the application's handler.
pub async fn messages_reach_the_handler_in_both_modes(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("bob").await);
    raw.expect_echo("raw").await;
    enveloped.json(&json!({"type": "message", "id": 7, "data": "echo:enveloped"})).await;
    let reply = enveloped.expect_json("reply").await;
    assert_eq!((&reply["id"], &reply["result"]), (&json!(7), &json!("echo:enveloped")));
    enveloped.json(&json!({"type": "no such thing", "id": 9})).await;
    assert_eq!(enveloped.expect_json("reply").await["error"]["code"], "unknown_type");
}

/// The welcome, as the protocol has it.
pub async fn the_welcome_is_first_and_says_the_rules(server: &Server) {
    let token = server.login("alice").await;
    let mut client = server.envelope().token(&token).open().await;
    let welcome = client.hello(json!({"client": "conformance"})).await;
    assert_eq!((&welcome["user"], &welcome["resumed"]), (&json!("alice"), &json!(false)));
    assert_eq!(welcome["heartbeat"], json!({"interval": 30_000, "timeout": 10_000}));
    assert_eq!(welcome["limits"]["maxFrame"], 65_536);
    assert!(welcome["expiresIn"].as_u64().is_some_and(|left| left > 3_590_000 && left <= 3_600_000));
    assert!(welcome["connection"].is_string() && welcome["serverTime"].is_i64());
    assert!(!welcome.to_string().contains(&token), "no token ever comes back");
}
