//! The routes on actix: in its own `HttpServer`, and in the server that gives sockets away.

use std::{future::Future, io, net::SocketAddr, sync::Arc, thread};

use actix_web::{
    App as Application, HttpMessage as _, HttpRequest, HttpResponse, HttpServer,
    dev::{HttpServiceFactory, Server, Service as _, ServiceFactory, ServiceRequest, ServiceResponse},
    error::Error,
    guard,
    http::{Method, StatusCode},
    rt::{self, System},
    web,
};
use herenow_actix::{CurrentUser, OnlineMiddleware, OnlineUpgrade, auth::Identity};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Adapter, App, handler,
    plain::{self, Asked, ROUTES},
    tls::Certificate,
};

/// The largest body of a plain route, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long requests that are under way may take after the drain, in seconds.
const LAST_REQUESTS: u64 = 5;
/// So that users of one server meet over its threads.
const WORKERS: usize = 2;

/// Serves until `stop`, then drains.
pub(super) async fn serve(
    app: App,
    listener: TcpListener,
    tls: Option<Certificate>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let (drained, may_end) = oneshot::channel::<()>();
    let may_end = async move { drop(may_end.await) };
    let served = app.clone();
    let server = thread::spawn(move || {
        System::new().block_on(async {
            match served.options.adapter {
                Adapter::ActixFast => giving_away(served, listener, tls, may_end).await,
                _ => keeping(served, listener, tls, may_end).await,
            }
        })
    });
    stop.await;
    app.drain().await;
    drop(drained);
    let ended = tokio::task::spawn_blocking(|| server.join()).await;
    ended.expect("the join does not panic").expect("the server does not panic").expect("it can listen");
}

/// actix's own server.
async fn keeping(
    app: App,
    listener: TcpListener,
    tls: Option<Certificate>,
    may_end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let server = herenow_actix::tune(HttpServer::new(move || application(app.clone())))
        .workers(WORKERS)
        .shutdown_timeout(LAST_REQUESTS)
        .disable_signals();
    let listener = listener.into_std()?;
    let server = match tls {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.config())?,
        None => server.listen(listener)?,
    };
    run(server.run(), may_end).await
}

/// herenow's. It speaks no TLS, so something in front does.
async fn giving_away(
    app: App,
    listener: TcpListener,
    tls: Option<Certificate>,
    may_end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = match tls {
        Some(certificate) => {
            let behind = TcpListener::bind("127.0.0.1:0").await?;
            rt::spawn(front(listener, certificate.acceptor(), behind.local_addr()?));
            behind
        }
        None => listener,
    };
    let server = Server::build().workers(WORKERS).shutdown_timeout(LAST_REQUESTS).disable_signals();
    let application = move || application(app.clone());
    run(herenow_actix::serve(server, listener.into_std()?, application)?.run(), may_end).await
}

/// Ends when the last worker has. After a signal of its own, a server waits 0.3 s longer, which many tests would feel.
async fn run(server: Server, may_end: impl Future<Output = ()>) -> io::Result<()> {
    let handle = server.handle();
    let server = rt::spawn(server);
    may_end.await;
    handle.stop(true).await;
    server.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Speaks TLS with clients, and plain TCP with the server behind it.
async fn front(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        rt::spawn(async move {
            let (mut client, mut server) =
                (acceptor.accept(stream).await?, TcpStream::connect(behind).await?);
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

fn application(
    app: App,
) -> Application<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>,
> {
    let bare = web::scope("/bare").route("/ws", web::to(ws)).route("/me", web::get().to(me));
    let nested = web::scope("/nested").wrap(OnlineMiddleware::new(&app.online)).configure(users);
    let root = web::scope("").wrap(OnlineMiddleware::new(&app.online)).configure(users);
    let mut application = Application::new().app_data(web::Data::new(app.clone()));
    for (method, path) in ROUTES {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let path = path.replace("{*route}", "{route:.*}");
        // Behind the middleware too: where none is, actix takes what follows an `Upgrade` for a body without end.
        let resource =
            web::resource(path).guard(guard::Method(method)).wrap(OnlineMiddleware::new(&app.online));
        application = application.service(resource.to(plain));
    }
    // What matches every path is asked last.
    application.service(echo_resource(&app)).service(bare).service(nested).service(root)
}

/// What knows users.
fn users(config: &mut web::ServiceConfig) {
    config
        .route("/ws", web::to(ws))
        .route("/me", web::get().to(me))
        .service(web::scope("/presence").configure(herenow_actix::routes()))
        .service(
            web::scope("/presence-admin")
                .configure(herenow_actix::routes_with_admin(|who| who.user.login_id() == "root")),
        )
        .configure(herenow_actix::routes()); // GET /herenow, as GoEasy's clients ask for it, and the rest.
}

/// Nobody has to say who they are: an earlier layer does.
fn echo_resource(app: &App) -> impl HttpServiceFactory + use<> {
    web::resource("/echo")
        .wrap(OnlineMiddleware::new(&app.echo))
        .wrap_fn(|request, inner| {
            request.extensions_mut().insert(Arc::new(Identity::new("echo")));
            inner.call(request)
        })
        .to(echo)
}

async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
    upgrade.on_message(handler::ws).start()
}

async fn echo(upgrade: OnlineUpgrade) -> HttpResponse {
    upgrade.on_message(handler::echo).start()
}

async fn me(user: CurrentUser) -> web::Json<Value> {
    web::Json(json!({"loginId": user.login_id(), "device": user.device}))
}

async fn plain(app: web::Data<App>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    // Of a GET nothing is read: with an `Upgrade` it would have no end.
    let body = match request.method() {
        &Method::POST => body.to_bytes_limited(MAX_BODY).await.ok().and_then(Result::ok).unwrap_or_default(),
        _ => web::Bytes::new(),
    };
    let asked = Asked {
        path: request.path(),
        query: request.query_string(),
        admin_key: request.headers().get("x-admin-key").and_then(|key| key.to_str().ok()),
        body: &body,
    };
    let (parts, body) = plain::answer(&app, asked).await.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).expect("a status");
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    answer.body(body)
}
