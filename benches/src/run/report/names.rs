//! What designs are called in tables and in the picture.

use crate::design::Design;

/// A design, and how it is spoken to where it can be spoken to in several ways.
pub(in crate::run) fn title(design: Design, dialect: &str, threads: usize) -> String {
    let mut title = name(design).to_owned();
    if dialect == "envelope" {
        title.push_str(", envelope");
    }
    if threads > 1 {
        title.push_str(&format!(", {threads} threads"));
    }
    title
}

pub(super) fn name(design: Design) -> &'static str {
    match design {
        Design::Raw => "raw limit: epoll and write",
        Design::HerenowAxum => "herenow on axum",
        Design::HerenowPoem => "herenow on poem",
        Design::HerenowActix => "herenow on actix-web",
        Design::HerenowActixServe => "herenow on actix-web, `serve`",
        Design::Axum => "axum's WebSocket",
        Design::AxumSmall => "axum's WebSocket, small buffers",
        Design::Poem => "poem's WebSocket",
        Design::PoemSmall => "poem's WebSocket, small buffers",
        Design::ActixWs => "actix-ws",
        Design::ActixWsSmall => "actix-ws, small buffers",
        Design::TokioWebsockets => "tokio-websockets",
        Design::Socketioxide => "socketioxide on axum",
        Design::SaToken => "sa-token-core on axum",
        Design::NodeWs => "ws on Node.js",
        Design::SocketIo => "Socket.IO on Node.js",
        Design::UWebSockets => "uWebSockets (socketify)",
    }
}

/// Ours, in the order of the tables.
pub(super) const OURS: [Design; 4] =
    [Design::HerenowAxum, Design::HerenowPoem, Design::HerenowActix, Design::HerenowActixServe];

pub(super) fn is_ours(design: Design) -> bool {
    OURS.contains(&design)
}

/// The modes of ours.
pub(super) const MODES: [&str; 2] = ["raw", "envelope"];
