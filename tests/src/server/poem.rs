//! The routes on poem.

use std::{future::Future, io, sync::Arc};

use herenow_poem::{CurrentUser, OnlineEndpoint, OnlineMiddleware, OnlineUpgrade, auth::Identity};
use poem::{
    Endpoint, EndpointExt, Request, Response, ResponseParts, Route, RouteMethod,
    endpoint::make,
    get, handler,
    http::{Method, uri::Scheme},
    listener::{Acceptor, TcpAcceptor},
    web::{Json, LocalAddr, RemoteAddr},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    App, handler as handle,
    plain::{self, Asked, ROUTES},
    tls::Certificate,
};

/// The largest body of a plain route, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Serves until `stop`, then drains.
pub(super) async fn serve(
    app: App,
    listener: TcpListener,
    tls: Option<Certificate>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let router = router(&app);
    let (drained, may_end) = oneshot::channel::<()>();
    let may_end = async move { drop(may_end.await) };
    let tcp = TcpAcceptor::from_tokio(listener).expect("a listener has an address");
    let server = match tls {
        Some(certificate) => {
            let acceptor = Tls { tcp, acceptor: certificate.acceptor() };
            tokio::spawn(herenow_poem::serve_with_acceptor(acceptor, router).until(may_end))
        }
        None => tokio::spawn(herenow_poem::serve_with_acceptor(tcp, router).until(may_end)),
    };
    stop.await;
    app.drain().await;
    drop(drained);
    if !matches!(server.await, Ok(Ok(()))) {
        tracing::warn!("the server did not end by itself");
    }
}

fn router(app: &App) -> Route {
    let bare = Route::new().at("/ws", ws).at("/me", get(me));
    let router = Route::new()
        .nest("/", users(app))
        .nest("/nested", users(app))
        .nest("/bare", bare)
        .at("/echo", echo(app));
    // Both methods of a path are one endpoint in poem.
    let mut paths: Vec<&str> = ROUTES.iter().map(|(_, path)| *path).collect();
    paths.dedup();
    paths.into_iter().fold(router, |router, path| {
        let methods = ROUTES.iter().filter(|(_, of)| *of == path).map(|(method, _)| *method);
        router.at(
            path.replace("{*route}", "*route"),
            methods.fold(RouteMethod::new(), |routes, method| {
                let method = if method == "POST" { Method::POST } else { Method::GET };
                let app = app.clone();
                routes.method(method, make(move |request| plain(app.clone(), request)))
            }),
        )
    })
}

/// What knows users.
fn users(app: &App) -> impl Endpoint + use<> {
    Route::new()
        .at("/ws", ws)
        .at("/me", get(me))
        .nest("/", herenow_poem::routes()) // GET /herenow, as GoEasy's clients ask for it, and the rest.
        .nest("/presence", herenow_poem::routes())
        .nest("/presence-admin", herenow_poem::routes_with_admin(|who| who.user.login_id() == "root"))
        .with(OnlineMiddleware::new(&app.online))
}

/// Nobody has to say who they are: an earlier middleware does.
fn echo(app: &App) -> impl Endpoint + use<> {
    OnlineEndpoint::new()
        .on_message(handle::echo)
        .with(OnlineMiddleware::new(&app.echo))
        .data(Arc::new(Identity::new("echo")))
}

#[handler]
async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.on_message(handle::ws).start()
}

#[handler]
async fn me(user: CurrentUser) -> Json<Value> {
    Json(json!({"loginId": user.login_id(), "device": user.device}))
}

async fn plain(app: App, mut request: Request) -> Response {
    let body = request.take_body().into_bytes_limit(MAX_BODY).await.unwrap_or_default();
    let asked = Asked {
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        admin_key: request.header("x-admin-key"),
        body: &body,
    };
    let (parts, body) = plain::answer(&app, asked).await.into_parts();
    let http::response::Parts { status, version, headers, extensions, .. } = parts;
    Response::from_parts(ResponseParts { status, version, headers, extensions }, body.into())
}

/// Accepts TLS connections, one handshake after another: enough for tests.
struct Tls {
    tcp: TcpAcceptor,
    acceptor: TlsAcceptor,
}

impl Acceptor for Tls {
    type Io = TlsStream<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.tcp.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            let (stream, local, remote, _) = self.tcp.accept().await?;
            let _ = stream.set_nodelay(true); // Nothing can reach it below TLS.
            match self.acceptor.accept(stream).await {
                Ok(stream) => return Ok((stream, local, remote, Scheme::HTTPS)),
                Err(error) => tracing::debug!(%error, "no TLS handshake"),
            }
        }
    }
}
