//! [`RefusedOr`]: the body of a service that may not have been asked.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a response behind [`OnlineLayer::require_user`](crate::http::OnlineLayer::require_user).
///
/// It is a [`Body`] wherever the inner one is, so that the layer fits around axum's routers, tonic's servers and
/// services of hyper.
///
/// ```
/// # fn main() {
/// use herenow::{OnlineManager, http::{OnlineLayer, RefusedOr}};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower_layer::Layer;
/// use tower_service::Service;
/// # #[derive(Clone)]
/// # struct Hello;
/// # impl Service<Request<()>> for Hello {
/// #     type Response = Response<Full<bytes::Bytes>>;
/// #     type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: Request<()>) -> Self::Future {
/// #         std::future::ready(Ok(Response::new(Full::from("hello"))))
/// #     }
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
///
/// let mut service = OnlineLayer::new(&OnlineManager::new()).require_user().layer(Hello);
/// let refused = service.call(Request::new(())).await.unwrap();
/// assert_eq!(refused.status(), 401);
/// assert!(matches!(refused.body(), RefusedOr::Refused(_)));
/// let json = refused.into_body().collect().await.unwrap().to_bytes();
/// assert!(json.starts_with(br#"{"code":401,"#));
/// # });
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedOr<B> {
    /// The refusal's; empty where its headers say everything, and once it is sent.
    Refused(Bytes),
    /// The service's own.
    Inner(B),
}

impl<B: Body<Data = Bytes> + Unpin> Body for RefusedOr<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Refused(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Refused(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Self::Inner(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Refused(bytes) => bytes.is_empty(),
            Self::Inner(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Refused(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Inner(body) => body.size_hint(),
        }
    }
}
