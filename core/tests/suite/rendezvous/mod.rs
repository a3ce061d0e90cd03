//! Waiting before anybody is logged in: every way it ends, and every way a last word and a connection can meet.

mod meets;
mod page;
mod waits;

use std::time::Duration;

use chrono::{DateTime, Utc};
use herenow::{
    Builder, Clock as _, Rendezvous,
    testing::{self, ManualClock, until},
};

const SCANNED: &str = r#"{"status":"scanned"}"#;
const CONFIRMED: &str = r#"{"status":"confirmed","web_token":"w"}"#;
const KEY: &str = "9f86d081884c7d65";

/// A rendezvous on the test's runtime and clock, and that clock.
fn timed() -> (Rendezvous, ManualClock) {
    let clock = ManualClock::new();
    (with(|builder| builder.clock(clock.clone())), clock)
}

/// With the default limits, which a test's builder does not bring.
fn with(set_up: impl FnOnce(Builder) -> Builder) -> Rendezvous {
    let builder = testing::builder().max_connections_per_user(8).max_connections(10_000);
    Rendezvous::with(set_up(builder)).unwrap()
}

fn after(clock: &ManualClock, seconds: u64) -> DateTime<Utc> {
    clock.utc() + Duration::from_secs(seconds)
}

async fn nobody_waits(waiting: &Rendezvous) {
    until("nobody waits", async || waiting.count().await == 0).await;
    assert!(!waiting.is_waiting(KEY).await);
}
