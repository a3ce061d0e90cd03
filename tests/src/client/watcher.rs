//! Somebody who watches a channel, and counts along.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::Client;

/// A client with one presence subscription. It knows who is there by the state and by each event since.
#[derive(Debug)]
pub struct Watcher {
    client: Client,
    channel: String,
    state: Value,
    frame: Value,
    ver: u64,
    frames: usize,
    events: VecDeque<Value>,
}

impl Watcher {
    /// Begins to watch.
    pub async fn new(mut client: Client, channel: &str) -> Self {
        let state = client.subscribe_presence(channel).await;
        let (frame, ver) = (state.clone(), ver(&state));
        Self { client, channel: channel.to_owned(), state, frame, ver, frames: 0, events: VecDeque::new() }
    }

    /// What it was told first.
    pub fn state(&self) -> &Value {
        &self.state
    }

    /// Clients and users, as it was told last.
    ///
    /// # Panics
    /// There are none in the frame.
    pub fn amounts(&self) -> (u64, u64) {
        let amount =
            |name: &str| self.frame[name].as_u64().unwrap_or_else(|| panic!("{name}: {}", self.frame));
        (amount("clientAmount"), amount("userAmount"))
    }

    /// How many frames it was sent since the state.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The client itself.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The next event.
    ///
    /// # Panics
    /// Something else comes, or a frame is missing.
    pub async fn next(&mut self) -> Value {
        while self.events.is_empty() {
            let frame = self.client.expect_json("presence").await;
            assert_eq!((&frame["channel"], ver(&frame)), (&json!(self.channel), self.ver + 1), "{frame}");
            (self.ver, self.frames) = (self.ver + 1, self.frames + 1);
            let events = frame["events"].as_array().expect("a list").clone();
            assert!(!events.is_empty(), "a frame of a small channel says what happened: {frame}");
            (self.frame, self.events) = (frame, events.into());
        }
        self.events.pop_front().unwrap_or_default()
    }

    /// The next event, which must be this one of this user.
    ///
    /// # Panics
    /// It is another.
    pub async fn expect(&mut self, action: &str, cause: &str, user: &str) -> Value {
        let event = self.next().await;
        let expected = (json!(action), json!(cause), json!(user));
        let found = (event["action"].clone(), event["cause"].clone(), event["user"]["id"].clone());
        assert_eq!(found, expected, "{event}");
        event
    }
}

fn ver(frame: &Value) -> u64 {
    let ver = frame["ver"].as_u64().unwrap_or_else(|| panic!("no ver: {frame}"));
    assert!(ver < 1 << 53, "every client can count that far: {frame}");
    ver
}
