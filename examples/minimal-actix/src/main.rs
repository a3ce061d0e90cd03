//! The quick start of herenow-actix. Listens on the address it is given, or on 127.0.0.1:3000.

use actix_web::{App, HttpResponse, HttpServer, web};
use herenow_actix::{
    CurrentUser, OnlineManager, OnlineMiddleware, OnlineUpgrade,
    auth::{AuthError, Credential, Identity},
    http::RequestInfo,
    policy,
};

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "alices-secret" => Ok(Identity::new("alice").device("web")),
        _ => Err(AuthError::Unauthorized),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let online =
        OnlineManager::builder().authenticator(whose).authorize(policy::members_see_members()).build()?;
    let app = move || {
        App::new()
            .wrap(OnlineMiddleware::new(&online))
            .route("/ws", web::get().to(async |upgrade: OnlineUpgrade| -> HttpResponse { upgrade.start() }))
            .route("/hello", web::get().to(async |user: CurrentUser| format!("Hello, {}!", user.login_id())))
            .service(web::scope("/presence").configure(herenow_actix::routes()))
    };
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let server = herenow_actix::tune(HttpServer::new(app)).bind(address)?;
    server.addrs().iter().for_each(|address| println!("http://{address}"));
    Ok(server.run().await?)
}
