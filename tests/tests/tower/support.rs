//! What a framework would bring: here it is hyper, by hand.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use herenow::{
    Body, Connection, HandlerError, Inbound, OnlineManager, Reply,
    auth::{AuthError, Credential, Identity},
    http::{OnlineLayer, Refusal, RequestInfo, Visit},
    hyper::{BoxError, Connections, drive, is_extended_connect},
};
use herenow_conformance::client::Dial;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

/// A token is `the-token-of-` and a name.
pub(crate) fn token_of(login_id: &str) -> String {
    format!("the-token-of-{login_id}")
}

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    credential.token.expose().strip_prefix("the-token-of-").map(Identity::new).ok_or(AuthError::Unauthorized)
}

pub(crate) fn manager() -> OnlineManager {
    OnlineManager::builder().authenticator(whose).build().expect("nothing contradicts")
}

/// A WebSocket at a bare hyper server.
pub(crate) fn ws(address: SocketAddr, login_id: &str) -> Dial {
    Dial::upgrade(address, None, "/ws").token(&token_of(login_id))
}

/// A hyper server with the layer around the routes.
pub(crate) async fn hyper_server(online: &OnlineManager) -> SocketAddr {
    serve(OnlineLayer::new(online).layer(service_fn(route))).await
}

/// Serves on a free port.
pub(crate) async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let accepted = move |connections: &Connections, (stream, peer): (_, SocketAddr)| {
        let with_peer = service.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        connections.serve(stream, TowerToHyperService::new(with_peer));
    };
    tokio::spawn(Connections::new().accept(listener, std::future::pending(), accepted));
    address
}

/// The routes: `/ws`, and anything else says who asks and from where.
pub(crate) async fn route(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answered = match request.uri().path() {
        "/ws" => upgrade(&mut request).await,
        _ => Ok(Response::new(who(&request).into())),
    };
    Ok(answered.unwrap_or_else(|refusal| refusal.into_response().map(Full::new)))
}

fn who(request: &Request<Incoming>) -> String {
    let found = request.extensions();
    let name = found.get::<Arc<Identity>>().map_or("nobody", |identity| identity.user.login_id());
    let peer = found.get::<Visit>().and_then(|visit| visit.request().peer());
    format!("{name} from {}", peer.map_or("nowhere".to_owned(), |peer| peer.ip().to_string()))
}

/// From what the layer left to a connection that herenow drives.
async fn upgrade(request: &mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    let visit = request.extensions().get::<Visit>().cloned();
    let visit = visit.ok_or_else(|| Refusal::misconfigured("is `OnlineLayer` around this service?"))?;
    let connect = is_extended_connect(request.extensions());
    let mut admission = visit.upgrade(request.version(), connect).await?;
    let hooks = std::mem::take(admission.hooks_mut());
    *admission.hooks_mut() = hooks.on_message(echo);
    let response = admission.response().map(|()| Full::default());
    tokio::spawn(drive(hyper::upgrade::on(request), admission));
    Ok(response)
}

async fn echo(_: Connection, inbound: Inbound) -> Result<Reply, HandlerError> {
    Ok(match inbound.body {
        Body::Text(text) => Reply::text(text),
        _ => Reply::None,
    })
}
