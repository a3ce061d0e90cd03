//! A client that reads too slowly, or not at all.

use herenow::{
    OnlineManager,
    policy::{Outbox, Overflow},
    testing::{Connect, TestClient, assert_all_gone, connect},
};

use crate::support::{secs, with};

fn bounded(overflow: Overflow) -> OnlineManager {
    let mut outbox = Outbox::default();
    (outbox.messages, outbox.overflow) = (4, overflow);
    with(|builder| builder.outbox(outbox))
}

/// A client that has stopped reading, behind a pipe that holds one message of ten bytes, header included.
async fn slow(online: &OnlineManager) -> TestClient {
    let client = Connect::new(online).user("slow").raw().pipe(10).open().await;
    client.stop_reading();
    client
}

/// Pushes `0` to `9` as texts of eight bytes, and sums the reports.
async fn push_ten(online: &OnlineManager) -> (usize, usize) {
    let mut sums = (0, 0);
    for n in 0..10 {
        let report = online.push_to_user("slow", format!("{n:08}")).await.unwrap();
        assert_eq!(report.matched, 1);
        sums = (sums.0 + report.enqueued, sums.1 + report.dropped);
    }
    sums
}

async fn texts(client: &mut TestClient, count: usize) -> Vec<usize> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(client.expect_text().await.parse().unwrap());
    }
    client.expect_nothing(secs(1)).await;
    texts
}

#[tokio::test(start_paused = true)]
async fn the_oldest_waiting_pushes_give_way() {
    let online = bounded(Overflow::DropOldest);
    let mut client = slow(&online).await;
    assert_eq!(push_ten(&online).await, (10, 5));
    client.read_on();
    assert_eq!(texts(&mut client, 5).await, [0, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_push_gives_way() {
    let online = bounded(Overflow::DropNewest);
    let mut client = slow(&online).await;
    assert_eq!(push_ten(&online).await, (5, 5));
    client.read_on();
    assert_eq!(texts(&mut client, 5).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_connection_gives_way_and_is_told_why() {
    let online = bounded(Overflow::Disconnect);
    let mut client = slow(&online).await;
    let mut taken = 0;
    for n in 0..10 {
        taken += online.push_to_user("slow", format!("{n:08}")).await.unwrap().enqueued;
    }
    assert_eq!(taken, 5);
    client.read_on();
    assert_eq!(client.expect_close().await, (4508, "slow_consumer".to_owned()));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_for_ten_seconds_ends() {
    let online = bounded(Overflow::DropNewest);
    let client = slow(&online).await;
    push_ten(&online).await;
    client.server_is_done().await;
    assert_eq!(online.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_up_nobody_else() {
    let online = bounded(Overflow::DropOldest);
    let _slow = slow(&online).await;
    let mut fast = connect(&online, "fast").await;
    for n in 0..100 {
        let report = online.broadcast(n.to_string()).await.unwrap();
        assert_eq!(report.matched, 2);
        assert_eq!(fast.expect_push().await, n.to_string());
    }
}
