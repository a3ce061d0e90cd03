//! [`OnlineMiddleware`]: finds out who asks, and refuses what would hang.

use std::future::{Ready, ready};
use std::{rc::Rc, sync::Arc};

use actix_service::{apply_fn, boxed};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{Method, header};
use actix_web::{Error, HttpMessage as _};
use herenow::http::{Refusal, Visit};
use herenow::{OnlineManager, adapter, auth::Identity};
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
        request.extensions().get::<Arc<Identity>>().map(|earlier| known.insert(earlier.clone()));
        request.extensions().get::<Visit>().map(|earlier| known.insert(earlier.clone()));
        let visit = Visit::look(&self.online, info, &uri, &known).await;
        let mut extensions = request.extensions_mut();
        match visit.user() {
            Ok(Some(identity)) => _ = extensions.insert(identity),
            Ok(None) => {}
            // Whom an earlier one named and this one refuses is nobody for whoever comes after it.
            Err(_) => _ = extensions.remove::<Arc<Identity>>(),
        }
        extensions.insert(visit.clone());
        (self.refuse)(&visit)
    }
}

/// actix takes all that follows `Upgrade: websocket` for a body without end, for which a handler of a `POST` would
/// wait for ever. A WebSocket opens with `GET`.
fn refuse_endless(request: &ServiceRequest) -> Result<(), Refusal> {
    let mut said = request.headers().get_all(header::UPGRADE);
    let upgrades = said.any(|said| said.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"));
    if *request.method() == Method::CONNECT || (upgrades && *request.method() != Method::GET) {
        return Err(Refusal::bad_request("a WebSocket opens with GET").closing());
    }
    Ok(())
}

impl<S, B> Transform<S, ServiceRequest> for OnlineMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = boxed::BoxService<ServiceRequest, Self::Response, Error>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let layer = self.clone();
        ready(Ok(boxed::service(apply_fn(Rc::new(inner), move |request: ServiceRequest, inner: &Rc<S>| {
            let (layer, inner) = (layer.clone(), inner.clone());
            async move {
                match layer.look(&request).await {
                    Ok(()) => inner.call(request).await.map(ServiceResponse::map_into_left_body),
                    Err(refusal) => Ok(request.error_response(Rejection(refusal)).map_into_right_body()),
                }
            }
        }))))
    }
}
