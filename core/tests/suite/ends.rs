//! Ends that meet other ends: a close frame behind a message, a close of ours meanwhile, a driver that is dropped.

use std::future::pending;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use herenow::{
    Hooks, Io, Reply,
    auth::Identity,
    http::{Guest, RequestInfo, Visit},
};
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{millis, online, pass, secs, with};

fn request(more: &[(&'static str, &'static str)]) -> RequestInfo {
    let mut headers = HeaderMap::new();
    let handshake = [
        ("host", "app.example"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    for &(name, value) in handshake.iter().chain(more) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    RequestInfo::new(Method::GET, &Uri::from_static("/ws"), headers)
}

fn guest() -> Guest {
    Guest::new(request(&[]), Version::HTTP_11, false)
}

/// A client's frame; the mask is zero, as it may be.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// A message and the close frame behind it, in one piece.
fn last_words() -> Vec<u8> {
    [frame(0x81, b"hi"), frame(0x88, &1000u16.to_be_bytes())].concat()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_reads_nothing_and_is_logged_out_meanwhile_is_cut() {
    let online = online();
    let mut admission = guest().admit(&online, Identity::new("alice")).await.unwrap();
    *admission.hooks_mut() = Hooks::default().on_message(async |_, _| pending().await);
    let (mut ours, theirs) = tokio::io::duplex(64);
    let driver = tokio::spawn(admission.drive(Io::boxed(theirs), Bytes::new()));
    pass(millis(5)).await;
    for _ in 0..5 {
        let _ = online.push_to_user("alice", "x".repeat(50)).await.unwrap();
    }
    ours.write_all(&last_words()).await.unwrap();
    pass(millis(5)).await;
    online.mark_offline_all("alice").await;
    pass(secs(60)).await;
    assert!(driver.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_close_while_it_joins_keeps_its_code_and_is_no_reload() {
    let online = with(|builder| builder.grace(secs(5)));
    let (tell, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let mut admission = guest().admit(&online, Identity::new("alice")).await.unwrap();
    *admission.hooks_mut() = Hooks::default()
        .on_connect(async |_| {
            pass(millis(50)).await;
            Ok(())
        })
        .on_message(async |_, _| Ok(Reply::text("yes")))
        .on_disconnect(move |_, ended| {
            let tell = tell.clone();
            async move { tell.send(ended.code).unwrap() }
        });
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let driver = tokio::spawn(admission.drive(Io::boxed(theirs), Bytes::new()));
    ours.write_all(&last_words()).await.unwrap();
    let mut heard = Vec::new();
    ours.read_to_end(&mut heard).await.unwrap();
    driver.await.unwrap();
    assert_eq!(heard, b"\x81\x03yes\x88\x02\x03\xE8");
    assert_eq!((ends.recv().await, online.is_online("alice").await), (Some(1000), false));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_close_is_answered_though_the_stream_has_ended() {
    let online = online();
    let mut admission = guest().admit(&online, Identity::new("alice")).await.unwrap();
    *admission.hooks_mut() = Hooks::default().on_message(async |_, _| Ok(Reply::text("yes")));
    let (body, task) = admission.stream(stream::iter([Ok::<_, ()>(Bytes::from(last_words()))]));
    tokio::spawn(task);
    let heard: Vec<u8> = body.map(|piece| piece.unwrap().to_vec()).concat().await;
    assert_eq!(heard, b"\x81\x03yes\x88\x02\x03\xE8");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_dropped_ends_the_body_of_a_visible_refusal_too() {
    let online = online();
    let uri = Uri::from_static("/ws");
    let request = request(&[("sec-websocket-protocol", "herenow.v1.json"), ("authorization", "Bearer bad")]);
    let visit = Visit::look(&online, request, &uri, &Extensions::new()).await;
    let admission = visit.upgrade(Version::HTTP_11, false).await.unwrap();
    assert!(admission.refusal().is_some());
    let (mut body, task) = admission.stream(stream::pending::<Result<Bytes, ()>>());
    drop(task);
    assert!(matches!(body.next().now_or_never(), Some(None)));
}

/// Nothing but the write deadline looks at a connection.
fn quiet() -> herenow::OnlineManager {
    with(|builder| builder.heartbeat(secs(3600), secs(10)).idle_after(secs(0)).recheck(secs(0)))
}

#[tokio::test(start_paused = true)]
async fn one_frame_that_a_server_does_not_take_meets_the_write_deadline() {
    let online = quiet();
    let admission = guest().admit(&online, Identity::new("alice")).await.unwrap();
    let (body, task) = admission.stream(stream::pending::<Result<Bytes, ()>>());
    tokio::spawn(task);
    pass(millis(5)).await;
    let _ = online.push_to_user("alice", "one".to_owned()).await.unwrap();
    pass(secs(20)).await;
    assert_eq!(online.get_connection_count().await, 0);
    drop(body);
}

#[tokio::test(start_paused = true)]
async fn a_second_stall_of_a_server_meets_the_write_deadline_too() {
    let online = quiet();
    let admission = guest().admit(&online, Identity::new("alice")).await.unwrap();
    let (mut body, task) = admission.stream(stream::pending::<Result<Bytes, ()>>());
    tokio::spawn(task);
    pass(millis(5)).await;
    for _ in 0..2 {
        let _ = online.push_to_user("alice", "one".to_owned()).await.unwrap();
        pass(millis(200)).await;
    }
    assert!(body.next().await.is_some());
    pass(secs(20)).await;
    assert_eq!(online.get_connection_count().await, 1, "the first stall is over");
    for _ in 0..20 {
        let _ = online.push_to_user("alice", "more".to_owned()).await;
        pass(secs(1)).await;
    }
    assert_eq!(online.get_connection_count().await, 0);
    drop(body);
}
