//! The REST routes, ready to mount.

use std::sync::Arc;

use herenow::{
    adapter,
    auth::Identity,
    http::{Api, Route},
};
use poem::{Body, Request, Response, RouteMethod, endpoint::make};

use crate::{
    error::{Rejection, response},
    extract::visit,
};

/// `GET /online`, `GET /online/{login_id}`, `GET /herenow`, `GET /events`, `POST /status`, `POST /ticket`,
/// `GET /client.js`, `GET /openapi.json` and `GET /ready`, to nest under any prefix within
/// [`OnlineMiddleware`](crate::OnlineMiddleware). What one may see there, the builder's `authorize` decides.
///
/// ```
/// use herenow_poem::{OnlineManager, OnlineMiddleware, policy};
/// use poem::{EndpointExt, Route};
///
/// # fn main() -> Result<(), herenow_poem::BuildError> {
/// let online = OnlineManager::builder().authorize(policy::members_see_members()).build()?;
/// let app = Route::new().nest("/presence", herenow_poem::routes()).with(OnlineMiddleware::new(&online));
/// # Ok(()) }
/// ```
pub fn routes() -> poem::Route {
    mounted(Api::new())
}

/// [`routes`], and `POST /push`, `/broadcast` and `/kick` for whom `is_admin` says yes to, within the account of whoever
/// asks.
///
/// ```
/// # use herenow_poem::{OnlineManager, OnlineMiddleware};
/// # use poem::{EndpointExt, Route};
/// # let online = OnlineManager::new();
/// let routes = herenow_poem::routes_with_admin(|who| who.has_scope("admin"));
/// let app = Route::new().nest("/presence", routes).with(OnlineMiddleware::new(&online));
/// ```
pub fn routes_with_admin(is_admin: impl Fn(&Identity) -> bool + Send + Sync + 'static) -> poem::Route {
    mounted(Api::with_admin(is_admin))
}

fn mounted(api: Api) -> poem::Route {
    let routes = api.routes();
    let api = Arc::new(api);
    routes.iter().fold(poem::Route::new(), |router, &route| {
        let api = api.clone();
        let handler = make(move |request| {
            let api = api.clone();
            async move { answer(&api, route, request).await }
        });
        router.at(path(route), RouteMethod::new().method(route.method(), handler))
    })
}

/// As poem writes it: `:login_id` for `{login_id}`.
fn path(route: Route) -> String {
    route.path().replace('{', ":").replace('}', "")
}

async fn answer(api: &Api, route: Route, mut request: Request) -> Result<Response, Rejection> {
    let body = request.take_body();
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let read = |limit| async move { body.into_bytes_limit(limit).await.ok() };
    Ok(response(adapter::answer(api, visit(&request)?, route, target, read).await?.map(body_of)))
}

fn body_of(body: herenow::http::Body) -> Body {
    match body {
        herenow::http::Body::Whole(bytes) => Body::from_bytes(bytes),
        herenow::http::Body::Events(events) => Body::from_bytes_stream(events),
    }
}
