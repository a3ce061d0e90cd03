//! One who does not read, among those who do.

use std::time::Duration;

use serde_json::json;

use crate::{
    Server,
    client::{Client, Heard, PONG},
    now,
};

/// Half a megabyte may wait for one client.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--outbox-bytes", "524288", "--heartbeat-ms", "60000"];
/// What is new is dropped.
pub const DROP_NEWEST: &[&str] = &["--grace-ms", "0", "--outbox-messages", "10", "--overflow", "drop-newest"];
/// What is old is dropped.
pub const DROP_OLDEST: &[&str] = &["--grace-ms", "0", "--outbox-messages", "10", "--overflow", "drop-oldest"];

const FAST: usize = 5;
const SLOW: usize = 20;
const ROUNDS: usize = 300;
/// The size of a broadcast: all of them are more than the kernel's buffers and an outbox take together.
const SIZE: usize = 50_000;
/// The figures to hold are 50 ms and 500 ms; a debug build beside other tests is allowed more.
const MEDIAN: Duration = Duration::from_millis(100);
const WORST: Duration = Duration::from_secs(2);

/// Broadcasts to five who read and twenty who only send pongs: the five hear each at once, the twenty are let go.
pub async fn slow_readers_delay_nobody_and_are_let_go(server: &Server) {
    let token = server.login("slow").await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(server.raw().small_window().token(&token).join().await);
    }
    let mut fast = Vec::new();
    for n in 0..FAST {
        fast.push(server.join(&format!("fast{n}")).await);
    }
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let content = format!("{round}:{}", "x".repeat(SIZE));
        let start = now();
        let (report, ()) =
            tokio::join!(server.admin("broadcast", json!({"content": content})), hear(&mut fast, &content));
        took.push(start.elapsed());
        assert!(report["enqueued"].as_u64() >= Some(FAST as u64), "{report}");
        if round % 20 == 0 {
            futures_util::future::join_all(slow.iter_mut().map(|client| client.send(PONG, b"unasked"))).await;
        }
    }
    took.sort();
    assert!(
        took[ROUNDS / 2] < MEDIAN && took[ROUNDS - 1] < WORST,
        "{:?} {:?}",
        took[ROUNDS / 2],
        took[ROUNDS - 1]
    );
    server.expect_counts(FAST as u64, FAST as u64).await;
    for mut client in slow {
        let ending = client.ending().await;
        assert!(ending.close.is_none() || ending.code() == Some(4508), "{:?}", ending.close);
    }
}

async fn hear(clients: &mut [Client], content: &str) {
    for client in clients {
        assert!(client.expect_text().await == content, "another broadcast came");
    }
}

/// A client that is back in time sees why.
pub async fn a_slow_reader_is_told_where_it_reads_again(server: &Server) {
    let token = server.login("slow").await;
    let mut client = server.envelope().small_window().token(&token).open().await;
    client.hello(json!({})).await;
    let content = "x".repeat(100_000);
    let mut report = json!({"dropped": 0});
    while report["dropped"] == 0 && report["matched"] != 0 {
        report = server.admin("push", json!({"loginId": "slow", "content": content})).await;
    }
    let ending = client.ending().await;
    assert_eq!(ending.code(), Some(4508), "{:?} {}", ending.close, ending.texts.len());
    assert_eq!(ending.frame("goodbye").expect("why")["reconnect"], true);
    server.expect_counts(0, 0).await;
}

/// Fills the outbox of a client that does not read, and says how many messages it was offered.
async fn overfill(server: &Server) -> (Client, usize) {
    let token = server.login("slow").await;
    let client = server.raw().small_window().token(&token).join().await;
    let filler = "x".repeat(200_000);
    let mut offered = 0;
    let mut lost = 0;
    while lost < 20 {
        let content = format!("{offered}:{filler}");
        let report = server.admin("push", json!({"loginId": "slow", "content": content})).await;
        offered += 1;
        lost += report["dropped"].as_u64().unwrap_or_default();
        assert!(offered < 500, "nothing was ever dropped: {report}");
    }
    (client, offered)
}

/// The numbers of the messages that arrive.
async fn arrived(client: &mut Client) -> Vec<usize> {
    let mut numbers = Vec::new();
    loop {
        match client.hear().await {
            Heard::Text(text) if text == "echo:end" => return numbers,
            Heard::Text(text) => {
                numbers
                    .push(text.split(':').next().and_then(|number| number.parse().ok()).expect("a number"));
            }
            Heard::Ping(_) => {}
            other => panic!("it is not let go: {other:?}"),
        }
    }
}

/// The connection stays, and what was new is missing at the end.
pub async fn drop_newest_keeps_the_oldest_pushes(server: &Server) {
    let (mut client, offered) = overfill(server).await;
    let numbers = read_all(server, &mut client).await;
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    assert!(numbers.len() <= offered - 20, "{} of {offered}", numbers.len());
}

/// The connection stays, and what was old is missing in the middle.
pub async fn drop_oldest_keeps_the_newest_pushes(server: &Server) {
    let (mut client, offered) = overfill(server).await;
    let numbers = read_all(server, &mut client).await;
    assert!(numbers.is_sorted() && numbers.len() <= offered - 20, "{numbers:?} of {offered}");
    assert_eq!(numbers.last(), Some(&(offered - 1)), "the newest is there");
}

/// Everything that waits, up to a mark that is sent once the outbox is empty again.
async fn read_all(server: &Server, client: &mut Client) -> Vec<usize> {
    let mut numbers = Vec::new();
    while let Some(heard) = client.hear_within(Duration::from_millis(500)).await {
        if let Heard::Text(text) = heard {
            numbers.push(text.split(':').next().and_then(|number| number.parse().ok()).expect("a number"));
        }
    }
    server.admin("push", json!({"loginId": "slow", "content": "echo:end"})).await;
    numbers.extend(arrived(client).await);
    numbers
}
