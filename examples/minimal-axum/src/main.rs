//! The quick start of herenow-axum. Listens on the address it is given, or on 127.0.0.1:3000.

use axum::{Router, response::Response, routing};
use herenow_axum::auth::{AuthError, Credential, Identity};
use herenow_axum::{CurrentUser, OnlineLayer, OnlineManager, OnlineUpgrade, http::RequestInfo, policy};

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "alices-secret" => Ok(Identity::new("alice").device("web")),
        _ => Err(AuthError::Unauthorized),
    }
}

async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.start() // online until the socket ends, however it ends
}

async fn hello(user: CurrentUser) -> String {
    format!("Hello, {}!", user.login_id())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let online =
        OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
    let app = Router::new()
        .route("/ws", routing::any(ws))
        .route("/hello", routing::get(hello))
        .nest("/presence", herenow_axum::routes()) // GET /presence/online/alice and the rest
        .layer(OnlineLayer::new(&online));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
