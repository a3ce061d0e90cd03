//! Who answers no ping is gone, and who answers stays.

use std::time::Duration;

use serde_json::json;

use crate::{Server, client::Heard, now};

/// A silent peer is gone after 600 ms.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--heartbeat-ms", "300", "--timeout-ms", "300"];
const SILENCE: Duration = Duration::from_millis(600);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);

/// It reads, but says nothing.
pub async fn a_silent_peer_is_told_and_gone(server: &Server) {
    let mut client = server.join("alice").await;
    let mut enveloped = server.join_enveloped("bob").await;
    client.mute();
    enveloped.mute();
    let start = now();
    let (_, ending) = tokio::join!(client.expect_close(4504), enveloped.expect_close(4504));
    let goodbye = ending.frame("goodbye").expect("an envelope says why");
    assert_eq!((&goodbye["reason"], &goodbye["reconnect"]), (&json!("no_pong"), &json!(true)));
    let took = start.elapsed();
    assert!(took >= SILENCE - Duration::from_millis(100) && took < SILENCE + SLACK, "{took:?}");
    server.expect_counts(0, 0).await;
}

/// It neither reads nor writes nor closes, as a machine whose cable was pulled.
pub async fn a_half_open_peer_is_gone(server: &Server) {
    let client = server.join("alice").await;
    let start = now();
    server.expect_counts(1, 1).await;
    server.expect_counts(0, 0).await;
    assert!(start.elapsed() < SILENCE + SLACK, "{:?}", start.elapsed());
    drop(client); // It held its socket until here.
}

/// Pings are all that happens for several heartbeats.
pub async fn an_idle_peer_that_answers_stays(server: &Server) {
    let mut client = server.join("alice").await;
    let mut enveloped = server.join_enveloped("bob").await;
    tokio::join!(stays_for_pings(&mut client), stays_for_pings(&mut enveloped));
    server.expect_counts(2, 2).await;
}

async fn stays_for_pings(client: &mut crate::client::Client) {
    let mut pings = 0;
    while pings < 6 {
        match client.hear().await {
            Heard::Ping(_) => pings += 1,
            Heard::Text(text) => assert_eq!(text, r#"{"type":"ping"}"#),
            other => panic!("an answered ping is no reason for {other:?}"),
        }
    }
}

/// A browser cannot answer WebSocket pings by hand, and need not: the JSON pong does as well.
pub async fn a_json_pong_is_an_answer_too(server: &Server) {
    let mut client = server.join_enveloped("alice").await;
    client.mute();
    for _ in 0..5 {
        while !matches!(client.hear().await, Heard::Text(text) if text == r#"{"type":"ping"}"#) {}
        client.json(&json!({"type": "pong"})).await;
    }
    server.expect_counts(1, 1).await;
}

/// A server that pushes all the time still finds who says nothing.
pub async fn pushes_are_no_life(server: &Server) {
    let mut client = server.join("alice").await;
    client.mute();
    let pushing = async {
        loop {
            server.admin("push", json!({"loginId": "alice", "content": "still there?"})).await;
        }
    };
    tokio::select! {
        _ = client.expect_close(4504) => {}
        () = pushing => {}
    }
}
