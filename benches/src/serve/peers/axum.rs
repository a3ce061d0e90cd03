//! axum's own WebSocket, laid out as its chat example.

use std::error::Error;

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes},
    },
    response::Response,
    routing::any,
    serve::ListenerExt as _,
};
use tokio::{net::TcpListener, sync::mpsc::UnboundedSender};

use super::{Push, connections::Connections, pump};
use crate::serve;

/// What is read into and written from, in bytes.
#[derive(Clone, Copy)]
pub(super) enum Buffers {
    /// 128 KiB each.
    Default,
    Small,
}

/// Enough for what a client says; more is read in pieces.
const READ: usize = 2 * 1024;
const WRITE: usize = 4 * 1024;

type Senders = Connections<UnboundedSender<Message>>;

pub(super) async fn serve(buffers: Buffers) -> Result<(), Box<dyn Error>> {
    let senders = Senders::default();
    let app = Router::new().route("/ws", any(ws)).with_state((senders.clone(), buffers));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::select! {
        ended = axum::serve(listener, app) => Ok(ended?),
        ended = super::obey(senders) => ended,
    }
}

async fn ws(State((senders, buffers)): State<(Senders, Buffers)>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = match buffers {
        Buffers::Default => upgrade,
        Buffers::Small => upgrade.read_buffer_size(READ).write_buffer_size(WRITE),
    };
    upgrade.on_upgrade(async move |socket| {
        let (_seat, messages) = senders.join();
        pump::run(socket, messages).await;
    })
}

impl Push for Senders {
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_all(&Message::Text(Utf8Bytes::from(payload)));
        Ok(())
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_next(Message::Text(Utf8Bytes::from(payload)));
        Ok(())
    }
}
