//! An application on both servers, and a client that writes bytes as it likes.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{
    App, Error, HttpMessage as _, HttpRequest, HttpResponse, HttpServer,
    body::{BodyStream, MessageBody, to_bytes},
    dev::{Server as ActixServer, Service as _, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::{DefaultHeaders, Logger, Next, NormalizePath, from_fn},
    rt::System,
    web,
};
use herenow_actix::{
    Body, CurrentUser, OnlineManager, OnlineMiddleware, OnlineUpgrade, Reply,
    auth::{AuthError, Credential, Identity},
    http::RequestInfo,
    policy::Outbox,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// More than actix gathers before it writes.
pub(crate) const BIG: usize = 40_000;
/// How long nothing is to come.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// An `HttpServer` that is tuned.
    Kept,
    /// `herenow_actix::serve`.
    GivenAway,
}

pub(crate) const BOTH: [Kind; 2] = [Kind::Kept, Kind::GivenAway];

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) online: OnlineManager,
    /// The codes that connections ended with.
    pub(crate) ended: mpsc::UnboundedReceiver<u16>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) thread: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        let online = OnlineManager::builder()
            .authenticator(whose)
            .grace(Duration::ZERO)
            .outbox(Outbox { messages: 10_000, bytes: 64 << 20, ..Outbox::default() })
            .build()
            .expect("the settings fit");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, ended) = mpsc::unbounded_channel();
        let (shared, closing) = (online.clone(), online.clone());
        let app = move || {
            App::new()
                .app_data(web::Data::new(Shared { greeting: "app data", ended: tell.clone() }))
                .configure(routes)
                .wrap(OnlineMiddleware::new(&shared))
                .wrap(DefaultHeaders::new().add(("x-outer", "yes")))
                .wrap(Logger::default())
        };
        let until = async move {
            drop(stopped.await);
            closing.shutdown(Duration::from_secs(1)).await;
        };
        let thread = thread::spawn(move || match kind {
            Kind::Kept => {
                let server = HttpServer::new(app).shutdown_timeout(5);
                let server = herenow_actix::tune(server).workers(2).shutdown_signal(until);
                System::new().block_on(async { server.listen(listener)?.run().await })
            }
            Kind::GivenAway => {
                let server = ActixServer::build().workers(2).shutdown_timeout(5).shutdown_signal(until);
                System::new().block_on(async { herenow_actix::serve(server, listener, app)?.run().await })
            }
        });
        Self { address, online, ended, stop, thread }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("it listens"))
    }

    /// A socket that the user has.
    pub(crate) async fn open(&self, token: &str) -> Client {
        let mut client = self.connect().await;
        assert_eq!(client.ask(&upgrade("/ws", token)).await.status(), 101);
        client.send(b"echo").await;
        assert_eq!(client.frame().await, b"echo");
        client
    }

    pub(crate) async fn until_connections(&self, count: usize) {
        let there = async || self.online.get_connection_count().await == count;
        until(&format!("{count} connections"), PATIENCE, there).await;
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let ended = tokio::task::spawn_blocking(|| self.thread.join());
        timeout(PATIENCE, ended)
            .await
            .expect("it ends in time")
            .expect("it joins")
            .expect("no panic")
            .expect("it could listen");
    }
}

pub(crate) async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "forged" => Err(AuthError::Unauthorized),
        name => Ok(Identity::new(name)),
    }
}

pub(crate) struct Shared {
    greeting: &'static str,
    ended: mpsc::UnboundedSender<u16>,
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/ws", web::to(ws))
        .route("/me", web::to(async |user: CurrentUser| user.login_id().to_owned()))
        .route("/body", web::to(async |body: web::Bytes| body))
        .route("/big", web::get().to(async || "x".repeat(BIG)))
        .route("/theirs", web::get().to(theirs))
        .service(web::resource("/whole").wrap(from_fn(whole)).to(ws))
        .service(web::resource("/other").wrap(from_fn(other)).to(ws))
        .service(
            web::scope("/in")
                .wrap(NormalizePath::trim())
                .wrap_fn(|request, inner| {
                    request.extensions_mut().insert("of the scope");
                    inner.call(request)
                })
                .route("/{room}/ws", web::get().to(in_room)),
        );
}

pub(crate) async fn ws(upgrade: OnlineUpgrade, shared: web::Data<Shared>) -> HttpResponse {
    let tell = shared.ended.clone();
    upgrade
        .on_message(async |_, inbound| match inbound.body {
            Body::Text(text) => Ok(Reply::text(text)),
            _ => Ok(Reply::None),
        })
        .on_disconnect(move |_, ended| {
            let _ = tell.send(ended.code);
            async {}
        })
        .start()
}

/// Says what it got of the application, the scope and the path.
pub(crate) async fn in_room(
    upgrade: OnlineUpgrade,
    request: HttpRequest,
    shared: web::Data<Shared>,
    room: web::Path<String>,
) -> HttpResponse {
    let scope = request.extensions().get::<&str>().copied().unwrap_or_default();
    let said = format!("{}, {scope}, {room}", shared.greeting);
    upgrade
        .on_message(move |_, _| {
            let said = said.clone();
            async move { Ok(Reply::text(said)) }
        })
        .start()
}

/// Somebody else's protocol: what comes goes back.
pub(crate) async fn theirs(body: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols().upgrade("websocket").body(BodyStream::new(body))
}

/// A middleware that waits for the whole body of a response.
pub(crate) async fn whole(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let (request, response) = next.call(request).await?.into_parts();
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Ok(ServiceResponse::new(request, HttpResponse::build(status).body(body)))
}

/// A middleware that answers something else than the handler did.
pub(crate) async fn other(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let (request, _) = next.call(request).await?.into_parts();
    Ok(ServiceResponse::new(request, HttpResponse::build(StatusCode::IM_A_TEAPOT).body("no")))
}

pub(crate) struct Client(pub(crate) TcpStream);

/// A head as it came.
#[derive(Debug)]
pub(crate) struct Head(pub(crate) String);

impl Head {
    pub(crate) fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&self.0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it takes bytes");
    }

    pub(crate) async fn ask(&mut self, request: &str) -> Head {
        self.write(request.as_bytes()).await;
        self.head().await
    }

    pub(crate) async fn head(&mut self) -> Head {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.expect("an answer in time");
            head.push(byte.unwrap_or_else(|_| panic!("closed after {:?}", String::from_utf8_lossy(&head))));
        }
        Head(String::from_utf8(head).expect("text"))
    }

    pub(crate) async fn exactly(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("bytes in time").expect("bytes");
        bytes
    }

    pub(crate) async fn answer(&mut self, request: &str) -> (Head, String) {
        let head = self.ask(request).await;
        let length = head.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        let body = self.exactly(length).await;
        (head, String::from_utf8(body).expect("text"))
    }

    /// Until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the server closes in time");
        rest
    }

    pub(crate) async fn send(&mut self, text: &[u8]) {
        self.write(&frame(text)).await;
    }

    /// The payload of a short frame of the server.
    pub(crate) async fn frame(&mut self) -> Vec<u8> {
        let header = self.exactly(2).await;
        self.exactly(usize::from(header[1])).await
    }
}

/// A short text frame of a client, its mask all zero.
pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    [&[0x81, 0x80 | u8::try_from(text.len()).expect("a short one"), 0, 0, 0, 0], text].concat()
}

pub(crate) fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer alice\r\n{headers}\r\n")
}

pub(crate) fn upgrade(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, within: Duration, holds: impl AsyncFn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let looking = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    timeout(within, looking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Whether the server has a socket of its port for the client's.
#[cfg(target_os = "linux")]
pub(crate) fn is_established((server, client): (u16, u16)) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
    let ends = format!(":{server:04X} 0100007F:{client:04X} 01 ");
    table.lines().any(|line| line.contains(&ends))
}
