//! Extractors and routes by themselves; upgrades over real sockets, as there is no other way into poem's requests.
//! Everything else is the suite's (`tests/`).

use std::time::Duration;

use herenow::{
    Clock, Event, EventKind, Notice, OnlineManager, Rendezvous, SystemClock,
    auth::{AuthError, Credential, Identity},
    http::RequestInfo,
    policy,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Result, Route, get, handler,
    http::{Method, Uri, Version},
    listener::{Acceptor, TcpAcceptor},
    web::Data,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    CurrentUser, GuestUpgrade, MaybeUser, Online, OnlineEndpoint, OnlineMiddleware, OnlineUpgrade, routes,
    routes_with_admin, serve_with_acceptor,
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

#[handler]
async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.start()
}

#[handler]
async fn by_link(Data(online): Data<&OnlineManager>, guest: GuestUpgrade) -> Result<Response> {
    Ok(guest.admit(online, Identity::new("a guest")).await?.start())
}

#[handler]
async fn me(user: CurrentUser) -> String {
    user.login_id().to_owned()
}

#[handler]
async fn maybe(MaybeUser(user): MaybeUser) -> String {
    user.is_some().to_string()
}

#[handler]
async fn option(user: Option<CurrentUser>) -> String {
    user.is_some().to_string()
}

#[handler]
async fn count(online: Online) -> String {
    online.get_online_count().await.to_string()
}

#[handler]
async fn panics(_: CurrentUser) {
    panic!("a handler does");
}

fn handlers() -> Route {
    Route::new()
        .at("/ws", OnlineEndpoint::new())
        .at("/handled", ws)
        .at("/got", get(by_link))
        .at("/me", get(me))
        .at("/maybe", get(maybe))
        .at("/option", get(option))
        .at("/count", get(count))
        .at("/panics", get(panics))
        .nest("/presence", routes())
        .nest("/deep/er", routes_with_admin(|who| who.has_scope("admin")))
}

fn app() -> impl Endpoint {
    app_of(&online())
}

fn app_of(online: &OnlineManager) -> impl Endpoint + use<> {
    handlers().data(online.clone()).with(OnlineMiddleware::new(online))
}

fn asked(method: Method, path: &str, token: &str) -> Request {
    let uri: Uri = path.parse().unwrap();
    Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {token}")).finish()
}

async fn body(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    (status, response.into_body().into_string().await.unwrap())
}

async fn get_as(token: &str, path: &str) -> (u16, String) {
    body(app().get_response(asked(Method::GET, path, token)).await).await
}

#[tokio::test]
async fn a_missing_middleware_says_so() {
    for path in ["/ws", "/handled", "/me", "/maybe", "/count", "/presence/online"] {
        let (status, text) = body(handlers().get_response(asked(Method::GET, path, "alices")).await).await;
        assert_eq!(status, 500, "{path}");
        assert!(text.contains(".with(OnlineMiddleware::new(&online))"), "{path} {text}");
    }
}

#[tokio::test]
async fn the_extractor_insists_on_a_user() {
    assert_eq!(get_as("alices", "/me").await, (200, "alice".to_owned()));
    let refused = r#"{"code":401,"content":"a valid token is needed"}"#.to_owned();
    assert_eq!(get_as("forged", "/me").await, (401, refused));
    let response = app().get_response(asked(Method::GET, "/me", "forged")).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn nobody_is_made_of_what_nobody_can_decide() {
    for path in ["/maybe", "/option"] {
        assert_eq!(get_as("alices", path).await, (200, "true".to_owned()));
        assert_eq!(get_as("forged", path).await, (200, "false".to_owned()));
        assert_eq!(get_as("broken", path).await.0, 503);
        let mut two = asked(Method::GET, path, "alices");
        two.headers_mut().append("authorization", "Bearer roots".parse().unwrap());
        assert_eq!(app().get_response(two).await.status(), 400);
    }
}

#[tokio::test]
async fn the_manager_is_there_for_every_handler() {
    assert_eq!(get_as("forged", "/count").await, (200, "0".to_owned()));
}

#[tokio::test]
async fn a_middleware_may_insist_itself() {
    let app = handlers().with(OnlineMiddleware::new(&online()).require_user());
    assert_eq!(app.get_response(asked(Method::GET, "/count", "forged")).await.status(), 401);
    assert_eq!(app.get_response(asked(Method::GET, "/count", "alices")).await.status(), 200);
}

#[tokio::test]
async fn of_two_middlewares_the_outer_one_has_looked_and_the_inner_manager_counts() {
    let (inner, outer) = (online(), OnlineManager::new());
    let twice = handlers().with(OnlineMiddleware::new(&inner)).with(OnlineMiddleware::new(&inner));
    assert_eq!(body(twice.get_response(asked(Method::GET, "/me", "alices")).await).await.1, "alice");
    let identity = handlers().with(OnlineMiddleware::new(&outer)).with(OnlineMiddleware::new(&inner));
    assert_eq!(body(identity.get_response(asked(Method::GET, "/me", "alices")).await).await.1, "alice");
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
        assert_eq!(get_as("alices", &format!("{prefix}/online/%FF")).await.0, 400, "no UTF-8");
        let head = app().get_response(asked(Method::HEAD, &format!("{prefix}/online"), "alices")).await;
        assert_eq!(body(head).await, (200, String::new()));
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
        request.set_body(r#"{"loginId":"alice"}"#);
        assert_eq!(app.get_response(request).await.status(), expected, "{path} {token}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let app = app();
    for (token, expected) in [("alices", 413), ("forged", 401)] {
        let mut request = asked(Method::POST, "/presence/status", token);
        request.set_body(vec![b' '; 64 * 1024 + 1]);
        assert_eq!(app.get_response(request).await.status(), expected);
    }
}

#[tokio::test]
async fn events_come_as_a_stream() {
    let online = online();
    let mut notices = online.events();
    let mut request = asked(Method::GET, "/presence/events", "alices");
    request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
    let response = app_of(&online).get_response(request).await;
    assert_eq!((response.status().as_u16(), response.content_type()), (200, Some("text/event-stream")));
    until_online(&mut notices).await;
    online.push_to_user("alice", "a push").await.unwrap();
    let mut events = response.into_body().into_async_read();
    let mut seen = String::new();
    while !seen.contains("a push") {
        let mut piece = [0; 1024];
        let length = events.read(&mut piece).await.unwrap();
        assert!(length > 0, "ended after {seen}");
        seen += std::str::from_utf8(&piece[..length]).unwrap();
    }
}

#[tokio::test]
async fn what_is_no_upgrade_is_refused_before_any_101() {
    for path in ["/ws", "/handled", "/got"] {
        assert_eq!(get_as("alices", path).await.0, 426, "{path}");
        let (status, text) = body(app().get_response(handshake("alices", path)).await).await;
        assert_eq!(status, 500, "without a server there is nothing to upgrade");
        assert!(text.contains("herenow_poem::serve"), "{text}");
    }
    let unauthorized = app().get_response(handshake("forged", "/ws")).await;
    assert_eq!(unauthorized.status(), 401);
    assert_eq!(unauthorized.headers()["connection"], "close");
}

fn handshake(token: &str, path: &str) -> Request {
    let mut request = asked(Method::GET, path, token);
    request.set_version(Version::HTTP_11);
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

/// Serves an application by [`crate::serve`], or by poem's own server, and returns a client's end.
async fn served<E>(app: E, own: bool) -> TcpStream
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
    let app = app.into_endpoint();
    if own {
        tokio::spawn(serve_with_acceptor(acceptor, app).until(std::future::pending()));
    } else {
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(app));
    }
    TcpStream::connect(address).await.unwrap()
}

/// Sends a request without a body and returns the head of the answer.
async fn exchange(client: &mut TcpStream, line: &str, request: &Request) -> String {
    let mut head = format!("{line}\r\n");
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    client.write_all((head + "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

async fn until_online(events: &mut herenow::Events) {
    while let Some(notice) = events.recv().await {
        if matches!(notice, Notice::Event(Event { kind: EventKind::Online, .. })) {
            return;
        }
    }
}

#[tokio::test]
async fn an_upgrade_makes_the_user_online_until_the_socket_ends() {
    for (path, who, own) in [
        ("/ws", "alice", true),
        ("/handled", "alice", true),
        ("/got", "a guest", true),
        ("/ws", "alice", false),
        ("/handled", "alice", false),
        ("/got", "a guest", false),
    ] {
        let online = online();
        let mut events = online.events();
        let mut client = served(app_of(&online), own).await;
        let line = format!("GET {path} HTTP/1.1");
        let answer = exchange(&mut client, &line, &handshake("alices", path)).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{path} {answer}");
        until_online(&mut events).await;
        assert_eq!(online.push_to_user(who, "hi").await.unwrap().enqueued, 1);
        let mut frame = [0; 4];
        client.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, [0x81, 2, b'h', b'i']);
        drop(client);
        while online.get_connection_count().await > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[handler]
async fn wait(Data(rendezvous): Data<&Rendezvous>, guest: GuestUpgrade) -> Result<Response> {
    Ok(guest.wait(rendezvous, "a key", soon()).await?.start())
}

fn soon() -> herenow::adapter::DateTime<herenow::adapter::Utc> {
    SystemClock.utc() + Duration::from_secs(60)
}

#[tokio::test]
async fn a_guest_waits_for_the_last_word() {
    let rendezvous = Rendezvous::new();
    let mut client = served(Route::new().at("/wait", wait).data(rendezvous.clone()), true).await;
    let answer = exchange(&mut client, "GET /wait HTTP/1.1", &handshake("alices", "/wait")).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let _kept_or_told = rendezvous.finish("a key", "done", soon()).await.unwrap();
    let mut frame = [0; 6];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x04done");
}

#[tokio::test]
async fn only_get_of_http_1_1_upgrades() {
    for (line, own) in [
        ("GET /ws HTTP/1.0", true),
        ("GET /ws HTTP/1.0", false),
        ("HEAD /ws HTTP/1.1", true),
        ("HEAD /ws HTTP/1.1", false),
        ("HEAD /got HTTP/1.1", true), // poem's `get` makes a GET of it.
        ("POST /handled HTTP/1.1", true),
    ] {
        let mut client = served(app(), own).await;
        let answer = exchange(&mut client, line, &handshake("alices", "/ws")).await;
        assert!(answer.contains(" 400 "), "{line} {answer}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_own_connection_only() {
    let online = online();
    let mut client = served(app_of(&online), true).await;
    let address = client.peer_addr().unwrap();
    client
        .write_all(b"GET /panics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alices\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(client.read(&mut [0; 64]).await.unwrap_or(0), 0, "no answer is made up");
    let mut other = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut other, "GET /me HTTP/1.1", &handshake("alices", "/me")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn http_2_upgrades_by_an_extended_connect() {
    let online = online();
    let mut events = online.events();
    let client = served(app_of(&online), true).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let of_client = |method, uri: &'static str| {
        let request = poem::http::Request::builder().method(method).uri(uri);
        request.header("authorization", "Bearer alices").body(String::new()).unwrap()
    };
    // A first answer means that the server's settings are there too.
    let plain = of_client(Method::GET, "http://app.example/me");
    assert_eq!(sender.send_request(plain).await.unwrap().status(), 200);
    let mut connect = of_client(Method::CONNECT, "http://app.example/ws");
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
    check::<(OnlineMiddleware, OnlineEndpoint, CurrentUser, MaybeUser, Online, crate::Rejection)>();
    fn send<T: Send>() {}
    send::<(OnlineUpgrade, GuestUpgrade)>();
}
