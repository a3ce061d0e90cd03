//! Channels: who is in them, what their watchers are told, what is published to them.

mod application;
mod hammer;
mod limits;
mod members;
mod nodes;
mod publish;
mod requests;
mod returning;
mod watch;
mod windows;

use herenow::{
    Builder, OnlineManager,
    auth::{Action, Identity},
    testing::{Connect, TestClient},
};
use serde_json::Value;

use crate::support::with;

/// A manager that allows everything, and whose watchers are told at once.
fn at_once(set_up: impl FnOnce(Builder) -> Builder) -> OnlineManager {
    windowed(|builder| set_up(builder.event_window(std::time::Duration::ZERO)))
}

/// A manager that allows everything.
fn windowed(set_up: impl FnOnce(Builder) -> Builder) -> OnlineManager {
    with(|builder| set_up(builder.authorize(|_: &Identity, _: &Action| true)))
}

/// Somebody who watches a channel and is not in it.
async fn watcher(online: &OnlineManager, channel: &str) -> TestClient {
    let mut client = Connect::new(online).user("watcher").open().await;
    client.subscribe_presence(channel).await;
    client
}

/// A tab of a user in a channel.
async fn tab(online: &OnlineManager, user: &str, channel: &str) -> TestClient {
    let mut client = Connect::new(online).user(user).open().await;
    client.subscribe(channel).await;
    client
}

/// Action, cause and user of each event of a frame, and the amounts: clients, users.
fn told(frame: &Value) -> (Vec<String>, (u64, u64)) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |event: &Value| {
        let (action, cause) = (text(&event["action"]), text(&event["cause"]));
        format!("{action} {} by {cause}", text(&event["user"]["id"]))
    };
    let events = frame["events"].as_array().unwrap().iter().map(one).collect();
    (events, (frame["clientAmount"].as_u64().unwrap(), frame["userAmount"].as_u64().unwrap()))
}

/// The one event of the next frame, and the amounts after it.
async fn next(watcher: &mut TestClient) -> (String, (u64, u64)) {
    let frame = watcher.expect_presence().await;
    let (mut events, amounts) = told(&frame);
    assert_eq!(events.len(), 1, "{frame}");
    (events.remove(0), amounts)
}

fn expected(event: &str, clients: u64, users: u64) -> (String, (u64, u64)) {
    (event.to_owned(), (clients, users))
}
