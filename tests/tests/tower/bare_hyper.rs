//! A hyper server without a framework.

use std::net::SocketAddr;

use herenow::{KickOut, OnlineManager, Target, http::OnlineLayer};
use herenow_conformance::{
    PATIENCE,
    client::{Dial, Response, TEXT, masked},
    eventually,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tower::{Layer as _, service_fn};

use crate::support::{hyper_server, manager, route, serve, token_of, ws};

async fn expect_users(online: &OnlineManager, users: usize) {
    eventually(&format!("{users} users"), async || online.get_online_count().await == users).await;
}

async fn get(address: SocketAddr, path: &str, token: &str) -> Response {
    Dial::request(address, None, "GET", path).token(token).send().await
}

#[tokio::test]
async fn the_service_sees_who_asks() {
    let address = hyper_server(&manager()).await;
    assert_eq!(get(address, "/", &token_of("alice")).await.body, b"alice from 127.0.0.1");
    assert_eq!(get(address, "/", "forged").await.body, b"nobody from 127.0.0.1");
}

#[tokio::test]
async fn a_layer_that_insists_refuses_before_the_service() {
    let insists = OnlineLayer::new(&manager()).require_user();
    let address = serve(insists.layer(service_fn(route))).await;
    assert_eq!(get(address, "/", &token_of("alice")).await.body, b"alice from 127.0.0.1");
    let refused = get(address, "/", "forged").await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (401, json!(401)));
    assert!(refused.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_websocket_is_online_is_pushed_to_and_is_kicked() {
    let online = manager();
    let address = hyper_server(&online).await;
    let mut client = ws(address, "alice").join().await;
    assert!(online.is_online("alice").await);
    let report = online.push_to_user("alice", "for alice").await.expect("it can be sent");
    assert_eq!(report.enqueued, 1);
    assert_eq!(client.expect_text().await, "for alice");
    let kick = online.kick_out(Target::user("alice"), KickOut::because("enough"));
    let (report, ending) = tokio::join!(kick, client.expect_close(4423));
    assert!(report.expect("it can be done").is_complete());
    assert_eq!(ending.frame("kicked").expect("why")["message"], "enough");
    assert_eq!(ws(address, "alice").send().await.status, 401);
    expect_users(&online, 0).await;
}

#[tokio::test]
async fn a_connection_that_ends_leaves_nobody() {
    let online = manager();
    let address = hyper_server(&online).await;
    let client = ws(address, "alice").join().await;
    client.close(1000).await;
    expect_users(&online, 0).await;
    drop(ws(address, "bob").join().await);
    eventually("bob's connection is gone", async || online.get_connection_count().await == 0).await;
}

#[tokio::test]
async fn what_came_with_the_request_is_heard() {
    let mut socket = TcpStream::connect(hyper_server(&manager()).await).await.expect("it listens");
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        token_of("alice")
    );
    let early = masked(0x80 | TEXT, b"early");
    socket.write_all(&[head.as_bytes(), &early].concat()).await.expect("it is sent");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\x81\x05early") {
        let read = timeout(PATIENCE, socket.read_buf(&mut heard)).await.expect("in time").expect("an answer");
        assert_ne!(read, 0, "it ends: {}", String::from_utf8_lossy(&heard));
    }
}

#[tokio::test]
async fn a_refusal_is_http_or_where_the_client_understands_it_visible() {
    let address = hyper_server(&manager()).await;
    let forged = || Dial::upgrade(address, None, "/ws").token("forged");
    assert_eq!(forged().send().await.status, 401);
    forged().offer("herenow.v1.json").open().await.expect_close(4401).await;
    assert_eq!(get(address, "/ws", &token_of("alice")).await.status, 426);
}
