//! What only streams took: for the client, or for the offline sink, and never for both.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use herenow::{
    Certainty, Content, OfflineSink, PushMessage, UserKey,
    cluster::LocalEngine,
    testing::{self, connect, until},
};

use super::{expect, push, reconnect};
use crate::support::{pass, secs, with};

#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Vec<(UserKey, String, Certainty)>>>);

#[async_trait]
impl OfflineSink for Sink {
    async fn store(&self, user: &UserKey, message: &PushMessage, certainty: Certainty) {
        let Content::Text(text) = &message.content else { return };
        self.0.lock().unwrap().push((user.clone(), text.clone(), certainty));
    }
}

impl Sink {
    pub(super) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, text, _)| text.clone()).collect()
    }

    /// What certainly reached nobody.
    pub(super) fn certain(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(.., how)| *how == Certainty::Certain).map(|(_, text, _)| text.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_only_held_goes_to_the_sink_when_nobody_comes_back() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    connect(&online, "u1").await.vanish().await;
    push(&online, 0).await;
    assert!(sink.texts().is_empty(), "it may come back");
    pass(secs(121)).await;
    until("the sink has it", async || sink.texts() == ["0"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_a_page_that_unloaded_goes_to_the_sink_after_the_grace_period() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.close(1001).await;
    push(&online, 0).await;
    pass(secs(4)).await;
    assert!(sink.texts().is_empty());
    let page = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!(page.welcome()["resumed"], true, "a page that is loaded again may know the token");
    page.close(1001).await;
    push(&online, 1).await;
    pass(secs(6)).await;
    until("nobody came back", async || sink.texts() == ["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_came_back_for_never_goes_to_the_sink() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    push(&online, 0).await;
    let mut client = reconnect(&online, "u1", &welcome, 0).await;
    expect(&mut client, [0]).await;
    client.close(1000).await;
    pass(secs(300)).await;
    assert!(sink.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_tabs_that_are_away_hold_one_message_and_either_claims_it() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    let (one, two) = (connect(&online, "u1").await, connect(&online, "u1").await);
    let welcome = one.welcome().clone();
    one.vanish().await;
    two.vanish().await;
    assert_eq!(online.push_to_user("u1", "0").await.unwrap().held, 2);
    let mut one = reconnect(&online, "u1", &welcome, 0).await;
    expect(&mut one, [0]).await;
    pass(secs(300)).await;
    assert!(sink.texts().is_empty(), "one tab has it");
    one.vanish().await;
    push(&online, 1).await;
    let _report = online.kick_out("u1", "").await.unwrap();
    until("a kick ends the wait", async || sink.texts() == ["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_tab_took_is_held_for_nobody_elses_sake() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    let (away, mut here) = (connect(&online, "u1").await, connect(&online, "u1").await);
    away.vanish().await;
    let report = online.push_to_user("u1", "0").await.unwrap();
    assert_eq!((report.enqueued, report.held), (1, 1));
    expect(&mut here, [0]).await;
    pass(secs(300)).await;
    assert!(sink.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_hands_what_was_held_to_the_sink() {
    let sink = Sink::default();
    let online = with(|builder| builder.offline_sink(sink.clone()));
    connect(&online, "u1").await.vanish().await;
    push(&online, 0).await;
    online.shutdown(secs(1)).await;
    assert_eq!(sink.texts(), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_cluster_what_another_node_took_is_not_given_to_the_sink_later() {
    let sink = Sink::default();
    let [a, b] = LocalEngine::joined();
    let set_up = |engine| testing::builder().engine(engine).offline_sink(sink.clone()).build().unwrap();
    let (a, b) = (set_up(a), set_up(b));
    connect(&a, "u1").await.vanish().await;
    let mut there = connect(&b, "u1").await;
    for node in [&a, &b] {
        node.push_to_user("u1", "0").await.unwrap();
        assert_eq!(there.expect_push().await, "0");
    }
    pass(secs(300)).await;
    assert!(sink.texts().is_empty(), "{:?}", sink.texts());
    there.close(1000).await;
    connect(&a, "u1").await.vanish().await;
    b.push_to_user("u1", "1").await.unwrap();
    until("it may be lost with the other node's stream", async || sink.texts() == ["1"]).await;
}
