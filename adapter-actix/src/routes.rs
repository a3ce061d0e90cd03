//! The REST routes, ready to mount.

use actix_web::body::{BodyStream, BoxBody};
use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use herenow::http::{Api, Body, Route};
use herenow::{adapter, auth::Identity};

use crate::{error::Rejection, extract::visit, translate};

/// `GET /online`, `GET /online/{login_id}`, `GET /herenow`, `GET /events`, `POST /status`, `POST /ticket`,
/// `GET /client.js`, `GET /openapi.json` and `GET /ready`, to mount in any scope behind
/// [`OnlineMiddleware`](crate::OnlineMiddleware). What one may see there, the builder's `authorize` decides.
///
/// ```
/// use actix_web::{App, web};
/// use herenow_actix::{OnlineManager, OnlineMiddleware, policy};
///
/// # fn main() -> Result<(), herenow_actix::BuildError> {
/// let online = OnlineManager::builder().authorize(policy::members_see_members()).build()?;
/// let app = App::new()
///     .wrap(OnlineMiddleware::new(&online))
///     .service(web::scope("/presence").configure(herenow_actix::routes()));
/// # let _ = app;
/// # Ok(()) }
/// ```
pub fn routes() -> impl FnOnce(&mut web::ServiceConfig) {
    mounted(Api::new())
}

/// [`routes`], and `POST /push`, `/broadcast` and `/kick` for whom `is_admin` says yes to, within the account of whoever
/// asks.
///
/// ```
/// # use actix_web::{App, web};
/// # use herenow_actix::{OnlineManager, OnlineMiddleware};
/// # let online = OnlineManager::new();
/// let routes = herenow_actix::routes_with_admin(|who| who.has_scope("admin"));
/// let app = App::new()
///     .wrap(OnlineMiddleware::new(&online))
///     .service(web::scope("/presence").configure(routes));
/// # let _ = app;
/// ```
pub fn routes_with_admin(
    is_admin: impl Fn(&Identity) -> bool + Send + Sync + 'static,
) -> impl FnOnce(&mut web::ServiceConfig) {
    mounted(Api::with_admin(is_admin))
}

fn mounted(api: Api) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        for &route in api.routes() {
            let api = api.clone();
            let handler = move |request, body| answer(api.clone(), route, request, body);
            // Every method of a route is one that actix knows.
            let method = Method::from_bytes(route.method().as_str().as_bytes()).unwrap_or(Method::POST);
            let mut resource = web::resource(route.path());
            if method == Method::GET {
                resource = resource.route(web::head().to(handler.clone()));
            }
            config.service(resource.route(web::method(method).to(handler)));
        }
    }
}

async fn answer(
    api: Api,
    route: Route,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Rejection> {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let read = |limit| async move { body.to_bytes_limited(limit).await.ok()?.ok() };
    let response = adapter::answer(&api, &visit(&request)?, route, target, read).await?;
    Ok(translate::response(response.map(|body| match body {
        Body::Whole(bytes) => BoxBody::new(bytes),
        Body::Events(events) => BoxBody::new(BodyStream::new(events)),
    })))
}
