//! [`RequireUserLayer`]: insists on a user.

use std::task::{Context, Poll};

use ::http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    OnlineLayer, RefusedOr, grpc,
    online::{Answer, take_ready},
};
use crate::adapter;

/// [`OnlineLayer`] that insists on a user; made by [`OnlineLayer::require_user`].
///
/// A refusal is the response of the [`Refusal`](crate::http::Refusal). To a gRPC call (`content-type:
/// application/grpc…`) it is HTTP 200 with `grpc-status` and `grpc-message`: `INVALID_ARGUMENT` for 400,
/// `UNAUTHENTICATED` for 401, `PERMISSION_DENIED` for 403, `RESOURCE_EXHAUSTED` for 429, `UNAVAILABLE` for 503, and
/// `INTERNAL` for whatever else.
#[derive(Clone, Debug)]
pub struct RequireUserLayer(OnlineLayer);

impl RequireUserLayer {
    pub(super) fn new(layer: OnlineLayer) -> Self {
        Self(layer)
    }
}

impl<S> Layer<S> for RequireUserLayer {
    type Service = RequireUserService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireUserService { inner, layer: self.0.clone() }
    }
}

/// The service of [`RequireUserLayer`].
#[derive(Clone, Debug)]
pub struct RequireUserService<S> {
    inner: S,
    layer: OnlineLayer,
}

impl<S, B, B2> Service<Request<B>> for RequireUserService<S>
where
    S: Service<Request<B>, Response = Response<B2>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<RefusedOr<B2>>;
    type Error = S::Error;
    type Future = Answer<Self::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, layer) = (take_ready(&mut self.inner), self.layer.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let visit = layer.look(&mut parts).await;
            let Err(refusal) = adapter::refuse_nobody(&visit) else {
                let answered = inner.call(Request::from_parts(parts, body)).await?;
                return Ok(answered.map(RefusedOr::Inner));
            };
            let refused = match grpc::content_type(&parts.headers) {
                Some(content_type) => grpc::refused(&refusal, content_type),
                None => refusal.into_response(),
            };
            Ok(refused.map(RefusedOr::Refused))
        })
    }
}
