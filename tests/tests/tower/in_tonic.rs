//! A tonic application: gRPC calls and WebSockets share one manager.
//!
//! `OnlineLayer` finds out who calls; with `require_user()` it insists, and answers as gRPC wants it: HTTP 200 and a
//! `grpc-status`.

use std::net::SocketAddr;

use herenow::{KickOut, OnlineManager, Target, http::OnlineLayer};
use herenow_conformance::{client::Dial, eventually};
use serde_json::json;
use tonic::{
    Code,
    service::Routes,
    transport::{
        Server,
        server::{TcpConnectInfo, TcpIncoming},
    },
};

use crate::{
    desk::{Desk, Note, call},
    support::{hyper_server, manager, token_of, ws},
};

/// Where tonic leaves the address of the peer.
fn peer(extensions: &http::Extensions) -> Option<SocketAddr> {
    extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr)
}

/// Finds out who calls, and where `insists`, refuses whoever is nobody.
async fn grpc_server(online: &OnlineManager, insists: bool) -> SocketAddr {
    let (incoming, address) = listen();
    let (layer, server) = (OnlineLayer::new(online).peer(peer), Server::builder().accept_http1(true));
    match insists {
        true => {
            tokio::spawn(server.layer(layer.require_user()).serve_with_incoming(Routes::new(Desk), incoming))
        }
        false => tokio::spawn(server.layer(layer).serve_with_incoming(Routes::new(Desk), incoming)),
    };
    address
}

/// The same, around axum's router, which tonic's routes can become.
async fn router_server() -> SocketAddr {
    let (incoming, address) = listen();
    let insists = OnlineLayer::new(&manager()).require_user();
    let routes = Routes::new(Desk).into_axum_router().layer(insists);
    tokio::spawn(Server::builder().serve_with_incoming(routes, incoming));
    address
}

fn listen() -> (TcpIncoming, SocketAddr) {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = incoming.local_addr().expect("it listens");
    (incoming, address)
}

async fn who(address: SocketAddr, token: &str) -> Result<String, Code> {
    let answered = call(address, "WhoAmI", token, Note::default()).await;
    answered.map(|note| note.who).map_err(|status| status.code())
}

#[tokio::test]
async fn a_call_sees_who_asks() {
    let address = grpc_server(&manager(), false).await;
    assert_eq!(who(address, &token_of("alice")).await.as_deref(), Ok("alice"));
    assert_eq!(who(address, "forged").await.as_deref(), Ok("nobody"));
    assert_eq!(who(address, "").await.as_deref(), Ok("nobody"));
    assert_eq!(call(address, "WhoAmI", "", Note::default()).await.expect("anybody may").text, "127.0.0.1");
}

#[tokio::test]
async fn a_call_of_nobody_is_refused_as_grpc_has_it() {
    for address in [grpc_server(&manager(), true).await, router_server().await] {
        assert_eq!(who(address, &token_of("alice")).await.as_deref(), Ok("alice"));
        for token in ["", "forged"] {
            let refused = call(address, "WhoAmI", token, Note::default()).await.expect_err("nobody");
            assert_eq!(
                (refused.code(), refused.message()),
                (Code::Unauthenticated, "a valid token is needed")
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_call_is_refused_in_plain_http() {
    let address = grpc_server(&manager(), true).await;
    let refused = Dial::request(address, None, "GET", "/").token("forged").send().await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (401, json!(401)));
}

#[tokio::test]
async fn a_kicked_token_is_refused_to_calls_too() {
    let online = manager();
    let (grpc, hyper) = (grpc_server(&online, true).await, hyper_server(&online).await);
    let mut client = ws(hyper, "alice").join().await;
    assert_eq!(who(grpc, &token_of("alice")).await.as_deref(), Ok("alice"));
    let kick = online.kick_out(Target::user("alice"), KickOut::because("enough"));
    let (report, _) = tokio::join!(kick, client.expect_close(4423));
    assert!(report.expect("it can be done").is_complete());
    assert_eq!(who(grpc, &token_of("alice")).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_call_counts_as_activity() {
    let online = manager();
    let (grpc, hyper) = (grpc_server(&online, true).await, hyper_server(&online).await);
    let _client = ws(hyper, "alice").join().await;
    let last = async || online.get_user_sessions("alice").await[0].last_activity;
    let before = last().await;
    eventually("a call is activity", async || {
        who(grpc, &token_of("alice")).await.expect("alice may");
        last().await > before
    })
    .await;
    let before = last().await;
    who(grpc, &token_of("bob")).await.expect("bob may");
    assert_eq!(last().await, before, "what bob does is not alice's");
}

#[tokio::test]
async fn a_push_from_a_call_reaches_a_websocket() {
    let online = manager();
    let (grpc, hyper) = (grpc_server(&online, true).await, hyper_server(&online).await);
    let mut client = ws(hyper, "alice").join().await;
    let note = Note { who: "alice".to_owned(), text: "from a call".to_owned() };
    let answer = call(grpc, "Say", &token_of("bob"), note).await.expect("bob may");
    assert_eq!(answer.text, "1", "so many connections took it");
    assert_eq!(client.expect_text().await, "from a call");
    let nobody = Note { who: "carol".to_owned(), text: "unheard".to_owned() };
    assert_eq!(call(grpc, "Say", &token_of("bob"), nobody).await.expect("bob may").text, "0");
}
