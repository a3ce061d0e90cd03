//! What the tests have in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use herenow::{
    Builder, Cause, Certainty, Clock, EventKind, Events, Instant, Notice, OfflineSink, OnlineManager,
    OnlineUser, PushMessage, UserKey,
    cluster::LocalEngine,
    testing::{self, ManualClock},
};

/// A manager with every default, on the test's runtime and clock.
pub(crate) fn online() -> OnlineManager {
    with(|builder| builder)
}

/// A manager that has no other nodes, whatever the environment says.
pub(crate) fn alone(set_up: impl FnOnce(Builder) -> Builder) -> OnlineManager {
    set_up(testing::builder()).build().unwrap()
}

/// Set in the environment, every manager of the suite is one of two nodes.
pub(crate) const CLUSTERED: &str = "HERENOW_CLUSTERED";

pub(crate) fn clustered() -> bool {
    std::env::var_os(CLUSTERED).is_some()
}

/// A manager on the test's runtime and clock; of a cluster, where the [environment](CLUSTERED) says so.
pub(crate) fn with(set_up: impl FnOnce(Builder) -> Builder) -> OnlineManager {
    if !clustered() {
        return alone(set_up);
    }
    let [here, _there] = LocalEngine::joined();
    alone(|builder| set_up(builder.engine(here)))
}

/// A manager and its clock.
pub(crate) fn timed(set_up: impl FnOnce(Builder) -> Builder) -> (OnlineManager, ManualClock) {
    let clock = ManualClock::new();
    (with(|builder| set_up(builder.clock(clock.clone()))), clock)
}

/// A session to mark by hand.
pub(crate) fn session(login_id: &str, token: &str) -> OnlineUser {
    let at: DateTime<Utc> = ManualClock::new().utc();
    OnlineUser {
        login_id: login_id.to_owned(),
        token: token.to_owned(),
        device: "web".to_owned(),
        connect_time: at,
        last_activity: at,
        metadata: HashMap::new(),
    }
}

/// Lets paused time pass; whatever is due meanwhile happens.
pub(crate) async fn pass(time: Duration) {
    tokio::time::advance(Duration::ZERO).await; // Panics where time is not paused.
    tokio::time::sleep(time).await;
}

/// The moment, of paused time.
pub(crate) fn now() -> Instant {
    ManualClock::new().now()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a listener has heard so far: kind, user and cause of each event.
pub(crate) fn heard(events: &mut Events) -> Vec<(EventKind, String, Cause)> {
    std::iter::from_fn(|| events.try_recv())
        .map(|notice| match notice {
            Notice::Event(event) => (event.kind, event.user.login_id().to_owned(), event.cause),
            other => panic!("no event: {other:?}"),
        })
        .collect()
}

/// As [`heard`] has it.
pub(crate) fn event(kind: EventKind, user: &str, cause: Cause) -> (EventKind, String, Cause) {
    (kind, user.to_owned(), cause)
}

/// An offline sink that keeps who was to get what, and how sure that was.
#[derive(Clone, Default)]
pub(crate) struct Sink(pub(crate) Arc<Mutex<Vec<(String, Certainty)>>>);

#[async_trait::async_trait]
impl OfflineSink for Sink {
    async fn store(&self, user: &UserKey, _: &PushMessage, certainty: Certainty) {
        self.0.lock().unwrap().push((user.login_id().to_owned(), certainty));
    }
}
