//! The application's own code on a connection, and what its faults may not do.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use herenow::{
    Body, Cause, Close, Connection, HandlerError, Hooks, Inbound, Refused, Reply,
    testing::{Connect, Frame, assert_all_gone, connect, until},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{millis, now, online, pass, secs, with};

fn message(id: u64, data: &Value) -> Value {
    json!({"type": "message", "id": id, "data": data})
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_requests_in_their_order() {
    let online = online();
    let hooks = Hooks::default().on_message(async |connection: Connection, inbound: Inbound| {
        let n: u64 = inbound.json()?;
        if n == 13 {
            return Err(HandlerError::forbidden("not 13"));
        }
        connection.send(format!("saw {n}")).unwrap();
        Reply::json(&json!({"next": n + 1}))
    });
    let mut client = Connect::new(&online).user("u1").hooks(hooks).open().await;
    for n in 10..16 {
        client.send_json(&message(n, &json!(n)));
    }
    for n in 10..16 {
        if n == 13 {
            assert_eq!(client.expect_type("reply").await["error"]["code"], "forbidden");
            continue;
        }
        assert_eq!(client.expect_push().await, format!("saw {n}"));
        assert_eq!(
            client.expect_type("reply").await,
            json!({"type": "reply", "id": n, "result": {"next": n + 1}})
        );
    }
    client.send_json(&message(1, &json!("no number")));
    assert_eq!(client.expect_type("reply").await["error"]["code"], "bad_frame");
}

#[tokio::test(start_paused = true)]
async fn raw_messages_reach_the_handler_byte_for_byte() {
    let online = online();
    let hooks = Hooks::default().on_message(async |_, inbound: Inbound| match inbound.body {
        Body::Binary(bytes) => Ok(Reply::binary(bytes)),
        body => Ok(Reply::text(body.as_text().unwrap_or_default())),
    });
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    client.send_text("héllo");
    client.send_binary(&[0, 159, 146, 150]);
    assert_eq!(client.expect_text().await, "héllo");
    assert_eq!(client.expect_binary().await[..], [0, 159, 146, 150]);
}

#[tokio::test(start_paused = true)]
async fn without_a_handler_a_request_is_refused_and_the_connection_stays() {
    let online = online();
    let mut client = connect(&online, "u1").await;
    client.send_json(&message(1, &json!(1)));
    assert_eq!(client.expect_type("reply").await["error"]["code"], "not_available");
    client.send_json(&json!({"type": "nonsense"}));
    assert_eq!(client.expect_type("error").await["code"], "unknown_type");
    assert!(online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_ends_its_own_connection_and_no_other() {
    let online = online();
    let (tell, mut ends) = mpsc::unbounded_channel();
    let hooks = Hooks::default()
        .on_message(async |_, inbound: Inbound| {
            assert!(inbound.body.as_text() != Some("1"), "a handler that panics, on purpose");
            Ok(Reply::None)
        })
        .on_disconnect(move |_, ended| {
            let tell = tell.clone();
            async move { tell.send((ended.code, ended.cause)).unwrap() }
        });
    let mut bad = Connect::new(&online).user("u1").hooks(hooks.clone()).open().await;
    let mut good = Connect::new(&online).user("u2").hooks(hooks).open().await;
    bad.send_json(&message(1, &json!(1)));
    assert_eq!(bad.expect_type("goodbye").await["code"], 4500);
    assert_eq!(bad.expect_close().await, (4500, "internal".to_owned()));
    assert_eq!(ends.recv().await, Some((4500, Cause::Disconnect)));
    good.send_json(&message(2, &json!(2)));
    assert_eq!(good.expect_type("reply").await["id"], 2);
    until("the count returns", async || online.get_connection_count().await == 1).await;
    good.close(1000).await;
    assert_eq!(ends.recv().await, Some((1000, Cause::Disconnect)));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_panicking_on_connect_leaves_nothing() {
    let online = online();
    let hooks = Hooks::default().on_connect(async |_| panic!("an on_connect that panics, on purpose"));
    let mut client = Connect::new(&online).user("u1").hooks(hooks).start().await.unwrap();
    while client.next_frame().await.is_some() {}
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_stops_no_ping_push_or_kick() {
    let online = online();
    let dropped = Arc::new(AtomicUsize::new(0));
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = dropped.clone();
    let hooks = Hooks::default().on_message(move |_, _| {
        let held = OnDrop(count.clone());
        async move {
            let _held = held;
            pending().await
        }
    });
    let mut client = Connect::new(&online).user("u1").hooks(hooks).open().await;
    client.send_json(&message(1, &json!(1)));
    pass(secs(300)).await;
    let _ = online.push_to_user("u1", "still here").await.unwrap();
    assert_eq!(client.expect_push().await, "still here");
    client.send_json(&json!({"type": "ping"}));
    loop {
        if client.next_frame().await == Some(Frame::Text(r#"{"type":"pong"}"#.to_owned())) {
            break;
        }
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    let report = online.kick_out("u1", "").await.unwrap();
    assert_eq!((report.closed, report.aborted), (1, 0));
    client.server_is_done().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_handler_queue_stops_reading_and_suspends_the_pong_deadline() {
    let online = online();
    let (gate, handled) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waits, counts) = (gate.clone(), handled.clone());
    let hooks = Hooks::default().on_message(move |_, _| {
        let (waits, counts) = (waits.clone(), counts.clone());
        async move {
            waits.acquire().await.unwrap().forget();
            counts.fetch_add(1, Ordering::SeqCst);
            Ok(Reply::None)
        }
    });
    let mut client = Connect::new(&online).user("u1").raw().pipe(256).hooks(hooks).open().await;
    for _ in 0..100 {
        client.send_text(&"x".repeat(100));
        pass(millis(20)).await;
    }
    pass(secs(600)).await;
    assert_eq!(online.get_connection_count().await, 1);
    let _ = online.push_to_user("u1", "pushes go out").await.unwrap();
    assert_eq!(client.expect_text().await, "pushes go out");
    gate.add_permits(1000);
    until("all are handled", async || handled.load(Ordering::SeqCst) == 100).await;
    pass(secs(100)).await;
    assert_eq!(online.get_connection_count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn on_connect_runs_before_presence_may_speak_first_and_may_refuse() {
    let online = online();
    let hooks = Hooks::default().on_connect(async |connection: Connection| {
        assert!(!connection.manager().is_online(connection.user()).await);
        connection.send("first").unwrap();
        if connection.user().login_id() == "stranger" {
            return Err(Refused::Application("members only".into()));
        }
        Ok(())
    });
    let mut raw = Connect::new(&online).user("u1").raw().hooks(hooks.clone()).open().await;
    let mut envelope = Connect::new(&online).user("u2").hooks(hooks.clone()).open().await;
    let _ = online.broadcast("second").await.unwrap();
    for client in [&mut raw, &mut envelope] {
        assert_eq!(client.expect_push().await, "first");
        assert_eq!(client.expect_push().await, "second");
    }
    let mut events = online.events();
    let mut stranger = Connect::new(&online).user("stranger").hooks(hooks).start().await.unwrap();
    assert_eq!(stranger.expect_close().await.0, 4403);
    assert!(events.try_recv().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_of_the_applications_own_receives_sends_and_ends_the_connection() {
    let online = online();
    let hooks = Hooks::default().serve(async |mut socket: herenow::Socket| {
        while let Some(inbound) = socket.recv().await {
            let text = inbound.body.as_text().unwrap_or_default().to_owned();
            if text == "bye" {
                return;
            }
            socket.send(format!("echo {text}")).unwrap();
        }
    });
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    for n in 0..50 {
        client.send_text(&n.to_string());
    }
    for n in 0..50 {
        assert_eq!(client.expect_text().await, format!("echo {n}"));
    }
    client.send_text("bye");
    assert_eq!(client.expect_close().await.0, 1000);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_client() {
    let online = online();
    let (tell, mut done) = mpsc::unbounded_channel();
    let hooks = Hooks::default().serve(move |mut socket: herenow::Socket| {
        let tell = tell.clone();
        async move {
            while socket.recv().await.is_some() {}
            let _ = tell.send(());
        }
    });
    Connect::new(&online).user("u1").raw().hooks(hooks).open().await.vanish().await;
    // Its future is dropped, or sees the end of the stream: either way the sender is gone.
    assert!(matches!(done.recv().await, None | Some(())));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn too_many_frames_end_the_connection() {
    let online = online();
    let hooks = Hooks::default().on_message(async |_, _| Ok(Reply::None));
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    for _ in 0..300 {
        client.send_text("x");
    }
    assert_eq!(client.expect_close().await, (4529, "rate_limited".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_broken_frame_ends_its_connection_with_the_code_of_the_rfc() {
    let online = online();
    let rows: [(&[u8], u16); 4] = [
        (b"\x81\x05hello", 1002),
        (b"\xf1\x80abcd", 1002),
        (b"\x81\x82abcd\x9e\x9d", 1007),
        (b"\x82\xff\x00\x00\x00\x00\x10\x00\x00\x00abcd", 1009),
    ];
    for (bytes, code) in rows {
        let mut client = Connect::new(&online).user("u1").raw().open().await;
        client.send_bytes(bytes);
        assert_eq!(client.expect_close().await.0, code, "{bytes:?}");
    }
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn what_closes_a_connection_is_said_once() {
    let online = with(|builder| builder.kick_deadline(secs(1)));
    let mut client = connect(&online, "u1").await;
    let connection = client.connection().clone();
    connection.close(Close::app(4000, "one").unwrap());
    connection.close(Close::app(4001, "two").unwrap());
    let _ = online.kick_out("u1", "three").await.unwrap();
    assert_eq!(client.expect_close().await, (4000, "one".to_owned()));
    assert_eq!(client.next_frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_says_before_it_closes_is_done_and_answered() {
    let online = online();
    let hooks = Hooks::default().on_message(async |_, inbound: Inbound| {
        pass(millis(500)).await;
        Ok(Reply::text(inbound.body.as_text().unwrap_or_default()))
    });
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    let (one, two) = (b"\x81\x83\0\0\0\0one", b"\x81\x83\0\0\0\0two");
    client.send_bytes(&[&one[..], two, b"\x88\x82\0\0\0\0\x03\xe9"].concat());
    assert_eq!(client.expect_text().await, "one");
    assert_eq!(client.expect_text().await, "two");
    assert_eq!(client.expect_close().await.0, 1001);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_hears_what_came_before_the_close_and_then_the_end() {
    let online = online();
    let (tell, mut told) = mpsc::unbounded_channel();
    let hooks = Hooks::default().serve(move |mut socket| {
        let tell = tell.clone();
        async move {
            while let Some(inbound) = socket.recv().await {
                pass(millis(100)).await;
                tell.send(inbound.body.as_text().map(str::to_owned)).unwrap();
            }
            tell.send(None).unwrap();
        }
    });
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    client.send_bytes(b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two\x88\x82\0\0\0\0\x03\xe9");
    assert_eq!(client.expect_close().await.0, 1001);
    for expected in [Some("one"), Some("two"), None] {
        assert_eq!(told.recv().await.unwrap().as_deref(), expected);
    }
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_holds_a_client_that_closes_no_longer_than_the_farewell() {
    let online = online();
    let hooks = Hooks::default().on_message(async |_, _| pending().await);
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    let start = now();
    client.send_bytes(b"\x81\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8");
    assert_eq!(client.expect_close().await.0, 1000);
    assert!(now() - start <= secs(3), "{:?}", now() - start);
    assert_all_gone(&online).await;
}
