//! The quick start of herenow-poem. Listens on the address it is given, or on 127.0.0.1:3000.

use herenow_poem::auth::{AuthError, Credential, Identity};
use herenow_poem::{CurrentUser, OnlineEndpoint, OnlineManager, OnlineMiddleware, http::RequestInfo, policy};
use poem::{EndpointExt, Route, get, handler, listener::TcpAcceptor};

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "alices-secret" => Ok(Identity::new("alice").device("web")),
        _ => Err(AuthError::Unauthorized),
    }
}

#[handler]
async fn hello(user: CurrentUser) -> String {
    format!("Hello, {}!", user.login_id())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let online =
        OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
    let app = Route::new()
        .at("/ws", OnlineEndpoint::new()) // online until the socket ends, however it ends
        .at("/hello", get(hello))
        .nest("/presence", herenow_poem::routes()) // GET /presence/online/alice and the rest
        .with(OnlineMiddleware::new(&online));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let server = herenow_poem::serve_with_acceptor(TcpAcceptor::from_tokio(listener)?, app);
    Ok(server.until(std::future::pending()).await?)
}
