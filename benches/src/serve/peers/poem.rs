//! poem's own WebSocket, laid out as its chat example.

use std::{error::Error, future::pending};

use poem::{
    EndpointExt as _, IntoResponse, Route, Server, get, handler,
    listener::TcpAcceptor,
    web::{
        Data,
        websocket::{Message, WebSocket, WebSocketConfig},
    },
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
    let app = Route::new().at("/ws", get(ws)).data(senders.clone()).data(buffers);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?);
    tokio::select! {
        ended = server.run_with_graceful_shutdown(app, pending(), None) => Ok(ended?),
        ended = super::obey(senders) => ended,
    }
}

#[handler]
async fn ws(
    Data(senders): Data<&Senders>,
    Data(buffers): Data<&Buffers>,
    upgrade: WebSocket,
) -> impl IntoResponse {
    let senders = senders.clone();
    let upgrade = match buffers {
        Buffers::Default => upgrade,
        Buffers::Small => {
            upgrade.config(WebSocketConfig::default().read_buffer_size(READ).write_buffer_size(WRITE))
        }
    };
    upgrade.on_upgrade(async move |socket| {
        let (_seat, messages) = senders.join();
        pump::run(socket, messages).await;
    })
}

impl Push for Senders {
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_all(&Message::text(payload));
        Ok(())
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_next(Message::text(payload));
        Ok(())
    }
}
