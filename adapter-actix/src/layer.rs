//! [`OnlineMiddleware`]: finds out who asks, and refuses what would hang.

use std::{
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{Method, header},
};
use futures_util::future::LocalBoxFuture;
use herenow::{
    OnlineManager, adapter,
    auth::Identity,
    http::{Refusal, Visit},
};
use http::Extensions;

use crate::{error::Rejection, managers, translate};

/// Finds out who asks, for every route it stands before; [`CurrentUser`](crate::CurrentUser) insists.
///
/// It refuses two different credentials in one request (400) and a store of tokens that cannot be asked (503) by
/// itself: in actix `Option<CurrentUser>` makes `None` of every error.
///
/// Make the manager once, before `HttpServer::new`, and hand a clone into its closure: the closure runs once for each
/// worker, and a manager made in there knows the users of its own worker only.
///
/// ```
/// use actix_web::{App, web};
/// use herenow_actix::{CurrentUser, OnlineManager, OnlineMiddleware};
///
/// async fn me(user: CurrentUser) -> String {
///     user.login_id().to_owned()
/// }
///
/// let online = OnlineManager::new(); // Here, once.
/// let app = move || App::new().wrap(OnlineMiddleware::new(&online)).route("/me", web::get().to(me));
/// # let _ = app();
/// ```
#[derive(Clone, Debug)]
pub struct OnlineMiddleware {
    online: Arc<OnlineManager>,
    refuse: fn(&Visit) -> Result<(), Refusal>,
}

impl OnlineMiddleware {
    /// A middleware that asks this manager.
    #[track_caller]
    pub fn new(online: &OnlineManager) -> Self {
        let online = Arc::new(online.clone());
        managers::note(&online);
        Self { online, refuse: adapter::refuse_undecided }
    }

    /// Refuses whoever is no valid user, before any handler. Not for routes that upgrade: a browser sees nothing of
    /// its refusals, and [`OnlineUpgrade`](crate::OnlineUpgrade) refuses by itself.
    pub fn require_user(self) -> Self {
        Self { refuse: adapter::refuse_nobody, ..self }
    }

    async fn look(&self, request: &ServiceRequest) -> Result<(), Refusal> {
        refuse_endless(request)?;
        let (info, uri) = translate::request(request.request())?;
        let mut known = Extensions::new();
        if let Some(earlier) = request.extensions().get::<Arc<Identity>>() {
            known.insert(earlier.clone());
        }
        if let Some(earlier) = request.extensions().get::<Visit>() {
            known.insert(earlier.clone());
        }
        let visit = adapter::look(&self.online, info, &uri, &mut known).await;
        let refused = (self.refuse)(&visit);
        let mut extensions = request.extensions_mut();
        extensions.remove::<Arc<Identity>>();
        if let Some(identity) = known.remove::<Arc<Identity>>() {
            extensions.insert(identity);
        }
        extensions.insert(visit);
        refused
    }
}

/// actix takes all that follows `Upgrade: websocket` for a body without end, for which a handler of a `POST` would
/// wait for ever. A WebSocket opens with `GET`.
fn refuse_endless(request: &ServiceRequest) -> Result<(), Refusal> {
    let mut upgrades = request.headers().get_all(header::UPGRADE).filter_map(|said| said.to_str().ok());
    match *request.method() {
        Method::GET => Ok(()),
        Method::CONNECT => Err(Refusal::bad_request("a WebSocket over HTTP/1.1 opens with GET").closing()),
        _ if upgrades.any(|said| said.trim().eq_ignore_ascii_case("websocket")) => {
            Err(Refusal::bad_request("a WebSocket opens with GET").closing())
        }
        _ => Ok(()),
    }
}

impl<S, B> Transform<S, ServiceRequest> for OnlineMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = OnlineService<S>;
    type InitError = ();
    type Future = Ready<Result<OnlineService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(OnlineService { inner: Rc::new(inner), layer: self.clone() }))
    }
}

/// The service of [`OnlineMiddleware`].
#[derive(Debug)]
pub struct OnlineService<S> {
    inner: Rc<S>,
    layer: OnlineMiddleware,
}

impl<S, B> Service<ServiceRequest> for OnlineService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, layer) = (self.inner.clone(), self.layer.clone());
        Box::pin(async move {
            match layer.look(&request).await {
                Ok(()) => inner.call(request).await.map(ServiceResponse::map_into_left_body),
                Err(refusal) => {
                    let answer = Rejection(refusal).error_response();
                    Ok(request.into_response(answer).map_into_right_body::<B>())
                }
            }
        })
    }
}
