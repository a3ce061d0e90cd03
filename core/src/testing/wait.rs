//! Waiting for what is about to be true, in place of sleeping.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{Event, Events, Notice, OnlineManager};

/// How long an expectation may take, of tokio's time, until it panics.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until the condition holds. In paused time it moves the clock by a millisecond at each look
/// after the first few.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// # let online = herenow::testing::builder().build().unwrap();
/// # let phone = herenow::testing::connect(&online, "u1").await;
/// drop(phone);
/// herenow::testing::until("u1 is offline", async || !online.is_online("u1").await).await;
/// # }
/// ```
///
/// # Panics
/// After [`PATIENCE`], with the text.
pub async fn until(what: &str, condition: impl AsyncFnMut() -> bool) {
    let met = tokio::time::timeout(PATIENCE, poll(condition)).await;
    assert!(met.is_ok(), "it did not come true within {PATIENCE:?}: {what}");
}

async fn poll(mut condition: impl AsyncFnMut() -> bool) {
    let mut looks = 0;
    while !condition().await {
        breath(&mut looks).await;
    }
}

/// Lets others work between two looks.
pub(super) async fn breath(looks: &mut u32) {
    *looks += 1;
    match looks {
        0..64 => tokio::task::yield_now().await,
        _ => tokio::time::sleep(Duration::from_millis(1)).await,
    }
}

/// Waits until no connection, hand mark, user, reserved place or channel is left on this node, grace periods included.
/// What is kept for clients that may come back is given up for it.
///
/// # Panics
/// If something is still there after [`PATIENCE`].
pub async fn assert_all_gone(online: &OnlineManager) {
    let inner = online.inner();
    let gone = async || {
        inner.give_up_all();
        inner.registry.is_empty()
            && inner.lanes.all().is_empty()
            && inner.places.load(Ordering::Acquire) == 0
            && inner.visible.load(Ordering::Acquire) == 0
            && inner.channels.is_empty()
            && inner.mine.watching.is_empty()
    };
    if tokio::time::timeout(PATIENCE, poll(gone)).await.is_err() {
        panic!(
            "somebody is left: {} users, {} sockets, {} connections in lanes, {} places, {} channels",
            inner.registry.users(),
            inner.registry.sockets(),
            inner.lanes.all().len(),
            inner.places.load(Ordering::Acquire),
            inner.channels.count(),
        );
    }
}

/// The next event of a listener.
///
/// # Panics
/// If none comes within [`PATIENCE`], or something else than an event does.
pub async fn next_event(events: &mut Events) -> Event {
    match tokio::time::timeout(PATIENCE, events.recv()).await {
        Ok(Some(Notice::Event(event))) => event,
        Ok(other) => panic!("an event was expected, and this came: {other:?}"),
        Err(_) => panic!("an event was expected, and none came within {PATIENCE:?}"),
    }
}
