//! Requests of envelope mode, and what channels answer.

use serde_json::{Value, json};

use super::{Client, Heard};

impl Client {
    /// Sends a request with a fresh id, and returns its reply as it came. What comes before it is heard later.
    ///
    /// # Panics
    /// The connection ends instead.
    pub async fn request_text(&mut self, mut request: Value) -> String {
        self.requests += 1;
        request["id"] = self.requests.into();
        self.json(&request).await;
        loop {
            let text = match self.fresh_message().await {
                Heard::Text(text) => text,
                other => panic!("in place of a reply to {request}: {other:?}"),
            };
            let frame: Value = serde_json::from_str(&text).expect("every envelope is JSON");
            if frame["type"] == "reply" && frame["id"] == request["id"] {
                return text;
            }
            self.early.push_back(text);
        }
    }

    /// Sends a request with a fresh id, and returns its result.
    ///
    /// # Panics
    /// It is refused.
    pub async fn request(&mut self, request: Value) -> Value {
        let reply = self.reply(request).await;
        assert!(reply.get("error").is_none(), "refused: {reply}");
        reply["result"].clone()
    }

    /// Sends a request with a fresh id that must be refused with this code, and returns the text of the refusal.
    ///
    /// # Panics
    /// It is not refused, or with another code.
    pub async fn refused(&mut self, request: Value, code: &str) -> String {
        let reply = self.reply(request).await;
        assert_eq!(reply["error"]["code"], code, "{reply}");
        reply["error"]["message"].as_str().expect("it says why").to_owned()
    }

    async fn reply(&mut self, request: Value) -> Value {
        serde_json::from_str(&self.request_text(request).await).expect("it was read before")
    }

    /// Subscribes to a channel.
    pub async fn subscribe(&mut self, channel: &str) {
        assert_eq!(self.request(json!({"type": "subscribe", "channel": channel})).await, json!({}));
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&mut self, channel: &str) {
        assert_eq!(self.request(json!({"type": "unsubscribe", "channel": channel})).await, json!({}));
    }

    /// Publishes to a channel; returns how many were meant.
    ///
    /// # Panics
    /// It is refused.
    pub async fn publish(&mut self, channel: &str, data: Value) -> u64 {
        let publish = json!({"type": "publish", "channel": channel, "data": data});
        self.request(publish).await["matched"].as_u64().expect("a count")
    }

    /// Subscribes to who comes and goes; returns the state, which comes behind the reply.
    pub async fn subscribe_presence(&mut self, channel: &str) -> Value {
        let reply = self.request(json!({"type": "subscribePresence", "channel": channel})).await;
        assert_eq!(reply, json!({}));
        let state = self.expect_json("presenceState").await;
        assert_eq!(state["channel"], channel);
        state
    }

    /// The next push, which must have come by this channel; returns its data.
    pub async fn expect_push(&mut self, channel: &str) -> Value {
        let push = self.expect_json("push").await;
        assert_eq!(push["channel"], channel, "{push}");
        push["data"].clone()
    }

    /// Asks the handler for an echo, and gets it before anything else: whatever was done to this connection before is
    /// in what it heard.
    pub async fn expect_silence(&mut self) {
        self.requests += 1;
        self.json(&json!({"type": "message", "id": self.requests, "data": "echo:silence"})).await;
        let reply = self.expect_json("reply").await;
        assert_eq!(reply["id"], self.requests, "{reply}");
    }
}
