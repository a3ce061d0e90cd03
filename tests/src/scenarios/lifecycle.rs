//! Every way a connection ends leaves nobody behind (seed 5). The heartbeat's are in [`heartbeat`](super::heartbeat),
//! the token's in [`expiry`](super::expiry).

use serde_json::json;

use crate::Server;

/// Whoever leaves is offline at once, so that every scenario sees its end.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--kick-deadline-ms", "1000"];

/// Case C of the seed.
pub async fn a_close_by_the_client_leaves_nobody(server: &Server) {
    for code in [1000, 1001, 3000, 4999] {
        let client = server.join("alice").await;
        server.expect_counts(1, 1).await;
        let ending = client.close(code).await;
        assert_eq!(ending.code(), Some(code), "the server answers with the same code");
        assert!(!ending.reset);
        server.expect_counts(0, 0).await;
    }
}

/// A close frame may be empty.
pub async fn an_empty_close_frame_is_answered(server: &Server) {
    let mut client = server.join("alice").await;
    client.send(crate::client::CLOSE, &[]).await;
    client.expect_close(1005).await;
    server.expect_counts(0, 0).await;
}

/// Case D: no close frame, the stream just ends.
pub async fn a_lost_network_leaves_nobody(server: &Server) {
    let (raw, enveloped) = (server.join("alice").await, server.join_enveloped("bob").await);
    server.expect_counts(2, 2).await;
    drop((raw, enveloped));
    server.expect_counts(0, 0).await;
}

/// Case D, with an RST.
pub async fn a_reset_leaves_nobody(server: &Server) {
    let (raw, enveloped) = (server.join("alice").await, server.join_enveloped("bob").await);
    server.expect_counts(2, 2).await;
    raw.reset();
    enveloped.reset();
    server.expect_counts(0, 0).await;
}

/// The network goes in the middle of a frame.
pub async fn half_a_frame_leaves_nobody(server: &Server) {
    let mut client = server.join("alice").await;
    client.write(&[0x81, 0xfe, 0x10]).await;
    server.expect_counts(1, 1).await;
    drop(client);
    server.expect_counts(0, 0).await;
}

/// Case A: the application says a last word and closes.
pub async fn a_push_and_close_says_the_last_word_and_leaves_nobody(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("alice").await);
    server.expect_counts(1, 2).await;
    let body = json!({"loginId": "alice", "content": "confirmed", "code": 4001, "reason": "login_done"});
    assert_eq!(server.admin("close", body).await["enqueued"], 2);
    assert_eq!(raw.expect_text().await, "confirmed");
    assert_eq!(enveloped.expect_json("push").await["data"], "confirmed");
    for client in [&mut raw, &mut enveloped] {
        let ending = client.expect_close(4001).await;
        assert_eq!(ending.close, Some((4001, "login_done".to_owned())));
    }
    server.expect_counts(0, 0).await;
}

/// A kick ends it, and says why before.
pub async fn a_kick_leaves_nobody(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("alice").await);
    let body = json!({"loginId": "alice", "reason": "house rules"});
    let (report, raw, enveloped) =
        tokio::join!(server.admin("kick", body), raw.expect_close(4423), enveloped.expect_close(4423));
    assert_eq!((&report["matched"], &report["closed"]), (&json!(2), &json!(2)), "{report}");
    for ending in [raw, enveloped] {
        let frame = ending.frame("kicked").expect("the reason comes before the close frame");
        assert_eq!((&frame["code"], &frame["reason"]), (&json!(4423), &json!("kicked")));
        assert_eq!((&frame["message"], &frame["reconnect"]), (&json!("house rules"), &json!(false)));
    }
    server.expect_counts(0, 0).await;
}

/// A handler that panics ends its own connection, and nobody else's.
pub async fn a_panicking_handler_ends_its_own_connection_only(server: &Server) {
    let (mut raw, mut enveloped) = (server.join("alice").await, server.join_enveloped("bob").await);
    let mut neighbour = server.join("carol").await;
    raw.text("panic!").await;
    raw.expect_close(4500).await;
    enveloped.json(&json!({"type": "message", "data": "panic!"})).await;
    let ending = enveloped.expect_close(4500).await;
    assert_eq!(ending.frame("goodbye").expect("it says why")["reconnect"], true);
    server.expect_counts(1, 1).await;
    neighbour.expect_echo("still here").await;
    server.join("dave").await.expect_echo("and the server takes others").await;
    neighbour.close(1000).await;
    server.expect_counts(0, 0).await;
}

/// What was admitted but never said `hello` is not there, and leaves nothing.
pub async fn a_connection_without_hello_is_not_listed(server: &Server) {
    let token = server.login("alice").await;
    let client = server.envelope().token(&token).open().await;
    assert_eq!(server.user("alice").await["online"], false);
    assert_eq!(server.admin("push", json!({"loginId": "alice", "content": "x"})).await["matched"], 0);
    drop(client);
    server.expect_counts(0, 0).await;
}

/// Upgrades that are abandoned at once, in every order of events.
pub async fn abandoned_handshakes_leave_nobody(server: &Server) {
    let token = server.login("alice").await;
    for round in 0..50 {
        let dial = if round % 2 == 0 { server.raw() } else { server.envelope() };
        let opening = dial.token(&token).attempt();
        tokio::select! {
            biased;
            client = opening => drop(client),
            () = turns(round) => {}
        }
    }
    server.expect_counts(0, 0).await;
}

/// So many turns of the scheduler: less than an opening takes, and more and more of it.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
