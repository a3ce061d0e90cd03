//! socketioxide on axum, as in its README: `io.emit` to all, a room for each user.

use std::{error::Error, sync::Arc};

use axum::{Router, serve::ListenerExt as _};
use serde_json::value::RawValue;
use socketioxide::{SocketIo, extract::SocketRef};
use tokio::net::TcpListener;

use super::{
    Push,
    connections::{Connections, Seat},
};
use crate::serve;

const EVENT: &str = "push";

/// The rooms, one for each user.
type Rooms = Connections<String>;

struct Io {
    io: SocketIo,
    rooms: Rooms,
}

pub(super) async fn serve() -> Result<(), Box<dyn Error>> {
    let (layer, io) = SocketIo::new_layer();
    let rooms = Rooms::default();
    let of_all = rooms.clone();
    io.ns("/", async move |socket: SocketRef| {
        let room = format!("user:{}", socket.id);
        socket.join(room.clone());
        let seat: Arc<Seat<String>> = Arc::new(of_all.add(room));
        socket.on_disconnect(async move || drop(Arc::clone(&seat)));
    });
    let app = Router::new().layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::select! {
        ended = axum::serve(listener, app) => Ok(ended?),
        ended = super::obey(Io { io, rooms }) => ended,
    }
}

/// The message as a value of the application's: here it is JSON already, so that nothing is spent on encoding it anew.
fn value(payload: &str) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(payload.to_owned())
}

impl Push for Io {
    /// Whose channel is full misses the message, which it calls an error of the whole.
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        let _ = self.io.emit(EVENT, &value(payload)?).await;
        Ok(())
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        if let Some(room) = self.rooms.next(|room| room.clone()) {
            let _ = self.io.to(room).emit(EVENT, &value(payload)?).await;
        }
        Ok(())
    }
}
