//! The routes on axum.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{MethodFilter, any, get, on},
};
use herenow_axum::{CurrentUser, OnlineLayer, OnlineUpgrade, auth::Identity};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    App, handler,
    plain::{self, Asked, ROUTES},
    tls::{Certificate, TlsListener},
};

/// The largest body of a plain route, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long requests that are under way may take after the drain.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Serves until `stop`, then drains.
pub(super) async fn serve(
    app: App,
    listener: TcpListener,
    tls: Option<Certificate>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let router = router(app.clone());
    let (drained, may_end) = oneshot::channel::<()>();
    let may_end = async move { drop(may_end.await) };
    let server = match tls {
        Some(certificate) => {
            let listener = TlsListener::new(listener, certificate.acceptor());
            tokio::spawn(async { axum::serve(listener, router).with_graceful_shutdown(may_end).await })
        }
        None => tokio::spawn(async { herenow_axum::serve(listener, router).until(may_end).await }),
    };
    stop.await;
    app.drain().await;
    drop(drained);
    if tokio::time::timeout(LAST_REQUESTS, server).await.is_err() {
        tracing::warn!("requests were still under way");
    }
}

fn router(app: App) -> Router {
    let users = users(&app);
    let bare = Router::new().route("/ws", any(ws)).route("/me", get(me));
    let mut router = Router::new().merge(users.clone()).nest("/nested", users).nest("/bare", bare);
    router = router.merge(echo_router(&app));
    for (method, path) in ROUTES {
        let filter = if method == "POST" { MethodFilter::POST } else { MethodFilter::GET };
        router = router.merge(Router::new().route(path, on(filter, plain).with_state(app.clone())));
    }
    router
}

/// What knows users.
fn users(app: &App) -> Router {
    Router::new()
        .route("/ws", any(ws))
        .route("/me", get(me))
        .merge(herenow_axum::routes()) // GET /herenow, as GoEasy's clients ask for it, and the rest.
        .nest("/presence", herenow_axum::routes())
        .nest("/presence-admin", herenow_axum::routes_with_admin(|who| who.user.login_id() == "root"))
        .layer(OnlineLayer::new(&app.online))
}

/// Nobody has to say who they are: an earlier layer does.
fn echo_router(app: &App) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .layer(OnlineLayer::new(&app.echo))
        .layer(Extension(Arc::new(Identity::new("echo"))))
}

async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.on_message(handler::ws).start()
}

async fn echo(upgrade: OnlineUpgrade) -> Response {
    upgrade.on_message(handler::echo).start()
}

async fn me(user: CurrentUser) -> Json<Value> {
    Json(json!({"loginId": user.login_id(), "device": user.device}))
}

async fn plain(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let asked = Asked {
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        admin_key: parts.headers.get("x-admin-key").and_then(|key| key.to_str().ok()),
        body: &body,
    };
    plain::answer(&app, asked).await.map(Body::from)
}
