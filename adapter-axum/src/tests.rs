//! Extractors and routes by themselves; upgrades over in-memory pipes. Real sockets are the suite's (`tests/`).

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response},
    routing::{any, get},
};
use herenow::{
    Clock, Event, EventKind, Notice, OnlineManager, Rendezvous, SystemClock,
    auth::{AuthError, Credential, Identity},
    http::RequestInfo,
    policy,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::ServiceExt;

use crate::{
    CurrentUser, GuestUpgrade, MaybeUser, Online, OnlineLayer, OnlineUpgrade, Rejection, routes,
    routes_with_admin,
};

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "alices" => Ok(Identity::new("alice")),
        "roots" => Ok(Identity::new("root").scope("admin")),
        "broken" => Err(AuthError::Unavailable("the store is down".into())),
        _ => Err(AuthError::Unauthorized),
    }
}

fn online() -> OnlineManager {
    OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build().unwrap()
}

fn handlers() -> Router {
    Router::new()
        .route("/ws", any(|upgrade: OnlineUpgrade| async move { upgrade.start() }))
        .route("/me", get(|user: CurrentUser| async move { user.login_id().to_owned() }))
        .route("/maybe", get(|MaybeUser(user): MaybeUser| async move { format!("{}", user.is_some()) }))
        .route("/count", get(|online: Online| async move { online.get_online_count().await.to_string() }))
        .nest("/presence", routes())
        .nest("/deep/er", routes_with_admin(|who| who.has_scope("admin")))
}

fn app() -> Router {
    handlers().layer(OnlineLayer::new(&online()))
}

fn asked(method: Method, path: &str, token: &str) -> Request<Body> {
    let request =
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    request.body(Body::empty()).unwrap()
}

async fn body(response: Response<Body>) -> (u16, String) {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get_as(token: &str, path: &str) -> (u16, String) {
    body(app().oneshot(asked(Method::GET, path, token)).await.unwrap()).await
}

#[tokio::test]
async fn a_missing_layer_says_so() {
    for path in ["/ws", "/me", "/maybe", "/count", "/presence/online"] {
        let response = handlers().oneshot(asked(Method::GET, path, "alices")).await.unwrap();
        let (status, text) = body(response).await;
        assert_eq!(status, 500, "{path}");
        assert!(text.contains("is `OnlineLayer` added to this router?"), "{path} {text}");
    }
}

#[tokio::test]
async fn the_extractor_insists_on_a_user() {
    assert_eq!(get_as("alices", "/me").await, (200, "alice".to_owned()));
    let refused = r#"{"code":401,"content":"a valid token is needed"}"#.to_owned();
    assert_eq!(get_as("forged", "/me").await, (401, refused));
}

#[tokio::test]
async fn maybe_a_user_refuses_only_what_nobody_can_decide() {
    assert_eq!(get_as("alices", "/maybe").await, (200, "true".to_owned()));
    assert_eq!(get_as("forged", "/maybe").await, (200, "false".to_owned()));
    assert_eq!(get_as("broken", "/maybe").await.0, 503);
    let mut two = asked(Method::GET, "/maybe", "alices");
    two.headers_mut().append("authorization", "Bearer roots".parse().unwrap());
    assert_eq!(app().oneshot(two).await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_manager_is_there_for_every_handler() {
    assert_eq!(get_as("forged", "/count").await, (200, "0".to_owned()));
}

#[tokio::test]
async fn a_layer_may_insist_itself() {
    let app = handlers().layer(OnlineLayer::new(&online()).require_user());
    let nobody = asked(Method::GET, "/count", "forged");
    assert_eq!(app.clone().oneshot(nobody).await.unwrap().status(), 401);
    assert_eq!(app.oneshot(asked(Method::GET, "/count", "alices")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_routes_work_under_any_prefix() {
    for prefix in ["/presence", "/deep/er"] {
        let (status, text) = get_as("alices", &format!("{prefix}/online/J%C3%B8rn%2Fx?y")).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["content"]["id"]), (200, &json!("Jørn/x")), "{prefix}");
        assert_eq!(get_as("alices", &format!("{prefix}/online?limit=5")).await.0, 200);
        assert_eq!(get_as("forged", &format!("{prefix}/online")).await.0, 401);
        assert_eq!(get_as("alices", &format!("{prefix}/ticket")).await.0, 405);
    }
}

#[tokio::test]
async fn admin_routes_are_there_only_where_they_were_asked_for() {
    let app = app();
    for (path, token, expected) in [
        ("/presence/kick", "roots", 404),
        ("/deep/er/kick", "forged", 401),
        ("/deep/er/kick", "alices", 403),
        ("/deep/er/kick", "roots", 200),
    ] {
        let mut request = asked(Method::POST, path, token);
        *request.body_mut() = Body::from(r#"{"loginId":"alice"}"#);
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), expected, "{path} {token}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let app = app();
    for (token, expected) in [("alices", 413), ("forged", 401)] {
        let mut request = asked(Method::POST, "/presence/status", token);
        *request.body_mut() = Body::from(vec![b' '; 64 * 1024 + 1]);
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn what_is_no_upgrade_is_refused_before_any_101() {
    let (status, _) = get_as("alices", "/ws").await;
    assert_eq!(status, 426);
    let unauthorized = app().oneshot(handshake("forged")).await.unwrap();
    assert_eq!(unauthorized.status(), 401);
    assert_eq!(unauthorized.headers()["connection"], "close");
    let (status, text) = body(app().oneshot(handshake("alices")).await.unwrap()).await;
    assert_eq!(status, 500, "oneshot is no server that upgrades");
    assert!(text.contains("serve_connection_with_upgrades"), "{text}");
}

fn handshake(token: &str) -> Request<Body> {
    let mut request = asked(Method::GET, "/ws", token);
    for (name, value) in [
        ("host", "app.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// Serves an application over a pipe, as a server behind TLS does, and returns the client's end.
fn served(app: Router) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut server_of_hyper = auto::Builder::new(TokioExecutor::new());
        server_of_hyper.http2().enable_connect_protocol();
        let service = TowerToHyperService::new(app);
        let _ = server_of_hyper.serve_connection_with_upgrades(TokioIo::new(server), service).await;
    });
    client
}

async fn until_online(events: &mut herenow::Events) {
    while let Some(notice) = events.recv().await {
        if matches!(notice, Notice::Event(Event { kind: EventKind::Online, .. })) {
            return;
        }
    }
}

/// Opens a WebSocket.
async fn open(client: &mut DuplexStream, path: &str) {
    let request = handshake("alices");
    let mut head = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    client.write_all((head + "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_guest_is_whom_the_application_says() {
    let online = online();
    let asked_for = online.clone();
    let by_link = async move |guest: GuestUpgrade| -> Result<Response<Body>, Rejection> {
        Ok(guest.admit(&asked_for, Identity::new("a guest")).await?.start())
    };
    let app = Router::new().route("/ws", any(by_link));
    assert_eq!(app.clone().oneshot(asked(Method::GET, "/ws", "alices")).await.unwrap().status(), 426);
    let (status, text) = body(app.clone().oneshot(handshake("alices")).await.unwrap()).await;
    assert!(status == 500 && text.contains("serve_connection_with_upgrades"), "{text}");
    let mut events = online.events();
    let mut client = served(app);
    open(&mut client, "/ws").await;
    until_online(&mut events).await;
    assert!(online.is_online("a guest").await && !online.is_online("alice").await);
}

#[tokio::test]
async fn a_guest_waits_for_the_last_word() {
    let rendezvous = Rendezvous::new();
    let (waits, until) = (rendezvous.clone(), SystemClock.utc() + Duration::from_secs(60));
    let wait = async move |guest: GuestUpgrade| -> Result<Response<Body>, Rejection> {
        Ok(guest.wait(&waits, "a key", until).await?.start())
    };
    let mut client = served(Router::new().route("/wait", any(wait)));
    open(&mut client, "/wait").await;
    let _kept_or_told = rendezvous.finish("a key", "done", until).await.unwrap();
    let mut frame = [0; 6];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x04done");
}

#[tokio::test]
async fn an_upgrade_makes_the_user_online_until_the_socket_ends() {
    let online = online();
    let mut events = online.events();
    let mut client = served(handlers().layer(OnlineLayer::new(&online)));
    open(&mut client, "/ws").await;
    until_online(&mut events).await;
    assert_eq!(online.push_to_user("alice", "hi").await.unwrap().enqueued, 1);
    let mut frame = [0; 4];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x81, 2, b'h', b'i']);
    drop(client);
    while online.get_connection_count().await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn http_2_upgrades_by_an_extended_connect() {
    let online = online();
    let mut events = online.events();
    let client = served(handlers().layer(OnlineLayer::new(&online)));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    // A first answer means that the server's settings are there too.
    let plain = asked(Method::GET, "http://app.example/me", "alices");
    assert_eq!(sender.send_request(plain).await.unwrap().status(), 200);
    let mut connect = asked(Method::CONNECT, "http://app.example/ws", "alices");
    connect.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    connect.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let response = sender.send_request(connect).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    until_online(&mut events).await;
    assert_eq!(online.push_to_user("alice", "hi").await.unwrap().enqueued, 1);
    let mut frame = [0; 4];
    socket.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x81, 2, b'h', b'i']);
}

/// Handlers may be held by any thread.
#[test]
fn public_types_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<(OnlineLayer, CurrentUser, MaybeUser, Online, crate::Rejection)>();
    fn send<T: Send>() {}
    send::<(OnlineUpgrade, GuestUpgrade)>();
}
