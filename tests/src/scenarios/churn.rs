//! Twenty thousand come and go, and nothing of them stays.

use serde_json::json;

use crate::{Server, client::Client, eventually};

/// No grace, so that the registry is empty at the end.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--kick-deadline-ms", "500"];
const ROUNDS: usize = 20_000;
/// What is warm after so many is not what grows.
const WARM_UP: usize = 2_000;
/// At the same time.
const LANES: usize = 16;
const USERS: usize = 50;
/// KiB.
const MEMORY: u64 = 5 * 1024;

/// In every way of ending; registry, memory and descriptors are back afterwards.
pub async fn twenty_thousand_connections_leave_nothing_behind(server: &Server) {
    server.join("first").await.close(1000).await; // The library's own threads start with it.
    server.expect_counts(0, 0).await;
    let idle = server.descriptors();
    churn(server, WARM_UP).await;
    let before = server.rss();
    churn(server, ROUNDS).await;
    let after = server.rss();
    assert!(after <= before + MEMORY, "{before} KiB before, {after} KiB after");
    eventually("descriptors are given back", async || server.descriptors() <= idle + 2).await;
    server.join("alice").await.expect_echo("as before").await;
}

async fn churn(server: &Server, rounds: usize) {
    let lanes = (0..LANES).map(|lane| one_lane(server, lane, rounds / LANES));
    futures_util::future::join_all(lanes).await;
    server.expect_counts(0, 0).await;
}

async fn one_lane(server: &Server, lane: usize, rounds: usize) {
    let mut token = String::new();
    for round in 0..rounds {
        let user = format!("user{}", (lane + round) % USERS);
        if round % 100 == 0 {
            token = server.login(&user).await;
        }
        come_and_go(server, &token, lane + round).await;
        if round % 100 == 99 {
            server.admin("kick", json!({"token": token, "reason": "the end of it"})).await;
        }
    }
}

async fn come_and_go(server: &Server, token: &str, round: usize) {
    let envelope = round.is_multiple_of(3);
    let dial = if envelope { server.envelope() } else { server.raw() };
    let mut client: Client = dial.token(token).open().await;
    if envelope && round.is_multiple_of(2) {
        client.hello(json!({})).await;
    }
    match round % 5 {
        0 => client.reset(),
        1 => drop(client),
        2 => drop(client.close(1000).await),
        3 => drop(client.close(1001).await),
        _ => {
            client.write(&[0x81, 0x01, b'x']).await; // Unmasked.
            client.ending().await;
        }
    }
}
