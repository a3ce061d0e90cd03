//! What is measured: ours on three frameworks, the raw limit, and the peers.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server that `serve` can be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Design {
    /// Epoll and write(2), no checks: the limit.
    Raw,
    /// herenow-axum.
    HerenowAxum,
    /// herenow-poem.
    HerenowPoem,
    /// herenow-actix in actix's own `HttpServer`.
    HerenowActix,
    /// herenow-actix in the server that gives sockets away.
    HerenowActixServe,
    /// axum's own WebSocket with its defaults.
    Axum,
    /// axum's own WebSocket with small buffers.
    AxumSmall,
    /// poem's own WebSocket with its defaults.
    Poem,
    /// poem's own WebSocket with small buffers.
    PoemSmall,
    /// actix-ws.
    ActixWs,
    /// actix-ws in a server with a small write buffer.
    ActixWsSmall,
    /// tokio-websockets on a TCP listener.
    TokioWebsockets,
    /// socketioxide on axum.
    Socketioxide,
    /// sa-token-core's WebSocket authentication, OnlineManager and pusher on axum.
    SaToken,
    /// `ws` on Node.
    NodeWs,
    /// Socket.IO on Node.
    SocketIo,
    /// uWebSockets, through socketify for Python.
    UWebSockets,
}
