//! Both servers over real sockets: what actix does around an upgrade, and what it must not do.

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

const PATIENCE: Duration = Duration::from_secs(10);
/// More than actix gathers before it writes.
const BIG: usize = 40_000;
/// How long nothing is to come.
const A_WHILE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// An `HttpServer` that is tuned.
    Kept,
    /// `herenow_actix::serve`.
    GivenAway,
}

const BOTH: [Kind; 2] = [Kind::Kept, Kind::GivenAway];

struct Server {
    address: SocketAddr,
    online: OnlineManager,
    /// The codes that connections ended with.
    ended: mpsc::UnboundedReceiver<u16>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(kind: Kind) -> Self {
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

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("it listens"))
    }

    /// A socket that the user has.
    async fn open(&self, token: &str) -> Client {
        let mut client = self.connect().await;
        assert_eq!(client.ask(&upgrade("/ws", token)).await.status(), 101);
        client.send(b"echo").await;
        assert_eq!(client.frame().await, b"echo");
        client
    }

    async fn until_connections(&self, count: usize) {
        let looking = async {
            while self.online.get_connection_count().await != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("not in time: {count} connections"));
    }

    async fn stop(self) {
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

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    match credential.token.expose() {
        "forged" => Err(AuthError::Unauthorized),
        name => Ok(Identity::new(name)),
    }
}

struct Shared {
    greeting: &'static str,
    ended: mpsc::UnboundedSender<u16>,
}

fn routes(config: &mut web::ServiceConfig) {
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

async fn ws(upgrade: OnlineUpgrade, shared: web::Data<Shared>) -> HttpResponse {
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
async fn in_room(
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
async fn theirs(body: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols().upgrade("websocket").body(BodyStream::new(body))
}

/// A middleware that waits for the whole body of a response.
async fn whole(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let (request, response) = next.call(request).await?.into_parts();
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Ok(ServiceResponse::new(request, HttpResponse::build(status).body(body)))
}

/// A middleware that answers something else than the handler did.
async fn other(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let (request, _) = next.call(request).await?.into_parts();
    Ok(ServiceResponse::new(request, HttpResponse::build(StatusCode::IM_A_TEAPOT).body("no")))
}

struct Client(TcpStream);

/// A head as it came.
#[derive(Debug)]
struct Head(String);

impl Head {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&self.0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it takes bytes");
    }

    async fn ask(&mut self, request: &str) -> Head {
        self.write(request.as_bytes()).await;
        self.head().await
    }

    async fn head(&mut self) -> Head {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.expect("an answer in time");
            head.push(byte.unwrap_or_else(|_| panic!("closed after {:?}", String::from_utf8_lossy(&head))));
        }
        Head(String::from_utf8(head).expect("text"))
    }

    async fn exactly(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("bytes in time").expect("bytes");
        bytes
    }

    async fn answer(&mut self, request: &str) -> (Head, String) {
        let head = self.ask(request).await;
        let length = head.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        let body = self.exactly(length).await;
        (head, String::from_utf8(body).expect("text"))
    }

    /// Until the server closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the server closes in time");
        rest
    }

    async fn send(&mut self, text: &[u8]) {
        self.write(&frame(text)).await;
    }

    /// The payload of a short frame of the server.
    async fn frame(&mut self) -> Vec<u8> {
        let header = self.exactly(2).await;
        self.exactly(usize::from(header[1])).await
    }
}

/// A short text frame of a client, its mask all zero.
fn frame(text: &[u8]) -> Vec<u8> {
    [&[0x81, 0x80 | u8::try_from(text.len()).expect("a short one"), 0, 0, 0, 0], text].concat()
}

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer alice\r\n{headers}\r\n")
}

fn upgrade(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[tokio::test]
async fn an_upgrade_where_none_can_be_does_not_make_a_body_endless() {
    for kind in BOTH {
        let server = Server::start(kind);
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        for (line, headers, sent) in [
            ("POST /body", "", ""),
            ("POST /body", "Content-Length: 5\r\n", "hello"),
            ("PUT /body", "Content-Length: 5\r\n", "hello, and what is no body"),
            ("POST /body", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("POST /body", "Upgrade: h2c\r\n", ""),
            ("POST /nowhere", "Content-Length: 0\r\n", ""),
            ("POST /ws", "", ""),
            ("HEAD /ws", "", ""),
            ("CONNECT a.example:80", "", ""),
        ] {
            let mut client = server.connect().await;
            let head = client.ask(&(request(line, &format!("{upgrade}{headers}")) + sent)).await;
            assert_eq!(
                (head.status(), head.header("connection")),
                (400, Some("close")),
                "{kind:?} {line} {headers}"
            );
            client.rest().await; // What follows such a head is never taken for another request.
        }
        for header in ["h2c", "websocketx"] {
            let mut client = server.connect().await;
            let other = format!("Connection: Upgrade\r\nUpgrade: {header}\r\nContent-Length: 5\r\n");
            assert_eq!(
                client.answer(&(request("POST /body", &other) + "hello")).await.1,
                "hello",
                "{kind:?}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn routes_middleware_and_data_are_there_for_an_upgrade() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        let head = client.ask(&upgrade("/in/lobby/ws/", "alice")).await;
        assert_eq!((head.status(), head.header("x-outer")), (101, Some("yes")), "{kind:?}");
        assert_eq!((head.header("connection"), head.header("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (None, None));
        client.send(b"?").await;
        assert_eq!(client.frame().await, b"app data, of the scope, lobby");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_upgrade_may_follow_other_requests() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        for _ in 0..3 {
            assert_eq!(client.answer(&request("GET /me", "")).await.1, "alice");
        }
        // All at once, with a first message that does not wait for the 101.
        let others = request("GET /me", "")
            + &request("POST /body", "Content-Length: 2\r\n")
            + "hi"
            + &request("GET /big", "");
        client.write(&[others.as_bytes(), upgrade("/ws", "bob").as_bytes(), &frame(b"early")].concat()).await;
        for expected in ["alice", "hi", &"x".repeat(BIG)] {
            let head = client.head().await;
            assert_eq!(client.exactly(expected.len()).await, expected.as_bytes(), "{head:?}");
        }
        assert_eq!(client.head().await.status(), 101);
        assert_eq!(client.frame().await, b"early", "{kind:?}");
        server.online.push_to_user("bob", "late").await.unwrap();
        assert_eq!(client.frame().await, b"late");
        drop(client);
        server.until_connections(0).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refused_upgrade_ends_its_connection() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        let (head, body) = client.answer(&upgrade("/ws", "forged")).await;
        assert_eq!((head.status(), head.header("connection")), (401, Some("close")), "{kind:?}");
        assert_eq!(body, r#"{"code":401,"content":"a valid token is needed"}"#);
        assert_eq!(client.rest().await, b"");
        let mut client = server.connect().await;
        assert_eq!(client.answer(&upgrade("/nowhere", "alice")).await.0.status(), 404);
        assert_eq!(client.rest().await, b"");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_101_that_a_middleware_holds_back_is_no_connection() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        assert_eq!(client.answer(&upgrade("/other", "alice")).await.1, "no", "{kind:?}");
        client.rest().await;
        server.until_connections(0).await;
        // The middleware waits for the end of the body; no frame precedes the 101.
        let mut client = server.connect().await;
        client.write(&[upgrade("/whole", "alice").as_bytes(), &frame(b"echo")].concat()).await;
        let early = timeout(A_WHILE, client.0.read_u8()).await;
        assert!(early.is_err(), "{kind:?} {early:?}");
        drop(client);
        server.until_connections(0).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn another_ones_protocol_works_beside() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        assert_eq!(client.ask(&upgrade("/theirs", "alice")).await.status(), 101, "{kind:?}");
        for said in [b"no frame".as_slice(), b"at all"] {
            client.write(said).await;
            assert_eq!(client.exactly(said.len()).await, said);
        }
        drop(client);
        server.stop().await;
    }
}

#[tokio::test]
async fn who_takes_too_long_for_the_head_of_a_request_is_cut() {
    for kind in BOTH {
        let server = Server::start(kind);
        let cut = ["", "G", "GET /me HTTP/1.1\r\nHost: a.example\r\n"].map(async |beginning| {
            let mut client = server.connect().await;
            client.write(beginning.as_bytes()).await;
            let rest = client.rest().await;
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{kind:?} {beginning:?} {rest:?}");
        });
        futures_util::future::join_all(cut).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn more_than_actix_keeps_before_the_101_ends_the_connection_and_less_arrives() {
    let server = Server::start(Kind::GivenAway);
    let (word, many) = ([b'x'; 100], frame(&[b'x'; 100]).repeat(40));
    let mut client = server.connect().await;
    client.write(&[upgrade("/ws", "alice").as_bytes(), &many, &frame(b"last")].concat()).await;
    assert_eq!(client.head().await.status(), 101);
    for _ in 0..40 {
        assert_eq!(client.frame().await, word);
    }
    assert_eq!(client.frame().await, b"last");
    let mut late = server.connect().await;
    late.write(&[upgrade("/ws", "alice").as_bytes(), &many.repeat(10)].concat()).await;
    assert_eq!(late.head().await.status(), 101);
    assert_eq!(late.rest().await, b"");
    server.until_connections(1).await;
    server.stop().await;
}

#[tokio::test]
async fn users_of_all_workers_meet_and_a_shutdown_says_goodbye_to_all() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut clients = Vec::new();
        for n in 0..6 {
            clients.push(server.open(&format!("user{n}")).await);
        }
        assert_eq!(server.online.get_online_count().await, 6);
        assert_eq!(server.online.broadcast("all").await.unwrap().enqueued, 6, "{kind:?}");
        for client in &mut clients {
            assert_eq!(client.frame().await, b"all");
        }
        let address = server.address;
        let mut idle = server.connect().await;
        assert_eq!(idle.answer(&request("GET /me", "")).await.1, "alice");
        let stopped = tokio::spawn(server.stop());
        for client in &mut clients {
            let goodbye = client.rest().await;
            assert_eq!(
                (goodbye[0], &goodbye[2..4]),
                (0x88, [0x10, 0xCE].as_slice()),
                "a close frame with 4302"
            );
        }
        assert_eq!(idle.rest().await, b"");
        stopped.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "{kind:?}");
    }
}

/// A client that says goodbye and does not wait for the answer.
#[tokio::test]
async fn what_came_before_the_end_is_heard() {
    for kind in BOTH {
        let mut server = Server::start(kind);
        for _ in 0..20 {
            let mut client = server.open("alice").await;
            client.write(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]).await;
            drop(client);
            let code = timeout(PATIENCE, server.ended.recv()).await.expect("it ends").unwrap();
            assert_eq!(code, 1000, "{kind:?}: not 1006, as if it was lost");
        }
        server.stop().await;
    }
}

/// actix itself would hold the socket for as long as the client does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_ends_the_socket_of_a_kicked_client_that_does_not_read() {
    let server = Server::start(Kind::Kept);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    assert_eq!(client.ask(&upgrade("/ws", "alice")).await.status(), 101);
    server.until_connections(1).await;
    let ports = (server.address.port(), client.0.local_addr().unwrap().port());
    assert!(is_established(ports));
    let word = "x".repeat(500_000); // More than all buffers of the kernel take of them.
    for _ in 0..32 {
        server.online.push_to_user("alice", word.as_str()).await.unwrap();
    }
    let report = server.online.kick_out("alice", "go").await.unwrap();
    assert_eq!((report.lingering, report.is_complete()), (1, false), "{report:?}");
    assert_eq!(server.online.get_connection_count().await, 0);
    let gone = async {
        while is_established(ports) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), gone).await.expect("the user timeout is 15 s");
    server.stop().await;
}

/// Whether the server has a socket of its port for the client's.
#[cfg(target_os = "linux")]
fn is_established((server, client): (u16, u16)) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
    let ends = format!(":{server:04X} 0100007F:{client:04X} 01 ");
    table.lines().any(|line| line.contains(&ends))
}
