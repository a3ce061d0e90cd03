//! Pushes that go on while something fails.

use std::{cell::Cell, time::Duration};

use herenow_conformance::{Server, client::Client, eventually};

use crate::site::push;

/// Between two numbers.
const PACE: Duration = Duration::from_millis(25);
/// So many numbers are some.
const SOME: u64 = 3;
/// In place of a number, at the end.
const END: &str = "end";

/// Somebody who pushes `name:0`, `name:1` and so on to each of some users, and at last `name:end`.
pub(crate) struct Pusher {
    pub(crate) name: String,
    number: Cell<u64>,
    over: Cell<bool>,
}

impl Pusher {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), number: Cell::new(0), over: Cell::new(false) }
    }

    /// Pushes from one node to so many users of a crowd, until it is over. Returns how many numbers.
    pub(crate) async fn push(&self, from: &Server, crowd: &str, users: usize) -> u64 {
        let mut pace = tokio::time::interval(PACE);
        let to_all = async |what: &str| {
            for n in 0..users {
                push(from, &format!("{crowd}{n}"), &format!("{}:{what}", self.name)).await;
            }
        };
        while !self.over.get() {
            to_all(&self.number.get().to_string()).await;
            self.number.set(self.number.get() + 1);
            pace.tick().await;
        }
        to_all(END).await;
        self.number.get()
    }

    /// Waits until it has pushed some more.
    pub(crate) async fn pushes_some(&self) {
        let until = self.number.get() + SOME;
        eventually("pushes go on", async || self.number.get() >= until).await;
    }

    pub(crate) fn ends(&self) {
        self.over.set(true);
    }

    /// The numbers that come from it, until the end does.
    pub(crate) async fn numbers(&self, client: &mut Client) -> Vec<u64> {
        let mut numbers = Vec::new();
        loop {
            let push = client.expect_json("push").await;
            let data =
                push["data"].as_str().and_then(|data| data.strip_prefix(&self.name)?.strip_prefix(':'));
            match data {
                Some(END) => return numbers,
                number => numbers.push(number.and_then(|number| number.parse().ok()).expect("a number")),
            }
        }
    }
}
