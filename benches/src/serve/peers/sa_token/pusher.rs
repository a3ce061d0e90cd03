//! The pusher that its guide leaves to the application: a map of senders under a lock, as its own `InMemoryPusher` has one of messages.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::extract::ws::Message;
use sa_token_core::{MessagePusher, PushMessage, SaTokenError, WsAuthInfo};
use tokio::sync::{
    RwLock,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// The sockets of every user.
#[derive(Default)]
pub(super) struct SocketPusher {
    by_user: RwLock<HashMap<String, Vec<Socket>>>,
}

struct Socket {
    session: String,
    sender: UnboundedSender<Message>,
}

impl SocketPusher {
    pub(super) async fn join(&self, session: &WsAuthInfo) -> UnboundedReceiver<Message> {
        let (sender, messages) = unbounded_channel();
        let socket = Socket { session: session.session_id.clone(), sender };
        self.by_user.write().await.entry(session.login_id.clone()).or_default().push(socket);
        messages
    }

    pub(super) async fn leave(&self, session: &WsAuthInfo) {
        let mut by_user = self.by_user.write().await;
        if let Some(sockets) = by_user.get_mut(&session.login_id) {
            sockets.retain(|socket| socket.session != session.session_id);
            if sockets.is_empty() {
                by_user.remove(&session.login_id);
            }
        }
    }
}

#[async_trait]
impl MessagePusher for SocketPusher {
    async fn push(&self, login_id: &str, message: PushMessage) -> Result<(), SaTokenError> {
        for socket in self.by_user.read().await.get(login_id).into_iter().flatten() {
            let _ = socket.sender.send(Message::text(message.content.as_str()));
        }
        Ok(())
    }
}
