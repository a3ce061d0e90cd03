//! The REST routes, ready to mount.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use herenow::{
    adapter,
    auth::Identity,
    http::{Api, Route},
};

use crate::{error::Rejection, extract::visit};

/// `GET /online`, `GET /online/{login_id}`, `GET /herenow`, `GET /events`, `POST /status`, `POST /ticket`,
/// `GET /client.js`, `GET /openapi.json` and `GET /ready`, to mount under any prefix behind
/// [`OnlineLayer`](crate::OnlineLayer). What one may see there, the builder's `authorize` decides.
///
/// ```
/// use herenow_axum::{OnlineLayer, OnlineManager, policy};
///
/// # fn main() -> Result<(), herenow_axum::BuildError> {
/// let online = OnlineManager::builder().authorize(policy::members_see_members()).build()?;
/// let app: axum::Router =
///     axum::Router::new().nest("/presence", herenow_axum::routes()).layer(OnlineLayer::new(&online));
/// # Ok(()) }
/// ```
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    mounted(Api::new())
}

/// [`routes`], and `POST /push`, `/broadcast` and `/kick` for whom `is_admin` says yes to, within the account of whoever
/// asks.
///
/// ```
/// # use herenow_axum::{OnlineLayer, OnlineManager};
/// # let online = OnlineManager::new();
/// let routes = herenow_axum::routes_with_admin(|who| who.has_scope("admin"));
/// let app: axum::Router = axum::Router::new().nest("/presence", routes).layer(OnlineLayer::new(&online));
/// ```
pub fn routes_with_admin<S: Clone + Send + Sync + 'static>(
    is_admin: impl Fn(&Identity) -> bool + Send + Sync + 'static,
) -> Router<S> {
    mounted(Api::with_admin(is_admin))
}

fn mounted<S: Clone + Send + Sync + 'static>(api: Api) -> Router<S> {
    let routes = api.routes();
    let api = Arc::new(api);
    routes.iter().fold(Router::new(), |router, &route| {
        let api = api.clone();
        let handler = move |request| async move { answer(&api, route, request).await };
        router.route(route.path(), on(filter(route), handler))
    })
}

/// Every method of a route is one that axum knows.
fn filter(route: Route) -> MethodFilter {
    MethodFilter::try_from(route.method()).unwrap_or(MethodFilter::POST)
}

async fn answer(api: &Api, route: Route, request: Request) -> Response {
    match asked(api, route, request).await {
        Ok(response) => response,
        Err(rejection) => rejection.into_response(),
    }
}

async fn asked(api: &Api, route: Route, request: Request) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let read = |limit| async move { to_bytes(body, limit).await.ok() };
    Ok(adapter::answer(api, visit(&parts)?, route, target, read).await?.map(body_of))
}

fn body_of(body: herenow::http::Body) -> Body {
    match body {
        herenow::http::Body::Whole(bytes) => Body::from(bytes),
        herenow::http::Body::Events(events) => Body::from_stream(events),
    }
}
