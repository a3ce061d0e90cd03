//! A client that knows how far it is, and goes on elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Client, Heard};
use crate::Server;

/// Its pushes are numbers, each once and in order: from 0 on, or from 0 on of each pusher (`name:0`), until it says `name:end`.
#[derive(Debug)]
pub struct Resuming {
    /// Its connection.
    pub socket: Client,
    token: String,
    resume: Value,
    seq: u64,
    next: BTreeMap<String, u64>,
    ended: BTreeSet<String>,
}

impl Resuming {
    /// Comes to a node for the first time.
    pub async fn join(node: &Server, login_id: &str) -> Self {
        let token = node.login(login_id).await;
        let mut socket = node.envelope().token(&token).open().await;
        let welcome = socket.hello(json!({})).await;
        let resume = welcome["resumeToken"].clone();
        Self { token, socket, resume, seq: 0, next: BTreeMap::new(), ended: BTreeSet::new() }
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

    /// Reads the next push; false where its node sends it away (4302) in place of one, which it answers.
    ///
    /// # Panics
    /// Another push comes than the next, or another end.
    pub async fn hear(&mut self) -> bool {
        loop {
            match self.socket.hear().await {
                Heard::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("every envelope is JSON");
                    match frame["type"].as_str() {
                        Some("push") => {
                            self.is_next(&frame);
                            return true;
                        }
                        Some("goodbye") => assert_eq!(frame["code"], 4302, "{frame}"),
                        _ => {}
                    }
                }
                Heard::Close(code, _) => {
                    assert_eq!(code, 4302);
                    self.socket.say_close(code).await;
                    return false;
                }
                Heard::End { reset } => panic!("the socket ended without a close frame, reset: {reset}"),
                _ => {}
            }
        }
    }

    /// Whether a pusher has said that it is done.
    pub fn has_all_of(&self, pusher: &str) -> bool {
        self.ended.contains(pusher)
    }

    fn is_next(&mut self, push: &Value) {
        let data = push["data"].as_str().expect("a number is text");
        let (pusher, number) = data.rsplit_once(':').unwrap_or(("", data));
        assert!(!self.has_all_of(pusher), "it had said that it is done: {push}");
        if number == "end" {
            self.ended.insert(pusher.to_owned());
        } else {
            let next = self.next.entry(pusher.to_owned()).or_default();
            assert_eq!(number, next.to_string(), "{push}");
            *next += 1;
        }
        self.seq += 1;
    }
}
