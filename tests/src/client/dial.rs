//! How a request is made: every line of it can be wrong.

use std::{io, net::SocketAddr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::BytesMut;
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{Client, Events, Io, Response};
use crate::{PATIENCE, server::tls};

/// The example of RFC 6455, 1.3, so that the answer is known.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The subprotocol that carries a token.
pub fn bearer(token: &str) -> String {
    format!("base64url.bearer.herenow.{}", BASE64_URL_SAFE_NO_PAD.encode(token))
}

/// A request that is being made up.
#[derive(Clone)]
#[must_use = "nothing is sent until it is opened or sent"]
pub struct Dial {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    method: String,
    path: String,
    version: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    window: Option<u32>,
}

impl Dial {
    /// A plain request.
    pub fn request(address: SocketAddr, tls: Option<TlsConnector>, method: &str, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), address.to_string())];
        let (method, path) = (method.to_owned(), path.to_owned());
        let version = "HTTP/1.1".to_owned();
        Self { address, tls, method, path, version, headers, body: Vec::new(), window: None }
    }

    /// A request for a WebSocket.
    pub fn upgrade(address: SocketAddr, tls: Option<TlsConnector>, path: &str) -> Self {
        Self::request(address, tls, "GET", path)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Key", KEY)
            .header("Sec-WebSocket-Version", "13")
    }

    /// Adds a header line, also a second one of its name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves out every line of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self
    }

    /// Says something else in the lines of this name.
    pub fn replacing(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// Offers subprotocols.
    pub fn offer(self, names: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", names)
    }

    /// Sends the token in `Authorization`.
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sends the token as a cookie.
    pub fn cookie(self, token: &str) -> Self {
        self.header("Cookie", &format!("a=b; token={token}; c=d"))
    }

    /// Comes from a page of this origin.
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// Another method.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Another version of HTTP.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// A JSON body.
    pub fn body(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self
    }

    /// A small receive window, so that a client that does not read is soon noticed.
    pub fn small_window(mut self) -> Self {
        self.window = Some(4096);
        self
    }

    /// Opens a WebSocket.
    ///
    /// # Panics
    /// It is refused, or the 101 is wrong.
    pub async fn open(self) -> Client {
        match self.attempt().await {
            Ok(client) => client,
            Err(response) => panic!("refused: {response:?} {}", String::from_utf8_lossy(&response.body)),
        }
    }

    /// Opens a WebSocket in raw mode, and waits until its user is present: the 101 itself does not say so.
    ///
    /// # Panics
    /// It is refused.
    pub async fn join(self) -> Client {
        let mut client = self.open().await;
        client.expect_echo("present").await;
        client
    }

    /// Asks for a WebSocket, or for anything else, and gets an answer that is no 101.
    ///
    /// # Panics
    /// A 101 comes.
    pub async fn send(self) -> Response {
        match self.attempt().await {
            Ok(client) => panic!("it was upgraded: {:?}", client.response),
            Err(response) => response,
        }
    }

    /// Opens a stream of events.
    ///
    /// # Panics
    /// It is refused.
    pub async fn listen(self) -> Events {
        let open = async {
            let mut io = self.connect().await?;
            io.write_all(&self.bytes()).await?;
            io.flush().await?;
            let mut raw = BytesMut::new();
            let response = Response::read(&mut *io, &mut raw, false).await?;
            assert_eq!(response.status, 200, "refused: {response:?}");
            assert_eq!(response.header("transfer-encoding"), Some("chunked"), "{response:?}");
            io::Result::Ok(Events { io, raw, body: BytesMut::new(), response })
        };
        let opened = timeout(PATIENCE, open).await.expect("no answer in time");
        opened.unwrap_or_else(|error| panic!("no stream: {error}"))
    }

    /// Asks, and gets a WebSocket or another answer.
    ///
    /// # Errors
    /// The other answer; status 0 where the server closed without one.
    pub async fn attempt(self) -> Result<Client, Response> {
        match timeout(PATIENCE, self.exchange()).await.expect("no answer in time") {
            Ok(answer) => answer,
            Err(_) => Err(Response::default()),
        }
    }

    async fn exchange(self) -> io::Result<Result<Client, Response>> {
        let mut io = self.connect().await?;
        io.write_all(&self.bytes()).await?;
        io.flush().await?;
        let mut buffer = BytesMut::new();
        let response = Response::read(&mut *io, &mut buffer, self.method != "HEAD").await?;
        if response.status != 101 {
            return Ok(Err(response));
        }
        assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
        assert!(response.header("upgrade").is_some_and(|name| name.eq_ignore_ascii_case("websocket")));
        assert!(response.header("connection").is_some_and(|name| name.eq_ignore_ascii_case("upgrade")));
        assert_eq!(response.header("sec-websocket-extensions"), None, "nothing was offered");
        Ok(Ok(Client::new(io, buffer, response)))
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        let stream = self.tcp().await?;
        stream.set_nodelay(true)?;
        let Some(connector) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(tls::NAME).expect("a plain name");
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(window) = self.window {
            socket.set_recv_buffer_size(window)?;
        }
        socket.connect(self.address).await
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} {}\r\n", self.method, self.path, self.version);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
