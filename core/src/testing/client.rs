//! The client's end of an in-memory connection.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    frame::{Frame, masked, masked_close},
    wait::{PATIENCE, breath},
};
use crate::{Connection, connection::codec::OpCode, protocol::Mode};

/// A client: it reads by itself, answers pings and close frames, and keeps what came until the test looks.
///
/// Dropped, it is gone without a word, as by a network loss.
#[derive(Debug)]
pub struct TestClient {
    mode: Mode,
    orders: mpsc::UnboundedSender<Order>,
    frames: mpsc::UnboundedReceiver<Frame>,
    driver: JoinHandle<()>,
    joining: Option<oneshot::Receiver<Connection>>,
    connection: Option<Connection>,
    welcome: Value,
    /// The id of the last request.
    asked: u64,
}

#[derive(Debug)]
enum Order {
    Send(Vec<u8>),
    Close(Vec<u8>),
    Read(bool),
    IgnorePings,
}

impl TestClient {
    pub(super) fn new(
        mode: Mode,
        stream: DuplexStream,
        driver: JoinHandle<()>,
        joining: oneshot::Receiver<Connection>,
    ) -> Self {
        let (orders, todo) = mpsc::unbounded_channel();
        let (came, frames) = mpsc::unbounded_channel();
        tokio::spawn(run(stream, todo, came));
        let (joining, welcome) = (Some(joining), Value::Null);
        Self { mode, orders, frames, driver, joining, connection: None, welcome, asked: 0 }
    }

    /// Waits until the connection is present, and reads `welcome` in envelope mode; false where it is refused.
    ///
    /// # Panics
    /// If it is not decided within [`PATIENCE`] by whom it is.
    pub async fn is_present(&mut self) -> bool {
        if let Some(joining) = self.joining.take() {
            let joined = tokio::time::timeout(PATIENCE, joining).await;
            self.connection = joined.expect("the connection is neither present nor refused").ok();
        }
        let Some(connection) = self.connection.clone() else { return false };
        let mut looks = 0;
        while connection.is_open() && !is_present(&connection) {
            breath(&mut looks).await;
        }
        let present = is_present(&connection);
        if self.mode == Mode::Envelope && self.welcome.is_null() && present {
            self.welcome = self.expect_type("welcome").await;
        }
        present
    }

    /// The server's handle on this connection.
    ///
    /// # Panics
    /// If it was not waited for, or was refused.
    pub fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("present: `open`, or `start` and `is_present`")
    }

    /// The `welcome` of envelope mode; null before it, and in raw mode.
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// Sends a text frame.
    pub fn send_text(&self, text: &str) {
        self.order(Order::Send(masked(OpCode::Text, text.as_bytes())));
    }

    /// Sends a JSON value as a text frame.
    pub fn send_json(&self, value: &Value) {
        self.send_text(&value.to_string());
    }

    /// Sends a binary frame.
    pub fn send_binary(&self, bytes: &[u8]) {
        self.order(Order::Send(masked(OpCode::Binary, bytes)));
    }

    /// Sends bytes as they are, a broken frame for one.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.order(Order::Send(bytes.to_vec()));
    }

    /// Reads no further: a slow reader, or a peer that is half gone. What the pipe takes is written all the same.
    pub fn stop_reading(&self) {
        self.order(Order::Read(false));
    }

    /// Reads on.
    pub fn read_on(&self) {
        self.order(Order::Read(true));
    }

    /// Reads, and answers no ping of either kind: a peer that fell silent.
    pub fn ignore_pings(&self) {
        self.order(Order::IgnorePings);
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order); // Once the server is gone, what a client does is lost.
    }

    /// Closes with a code, or without one, and waits until the server is done with the connection.
    pub async fn close(self, code: impl Into<Option<u16>>) {
        self.order(Order::Close(masked_close(code.into())));
        self.server_is_done().await;
    }

    /// Is gone without a word, and waits until the server has noticed.
    pub async fn vanish(self) {
        let Self { orders, frames, driver, .. } = self;
        drop((orders, frames));
        finished(driver).await;
    }

    /// Waits until the server is done with the connection.
    ///
    /// # Panics
    /// If it is not within [`PATIENCE`], or its task panicked.
    pub async fn server_is_done(self) {
        finished(self.driver).await;
    }

    /// The next frame, heartbeats included; `None` once the connection is over.
    ///
    /// # Panics
    /// If nothing comes within [`PATIENCE`].
    pub async fn next_frame(&mut self) -> Option<Frame> {
        let frame = tokio::time::timeout(PATIENCE, self.frames.recv()).await;
        frame.unwrap_or_else(|_| panic!("no frame came within {PATIENCE:?}"))
    }

    /// The next frame that is no heartbeat; `None` once the connection is over.
    ///
    /// # Panics
    /// If nothing comes within [`PATIENCE`].
    pub async fn recv(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_frame().await?;
            if !self.is_heartbeat(&frame) {
                return Some(frame);
            }
        }
    }

    fn is_heartbeat(&self, frame: &Frame) -> bool {
        match frame {
            Frame::Ping(_) | Frame::Pong(_) => true,
            Frame::Text(text) => self.mode == Mode::Envelope && text == JSON_PING,
            Frame::Binary(_) | Frame::Close(..) => false,
        }
    }

    /// The text of the next frame.
    ///
    /// # Panics
    /// If it is none.
    pub async fn expect_text(&mut self) -> String {
        match self.recv().await {
            Some(Frame::Text(text)) => text,
            other => panic!("a text was expected, and this came: {other:?}"),
        }
    }

    /// The bytes of the next frame.
    ///
    /// # Panics
    /// If it is not binary.
    pub async fn expect_binary(&mut self) -> Bytes {
        match self.recv().await {
            Some(Frame::Binary(bytes)) => bytes,
            other => panic!("bytes were expected, and this came: {other:?}"),
        }
    }

    /// The next frame as an envelope of this type.
    ///
    /// # Panics
    /// If it is none, or of another type.
    pub async fn expect_type(&mut self, kind: &str) -> Value {
        let text = self.expect_text().await;
        let envelope: Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("no JSON, but {kind} was expected: {text}"));
        assert_eq!(envelope["type"], kind, "{text}");
        envelope
    }

    /// The payload of the next push: `data` of the envelope; in raw mode the text, as a JSON string.
    ///
    /// # Panics
    /// If the next frame is no push.
    pub async fn expect_push(&mut self) -> Value {
        match self.mode {
            Mode::Envelope => self.expect_type("push").await["data"].take(),
            Mode::Raw => Value::String(self.expect_text().await),
        }
    }

    /// Sends a request, with the next id, and waits for its reply; what comes before that is passed over.
    ///
    /// # Panics
    /// If none comes within [`PATIENCE`], or the connection ends.
    pub async fn request(&mut self, mut request: Value) -> Value {
        self.asked += 1;
        request["id"] = self.asked.into();
        self.send_json(&request);
        loop {
            let Some(frame) = self.recv().await else { panic!("the connection ended: {request}") };
            let Frame::Text(text) = frame else { panic!("no text, but a reply was expected: {frame:?}") };
            let envelope: Value = serde_json::from_str(&text).unwrap_or_default();
            if envelope["type"] == "reply" && envelope["id"] == self.asked {
                return envelope;
            }
        }
    }

    /// Subscribes to a channel.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn subscribe(&mut self, channel: &str) {
        let reply = self.request(json!({"type": "subscribe", "channel": channel})).await;
        assert_eq!(reply["result"], json!({}), "{reply}");
    }

    /// Unsubscribes from a channel.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn unsubscribe(&mut self, channel: &str) {
        let reply = self.request(json!({"type": "unsubscribe", "channel": channel})).await;
        assert_eq!(reply["result"], json!({}), "{reply}");
    }

    /// Subscribes to the presence of a channel, and returns its `presenceState`.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn subscribe_presence(&mut self, channel: &str) -> Value {
        let reply = self.request(json!({"type": "subscribePresence", "channel": channel})).await;
        assert_eq!(reply["result"], json!({}), "{reply}");
        self.expect_type("presenceState").await
    }

    /// The next frame, which is a `presence`.
    ///
    /// # Panics
    /// If it is none.
    pub async fn expect_presence(&mut self) -> Value {
        self.expect_type("presence").await
    }

    /// Code and reason of the close frame; what comes before it is passed over.
    ///
    /// # Panics
    /// If the connection ends without one.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            match self.recv().await {
                Some(Frame::Close(code, reason)) => return (code, reason),
                Some(_) => {}
                None => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Waits for a time in which nothing but heartbeats may come.
    ///
    /// # Panics
    /// If something does, the end of the connection included.
    pub async fn expect_nothing(&mut self, time: Duration) {
        if let Ok(frame) = tokio::time::timeout(time, self.recv()).await {
            panic!("nothing was expected, and this came: {frame:?}");
        }
    }
}

fn is_present(connection: &Connection) -> bool {
    let id = connection.id();
    connection.inner.registry.read(connection.user(), |state| {
        state.is_some_and(|state| state.present().any(|member| member.conn.id == id))
    })
}

const JSON_PING: &str = r#"{"type":"ping"}"#;
const JSON_PONG: &[u8] = br#"{"type":"pong"}"#;

async fn finished(driver: JoinHandle<()>) {
    let done = tokio::time::timeout(PATIENCE, driver).await.expect("the server is not done with it");
    done.expect("the connection's task ends without a panic");
}

/// The client's task: ends with either side, and lets go of the stream.
async fn run(
    stream: DuplexStream,
    mut orders: mpsc::UnboundedReceiver<Order>,
    frames: mpsc::UnboundedSender<Frame>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut inbox, mut outbox) = (BytesMut::new(), BytesMut::new());
    let mut habits = Habits { reads: true, answers: true, closed: false };
    loop {
        tokio::select! {
            biased; // What the test said is done before anything further is read.
            order = orders.recv() => match order {
                Some(order) => habits.follow(order, &mut outbox),
                None => return,
            },
            read = reader.read_buf(&mut inbox), if habits.reads => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                while let Some(frame) = Frame::take(&mut inbox) {
                    habits.answer(&frame, &mut outbox);
                    let _ = frames.send(frame); // A client that is only waited for looks at nothing.
                }
            }
            written = writer.write_buf(&mut outbox), if !outbox.is_empty() => {
                if written.is_err() {
                    outbox.clear(); // The server reads no more; what it wrote can still be read.
                }
            }
        }
    }
}

struct Habits {
    reads: bool,
    answers: bool,
    closed: bool,
}

impl Habits {
    fn follow(&mut self, order: Order, outbox: &mut BytesMut) {
        match order {
            Order::Send(bytes) => outbox.extend_from_slice(&bytes),
            Order::Close(bytes) => {
                self.closed = true;
                outbox.extend_from_slice(&bytes);
            }
            Order::Read(on) => self.reads = on,
            Order::IgnorePings => self.answers = false,
        }
    }

    fn answer(&mut self, frame: &Frame, outbox: &mut BytesMut) {
        match frame {
            Frame::Ping(payload) if self.answers => outbox.extend_from_slice(&masked(OpCode::Pong, payload)),
            Frame::Text(text) if self.answers && text == JSON_PING => {
                outbox.extend_from_slice(&masked(OpCode::Text, JSON_PONG));
            }
            Frame::Close(code, _) if !self.closed => {
                self.closed = true;
                outbox.extend_from_slice(&masked_close(Some(*code).filter(|code| *code != 1005)));
            }
            _ => {}
        }
    }
}
