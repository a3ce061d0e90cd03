//! A small gRPC service and its client, without generated code.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use herenow::{auth::Identity, http::Visit};
use tonic::{
    Request, Response, Status,
    body::Body,
    client,
    server::{self, NamedService},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// What goes both ways: to whom, or from whom, and what.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Note {
    #[prost(string, tag = "1")]
    pub(crate) who: String,
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

/// The service, as `tonic-build` would write it.
#[derive(Clone)]
pub(crate) struct Desk;

impl NamedService for Desk {
    const NAME: &'static str = "herenow.test.Desk";
}

impl Service<http::Request<Body>> for Desk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = server::Grpc::new(ProstCodec::<Note, Note>::default());
            Ok(match request.uri().path() {
                "/herenow.test.Desk/WhoAmI" => grpc.unary(service_fn(who_am_i), request).await,
                "/herenow.test.Desk/Say" => grpc.unary(service_fn(say), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// The layer leaves the user in the extensions, and in the visit what else it learnt: here, from where the call comes.
async fn who_am_i(request: Request<Note>) -> Result<Response<Note>, Status> {
    let found = request.extensions();
    let name = found.get::<Arc<Identity>>().map_or("nobody", |identity| identity.user.login_id());
    let peer = found.get::<Visit>().and_then(|visit| visit.request().peer());
    Ok(Response::new(Note {
        who: name.to_owned(),
        text: peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
    }))
}

/// Pushes to a user, wherever that one is connected; answers with how many connections took it.
async fn say(request: Request<Note>) -> Result<Response<Note>, Status> {
    let visit: &Visit = request.extensions().get().ok_or_else(|| Status::internal("no layer"))?;
    let online = visit.manager().clone();
    let Note { who, text } = request.into_inner();
    let report = online
        .push_to_user(&*who, text)
        .await
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(Response::new(Note { who, text: report.enqueued.to_string() }))
}

/// A client's call, with a token or without one.
pub(crate) async fn call(address: SocketAddr, method: &str, token: &str, note: Note) -> Result<Note, Status> {
    let channel: Channel = Endpoint::from_shared(format!("http://{address}"))
        .expect("an address is a URI")
        .connect()
        .await
        .expect("it listens");
    let mut grpc = client::Grpc::new(channel);
    grpc.ready().await.expect("it is connected");
    let mut request = Request::new(note);
    if !token.is_empty() {
        let value = format!("Bearer {token}").parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    let path = format!("/{}/{method}", Desk::NAME).parse().expect("a path");
    let answer = grpc.unary(request, path, ProstCodec::<Note, Note>::default()).await?;
    Ok(answer.into_inner())
}
