//! The end of a node.

use herenow::{
    Cause, EventKind, Hooks, Marked, Refused,
    testing::{Connect, assert_all_gone, connect},
};

use crate::support::{alone, event, heard, millis, now, online, pass, secs, session};

#[tokio::test(start_paused = true)]
async fn a_shutdown_says_when_to_come_back_closes_everything_and_reports() {
    let online = alone(|builder| builder);
    let mut events = online.events();
    let (mut envelope, mut raw) =
        (connect(&online, "u1").await, Connect::new(&online).user("u2").raw().open().await);
    online.mark_online(session("u3", "t")).await;
    let report = online.shutdown(secs(5)).await;
    assert_eq!((report.connections, report.closed, report.aborted), (2, 2, 0));
    let goodbye = envelope.expect_type("goodbye").await;
    assert_eq!((&goodbye["code"], &goodbye["reconnect"]), (&4302.into(), &true.into()));
    assert!(goodbye["reconnectInMs"].as_u64().unwrap() <= 5000);
    for client in [&mut envelope, &mut raw] {
        assert_eq!(client.expect_close().await, (4302, "drain".to_owned()));
    }
    let mut offline = heard(&mut events).split_off(3);
    offline.sort_by(|one, other| one.1.cmp(&other.1));
    let expected = ["u1", "u2", "u3"].map(|user| event(EventKind::Offline, user, Cause::Shutdown));
    assert_eq!(offline, expected);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_goes_out_first() {
    let online = online();
    let mut slow = Connect::new(&online).user("u1").raw().pipe(64).open().await;
    for n in 0..200 {
        assert_eq!(online.broadcast(n.to_string()).await.unwrap().enqueued, 1);
    }
    let report = online.shutdown(secs(5)).await;
    assert_eq!((report.closed, report.aborted), (1, 0));
    for n in 0..200 {
        assert_eq!(slow.expect_text().await, n.to_string());
    }
    assert_eq!(slow.expect_close().await.0, 4302);
}

#[tokio::test(start_paused = true)]
async fn every_disconnect_handler_has_run_when_shutdown_returns() {
    let online = online();
    let ran = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = ran.clone();
    let hooks = Hooks::default().on_disconnect(move |_, ended| {
        let count = count.clone();
        async move {
            pass(millis(20)).await;
            assert_eq!(ended.code, 4302);
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(Connect::new(&online).user(format!("u{n}")).hooks(hooks.clone()).open().await);
    }
    let report = online.shutdown(secs(3)).await;
    assert_eq!((report.connections, report.closed), (20, 20));
    assert_eq!(ran.load(std::sync::atomic::Ordering::SeqCst), 20);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut_at_the_deadline() {
    let online = online();
    let deaf = Connect::new(&online).user("u1").raw().pipe(16).open().await;
    deaf.stop_reading();
    for _ in 0..10 {
        let _ = online.push_to_user("u1", "filling up").await.unwrap();
    }
    let began = now();
    let report = online.shutdown(secs(3)).await;
    assert_eq!((report.connections, report.closed, report.aborted), (1, 0, 1));
    // The socket at the deadline; its task has a moment more to notice.
    assert!((secs(3)..secs(3) + millis(100)).contains(&(now() - began)));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_refused_and_told_to_come_back() {
    let online = online();
    online.shutdown(secs(1)).await;
    assert!(online.is_shut_down());
    let refusal = Connect::new(&online).user("u1").raw().start().await.unwrap_err();
    assert_eq!(refusal.status(), 503);
    let mut visible = Connect::new(&online).user("u1").start().await.unwrap();
    assert_eq!(visible.expect_close().await, (4302, "drain".to_owned()));
    assert_eq!(online.mark_online(session("u1", "t")).await, Marked::Refused(Refused::ShutDown));
    assert_eq!(online.shutdown(secs(1)).await.connections, 0);
}

#[tokio::test(start_paused = true)]
async fn pending_connections_end_too() {
    let online = online();
    let mut waiting = Connect::new(&online).user("u1").silent().start().await.unwrap();
    online.shutdown(secs(1)).await;
    waiting.expect_close().await;
    assert_all_gone(&online).await;
}

#[tokio::test]
async fn dropping_every_handle_ends_the_listeners() {
    let online = herenow::OnlineManager::new();
    online.mark_online(session("u1", "t")).await;
    let mut events = online.events();
    drop(online);
    assert!(events.recv().await.is_none());
}
