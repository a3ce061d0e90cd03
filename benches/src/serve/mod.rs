//! The servers: each a process of its own, which prints `ready <port>` and takes orders on its standard input.

use std::{error::Error, io::BufRead as _, net::SocketAddr};

use tokio::sync::mpsc;

use crate::design::Design;

pub(crate) mod control;
mod ours;
mod peers;

pub(crate) use control::Order;

/// What a server is told when it starts.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Which server.
    pub(crate) design: Design,
    /// Threads that serve connections.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Milliseconds between heartbeats; 0: as the design has it by default. Ours only.
    #[arg(long, default_value_t = 0)]
    pub(crate) heartbeat_ms: u64,
    /// Milliseconds for which a client that left may come back to what it missed; 0: as the design has it. Ours only.
    #[arg(long, default_value_t = 0)]
    pub(crate) resume_ms: u64,
    /// Signs the tokens of the clients (HS256). Ours only.
    #[arg(long, default_value = crate::load::SECRET)]
    pub(crate) secret: String,
}

/// Serves until the standard input ends.
pub(crate) fn main(options: &Options) -> Result<(), Box<dyn Error>> {
    match options.design {
        Design::Raw
        | Design::Axum
        | Design::AxumSmall
        | Design::Poem
        | Design::PoemSmall
        | Design::ActixWs
        | Design::ActixWsSmall
        | Design::TokioWebsockets
        | Design::Socketioxide
        | Design::SaToken => peers::serve(options),
        Design::HerenowAxum | Design::HerenowPoem | Design::HerenowActix | Design::HerenowActixServe => {
            ours::serve(options)
        }
        Design::NodeWs | Design::SocketIo | Design::UWebSockets => {
            Err("it is no Rust: `run` starts it from benches/peers".into())
        }
    }
}

/// Says that connections may come.
pub(crate) fn ready(address: SocketAddr) {
    println!("ready {}", address.port());
}

/// Says that an order was carried out.
pub(crate) fn done() {
    println!("done");
}

/// The orders, read on a thread of their own; none any more when the runner is gone. A line that is none ends the process,
/// so that a mistake of the runner's cannot pass for a figure.
pub(crate) fn orders() -> mpsc::Receiver<Order> {
    let (give, take) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse() {
                Ok(order) if give.blocking_send(order).is_ok() => {}
                Ok(_) => return,
                Err(error) => {
                    eprintln!("{error}");
                    std::process::exit(2);
                }
            }
        }
    });
    take
}

/// A runtime with so many threads that serve: one is the thread that called.
pub(crate) fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}
