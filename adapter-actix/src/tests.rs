//! Middleware, extractors and routes by themselves. Real sockets are in `tests/` here and in the suite.

use std::{sync::Arc, time::Duration};

use actix_http::{Request, h1};
use actix_web::{
    App, HttpMessage as _, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody, to_bytes},
    dev::{Payload, Service, ServiceResponse},
    error::Error,
    http::Method,
    test::{TestRequest, init_service},
    web::{self, ServiceConfig},
};
use futures_util::FutureExt as _;
use herenow::{
    OnlineManager, Rendezvous,
    adapter::{DateTime, Utc},
    auth::{AuthError, Credential, Identity},
    http::RequestInfo,
    policy,
};
use serde_json::{Value, json};

use crate::{
    CurrentUser, GuestUpgrade, MaybeUser, Online, OnlineMiddleware, OnlineUpgrade, Rejection, routes,
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

fn handlers(config: &mut ServiceConfig) {
    config
        .route("/ws", web::to(async |upgrade: OnlineUpgrade| upgrade.start()))
        .route("/me", web::get().to(async |user: CurrentUser| user.login_id().to_owned()))
        .route("/maybe", web::get().to(async |MaybeUser(user): MaybeUser| user.is_some().to_string()))
        .route("/option", web::get().to(async |user: Option<CurrentUser>| user.is_some().to_string()))
        .route("/count", web::get().to(async |online: Online| online.get_online_count().await.to_string()))
        .service(web::scope("/presence").configure(routes()))
        .service(web::scope("/deep/er").configure(routes_with_admin(|who| who.has_scope("admin"))));
}

fn asked(method: Method, path: &str, token: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method).insert_header(("authorization", format!("Bearer {token}")))
}

fn handshake(token: &str) -> TestRequest {
    let headers = [
        ("host", "app.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    headers.into_iter().fold(asked(Method::GET, "/ws", token), TestRequest::insert_header)
}

/// What an application answers: status and body.
async fn answer<S, B>(app: &S, request: TestRequest) -> (u16, String)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    respond(app, request.to_request()).await
}

async fn respond<S, B>(app: &S, request: Request) -> (u16, String)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let response = match app.call(request).await {
        Ok(response) => response.map_into_boxed_body().into_parts().1,
        Err(error) => error.error_response(),
    };
    (response.status().as_u16(), text(response).await)
}

async fn text(response: HttpResponse<BoxBody>) -> String {
    let body = to_bytes(response.into_body()).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn get_as(token: &str, path: &str) -> (u16, String) {
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers)).await;
    answer(&app, asked(Method::GET, path, token)).await
}

#[actix_web::test]
async fn a_missing_middleware_says_so() {
    let app = init_service(App::new().configure(handlers)).await;
    for path in ["/ws", "/me", "/maybe", "/count", "/presence/online"] {
        let (status, text) = answer(&app, asked(Method::GET, path, "alices")).await;
        assert_eq!(status, 500, "{path}");
        assert!(text.contains("OnlineMiddleware::new"), "{path} {text}");
    }
}

#[actix_web::test]
async fn the_extractor_insists_on_a_user() {
    assert_eq!(get_as("alices", "/me").await, (200, "alice".to_owned()));
    let refused = r#"{"code":401,"content":"a valid token is needed"}"#.to_owned();
    assert_eq!(get_as("forged", "/me").await, (401, refused));
}

#[actix_web::test]
async fn maybe_a_user_refuses_only_what_nobody_can_decide() {
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers)).await;
    for path in ["/maybe", "/option", "/count"] {
        let two = asked(Method::GET, path, "alices").append_header(("authorization", "Bearer roots"));
        assert_eq!(answer(&app, two).await.0, 400, "{path}: actix makes `None` of every error");
        assert_eq!(answer(&app, asked(Method::GET, path, "broken")).await.0, 503, "{path}");
    }
    for path in ["/maybe", "/option"] {
        assert_eq!(answer(&app, asked(Method::GET, path, "alices")).await, (200, "true".to_owned()));
        assert_eq!(answer(&app, asked(Method::GET, path, "forged")).await, (200, "false".to_owned()));
    }
}

#[actix_web::test]
async fn the_manager_is_there_for_every_handler() {
    assert_eq!(get_as("forged", "/count").await, (200, "0".to_owned()));
}

#[actix_web::test]
async fn a_middleware_may_insist_itself() {
    let insists = OnlineMiddleware::new(&online()).require_user();
    let app = init_service(App::new().wrap(insists).configure(handlers)).await;
    assert_eq!(answer(&app, asked(Method::GET, "/count", "forged")).await.0, 401);
    assert_eq!(answer(&app, asked(Method::GET, "/count", "alices")).await.0, 200);
}

#[actix_web::test]
async fn an_identity_of_an_earlier_middleware_counts_before_the_token() {
    let app =
        App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers).wrap_fn(|request, inner| {
            request.extensions_mut().insert(Arc::new(Identity::new("bob")));
            inner.call(request)
        });
    assert_eq!(
        answer(&init_service(app).await, asked(Method::GET, "/me", "broken")).await,
        (200, "bob".to_owned())
    );
}

#[actix_web::test]
async fn whom_an_earlier_middleware_named_and_this_one_refuses_is_nobody() {
    async fn named(request: HttpRequest) -> String {
        request.extensions().contains::<Arc<Identity>>().to_string()
    }
    let online = online();
    let app = App::new().wrap(OnlineMiddleware::new(&online)).route("/named", web::post().to(named)).wrap_fn(
        |request, inner| {
            request.extensions_mut().insert(Arc::new(Identity::new("bob")));
            inner.call(request)
        },
    );
    let app = init_service(app).await;
    let ask = |origin| {
        TestRequest::post()
            .uri("/named")
            .insert_header(("host", "a.example"))
            .insert_header(("origin", origin))
    };
    assert_eq!(answer(&app, ask("https://a.example")).await, (200, "true".to_owned()));
    assert_eq!(answer(&app, ask("https://evil.example")).await, (200, "false".to_owned()));
}

#[actix_web::test]
async fn the_inner_of_two_middlewares_of_one_manager_takes_what_the_outer_one_learnt() {
    let online = online();
    let scope = web::scope("/in").wrap(OnlineMiddleware::new(&online)).configure(handlers);
    let app = init_service(App::new().service(scope).wrap(OnlineMiddleware::new(&online))).await;
    let ticket = online.issue_ticket(&Identity::new("carol")).await.unwrap();
    // Good for one look.
    let (status, text) = answer(&app, TestRequest::with_uri(&format!("/in/me?ticket={ticket}"))).await;
    assert_eq!((status, text.as_str()), (200, "carol"));
}

#[actix_web::test]
async fn the_routes_work_in_any_scope() {
    for prefix in ["/presence", "/deep/er"] {
        let (status, text) = get_as("alices", &format!("{prefix}/online/J%C3%B8rn%2Fx?y")).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["content"]["id"]), (200, &json!("Jørn/x")), "{prefix}");
        assert_eq!(get_as("alices", &format!("{prefix}/online?limit=5")).await.0, 200);
        assert_eq!(get_as("forged", &format!("{prefix}/online")).await.0, 401);
        assert_eq!(get_as("alices", &format!("{prefix}/ticket")).await.0, 405);
    }
}

#[actix_web::test]
async fn admin_routes_are_there_only_where_they_were_asked_for() {
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers)).await;
    for (path, token, expected) in [
        ("/presence/kick", "roots", 404),
        ("/deep/er/kick", "forged", 401),
        ("/deep/er/kick", "alices", 403),
        ("/deep/er/kick", "roots", 200),
    ] {
        let request = asked(Method::POST, path, token).set_payload(r#"{"loginId":"alice"}"#);
        assert_eq!(answer(&app, request).await.0, expected, "{path} {token}");
    }
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_not_read() {
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers)).await;
    for (token, expected) in [("alices", 413), ("forged", 401)] {
        let request = asked(Method::POST, "/presence/status", token).set_payload(vec![b' '; 64 * 1024 + 1]);
        assert_eq!(answer(&app, request).await.0, expected);
    }
}

#[actix_web::test]
async fn what_is_no_upgrade_is_refused_before_any_101() {
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online())).configure(handlers)).await;
    assert_eq!(answer(&app, asked(Method::GET, "/ws", "alices")).await.0, 426);
    assert_eq!(answer(&app, handshake("forged").set_payload("")).await.0, 401);
    let has_body = handshake("alices").insert_header(("content-length", "4")).set_payload("abcd");
    let chunked = handshake("alices").insert_header(("transfer-encoding", "chunked")).set_payload("");
    // What actix makes of `Upgrade: websocket, x`.
    let unseen = handshake("alices").to_request().replace_payload(Payload::None).0;
    for request in [has_body.to_request(), chunked.to_request(), unseen] {
        let (status, text) = respond(&app, request).await;
        assert_eq!(status, 400, "actix would not pass on what follows the head");
        assert!(text.contains("without a body"), "{text}");
    }
}

#[actix_web::test]
async fn an_upgrade_makes_the_user_online_until_what_came_ends() {
    let online = online();
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online)).configure(handlers)).await;
    let (sender, payload) = h1::Payload::create(false);
    let (mut request, _) = handshake("alices").to_request().replace_payload(payload.into());
    request.head_mut().peer_addr = Some("192.0.2.1:80".parse().unwrap());
    let response = app.call(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.response().upgrade());
    until(|| online.get_connection_count().now_or_never() == Some(1)).await;
    drop(sender);
    until(|| online.get_connection_count().now_or_never() == Some(0)).await;
    drop(response);
}

#[actix_web::test]
async fn a_101_that_is_never_sent_ends_its_connection() {
    let online = online();
    let app = init_service(App::new().wrap(OnlineMiddleware::new(&online)).configure(handlers)).await;
    let (_sender, payload) = h1::Payload::create(false);
    let (request, _) = handshake("alices").to_request().replace_payload(payload.into());
    let response = app.call(request).await.unwrap();
    until(|| online.get_connection_count().now_or_never() == Some(1)).await;
    drop(response); // By a middleware that answers something else.
    until(|| online.get_connection_count().now_or_never() == Some(0)).await;
}

#[actix_web::test]
async fn a_guest_is_whoever_the_application_says() {
    let waiting = Rendezvous::new();
    let pages = web::Data::new(waiting.clone());
    async fn wait(guest: GuestUpgrade, pages: web::Data<Rendezvous>) -> Result<HttpResponse, Rejection> {
        let until = DateTime::<Utc>::MAX_UTC;
        Ok(guest.wait(&pages, "qr-1", until).await?.start())
    }
    let app = init_service(App::new().app_data(pages).route("/ws", web::get().to(wait))).await;
    assert_eq!(answer(&app, asked(Method::GET, "/ws", "whatever")).await.0, 426);
    let (_sender, payload) = h1::Payload::create(false);
    let (request, _) = handshake("whatever").to_request().replace_payload(payload.into());
    let response = app.call(request).await.unwrap();
    assert_eq!(response.status(), 101);
    until(|| waiting.count().now_or_never() == Some(1)).await;
}

async fn until(mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looking).await.expect("in time");
}

/// Handlers may hold them over an await of any thread.
#[test]
fn public_types_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<(OnlineMiddleware, CurrentUser, MaybeUser, Online, Rejection)>();
}
