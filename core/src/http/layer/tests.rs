use std::{
    collections::HashMap,
    convert::Infallible,
    future::Ready,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use chrono::DateTime;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::{
    Builder, OnlineManager, OnlineUser,
    auth::{AuthError, Credential, Identity},
    http::{RequestInfo, Visit},
};

/// Answers with what it finds in the extensions; may be called only once it said that it is ready.
#[derive(Default)]
struct Handler {
    ready: bool,
}

impl Clone for Handler {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(self.ready, "called before it was ready");
        let found = request.extensions();
        let name = found.get::<Arc<Identity>>().map_or("nobody", |identity| identity.user.login_id());
        let peer = found.get::<Visit>().and_then(|visit| visit.request().peer());
        std::future::ready(Ok(Response::new(format!("{name} {peer:?}").into())))
    }
}

fn builder() -> Builder {
    OnlineManager::builder().authenticator(|credential: Credential, _: RequestInfo| async move {
        match credential.token.expose() {
            "alices" => Ok(Identity::new("alice")),
            _ => Err(AuthError::Unauthorized),
        }
    })
}

fn layer() -> OnlineLayer {
    OnlineLayer::new(&builder().build().unwrap())
}

fn asked(token: &str) -> Request<()> {
    Request::get("/me").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

async fn answer<S, B>(service: S, request: Request<()>) -> (u16, String)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let (status, _, body) = whole(service, request).await;
    (status, body)
}

async fn whole<S, B>(mut service: S, request: Request<()>) -> (u16, HeaderMap, String)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let (parts, body) = service.call(request).await.unwrap().into_parts();
    let (ends, exact) = (body.is_end_stream(), body.size_hint().exact());
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!((ends, exact), (bytes.is_empty(), Some(bytes.len() as u64)));
    (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn the_layer_finds_out_and_refuses_nobody() {
    let service = layer().layer(Handler::default());
    for (token, expected) in [("alices", "alice None"), ("forged", "nobody None")] {
        assert_eq!(answer(service.clone(), asked(token)).await, (200, expected.to_owned()));
    }
    let anonymous = Request::get("/").body(()).unwrap();
    assert_eq!(answer(service, anonymous).await.1, "nobody None");
}

#[tokio::test]
async fn an_identity_of_an_earlier_layer_counts_before_the_token() {
    let mut request = asked("forged");
    request.extensions_mut().insert(Arc::new(Identity::new("bob")));
    assert_eq!(answer(layer().layer(Handler::default()), request).await.1, "bob None");
}

#[tokio::test]
async fn an_upgrade_of_another_origin_is_refused_whoever_found_the_user() {
    let mut request = Request::get("/ws")
        .header("host", "app.example")
        .header("origin", "https://evil.example")
        .header("upgrade", "websocket")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Arc::new(Identity::new("bob")));
    let service = layer().require_user().layer(Handler::default());
    assert_eq!(answer(service, request).await.0, 403);
}

#[tokio::test]
async fn the_peer_comes_from_where_the_server_left_it() {
    let peer: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let mut request = asked("alices");
    request.extensions_mut().insert(peer);
    assert_eq!(
        answer(layer().layer(Handler::default()), request.clone()).await.1,
        format!("alice {:?}", Some(peer))
    );
    let blind = layer().peer(|_| None).layer(Handler::default());
    assert_eq!(answer(blind, request).await.1, "alice None");
}

#[tokio::test]
async fn a_layer_that_insists_refuses_before_the_handler() {
    let service = layer().require_user().layer(Handler::default());
    assert_eq!(answer(service.clone(), asked("alices")).await, (200, "alice None".to_owned()));
    let (status, body) = answer(service.clone(), asked("forged")).await;
    assert_eq!((status, body.as_str()), (401, r#"{"code":401,"content":"a valid token is needed"}"#));
    assert_eq!(answer(service, Request::get("/").body(()).unwrap()).await, (status, body));
}

#[tokio::test]
async fn a_call_of_grpc_is_refused_as_grpc_has_it() {
    let service = layer().require_user().layer(Handler::default());
    let call = |token| {
        let mut request = asked(token);
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        request
    };
    assert_eq!(answer(service.clone(), call("alices")).await, (200, "alice None".to_owned()));
    let (status, headers, body) = whole(service, call("forged")).await;
    assert_eq!((status, body.as_str()), (200, ""));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", "16"),
        ("grpc-message", "a valid token is needed"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test(start_paused = true)]
async fn an_authenticated_request_counts_as_activity() {
    let online = builder().build().unwrap();
    let since = DateTime::UNIX_EPOCH;
    online
        .mark_online(OnlineUser {
            login_id: "alice".into(),
            token: "alices".into(),
            device: String::new(),
            connect_time: since,
            last_activity: since,
            metadata: HashMap::new(),
        })
        .await;
    let before = online.get_user_sessions("alice").await[0].last_activity;
    tokio::time::advance(Duration::from_secs(1)).await;
    answer(OnlineLayer::new(&online).layer(Handler::default()), asked("alices")).await;
    assert!(online.get_user_sessions("alice").await[0].last_activity > before);
}
