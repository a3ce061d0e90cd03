//! A client that knows how far it is, and goes on elsewhere.

use serde_json::{Value, json};

use super::{Client, Heard};
use crate::Server;

/// Its pushes are numbers, from 0 on, each once and in order.
#[derive(Debug)]
pub struct Resuming {
    /// Its connection.
    pub socket: Client,
    token: String,
    resume: Value,
    seq: u64,
}

impl Resuming {
    /// Comes to a node for the first time.
    pub async fn join(node: &Server, login_id: &str) -> Self {
        let token = node.login(login_id).await;
        let mut socket = node.envelope().token(&token).open().await;
        let welcome = socket.hello(json!({})).await;
        Self { token, socket, resume: welcome["resumeToken"].clone(), seq: 0 }
    }

    /// Comes back to a node, which knows how far it is; returns the connection before.
    ///
    /// # Panics
    /// The stream does not go on there.
    pub async fn back(&mut self, node: &Server) -> Client {
        let mut socket = node.envelope().token(&self.token).open().await;
        let welcome = socket.hello(json!({"resume": {"token": self.resume, "seq": self.seq}})).await;
        assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(true), &json!(self.seq)), "{welcome}");
        self.resume = welcome["resumeToken"].clone();
        std::mem::replace(&mut self.socket, socket)
    }

    /// Reads until it has so many pushes.
    ///
    /// # Panics
    /// Another one comes than the next.
    pub async fn expect(&mut self, until: u64) {
        while self.seq < until {
            let push = self.socket.expect_json("push").await;
            self.is_next(&push);
        }
    }

    /// Reads until its node sends it away (4302), and answers.
    ///
    /// # Panics
    /// Another push comes than the next, or another end.
    pub async fn expect_drain(&mut self) {
        loop {
            match self.socket.hear().await {
                Heard::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("every envelope is JSON");
                    match frame["type"].as_str() {
                        Some("push") => self.is_next(&frame),
                        Some("goodbye") => assert_eq!(frame["code"], 4302, "{frame}"),
                        _ => {}
                    }
                }
                Heard::Close(code, _) => {
                    assert_eq!(code, 4302);
                    return self.socket.say_close(code).await;
                }
                Heard::End { reset } => panic!("the socket ended without a close frame, reset: {reset}"),
                _ => {}
            }
        }
    }

    fn is_next(&mut self, push: &Value) {
        assert_eq!(push["data"], self.seq.to_string(), "{push}");
        self.seq += 1;
    }
}
