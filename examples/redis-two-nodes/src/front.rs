//! What the page's own server does: tokens for names, and power over the nodes. A demonstration: anybody who reaches it may log in
//! under any name and kill nodes, so it is for this machine alone.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use herenow_axum::{
    Clock as _, SystemClock,
    auth::{Identity, JwtKeys},
};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::{fleet::Fleet, pages, random};

/// How long a token lives.
const TTL: Duration = Duration::from_secs(60 * 60);

#[derive(Clone)]
struct Front {
    fleet: Arc<Fleet>,
    /// What a page must say to be obeyed: another site's page does not know it.
    key: Arc<str>,
    address: SocketAddr,
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
}

pub(crate) fn routes(fleet: Arc<Fleet>, address: SocketAddr) -> Router {
    let pages = pages::routes(&fleet.sockets().collect::<Vec<_>>());
    let front = Front { fleet, key: random().into(), address };
    let commanding = Router::new()
        .route("/login", post(log_in))
        .route("/nodes/{name}/{what}", post(command))
        .layer(from_fn_with_state(front.clone(), knows_the_key));
    Router::new()
        .route("/nodes", get(nodes))
        .merge(commanding)
        .with_state(front.clone())
        .merge(pages)
        .layer(from_fn_with_state(front, came_by_our_name))
}

/// The nodes, and the key for what follows.
async fn nodes(State(front): State<Front>) -> Json<Value> {
    Json(json!({"nodes": front.fleet.shown().await, "key": &*front.key}))
}

/// A name is enough.
async fn log_in(State(front): State<Front>, Json(LogIn { name }): Json<LogIn>) -> Response {
    let name = name.trim();
    let is_fine = |text: &str| text.chars().all(|char| char.is_alphanumeric() || " .-_'".contains(char));
    if name.is_empty() || name.chars().count() > 32 || !is_fine(name) {
        let hint = "a name has 1 to 32 letters, digits, spaces and .-_'";
        return (StatusCode::BAD_REQUEST, hint).into_response();
    }
    match JwtKeys::hs256(front.fleet.secret().as_bytes()) {
        Ok(keys) => {
            let token = keys.issue(&Identity::new(name), TTL, SystemClock.utc());
            Json(json!({"token": token.expose(), "name": name})).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn command(State(front): State<Front>, Path((name, what)): Path<(String, String)>) -> Response {
    // A task of its own: a page that is closed meanwhile would have the node killed in the middle of it.
    let done = tokio::spawn(async move {
        match what.as_str() {
            "kill" => Some(front.fleet.kill(&name).await),
            "drain" => Some(front.fleet.drain(&name).await),
            "start" => Some(front.fleet.start_again(&name).await),
            _ => None,
        }
    });
    match done.await {
        Ok(Some(Ok(()))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(Err(error))) => (StatusCode::CONFLICT, error).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "a node is told `kill`, `drain` or `start`").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Only a page that read the key from here is obeyed.
async fn knows_the_key(State(front): State<Front>, request: Request, next: Next) -> Response {
    let said = request.headers().get("x-demo-key").map(|key| key.as_bytes()).unwrap_or_default();
    if said.ct_eq(front.key.as_bytes()).into() {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "`x-demo-key` is missing or old: GET /nodes has it").into_response()
}

/// Another name that leads here (DNS rebinding) would make another site's page ours.
async fn came_by_our_name(State(front): State<Front>, request: Request, next: Next) -> Response {
    if is_ours(request.headers(), front.address) {
        return next.run(request).await;
    }
    let hint = format!("open http://{}", front.address);
    (StatusCode::MISDIRECTED_REQUEST, hint).into_response()
}

fn is_ours(headers: &HeaderMap, address: SocketAddr) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    host == address.to_string() || host == format!("localhost:{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered() {
        let address = "127.0.0.1:3004".parse().unwrap();
        let named = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_ours(&headers, address)
        };
        assert!(named("127.0.0.1:3004") && named("localhost:3004"));
        assert!(
            !named("evil.example:3004") && !named("127.0.0.1:3005") && !is_ours(&HeaderMap::new(), address)
        );
    }
}
