//! The peers that are Rust, and the raw limit: each as its authors recommend. `benches/peers/README.md` has the settings.

use std::error::Error;

use super::{Options, Order, control};
use crate::design::Design;

mod actix_ws;
mod axum;
mod connections;
mod poem;
mod pump;
mod raw;
mod sa_token;
mod socketioxide;
mod tokio_websockets;

pub(super) fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = || super::runtime(options.threads);
    match options.design {
        Design::Axum => runtime()?.block_on(axum::serve(axum::Buffers::Default)),
        Design::AxumSmall => runtime()?.block_on(axum::serve(axum::Buffers::Small)),
        Design::Poem => runtime()?.block_on(poem::serve(poem::Buffers::Default)),
        Design::PoemSmall => runtime()?.block_on(poem::serve(poem::Buffers::Small)),
        Design::ActixWs => actix_ws::serve(options.threads, actix_ws::Buffers::Default),
        Design::ActixWsSmall => actix_ws::serve(options.threads, actix_ws::Buffers::Small),
        Design::TokioWebsockets => runtime()?.block_on(tokio_websockets::serve()),
        Design::Socketioxide => runtime()?.block_on(socketioxide::serve()),
        Design::SaToken => runtime()?.block_on(sa_token::serve()),
        _ => raw::serve(options),
    }
}

/// How a peer sends. Whatever it makes of a message, it makes once, and not once per connection, where it lets one.
trait Push {
    /// To every connection.
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>>;

    /// To the connection whose turn it is: they have it in the order in which they came.
    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>>;
}

/// Does what the runner orders, until it is gone.
async fn obey(push: impl Push) -> Result<(), Box<dyn Error>> {
    let mut orders = super::orders();
    while let Some(order) = orders.recv().await {
        match order {
            Order::All { count, size } => {
                let payload = control::payload(size);
                for _ in 0..count {
                    push.to_all(&payload).await?;
                }
            }
            Order::Users { count, size } => {
                let payload = control::payload(size);
                for _ in 0..count {
                    push.to_next(&payload).await?;
                }
            }
            Order::Channel { .. } | Order::Kick { .. } => {
                return Err("a peer knows neither channels nor kicks".into());
            }
        }
        super::done();
    }
    Ok(())
}
