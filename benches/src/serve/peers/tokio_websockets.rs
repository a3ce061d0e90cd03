//! tokio-websockets on a TCP listener, as its examples have it.

use std::error::Error;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedSender,
};
use tokio_websockets::{Message, ServerBuilder};

use super::{Push, connections::Connections, pump};
use crate::serve;

type Senders = Connections<UnboundedSender<Message>>;

pub(super) async fn serve() -> Result<(), Box<dyn Error>> {
    let senders = Senders::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    tokio::select! {
        ended = accept(listener, senders.clone()) => ended,
        ended = super::obey(senders) => ended,
    }
}

async fn accept(listener: TcpListener, senders: Senders) -> Result<(), Box<dyn Error>> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(ws(stream, senders.clone()));
    }
}

async fn ws(stream: TcpStream, senders: Senders) {
    let _ = stream.set_nodelay(true);
    let Ok((_request, socket)) = ServerBuilder::new().accept(stream).await else { return };
    let (_seat, messages) = senders.join();
    pump::run(socket, messages).await;
}

impl Push for Senders {
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_all(&Message::text(payload.to_owned()));
        Ok(())
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        self.send_to_next(Message::text(payload.to_owned()));
        Ok(())
    }
}
