//! On axum, served by `herenow_axum::serve`.

use std::{error::Error, future::pending};

use axum::{Router, routing::any};
use herenow_axum::{OnlineLayer, OnlineUpgrade};
use tokio::net::TcpListener;

use super::Options;
use crate::serve;

pub(super) async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let online = super::manager(options)?;
    let app = Router::new()
        .route("/ws", any(async |upgrade: OnlineUpgrade| upgrade.start()))
        .layer(OnlineLayer::new(&online));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    tokio::select! {
        ended = herenow_axum::serve(listener, app).until(pending()) => Ok(ended?),
        ended = super::obey(online) => ended,
    }
}
