//! A WebSocket client written by hand, so that it can do everything wrong that a client can do wrong.

mod channels;
mod dial;
mod events;
mod frame;
mod http;
mod resuming;
mod watcher;

use std::{collections::VecDeque, io, time::Duration};

use bytes::BytesMut;
pub use dial::{Dial, bearer};
pub use events::{Event, Events};
pub use frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, masked};
pub use http::Response;
pub use resuming::Resuming;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
pub use watcher::Watcher;

use crate::PATIENCE;

/// A transport that can still reach its TCP socket.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket underneath.
    fn tcp(&self) -> &TcpStream;
}

impl Io for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Io for tokio_rustls::client::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // Unpublished.
pub enum Heard {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A WebSocket ping; answered already, unless the client is mute.
    Ping(Vec<u8>),
    /// A WebSocket pong.
    Pong(Vec<u8>),
    /// A close frame with code (1005 where it has none) and reason.
    Close(u16, String),
    /// The end of the socket.
    End {
        /// Whether it was reset, not closed in order.
        reset: bool,
    },
}

/// How a connection ended, and what came before that.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // Unpublished.
pub struct Ending {
    /// Texts that came since the last one looked at, pings of the protocol left out.
    pub texts: Vec<String>,
    /// The close frame, if there was one.
    pub close: Option<(u16, String)>,
    /// Whether the socket was reset.
    pub reset: bool,
}

impl Ending {
    /// The text of this `type`, if it came.
    pub fn frame(&self, kind: &str) -> Option<Value> {
        let parsed = self.texts.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
        parsed.into_iter().find(|frame| frame["type"] == kind)
    }

    /// The code of the close frame.
    pub fn code(&self) -> Option<u16> {
        self.close.as_ref().map(|(code, _)| *code)
    }
}

/// An open WebSocket. Dropped, it is a network that was lost: no close frame, just the end of the stream.
pub struct Client {
    io: Box<dyn Io>,
    buffer: BytesMut,
    response: Response,
    mute: bool,
    /// Texts that came before the reply that was waited for.
    early: VecDeque<String>,
    /// The id of the last request.
    requests: u64,
}

impl Client {
    fn new(io: Box<dyn Io>, buffer: BytesMut, response: Response) -> Self {
        Self { io, buffer, response, mute: false, early: VecDeque::new(), requests: 0 }
    }

    /// The answer to the handshake.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// Answers no pings from now on.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Writes bytes as they are; what the server did to the socket meanwhile is heard later.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.try_write(bytes).await;
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// The socket is gone, or took nothing for a long time.
    pub async fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        timeout(PATIENCE, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends one whole frame.
    pub async fn send(&mut self, op: u8, payload: &[u8]) {
        self.write(&masked(0x80 | op, payload)).await;
    }

    /// Sends a text message.
    pub async fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// Sends a JSON text message.
    pub async fn json(&mut self, value: &Value) {
        self.text(&value.to_string()).await;
    }

    /// Says `hello` with these fields, and returns the welcome.
    pub async fn hello(&mut self, mut fields: Value) -> Value {
        fields["type"] = "hello".into();
        self.json(&fields).await;
        self.expect_json("welcome").await
    }

    /// Sends a close frame.
    pub async fn say_close(&mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes()).await;
    }

    /// Closes in order, and waits for the end of the socket.
    pub async fn close(mut self, code: u16) -> Ending {
        self.say_close(code).await;
        self.ending().await
    }

    /// Ends the socket with an RST.
    pub fn reset(self) {
        self.io.tcp().set_zero_linger().expect("a socket takes an option");
    }

    /// The next thing that comes.
    ///
    /// # Panics
    /// Nothing comes for a long time, or the server breaks RFC 6455.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).await.expect("nothing came in time")
    }

    /// The next thing that comes within a time; `None` where nothing does. Cancel safe.
    pub async fn hear_within(&mut self, time: Duration) -> Option<Heard> {
        let frame = match timeout(time, self.read_frame()).await.ok()? {
            Ok(Some(frame)) => frame,
            Ok(None) => return Some(Heard::End { reset: false }),
            Err(error) => return Some(Heard::End { reset: error.kind() == io::ErrorKind::ConnectionReset }),
        };
        if frame.op == PING && !self.mute {
            self.send(PONG, &frame.payload).await;
        }
        Some(frame.heard())
    }

    async fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer) {
                return Ok(Some(frame));
            }
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message, pings of both kinds passed over.
    async fn message(&mut self) -> Heard {
        if let Some(text) = self.early.pop_front() {
            return Heard::Text(text);
        }
        self.fresh_message().await
    }

    async fn fresh_message(&mut self) -> Heard {
        loop {
            match self.hear().await {
                Heard::Ping(_) | Heard::Pong(_) => {}
                Heard::Text(text) if text == r#"{"type":"ping"}"# => {}
                other => return other,
            }
        }
    }

    /// The next text message.
    ///
    /// # Panics
    /// Something else comes, but for pings.
    pub async fn expect_text(&mut self) -> String {
        match self.message().await {
            Heard::Text(text) => text,
            other => panic!("expected a text, heard {other:?}"),
        }
    }

    /// The next envelope, which must be of this `type`.
    ///
    /// # Panics
    /// Something else comes, but for pings.
    pub async fn expect_json(&mut self, kind: &str) -> Value {
        let text = self.expect_text().await;
        let frame: Value = serde_json::from_str(&text).expect("every envelope is JSON");
        assert_eq!(frame["type"], kind, "expected another envelope: {text}");
        frame
    }

    /// Asks for an echo of raw mode, and gets it: the connection works.
    pub async fn expect_echo(&mut self, what: &str) {
        self.expect_answer(&format!("echo:{what}")).await;
    }

    /// Sends a text of raw mode that the handler answers with itself once it has done what it says.
    pub async fn expect_answer(&mut self, text: &str) {
        self.text(text).await;
        assert_eq!(self.expect_text().await, text);
    }

    /// Reads to the end of the socket; a close frame is answered.
    pub async fn ending(&mut self) -> Ending {
        let (mut texts, mut close) = (Vec::new(), None);
        loop {
            match self.message().await {
                Heard::Text(text) => texts.push(text),
                Heard::Close(code, reason) => {
                    let answer: &[u8] = if code == 1005 { &[] } else { &code.to_be_bytes() };
                    self.send(CLOSE, answer).await;
                    close = Some((code, reason));
                }
                Heard::End { reset } => return Ending { texts, close, reset },
                _ => {}
            }
        }
    }

    /// Reads to the end of the socket, which must come with a close frame of this code.
    ///
    /// # Panics
    /// It comes without one, or with another.
    pub async fn expect_close(&mut self, code: u16) -> Ending {
        let ending = self.ending().await;
        assert_eq!(ending.code(), Some(code), "expected another end: {ending:?}");
        ending
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("response", &self.response).finish_non_exhaustive()
    }
}
