//! A server that keeps the socket: pieces of a stream in, a body out, as plain actix-web has it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use herenow::{
    Hooks, KickOut, OnlineManager, Outgoing, Reply, Target,
    auth::Identity,
    http::{RequestInfo, Visit},
    policy::{Outbox, Overflow},
};
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri, Version};
use tokio::sync::mpsc;

use crate::support::{millis, online, pass, with};

/// The server's end of a raw connection.
struct Server {
    pieces: mpsc::UnboundedSender<Result<Bytes, &'static str>>,
    body: Outgoing,
}

impl Server {
    async fn open(online: &OnlineManager) -> Self {
        let uri = Uri::from_static("/ws");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "app.example"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(Identity::new("alice")));
        let visit =
            Visit::look(online, RequestInfo::new(Method::GET, &uri, headers), &uri, &extensions).await;
        let mut admission = visit.upgrade(Version::HTTP_11, false).await.unwrap();
        *admission.hooks_mut() = Hooks::default()
            .on_message(async |_, inbound| Ok(Reply::text(inbound.body.as_text().unwrap_or("?"))));
        let (pieces, incoming) = mpsc::unbounded_channel();
        let incoming = Box::pin(stream::unfold(incoming, async |mut incoming| {
            incoming.recv().await.map(|piece| (piece, incoming))
        }));
        let (body, task) = admission.stream(incoming);
        tokio::spawn(task);
        pass(millis(1)).await;
        Self { pieces, body }
    }

    fn send(&self, bytes: &[u8]) {
        self.pieces.send(Ok(Bytes::copy_from_slice(bytes))).unwrap();
    }

    /// Everything that the connection has said by now.
    async fn taken(&mut self) -> Vec<u8> {
        pass(millis(1)).await;
        let mut taken = Vec::new();
        while let Some(Some(Ok(bytes))) = self.body.next().now_or_never() {
            taken.extend(bytes);
        }
        taken
    }

    async fn is_over(&mut self) -> bool {
        pass(millis(1)).await;
        matches!(self.body.next().now_or_never(), Some(None))
    }
}

/// A client's frame; the mask is zero, as it may be.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[tokio::test(start_paused = true)]
async fn frames_in_pieces_of_any_size_reach_the_handler_and_answers_the_body() {
    let online = online();
    let mut server = Server::open(&online).await;
    let bytes = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
    for piece in bytes.chunks(2) {
        server.send(piece);
    }
    assert_eq!(server.taken().await, b"\x81\x03one\x81\x03two");
    let big = vec![b'x'; 40_000];
    let mut long = vec![0x81, 0xFE, (big.len() >> 8) as u8, big.len() as u8, 0, 0, 0, 0];
    long.extend(&big);
    server.send(&long);
    assert!(server.taken().await.ends_with(&big), "a piece larger than the driver's buffer");
}

#[tokio::test(start_paused = true)]
async fn pushes_go_out_in_order_and_wake_a_server_that_waits() {
    let online = online();
    let server = Server::open(&online).await;
    let body = tokio::spawn(async move {
        let first = server.body.into_future().await;
        (first.0.unwrap().unwrap(), server.pieces)
    });
    pass(millis(1)).await;
    online.push_to_user("alice", "now".to_owned()).await.unwrap();
    assert_eq!(body.await.unwrap().0, &b"\x81\x03now"[..]);
}

#[tokio::test(start_paused = true)]
async fn the_body_ends_after_both_close_frames_and_the_user_is_gone() {
    let online = online();
    let mut server = Server::open(&online).await;
    server.send(&frame(0x88, &1000u16.to_be_bytes()));
    assert_eq!(server.taken().await, b"\x88\x02\x03\xE8");
    assert!(server.is_over().await);
    assert_eq!(online.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_or_an_error_of_the_stream_is_the_end_of_the_connection() {
    let online = online();
    for fails in [false, true] {
        let mut server = Server::open(&online).await;
        if fails {
            server.pieces.send(Err("reset")).unwrap();
        } else {
            server.pieces = mpsc::unbounded_channel().0;
        }
        assert!(server.is_over().await);
        assert_eq!(online.get_connection_count().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_body_is_a_client_that_is_gone() {
    let online = online();
    let server = Server::open(&online).await;
    drop(server.body);
    pass(millis(1)).await;
    assert_eq!(online.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_kick_that_the_client_answers_is_closed_and_one_it_does_not_answer_lingers() {
    let online = online();
    let mut server = Server::open(&online).await;
    let kick = {
        let online = online.clone();
        tokio::spawn(async move { online.kick_out(Target::user("alice"), KickOut::new()).await.unwrap() })
    };
    assert!(server.taken().await.ends_with(b"kicked"));
    server.send(&frame(0x88, &4423u16.to_be_bytes()));
    assert_eq!(kick.await.unwrap().closed, 1);
    assert!(server.is_over().await);

    let mut mute = Server::open(&online).await;
    let report = online.kick_out(Target::user("alice"), KickOut::new()).await.unwrap();
    assert_eq!((report.closed, report.aborted, report.lingering), (0, 0, 1));
    assert!(mute.is_over().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_fills_the_outbox_and_no_more() {
    let bounds = Outbox { messages: 4, overflow: Overflow::DropNewest, ..Outbox::default() };
    let online = with(|builder| builder.outbox(bounds));
    let mut server = Server::open(&online).await;
    let mut enqueued = 0;
    for n in 0..10 {
        enqueued += online.push_to_user("alice", n.to_string()).await.unwrap().enqueued;
    }
    assert_eq!(enqueued, 4);
    assert_eq!(server.taken().await, b"\x81\x010\x81\x011\x81\x012\x81\x013");
}
