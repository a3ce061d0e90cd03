//! What was accepted goes out, and every end is explained.

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    Server,
    client::{Client, Ending},
    eventually,
};

/// Time enough for the drain, and room for what waits.
pub const OPTIONS: &[&str] =
    &["--grace-ms", "0", "--drain-ms", "5000", "--outbox-bytes", "67108864", "--outbox-messages", "100000"];
const CLIENTS: usize = 50;
/// Every so many clients, one that reads nothing until the signal.
const LATE: usize = 5;
/// Broadcasts before the signal: ten thousand deliveries, and it goes on.
const BEFORE: usize = 200;

/// SIGTERM in the middle of broadcasts: what the reports counted arrives, no more and no less, also at those for whom
/// megabytes waited.
pub async fn a_drain_under_load_loses_nothing_that_was_accepted(server: Server) {
    let (signal, told) = watch::channel(false);
    let mut readers = Vec::new();
    for n in 0..CLIENTS {
        readers.push(tokio::spawn(read(client(&server, n).await, is_late(n), told.clone())));
    }
    let mut accepted = backlog(&server).await;
    for n in 0.. {
        if n == BEFORE {
            server.terminate().await;
            signal.send_replace(true);
        }
        match broadcast(&server, n).await {
            Some(report) => accepted += report["enqueued"].as_u64().expect("a count"),
            None if n >= BEFORE => break,
            None => panic!("the server refuses before it was told to end"),
        }
    }
    assert!(accepted >= (BEFORE * CLIENTS) as u64, "{accepted}");
    let mut received = 0;
    for (n, reader) in readers.into_iter().enumerate() {
        received += explained(n, &reader.await.expect("it hears no nonsense"));
    }
    assert_eq!(received, accepted, "received, of those accepted");
    server.ended().await;
}

fn is_late(n: usize) -> bool {
    n.is_multiple_of(LATE)
}

fn is_enveloped(n: usize) -> bool {
    n % 2 == 1
}

async fn client(server: &Server, n: usize) -> Client {
    let user = if is_late(n) { "late".to_owned() } else { format!("user{}", n % 7) };
    let token = server.login(&user).await;
    if is_enveloped(n) {
        let mut client = server.envelope().small_window().token(&token).open().await;
        client.hello(json!({})).await;
        return client;
    }
    server.raw().small_window().token(&token).join().await
}

async fn read(mut client: Client, late: bool, mut told: watch::Receiver<bool>) -> Ending {
    if late {
        told.wait_for(|told| *told).await.expect("the signal comes");
    }
    client.ending().await
}

/// More than the kernel takes for a client that does not read: the rest, and all that follows, waits in its outbox.
async fn backlog(server: &Server) -> u64 {
    let content = format!("broadcast {}", "x".repeat(200_000));
    let mut accepted = 0;
    for _ in 0..40 {
        let report = server.admin("push", json!({"loginId": "late", "content": content})).await;
        accepted += report["enqueued"].as_u64().expect("a count");
    }
    accepted
}

/// The report; `None` once the server takes no more.
async fn broadcast(server: &Server, n: usize) -> Option<Value> {
    let answer = server.try_admin("broadcast", &json!({"content": format!("broadcast {n}")})).await;
    (answer.status == 200).then(|| answer.json())
}

/// How many pushes came before the end, which is the drain's.
fn explained(n: usize, ending: &Ending) -> u64 {
    assert_eq!(ending.close, Some((4302, "drain".to_owned())), "{:?}", ending.texts.last());
    let is_push = |text: &&String| text.contains("broadcast ");
    let pushes = ending.texts.iter().filter(is_push).count() as u64;
    if is_enveloped(n) {
        let goodbye = ending.frame("goodbye").expect("an envelope says more");
        assert_eq!((&goodbye["reason"], &goodbye["reconnect"]), (&json!("drain"), &json!(true)));
        assert!(goodbye["reconnectInMs"].as_u64().is_some_and(|after| after <= 5_000), "{goodbye}");
    }
    pushes
}

/// While it drains, whoever is new is told to come back.
pub async fn a_draining_server_refuses_what_is_new(server: Server) {
    let token = server.login("late").await;
    let mut stalled = server.raw().token(&server.login("stalled").await).join().await;
    stalled.mute(); // It does not answer the close frame, so the drain waits for it.
    server.terminate().await;
    eventually("a new client is refused", async || {
        let answer = server.raw().token(&token).attempt().await;
        let Err(refusal) = answer else { return false };
        assert_eq!(refusal.status, 503, "{refusal:?}");
        assert!(refusal.header("retry-after").is_some());
        true
    })
    .await;
    let mut visible = server.envelope().token(&token).open().await;
    visible.expect_close(4302).await;
    stalled.expect_close(4302).await;
    server.ended().await;
}
